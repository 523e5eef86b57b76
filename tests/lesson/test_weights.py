"""Weights from the package, from torchvision and from files, and what is wrong with them if anything is."""

from urllib.error import URLError

import pytest
import torch
import torchvision

from helpers import weights
from helpers.network import CONVOLUTION_LAYERS, VGG19


def torchvision_features():
    with torch.device("meta"):  # without filling the fully connected layers with random numbers
        features = torchvision.models.vgg19(weights=None).features
    return features.to_empty(device="cpu")


def test_weights_with_another_hash_are_refused(monkeypatch):
    monkeypatch.setattr(weights, "ORIGINAL_SHA256", "0" * 64)
    with pytest.raises(ValueError, match="have sha256"):
        VGG19()


def in_torchvisions_names(network):
    names = [n for n, layer in torchvision_features().named_children() if hasattr(layer, "weight")]
    return {
        f"features.{index}.{part}": getattr(getattr(network, name), part).data
        for index, name in zip(names, CONVOLUTION_LAYERS, strict=True)
        for part in ("weight", "bias")
    }


def test_weights_from_a_file_with_the_papers_names(vgg19, p, tmp_path):
    torch.save(vgg19.state_dict(), tmp_path / "vgg.pth")
    again = VGG19(tmp_path / "vgg.pth")
    assert torch.equal(again(p, "conv3_1")["conv3_1"], vgg19(p, "conv3_1")["conv3_1"])


def test_weights_from_a_file_with_torchvisions_names(vgg19, p, tmp_path):
    torch.save(in_torchvisions_names(vgg19), tmp_path / "vgg.pth")
    as_caffe = VGG19(tmp_path / "vgg.pth", preprocessing="caffe")
    assert torch.equal(as_caffe(p, "conv2_1")["conv2_1"], vgg19(p, "conv2_1")["conv2_1"])
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    torch.testing.assert_close(VGG19(tmp_path / "vgg.pth").preprocess(p), (p - mean) / std)


def test_unusable_weight_files_are_named(vgg19, tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights at"):
        VGG19(tmp_path / "missing.pth")
    (tmp_path / "noise.pth").write_bytes(b"no weights")
    with pytest.raises(ValueError, match="not a readable state dict"):
        VGG19(tmp_path / "noise.pth")
    state = vgg19.state_dict()
    del state["conv5_4.bias"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(ValueError, match=r"has no 'conv5_4.bias'"):
        VGG19(tmp_path / "part.pth")
    torch.save([1, 2, 3], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds no state dict"):
        VGG19(tmp_path / "list.pth")


def test_torchvisions_weights_use_its_own_enum_and_preprocessing(vgg19, monkeypatch):
    enum = type(torchvision.models.VGG19_Weights.IMAGENET1K_V1)
    asked = {}

    def get_state_dict(self, **options):
        asked.update(options, name=self.name)
        return in_torchvisions_names(vgg19)

    monkeypatch.setattr(enum, "get_state_dict", get_state_dict)
    network = VGG19("torchvision")
    assert asked["check_hash"] is True
    assert asked["name"] == "IMAGENET1K_V1"
    assert network.weights_hash == "dcbb9e9d"
    assert network.preprocessing == weights.PREPROCESSING["torchvision"]


def test_torchvisions_weights_without_a_network_say_what_to_do(monkeypatch, tmp_path):
    def offline(*_, **__):
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))  # where no earlier download lies
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    with pytest.raises(ConnectionError, match="weights='original' needs no network"):
        VGG19("torchvision")
