"""The recipe of a picture: settings from the record inside it, as data that is checked and nothing more."""

from reprlib import repr as said  # short, however long the value is

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
    kinds = {"style_weights": dict, "alpha": int | float, "beta": int | float}
    kinds |= dict.fromkeys(("height", "width", "evaluations", "seed"), int)
    for name, kind in kinds.items():
        value = settings.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"the picture's record is not one of a transfer: {name} is {said(value)}")
    layers = tuple(settings["style_weights"])
    values = {"size": max(settings["height"], settings["width"])}
    values |= {name: settings[name] for name in ("evaluations", "seed")}
    try:
        values["ratio"] = settings["alpha"] / settings["beta"]
    except (OverflowError, ZeroDivisionError) as error:
        raise ValueError(f"the picture's record is not one of a transfer: α/β: {error}") from error
    limits = {"size": (64, 1024), "evaluations": (10, 500), "ratio": (1e-5, 10), "seed": (0, 10**6)}
    for name, (low, high) in limits.items():
        if not low <= values[name] <= high:
            raise ValueError(
                f"the record has {name} {said(values[name])}; the page goes from {low} to {high}"
            )
    values |= {name: settings.get(name) for name in ("content_layer", "pooling", "init", "optimiser")}
    allowed = {
        "content_layer": CONVOLUTION_LAYERS, "pooling": POOLINGS, "init": INITS, "optimiser": OPTIMISERS
    }  # fmt: skip
    for name, choices in allowed.items():
        if values[name] not in choices:
            raise ValueError(f"the record has {name} {said(values[name])}; the page has {list(choices)}")
    if not layers or set(layers) - set(CONVOLUTION_LAYERS):
        raise ValueError(f"the record has style layers {said(layers)}; the page has the convolutions")
    if settings.get("form") != PRESETS["printed"].form:
        raise ValueError(
            f"the record has losses of form {said(settings.get('form'))}; the page has the printed ones"
        )
    return values | {"style_layers": layers}
