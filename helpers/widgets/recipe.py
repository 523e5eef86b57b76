"""The recipe of a picture: settings from the record inside it, as data that is checked and nothing more."""

from helpers.losses import PRESETS
from helpers.network import CONVOLUTION_LAYERS

POOLINGS, INITS, OPTIMISERS = ("average", "max"), ("noise", "content", "style"), ("lbfgs", "adam")


def recipe(record: dict) -> dict:
    """Return the settings of the page from a picture's record.

    Args:
        record: As ``read_record`` gives it; anything may be in it.

    Raises:
        ValueError: If a value is missing or is none that the page has. Nothing is set then.
    """
    settings = record.get("settings") if isinstance(record, dict) else None
    if not isinstance(settings, dict):
        raise ValueError("the picture's record has no settings")
    try:
        layers = tuple(dict(settings["style_weights"]))
        values = {
            "size": max(int(settings["height"]), int(settings["width"])),
            "evaluations": int(settings["evaluations"]),
            "ratio": float(settings["alpha"]) / float(settings["beta"]),
            "seed": int(settings["seed"]),
        }
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise ValueError(f"the picture's record is not one of a transfer: {error}") from error
    limits = {"size": (64, 1024), "evaluations": (10, 500), "ratio": (1e-5, 10), "seed": (0, 10**6)}
    for name, (low, high) in limits.items():
        if not low <= values[name] <= high:
            raise ValueError(f"the record has {name} {values[name]}; the page goes from {low} to {high}")
    values |= {name: settings.get(name) for name in ("content_layer", "pooling", "init", "optimiser")}
    allowed = {
        "content_layer": CONVOLUTION_LAYERS, "pooling": POOLINGS, "init": INITS, "optimiser": OPTIMISERS
    }  # fmt: skip
    for name, choices in allowed.items():
        if values[name] not in choices:
            raise ValueError(f"the record has {name} {values[name]!r}; the page has {list(choices)}")
    if not layers or set(layers) - set(CONVOLUTION_LAYERS):
        raise ValueError(f"the record has style layers {list(layers)}; the page has the convolutions")
    if settings.get("form") != PRESETS["printed"].form:
        raise ValueError(
            f"the record has losses of form {settings.get('form')!r}; the page has the printed ones"
        )
    return values | {"style_layers": layers}
