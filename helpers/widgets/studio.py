"""A page for pictures of one's own: choose, look at the estimate, watch, compare, take home, make again."""

import base64
import html
import re
import tempfile
from pathlib import Path

import ipywidgets

from helpers.engine.choice import choose, fastest
from helpers.engine.memory import memory_needed
from helpers.images import load_image, picture_names, read_record, save_image
from helpers.network import CONVOLUTION_LAYERS, STYLE_LAYERS, VGG19, best_device
from helpers.objective import compared_layers
from helpers.optimisers import history_length
from helpers.record import make_record
from helpers.widgets.compare import compare_data
from helpers.widgets.live import LiveRun, ratio_options
from helpers.widgets.module import module
from helpers.widgets.pictures import jpeg
from helpers.widgets.recipe import INITS, POOLINGS, recipe

#: What a press of a button sets at once.
LOOKS = {
    "a quick look": {"size": 160, "evaluations": 60},
    "as in notebook 0": {"size": 256, "evaluations": 100, "ratio": 2e-3},
    "large": {"size": 512, "evaluations": 200},
    "more of the photograph": {"ratio": 2e-2},
    "more of the painting": {"ratio": 2e-4},
}

CARD = "margin:0 12px 12px 0;width:170px;display:inline-block;vertical-align:top;line-height:1.3"
LINK = "color:#0b57d0;text-decoration:underline"
ALERT = "color:#b00020;background:#fff;padding:6px"


class Studio(ipywidgets.VBox):
    """One's own photograph and artwork, every setting, the run, and what came out of it.

    Nothing leaves the machine: the page talks to its own kernel only.

    Args:
        width: Of the picture of the run, in pixels.

    Attributes:
        live: The ``LiveRun`` on the page, or None.
        made: What was made so far: label to (picture, bytes of the PNG with its record inside).
    """

    def __init__(self, width: int = 400):
        """Build the page; compute nothing but the estimate for the settings."""
        self.network, self.live, self.made, self._width = VGG19().to(best_device()), None, {}, width
        self._folder = tempfile.TemporaryDirectory(prefix="studio-")
        self._own = {}  # name of an uploaded file -> its path
        self._choose = {
            "p": self._chooser("photograph p", "content"),
            "a": self._chooser("artwork a", "style"),
        }
        self._build_settings()
        self._estimate, self._said = ipywidgets.HTML(), ipywidgets.HTML()
        self._stage, self._results = ipywidgets.VBox(), ipywidgets.VBox()
        self._start = ipywidgets.Button(description="make the picture", button_style="primary")
        self._start.on_click(self._careful(self._make))
        again = ipywidgets.FileUpload(accept=".png", multiple=False, description="make this again")
        again.tooltip = "A PNG that was made here or by the command line: its settings are inside"
        again.layout.width = "auto"
        again.observe(self._careful(lambda change: self._take_recipe(again)), "value")
        looks = [ipywidgets.Button(description=words, layout={"width": "auto"}) for words in LOOKS]
        for button, values in zip(looks, LOOKS.values(), strict=True):
            button.on_click(lambda _, values=values: self._set(values))
        self._update_estimate()
        super().__init__(
            [
                ipywidgets.HBox([box for box, _, _ in self._choose.values()]),
                ipywidgets.HBox(looks, layout={"flex_flow": "row wrap"}),
                self._settings_box,
                ipywidgets.HBox([self._start, again, self._estimate], layout={"flex_flow": "row wrap"}),
                self._said,
                self._stage,
                self._results,
            ]
        )

    def _chooser(self, words: str, kind: str):
        """Return a box to choose a picture or to bring one, the control of its name, and its preview."""
        names = picture_names(kind)
        name = ipywidgets.Dropdown(options=names, description=words, style={"description_width": "initial"})
        name.value = {"content": "chenonceau", "style": "starry_night"}[kind]
        preview = ipywidgets.Image(format="jpeg", width=200)
        upload = ipywidgets.FileUpload(accept="image/*", multiple=False, description="your own")
        upload.tooltip = "JPEG, PNG or WebP; it stays on this machine"

        def look(_=None):
            preview.value = jpeg(load_image(self._own.get(name.value, name.value), 200))
            self._update_estimate()

        def bring(_):
            if upload.value:
                file = self._kept(upload.value[0])
                upload.value = ()
                load_image(file, 32)  # a file that is no picture ends here, with a message
                label, number = file.name, 1
                while label in {*names, *self._own}:  # a telephone may call every picture image.jpg
                    number += 1
                    label = f"{file.name} ({number})"
                self._own[label] = file
                name.options = [*name.options, label]
                name.value = label
                look()

        name.observe(self._careful(look), "value")
        upload.observe(self._careful(bring), "value")
        preview.value = jpeg(load_image(name.value, 200))
        preview.alt = words
        return ipywidgets.VBox([name, upload, preview], layout={"margin": "0 24px 0 0"}), name, preview

    def _kept(self, upload) -> Path:
        """Write an uploaded file into a folder of its own, under the last part of its name."""
        name = Path(upload["name"].replace("\\", "/")).name[-80:].strip(".") or "picture"
        file = Path(tempfile.mkdtemp(dir=self._folder.name)) / name
        file.write_bytes(bytes(upload["content"]))
        return file

    def _build_settings(self) -> None:
        wide = {"style": {"description_width": "initial"}, "layout": {"width": "320px"}}
        self._controls = c = {
            "size": ipywidgets.IntSlider(256, 64, 1024, 32, description="longer side, px", **wide),
            "evaluations": ipywidgets.IntSlider(100, 10, 500, 10, description="evaluations", **wide),
            "ratio": ipywidgets.SelectionSlider(
                options=ratio_options(2e-3), value=2e-3, description="α/β", **wide
            ),
            "content_layer": ipywidgets.Dropdown(
                options=CONVOLUTION_LAYERS, value="conv4_2", description="content layer", **wide
            ),
            "style_layers": ipywidgets.SelectMultiple(
                options=CONVOLUTION_LAYERS, value=STYLE_LAYERS, rows=5, description="style layers", **wide
            ),
            "pooling": ipywidgets.Dropdown(options=POOLINGS, description="pooling", **wide),
            "init": ipywidgets.Dropdown(
                options=dict(zip(("white noise", "photograph", "artwork"), INITS, strict=True)),
                description="start from",
                **wide,
            ),
            "optimiser": ipywidgets.Dropdown(
                options={"L-BFGS": "lbfgs", "Adam": "adam"}, description="optimiser", **wide
            ),
            "seed": ipywidgets.BoundedIntText(0, 0, 10**6, description="seed of the noise", **wide),
        }
        tips = {
            "size": "Of the picture; twice the side takes four times the time",
            "evaluations": "Losses and their gradient, so often; most is done after 100",
            "ratio": "More: the photograph's outlines. Less: the painting's strokes",
            "content_layer": "Deeper: less of the pixels, still the outlines",
            "style_layers": "With Ctrl or Shift several; deeper ones have larger structures",
            "pooling": "The paper takes average pooling",
            "init": "From the photograph it goes faster, and stays nearer to it",
            "optimiser": "L-BFGS needs fewer evaluations",
            "seed": "Another number, another picture of equal loss",
        }
        for name, control in c.items():
            control.tooltip = tips[name]
            control.observe(self._careful(lambda _: self._update_estimate()), "value")
        columns = [list(c.values())[:4], list(c.values())[4:5], list(c.values())[5:]]
        self._settings_box = ipywidgets.HBox(
            [ipywidgets.VBox(column) for column in columns], layout={"flex_flow": "row wrap"}
        )

    def _set(self, values: dict) -> None:
        for name, value in values.items():
            if name == "ratio":
                self._controls[name].options = ratio_options(value)
            self._controls[name].value = value

    def _careful(self, action):
        """Return the action with every error told in the page: the page lives."""

        def act(argument):
            try:
                self._said.value = ""
                action(argument)
            except Exception as error:
                words = re.sub(rf"{re.escape(self._folder.name)}/(\w+/)?", "", str(error))
                self._said.value = f'<p role="alert" style="{ALERT}">{html.escape(words)}</p>'

        return act

    def _pictures(self) -> dict:
        size = self._controls["size"].value
        names = {key: name.value for key, (_, name, _) in self._choose.items()}
        return {key: load_image(self._own.get(name, name), size) for key, name in names.items()}

    def estimate(self) -> tuple[float, float]:
        """Return about how many seconds and bytes the settings on the page will take."""
        c, p = self._controls, load_image(*(lambda n: (self._own.get(n, n), 64))(self._choose["p"][1].value))
        size = c["size"].value
        height, width = (max(1, round(side * size / max(p.shape[2:]))) for side in p.shape[2:])
        layers = {c["content_layer"].value, *c["style_layers"].value}
        grams = set(c["style_layers"].value) - {c["content_layer"].value}
        pictures = 2 * history_length(height, width) + 12
        memory = memory_needed(self.network, height, width, layers, grams, pictures)
        way = choose("auto", self.network)[0]
        each = fastest(self.network).seconds(height, width, way)
        return c["evaluations"].value * each, memory

    def _update_estimate(self) -> None:
        if not hasattr(self, "_estimate"):
            return
        seconds, memory = self.estimate()
        time = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
        self._estimate.value = f"<span>about {time} and {memory / 1e9:.1f} GB more memory</span>"

    def _make(self, _=None) -> None:
        c = {name: control.value for name, control in self._controls.items()}
        compared_layers(
            None, self.network, None, c["style_layers"]
        )  # none chosen: said before anything stops
        if self.live is not None:
            self.live.pause()
            self.live.wait(30)
        self.network = VGG19(pooling=c["pooling"]).to(best_device())
        settings = {
            n: c[n] for n in ("content_layer", "style_layers", "init", "optimiser", "seed", "evaluations")
        }
        names = {key: name.value for key, (_, name, _) in self._choose.items()}
        self.live = LiveRun(
            self.network,
            **self._pictures(),
            name=None,
            width=self._width,
            alpha=c["ratio"],
            beta=1.0,
            **settings,
        )
        keep = ipywidgets.Button(description="keep this picture", tooltip="As it is now, into the row below")
        keep.on_click(self._careful(lambda _: self._keep(names)))
        live = self.live
        live.on_end = lambda: self._careful(lambda _: self.live is live and self._keep(names))(None)
        self._stage.children = [self.live, keep]
        self.live.start()

    def _keep(self, names: dict) -> None:
        """Put the picture as it is now into the row of results."""
        result, label = self.live.run.result, f"{len(self.made) + 1}: {names['p']}, {names['a']}"
        ratio = result.settings["alpha"] / result.settings["beta"]
        label += f", α/β {ratio:.2g}, {result.evaluations} evaluations"
        file = Path(self._folder.name) / "result.png"
        record = make_record(result, self.live.network, command="studio", preset="printed", **names)
        save_image(result.image, file, record)
        self.made[label] = (result.image, file.read_bytes())
        self._show_results()

    def _show_results(self) -> None:
        cards = []
        for number, (label, (image, png)) in enumerate(self.made.items(), 1):
            small = base64.b64encode(jpeg(image, 160)).decode()
            link = base64.b64encode(png).decode()
            cards.append(
                f'<figure style="{CARD}">'
                f'<img src="data:image/jpeg;base64,{small}" alt="{html.escape(label)}" width="160">'
                f"<figcaption>{html.escape(label)}<br>"
                f'<a style="{LINK}" download="picture_{number}.png" '
                f'href="data:image/png;base64,{link}">save as PNG</a>'
                "</figcaption></figure>"
            )
        children = [ipywidgets.HTML("<h3>What was made</h3>" + "".join(cards))]
        same = {label: image for label, (image, _) in self.made.items()}
        if len(same) > 1:
            children.append(module("compare", compare_data(same, self._width)))
        self._results.children = children

    def _take_recipe(self, upload) -> None:
        """Set everything as in the record of a PNG; data only, each value checked against what there is."""
        if not upload.value:
            return
        file = self._kept(upload.value[0])
        upload.value = ()
        record, missing = read_record(file), []
        self._set(recipe(record))
        for key, (_, name, _) in self._choose.items():
            # The last part of a path, and only compared with the names that are on the page.
            wanted = Path(str(record["settings"].get(key, ""))).name[:80]
            known = {Path(option).stem: option for option in name.options} | {o: o for o in name.options}
            found = known.get(wanted) or known.get(Path(wanted).stem)
            if found:
                name.value = found
            else:
                missing.append(f"{key} ({wanted!r})" if wanted else f"{key} (unnamed)")
        more = f" Bring {' and '.join(missing)}: the PNG has its name only." if missing else ""
        self._said.value = f'<p role="status">The settings are those of the picture.{html.escape(more)}</p>'
