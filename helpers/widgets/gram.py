"""What one entry of a Gram matrix is made of."""

import torch
from IPython.display import HTML

from helpers.network import VGG19
from helpers.widgets.view import bytes_of, picture_url, static


def gram_explorer(network: VGG19, image: torch.Tensor, layer: str = "conv2_1", count: int = 12) -> HTML:
    """Return a Gram matrix to point at: maps i and j, their product, and the places; it needs no kernel.

    Args:
        network: A ``VGG19``.
        image: (1, 3, H, W), RGB in [0, 1].
        layer: Whose features.
        count: How many maps are shown, those with the largest mean activation. Each is scaled to [0, 1].
    """
    with torch.no_grad():
        F = network(image.to(network.device), layer)[layer][0].cpu()  # (N_l, H_l, W_l)
    strongest = F.mean((1, 2)).argsort(descending=True)[:count]
    maps = F[strongest] / F[strongest].amax((1, 2), keepdim=True).clamp(min=1e-9)
    data = {"names": strongest.tolist(), "height": F.shape[1], "width": F.shape[2]}
    data |= {"maps": bytes_of(maps), "picture": picture_url(image, 150)}
    return static("gram", data, f"Gram matrix of the {count} strongest feature maps of {layer}, to point at")
