"""The files around the code agree with one another."""

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import yaml

from helpers.arguments import build_parser, pictures_in
from helpers.images import read_record

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_conda_takes_its_packages_from_pyproject():
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))["dependencies"]
    assert dependencies == [f"python{PROJECT['requires-python']}", "pip", {"pip": ["--editable .[dev]"]}]
    assert "dev" in PROJECT["optional-dependencies"]


def test_the_readme_names_only_targets_and_notebooks_that_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(re.findall(r"\bmake ([a-z]+)\b", readme))
    assert {"lab", "test", "notebooks", "setup", "help"} <= named <= targets
    for name in re.findall(r"\((notebooks/[^)]+|images/[^)]+|LICENSE)\)", readme):
        assert (ROOT / name).exists(), name


def test_the_readme_credits_every_picture_and_the_weights():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for word in ("Simonyan", "van Beem", "Berasategi", "Appel", "Morisot", "Goyō", "van Gogh", "Agriculture"):
        assert word in readme


def test_no_file_names_a_path_of_one_machine():
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    paths = re.compile(r"/(?:root|work|home/\w+|Users/\w+)/\w")
    for name in filter(None, names):
        if (ROOT / name).suffix in (".avif", ".jpg", ".png", ".npz", ".pt", ".webp") or not (
            ROOT / name
        ).is_file():
            continue
        text = (ROOT / name).read_text(encoding="utf-8")
        found = paths.search(text)
        assert not found, f"{name}: {found and text[found.start() : found.start() + 60]}"


def test_torch_and_torchvision_are_a_pair():
    import torchvision

    # With a torchvision built for another torch this operator is missing.
    assert torchvision.ops.nms is not None


def test_the_gallery_in_the_readme_shows_what_the_commands_under_it_made():
    spec = importlib.util.spec_from_file_location("gallery", ROOT / "notebooks" / "studies" / "gallery.py")
    gallery = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gallery)
    commands = gallery.commands()
    assert len(commands) == 9
    for arguments in commands.values():
        asked = build_parser().parse_args(arguments)
        made = read_record(ROOT / asked.output)["settings"]
        for source in (asked.mask, (asked.init,) if asked.init != "noise" else ()):
            assert all((ROOT / name).exists() for name in source)
        assert (made["evaluations"], max(made["height"], made["width"])) == (asked.steps, asked.size)
        assert (made.get("colours"), made["tau"], made["tile"]) == (asked.colours, asked.tv, asked.tiles)
        assert made.get("style_scale", 1) == asked.style_scale
        assert len(made["artworks"]) == len(pictures_in(asked.style))
        assert any(one["where"] for one in made["artworks"]) == bool(asked.mask)
