"""The commands: python -m helpers transfer, content, style, figure or paper-images.

What only the last two need is imported where they begin: matplotlib alone takes half a second.
"""

import argparse
import io
import json
import sys
from pathlib import Path

from helpers.engine import PRECISIONS
from helpers.images import INITS, check_output, load_image, picture_names, picture_path, save_image
from helpers.losses import PRESETS
from helpers.network import STYLE_LAYERS, VGG19, best_device
from helpers.record import make_record
from helpers.synthesis import Run
from helpers.system.files import at_home, check_file, whole_file
from helpers.system.interrupts import Watch

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

    transfer = commands.add_parser(
        "transfer",
        parents=[picture, common],
        help="the content of one picture in the style of another",
        epilog=EPILOG,
    )
    transfer.add_argument("content", metavar="CONTENT", help="photograph")
    transfer.add_argument("style", metavar="STYLE", help="artwork")
    transfer.add_argument("--layer", default="conv4_2", help="content layer (default: %(default)s)")
    transfer.add_argument("--alpha", type=float, help="weight of the content (default: the preset's)")
    transfer.add_argument("--beta", type=float, help="weight of the style (default: the preset's)")
    transfer.add_argument("--init", choices=INITS, default="noise", help="start (default: %(default)s)")

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
    style.add_argument("style", metavar="IMAGE", help="artwork")
    for sub in (transfer, style):
        sub.add_argument(
            "--layers",
            type=lambda text: text.split(","),
            default=list(STYLE_LAYERS),
            metavar="L1,L2,...",
            help=f"style layers (default: {','.join(STYLE_LAYERS)})",
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
        type=lambda text: tuple(float(ratio) for ratio in text.split(",")),
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


def run(arguments: argparse.Namespace, watch: Watch) -> int:
    """Do what the arguments say and return the exit code.

    Args:
        arguments: As parsed.
        watch: Is told of the run that a signal may stop.

    Raises:
        ValueError: If an argument is out of range.
        OSError: If a file cannot be read or written.
    """
    if arguments.command == "figure":
        return run_figure(arguments, watch)
    if arguments.command == "paper-images":
        return run_paper_images()
    preset = PRESETS[arguments.preset]
    content, style = getattr(arguments, "content", None), getattr(arguments, "style", None)
    output, record_file = check_files(arguments, content, style)
    p = load_image(content, arguments.size) if content is not None else None
    a = load_image(style, arguments.size) if style is not None else None
    alpha, beta = getattr(arguments, "alpha", None), getattr(arguments, "beta", None)
    network = VGG19(arguments.weights, arguments.pooling, preset.normalised).to(best_device())

    run = watch.run = Run(
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
        checkpoint=arguments.checkpoint,
        every=arguments.every,
        resume=arguments.resume,
    )
    result = run.to_the_end(progress=sys.stderr.isatty())
    sources = {"p": content, "a": style}
    names = {key: picture_path(source).name for key, source in sources.items() if source is not None}
    record = make_record(result, network, command=arguments.command, preset=preset.name, **names)
    save_image(result.image, output, record)
    text = json.dumps(record, indent=2, allow_nan=False)
    if record_file:
        with whole_file(record_file) as part:
            part.write_text(text + "\n", encoding="utf-8")
    elif arguments.json:
        print(text)
    print(f"{output}: {result}", file=sys.stderr if arguments.json == "-" else sys.stdout)
    return watch.exit_code or (1 if result.stopped == "diverged" else 0)


def check_files(arguments, content, style) -> tuple[Path, Path | None]:
    """Return the files of the picture and of its record, None for none or for standard output.

    Raises:
        ValueError, OSError: If one cannot be written, or is a file that is needed otherwise.
    """
    sources = {"CONTENT": content, "STYLE": style}
    taken = {name: picture_path(source) for name, source in sources.items() if source is not None}
    output = check_output(arguments.output)
    files = {"-o": output}
    if arguments.json not in (None, "-"):
        files["--json"] = at_home(arguments.json)
    if arguments.checkpoint is not None:
        files["--checkpoint"] = at_home(arguments.checkpoint)
    for kind, file in files.items():
        check_file(file, kind, taken)
        taken[kind] = file
    return output, files.get("--json")


def pictures_in(text: str) -> tuple[str, ...]:
    """Return the pictures of a list with commas between them; a file's own name may have commas too."""
    parts, found = text.split(","), []
    while parts:
        lengths = [n for n in range(len(parts), 1, -1) if at_home(",".join(parts[:n])).is_file()]
        length = lengths[0] if lengths else 1
        found.append(",".join(parts[:length]))
        parts = parts[length:]
    return tuple(found)


def run_figure(arguments: argparse.Namespace, watch: Watch) -> int:
    """Make figures of the paper and return the exit code.

    Raises:
        ValueError, OSError, ImportError: As ``make_figures``.
    """
    from helpers.paper.figures import FIGURES, FigureSettings, make_figures, papers_own

    if arguments.pictures == "paper" and (arguments.content or arguments.styles):
        raise ValueError("--pictures paper chooses the pictures; give it or --content and --styles")
    options = {name: getattr(arguments, name) for name in ("preset", "weights", "pooling", "size", "seed")}
    options["evaluations"] = arguments.steps
    if (precision := arguments.precision) != "auto":
        options["precision"] = precision
    settings = FigureSettings(
        content=arguments.content or "chenonceau",
        styles=arguments.styles or (),
        version=arguments.version,
        all_layers=arguments.all_layers,
        ratios=arguments.ratios,
        as_at=arguments.as_at,
        options=options,
    )
    watch.raise_exceptions()  # panels keep themselves, each when it is made
    numbers = FIGURES if arguments.number == "all" else (int(arguments.number),)
    try:
        paths = make_figures(
            numbers,
            lambda number: papers_own(settings, number) if arguments.pictures == "paper" else settings,
            arguments.output,
            scheduler=arguments.scheduler,
            workers=arguments.workers,
            report=lambda line: print(line, flush=True),
        )
    except KeyboardInterrupt:
        print(
            "interrupted; finished panels are kept, and the same command goes on from them", file=sys.stderr
        )
        return watch.exit_code or 130
    for path in paths:
        print(f"{path} and {path.with_suffix('.pdf').name}")
    return 0


def run_paper_images() -> int:
    """Fetch the paper's pictures, say what became of each, and return the exit code."""
    from helpers.paper import pictures

    failed = False
    print(f"The paper's pictures are kept in {pictures.folder()}")
    for image in pictures.PAPER_IMAGES:
        try:
            path = pictures.fetch(image)
            state = "its sha256 is right" if pictures.is_pinned(image) else "a file of yours, used as it is"
            print(f"{image.name}: {path.name}, {state}. {image.credit}.")
        except FileNotFoundError as error:  # nowhere to fetch it from
            print(f"{image.name}: {error}. {image.credit}.")
        except (OSError, ValueError) as error:
            failed = True
            print(f"error: {error}", file=sys.stderr)
    print("Use them by name, or all of them: python -m helpers figure all --pictures paper")
    return 1 if failed else 0


def main(argv: list[str] | None = None, watch: Watch | None = None) -> int:
    """Run the command line; an error is one line and exit code 2.

    Args:
        argv: Arguments; by default those of the process.
        watch: Already listening to signals, if any is.
    """
    # A stream that is closed is None, and what is printed to None goes to the other one.
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    for stream in (sys.stdout, sys.stderr):
        # A console that lacks a letter, such as α or one of a file's name, gets its number instead.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return run(build_parser().parse_args(argv), watch or Watch())
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
