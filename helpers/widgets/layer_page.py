"""A browser of layers: VGG19 to click, and what its feature maps say of each place of a picture."""

import torch
from IPython.display import HTML

from helpers.images import load_image, picture_names
from helpers.network import CONVOLUTION_LAYERS, VGG19
from helpers.widgets.view import bytes_of, picture_url, static

SHOWN = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
MAPS, PATCHES = 9, 3


def layer_data(
    network: VGG19, image: torch.Tensor, label: str, layers=SHOWN, others: dict | None = None
) -> dict:
    """Return what the browser shows of a picture: the strongest maps of some layers.

    Args:
        network: A ``VGG19``.
        image: (1, 3, H, W), RGB in [0, 1].
        label: The picture's name.
        layers: Layers that can be clicked.
        others: Label to pictures that are searched for the patches which excite each map most, if any.
    """
    about = {row.name: row for row in network.describe()}
    with torch.no_grad():
        features = {name: F[0].cpu() for name, F in network(image.to(network.device), list(layers)).items()}
        found = {n: network(x.to(network.device), list(layers)) for n, x in (others or {}).items()}
    shown = []
    for name, F in features.items():
        strongest = F.mean((1, 2)).argsort(descending=True)[:MAPS].tolist()
        largest = [max(F[i].max().item(), 1e-9) for i in strongest]
        row = about[name]
        entry = {"name": name, "count": F.shape[0], "height": F.shape[1], "width": F.shape[2]}
        entry |= {"field": row.receptive_field, "stride": row.stride, "names": strongest}
        entry |= {"means": [round(F[i].mean().item(), 1) for i in strongest], "largest": largest}
        entry["maps"] = bytes_of(
            torch.stack([F[i] / most for i, most in zip(strongest, largest, strict=True)])
        )
        if others:
            of_layer = {n: all_features[name][0].cpu() for n, all_features in found.items()}
            entry["patches"] = [_best_patches(others, of_layer, i, row) for i in strongest]
        shown.append(entry)
    blocks = [[n for n in CONVOLUTION_LAYERS if n.startswith(f"conv{b}")] for b in range(1, 6)]
    data = {
        "network": blocks,
        "layers": shown,
        "start": shown[len(shown) // 2]["name"],
        "url": picture_url(image, 320),
    }
    return data | {"label": label, "width": image.shape[3], "height": image.shape[2]}


def _best_patches(pictures: dict, features: dict, i: int, row) -> list[str]:
    """Return the patches with the largest values of a map, the best of each picture, as addresses."""
    best = []
    for name, F in features.items():
        value, k = F[i].flatten().max(0)
        best.append((value.item(), name, divmod(k.item(), F.shape[2])))
    half, patches = row.receptive_field // 2 + 1, []
    for _, name, (r, c) in sorted(best, reverse=True)[:PATCHES]:
        x = torch.nn.functional.pad(pictures[name], (half,) * 4, value=0.5)
        top, left = (int((k + 0.5) * row.stride) for k in (r, c))
        patches.append(picture_url(x[..., top : top + 2 * half, left : left + 2 * half], 56, 60))
    return patches


def layer_page(network: VGG19, image: torch.Tensor, label: str, layers=SHOWN) -> HTML:
    """Return the browser for one picture; it needs no kernel. Patches come from the series' pictures."""
    others = {name: load_image(name, 192) for name in picture_names()}
    data = layer_data(network, image, label, layers, others)
    return static("layers", data, f"Layer browser: VGG19 to click, and its feature maps of {label}")
