"""What the command line can be told: the parser, and what the text of an argument means."""

import argparse
from argparse import ArgumentTypeError

from helpers.controls import COLOURS
from helpers.engine import PRECISIONS
from helpers.images import INITS, picture_names
from helpers.losses import PRESETS
from helpers.network import STYLE_LAYERS
from helpers.optimisers import OPTIMISERS
from helpers.system.files import at_home

EPILOG = f"""Pictures are files, or names of the series' own: {", ".join(picture_names())}."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers",
        description="Neural style transfer after Gatys, Ecker and Bethge (2015).",
        epilog=EPILOG,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--size",
        type=size_in,
        default=256,
        help="longer side in pixels, or 'own' for the file's own size (default: %(default)s)",
    )
    common.add_argument(
        "--steps", type=int, default=100, help="evaluations of the loss (default: %(default)s)"
    )
    common.add_argument("--seed", type=int, default=0, help="of the white noise (default: %(default)s)")
    common.add_argument(
        "--pooling", choices=("average", "max"), default="average", help="(default: %(default)s)"
    )
    common.add_argument(
        "--weights",
        default="original",
        help="'original', 'torchvision' (548 MB download) or a state dict's path (default: %(default)s)",
    )
    common.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="printed",
        help="printed: the paper's equations on the original network; normalised: mean squared "
        "errors on the normalised network (default: %(default)s)",
    )
    common.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="of the features: float32, bfloat16, or whichever this machine is much faster in "
        "(default: %(default)s)",
    )
    picture = argparse.ArgumentParser(add_help=False)
    picture.add_argument("-o", "--output", required=True, help="the picture to write, .png, .jpg or .webp")
    picture.add_argument(
        "--json", metavar="FILE", help="also write how the picture was made as JSON; - is standard output"
    )
    picture.add_argument("--checkpoint", metavar="FILE", help="save the run here while it goes on")
    picture.add_argument(
        "--every",
        type=float,
        default=10,
        metavar="S",
        help="seconds between two saves (default: %(default)g)",
    )
    picture.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint; the other arguments as they were"
    )
    picture.add_argument(
        "--optimiser", choices=OPTIMISERS, default=OPTIMISERS[0], help="(default: %(default)s)"
    )
    picture.add_argument(
        "--learning-rate", type=float, default=0.02, metavar="R", help="of Adam (default: %(default)s)"
    )
    picture.add_argument(
        "--init",
        default="noise",
        metavar="START",
        help=f"start: {', '.join(INITS)}, or a picture, such as a smaller result (default: %(default)s)",
    )
    picture.add_argument(
        "--tv",
        type=float,
        default=0.0,
        metavar="T",
        help="weight of the total variation, against grain (default: %(default)g; try 1e4)",
    )
    picture.add_argument(
        "--tiles",
        type=int,
        nargs="?",
        const=384,
        metavar="PIXELS",
        help="compute in tiles of this side: the same numbers in less memory and more time "
        "(default: the whole picture at once; %(const)s if no number is given)",
    )

    transfer = commands.add_parser(
        "transfer",
        parents=[picture, common],
        help="the content of one picture in the style of another",
        epilog=EPILOG,
    )
    transfer.add_argument("content", metavar="CONTENT", help="photograph")
    transfer.add_argument(
        "style", metavar="STYLE", help="artwork; or several with weights, as in a.jpg:0.7,b.jpg:0.3"
    )
    transfer.add_argument("--layer", default="conv4_2", help="content layer (default: %(default)s)")
    transfer.add_argument("--alpha", type=float, help="weight of the content (default: the preset's)")
    transfer.add_argument("--beta", type=float, help="weight of the style (default: the preset's)")
    transfer.add_argument(
        "--colours",
        choices=COLOURS,
        help="keep: paint the luminance (Y of YIQ) and keep the photograph's colours; match: give the "
        "artwork the mean and covariance of the photograph's colours first",
    )
    transfer.add_argument(
        "--mask",
        type=pictures_in,
        default=(),
        metavar="M1,M2,...",
        help="for each artwork a picture that is white where its style goes, of any size; of two artworks "
        "the second goes where one mask is black",
    )

    content = commands.add_parser(
        "content",
        parents=[picture, common],
        help="what one layer knows of a picture's content",
        epilog=EPILOG,
    )
    content.add_argument("content", metavar="IMAGE", help="photograph")
    content.add_argument("--layer", default="conv4_2", help="content layer (default: %(default)s)")

    style = commands.add_parser(
        "style", parents=[picture, common], help="what Gram matrices know of a picture's style", epilog=EPILOG
    )
    style.add_argument(
        "style", metavar="IMAGE", help="artwork; or several with weights, as in a.jpg:0.7,b.jpg:0.3"
    )
    for sub in (transfer, style):
        sub.add_argument(
            "--layers",
            type=layers_in,
            default=list(STYLE_LAYERS),
            metavar="L1,L2,...",
            help=f"style layers (default: {','.join(STYLE_LAYERS)}); "
            "with weights as in conv1_1:0.5,conv2_1:2",
        )
        sub.add_argument(
            "--style-scale",
            type=float,
            default=1.0,
            metavar="S",
            help="size of the artwork, as a part of that of the picture (default: %(default)g)",
        )
        sub.add_argument(
            "--style-mask",
            type=pictures_in,
            default=(),
            metavar="M1,M2,...",
            help="for each artwork a picture that is white where its style is read",
        )

    figure = commands.add_parser(
        "figure", parents=[common], help="Figures 1, 2 and 3 of the paper", epilog=EPILOG
    )
    figure.add_argument("number", choices=("1", "2", "3", "all"), help="of the figure")
    figure.add_argument(
        "-o", "--output", default="figures", metavar="FOLDER", help="where to put it (default: %(default)s)"
    )
    figure.add_argument("--content", metavar="IMAGE", help="photograph (default: chenonceau)")
    figure.add_argument(
        "--styles",
        "--style",
        type=pictures_in,
        metavar="A1,A2,...",
        help="artworks; Figures 1 and 3 take the first (default: starry_night, for Figure 2 all)",
    )
    figure.add_argument(
        "--pictures",
        choices=("series", "paper"),
        default="series",
        help="paper: the paper's own, once 'paper-images' has fetched them (default: %(default)s)",
    )
    figure.add_argument(
        "--version",
        choices=("arxiv", "cvpr"),
        default="arxiv",
        help="of the paper: layers of Figure 1, α/β of Figure 2 (default: %(default)s)",
    )
    figure.add_argument("--all-layers", action="store_true", help="Figure 1 with all sixteen layers")
    figure.add_argument(
        "--ratios",
        type=ratios_in,
        default=(),
        metavar="R1,R2,...",
        help="α/β instead of the paper's: one for Figure 2, one a column for Figure 3",
    )
    figure.add_argument(
        "--as-at",
        type=int,
        metavar="SIZE",
        help="let α/β act as it would at SIZE pixels; the CVPR version has about 512 (default: as it is)",
    )
    figure.add_argument("--workers", type=int, metavar="N", help="make panels in N processes, with Dask")
    figure.add_argument("--scheduler", metavar="ADDRESS", help="make panels on a running Dask cluster")

    commands.add_parser(
        "paper-images", help="fetch the paper's own pictures, which are not part of the project"
    )
    return parser


def pictures_in(text: str) -> tuple[str, ...]:
    """Return the pictures of a list with commas between them; a file's own name may have commas too."""
    parts, found = text.split(","), []
    while parts:
        joined = ((n, weighted(",".join(parts[:n]))[0]) for n in range(len(parts), 1, -1))
        length = next((n for n, name in joined if at_home(name).is_file()), 1)
        found.append(",".join(parts[:length]))
        parts = parts[length:]
    return tuple(found)


def weighted(text: str) -> tuple[str, float]:
    """Return name and weight of NAME:WEIGHT, or of NAME alone, which counts 1; names may have colons."""
    name, colon, weight = text.rpartition(":")
    try:
        return (text, 1.0) if not colon or at_home(text).is_file() else (name, float(weight))
    except ValueError:
        return text, 1.0


def layers_in(text: str) -> list[str] | dict[str, float]:
    """Return layers that count equally, or with weights, as in conv1_1:0.5,conv2_1:2, what each counts."""
    parts = [weighted(part) for part in text.split(",")]
    names = [name for name, _ in parts]
    if ":" not in text:
        return names
    if twice := [name for name in names if names.count(name) > 1]:
        raise ArgumentTypeError(f"{twice[0]!r} is given {names.count(twice[0])} times")
    return dict(parts)


def size_in(text: str) -> int | None:
    """Return a number of pixels, or None for a file's own size."""
    try:
        return None if text == "own" else int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is neither a number of pixels nor 'own'") from None


def ratios_in(text: str) -> tuple[float, ...]:
    """Return α/β of a list with commas between them."""
    try:
        return tuple(float(ratio) for ratio in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} must be numbers with commas between them") from None
