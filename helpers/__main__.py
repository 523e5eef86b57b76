"""Command line: python -m helpers transfer, content or style."""

import argparse
import json
import sys
from pathlib import Path

from helpers.convolution import PRECISIONS
from helpers.images import check_output, load_image, picture_names, picture_path, save_image
from helpers.losses import PRESETS
from helpers.network import STYLE_LAYERS, VGG19, best_device
from helpers.record import make_record
from helpers.synthesis import INITS, synthesise

EPILOG = f"""Pictures are files, or names of the series' own: {", ".join(picture_names())}."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the three commands."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers",
        description="Neural style transfer after Gatys, Ecker and Bethge (2015).",
        epilog=EPILOG,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-o", "--output", required=True, help="the picture to write, .png, .jpg or .webp")
    common.add_argument("--size", type=int, default=256, help="longer side in pixels (default: %(default)s)")
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
    common.add_argument("--json", metavar="FILE", help="also write how the picture was made as JSON")

    transfer = commands.add_parser(
        "transfer", parents=[common], help="the content of one picture in the style of another", epilog=EPILOG
    )
    transfer.add_argument("content", metavar="CONTENT", help="photograph")
    transfer.add_argument("style", metavar="STYLE", help="artwork")
    transfer.add_argument("--layer", default="conv4_2", help="content layer (default: %(default)s)")
    transfer.add_argument("--alpha", type=float, help="weight of the content (default: the preset's)")
    transfer.add_argument("--beta", type=float, help="weight of the style (default: the preset's)")
    transfer.add_argument("--init", choices=INITS, default="noise", help="start (default: %(default)s)")

    content = commands.add_parser(
        "content", parents=[common], help="what one layer knows of a picture's content", epilog=EPILOG
    )
    content.add_argument("content", metavar="IMAGE", help="photograph")
    content.add_argument("--layer", default="conv4_2", help="content layer (default: %(default)s)")

    style = commands.add_parser(
        "style", parents=[common], help="what Gram matrices know of a picture's style", epilog=EPILOG
    )
    style.add_argument("style", metavar="IMAGE", help="artwork")
    for sub in (transfer, style):
        sub.add_argument(
            "--layers",
            type=lambda text: text.split(","),
            default=list(STYLE_LAYERS),
            metavar="L1,L2,...",
            help=f"style layers (default: {','.join(STYLE_LAYERS)})",
        )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say and return the exit code.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If a file cannot be read or written.
    """
    output = check_output(arguments.output)
    if arguments.json and not Path(arguments.json).resolve().parent.is_dir():
        raise FileNotFoundError(f"cannot write {arguments.json!r}: its folder is missing")
    preset = PRESETS[arguments.preset]
    content, style = getattr(arguments, "content", None), getattr(arguments, "style", None)
    p = load_image(content, arguments.size) if content else None
    a = load_image(style, arguments.size) if style else None
    alpha, beta = getattr(arguments, "alpha", None), getattr(arguments, "beta", None)
    network = VGG19(arguments.weights, arguments.pooling, preset.normalised).to(best_device())

    result = synthesise(
        network,
        p,
        a,
        content_layer=getattr(arguments, "layer", "conv4_2"),
        style_layers=getattr(arguments, "layers", STYLE_LAYERS),
        form=preset.form,
        alpha=preset.alpha if alpha is None else alpha,
        beta=preset.beta if beta is None else beta,
        init=getattr(arguments, "init", "noise"),
        seed=arguments.seed,
        evaluations=arguments.steps,
        precision=arguments.precision,
        progress=sys.stderr.isatty(),
    )
    names = {key: Path(picture_path(source)).name for key, source in (("p", content), ("a", style)) if source}
    record = make_record(result, network, command=arguments.command, preset=preset.name, **names)
    save_image(result.image, output, record)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(f"{output}: {result}")
    return {"interrupted": 130, "diverged": 1}.get(result.stopped, 0)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; an error is one line and exit code 2."""
    try:
        return run(build_parser().parse_args(argv))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # before the first picture exists; later the run keeps its best one
        print("interrupted before anything was made", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
