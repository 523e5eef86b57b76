"""The commands: python -m helpers transfer, content, style, figure or paper-images.

What only the last two need is imported where they begin: matplotlib alone takes half a second.
"""

import argparse
import io
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from helpers.arguments import build_parser, pictures_in, weighted
from helpers.controls import Style, grey, in_colours_of, with_colours_of
from helpers.images import (
    INITS,
    LARGEST_SIDE,
    check_output,
    fitted,
    load_alpha,
    load_image,
    load_mask,
    picture_path,
    save_image,
)
from helpers.losses import PRESETS
from helpers.network import STYLE_LAYERS, VGG19, best_device
from helpers.record import make_record
from helpers.synthesis import Run
from helpers.system.files import at_home, check_file, whole_file
from helpers.system.interrupts import Watch


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
    artworks = [] if style is None else [weighted(part) for part in pictures_in(style)]
    output, record_file = check_files(arguments, content, [name for name, _ in artworks])
    colours = getattr(arguments, "colours", None)
    photograph = load_image(content, arguments.size) if content is not None else None
    p, styles = in_chosen_colours(photograph, load_styles(arguments, artworks, photograph), colours)
    alpha, beta = getattr(arguments, "alpha", None), getattr(arguments, "beta", None)
    network = VGG19(arguments.weights, arguments.pooling, preset.normalised).to(best_device())

    run = watch.run = Run(
        network,
        p,
        styles or None,
        content_layer=getattr(arguments, "layer", "conv4_2"),
        style_layers=getattr(arguments, "layers", STYLE_LAYERS),
        form=preset.form,
        alpha=preset.alpha if alpha is None else alpha,
        beta=preset.beta if beta is None else beta,
        tau=arguments.tv,
        tile=arguments.tiles,
        init=start(arguments.init, arguments.size, p if p is not None else styles[0].a),
        seed=arguments.seed,
        evaluations=arguments.steps,
        optimiser=arguments.optimiser,
        learning_rate=arguments.learning_rate,
        precision=arguments.precision,
        checkpoint=arguments.checkpoint,
        every=arguments.every,
        resume=arguments.resume,
    )
    result = run.to_the_end(progress=sys.stderr.isatty())
    image, opaque = result.image, None
    if colours == "keep":
        image = with_colours_of(image, photograph.to(image.device))
    if content is not None and output.suffix.lower() not in (".jpg", ".jpeg"):
        opaque = load_alpha(content, arguments.size)
    record = make_record(result, network, command=arguments.command, preset=preset.name, **told(arguments))
    write_or_keep(image, output, record, opaque)
    print(f"{output}: {result}", file=sys.stderr if arguments.json == "-" else sys.stdout)
    text = json.dumps(record, indent=2, allow_nan=False)
    if record_file:
        with whole_file(record_file) as part:
            part.write_text(text + "\n", encoding="utf-8")
    elif arguments.json:
        print(text)
    return watch.exit_code or (1 if result.stopped == "diverged" else 0)


def write_or_keep(image, output: Path, record: dict, alpha) -> None:
    """Write the picture; where that fails, as on a full disk, write it into the folder for temporary files.

    Raises:
        OSError: If it could not be written where it was to be; says where it is.
    """
    try:
        save_image(image, output, record, alpha)
    except OSError as error:
        try:
            elsewhere = Path(tempfile.mkdtemp(prefix="picture-")) / output.name
            save_image(image, elsewhere, record, alpha)
        except OSError:
            words = (
                "nor in the folder for temporary files. A run with --checkpoint can be taken up by --resume"
            )
        else:
            words = f"so the picture is now {str(elsewhere)!r}; move it from there"
        raise OSError(f"{error}, {words}") from error


def load_styles(arguments, artworks: list[tuple[str, float]], photograph) -> list[Style]:
    """Return the artworks with their weights and masks, of the size that was asked for.

    Raises:
        ValueError: If a number of masks does not fit, a weight or a scale is out of range, or a picture is
            none.
    """
    if not artworks:
        return []
    size, scale = arguments.size, arguments.style_scale
    if not 0 < scale < float("inf"):
        raise ValueError(f"--style-scale is {scale!r}; it must be a positive number")
    if size is None and photograph is not None:
        size = max(photograph.shape[2:])
    if size is not None and not 1 <= round(size * scale) <= LARGEST_SIDE:
        sides = f"{round(size * scale)} px, and sides from 1 to {LARGEST_SIDE} are allowed"
        raise ValueError(f"--style-scale {scale:g} makes the artwork {sides}")
    if size is not None:
        size = round(size * scale)
    where = [load_mask(mask) for mask in getattr(arguments, "mask", ())]
    if len(where) == 1 and len(artworks) == 2:
        where.append(1 - where[0])
    of = [load_mask(mask) for mask in arguments.style_mask]
    for option, masks in (("--mask", where), ("--style-mask", of)):
        if len(masks) not in (0, len(artworks)):
            raise ValueError(
                f"{option} names {len(masks)} masks for {len(artworks)} artworks; give one for each"
            )
    return [
        Style(load_image(name, size), weight, where[i] if where else None, of[i] if of else None)
        for i, (name, weight) in enumerate(artworks)
    ]


def in_chosen_colours(p, styles: list[Style], colours: str | None):
    """Return the photograph and the artworks in the colours that a run with these controls sees."""
    if colours == "keep":
        return grey(p), [replace(style, a=grey(style.a, like=p)) for style in styles]
    if colours == "match":
        return p, [replace(style, a=in_colours_of(style.a, p)) for style in styles]
    return p, styles


def start(init: str, size: int | None, like):
    """Return a way to start by its name, or the picture of a file, of the size of another one."""
    return init if init in INITS else fitted(load_image(init, size), *like.shape[2:])


def told(arguments) -> dict:
    """Return for the record what a run cannot know: names of pictures, and what was done before and after."""
    known = {}
    for key, name in (("p", "content"), ("a", "style"), ("mask", "mask"), ("style_mask", "style_mask")):
        if value := getattr(arguments, name, None):
            parts = pictures_in(value) if name == "style" else (value,) if name == "content" else value
            names = [picture_path(weighted(part)[0]).name for part in parts]
            known[key] = names[0] if len(names) == 1 else names
    if arguments.init not in INITS:
        known["start"] = picture_path(arguments.init).name
    for name in ("colours", "style_scale"):
        if (value := getattr(arguments, name, None)) not in (None, 1.0):
            known[name] = value
    return known


def check_files(arguments, content, artworks) -> tuple[Path, Path | None]:
    """Return the files of the picture and of its record, None for none or for standard output.

    Raises:
        ValueError, OSError: If one cannot be written, or is a file that is needed otherwise.
    """
    sources = {"CONTENT": () if content is None else (content,), "STYLE": artworks}
    sources |= {
        f"--{name}": getattr(arguments, name.replace("-", "_"), ()) for name in ("mask", "style-mask")
    }
    sources["--init"] = () if arguments.init in INITS else (arguments.init,)
    taken = {
        f"{kind} {number}" if number > 1 else kind: picture_path(source)
        for kind, several in sources.items()
        for number, source in enumerate(several, 1)
    }
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
