"""Views written in JavaScript, each as one ES module in ``js/``: on a page without a kernel, or with one.

A module exports ``render({model, el})``, as anywidget wants it. On a page without a kernel its ``model`` is
the stored data. Everything is inside the page; nothing is fetched.
"""

import base64
import html
import io
import itertools
import json
from pathlib import Path

import numpy as np
import torch
from IPython.display import HTML

from helpers.images import to_pil

JS = Path(__file__).resolve().parent / "js"
_numbers = itertools.count(1)


def static(name: str, data: dict, alt: str) -> HTML:
    """Return a view that needs no kernel, to be the last line of a cell.

    Args:
        name: Of the module in ``js/``, without ending.
        data: What the module gets, as JSON.
        alt: What is to be seen, for those who cannot see it.
    """
    place = f"nst-{name}-{next(_numbers)}"
    body = source(name).replace("export default", "const view =")
    # "</" would end the script early.
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return HTML(
        f'<div id="{place}" class="nst-view" role="group" aria-label="{html.escape(alt)}">'
        f"<noscript>{html.escape(alt)}</noscript></div>\n<script>(() => {{\n"
        f'const el = document.getElementById("{place}");\nif (!el || el.dataset.ready) return;\n'
        f'el.dataset.ready = "yes";\nconst data = {text};\n{body}\n'
        "const model = { get: () => data, on() {}, set() {}, save_changes() {} };\n"
        "view.render({ model, el });\n})();</script>"
    )


def source(name: str) -> str:
    """Return a module's source with what all views share in front of it."""
    return (JS / "shared.js").read_text(encoding="utf-8") + (JS / f"{name}.js").read_text(encoding="utf-8")


def picture_url(image: torch.Tensor, width: int | None = None, quality: int = 66) -> str:
    """Return a picture, (1, 3, H, W), as the address of a JPEG that is inside it."""
    picture, buffer = to_pil(image), io.BytesIO()
    if width and width != picture.width:
        picture = picture.resize((width, max(1, round(picture.height * width / picture.width))))
    picture.save(buffer, format="JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def bytes_of(values: torch.Tensor) -> str:
    """Return values from 0 to 1 as bytes from 0 to 255 in base64, in order."""
    levels = (values.detach().cpu().clamp(0, 1) * 255).round().numpy().astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode()
