"""The same JavaScript views with a kernel behind them: what the page asks for, Python computes."""

import anywidget
import traitlets

from helpers.widgets.view import source


class Module(anywidget.AnyWidget):
    """A view of ``js/`` that Python can change, and that can ask for something.

    Attributes:
        data: What the view shows, as JSON holds it.
        asked: What the page asked for last; every question has another ``number``, also after
            the page was loaded again.
    """

    data = traitlets.Dict().tag(sync=True)
    asked = traitlets.Dict().tag(sync=True)


def module(name: str, data: dict, answer=None) -> Module:
    """Return a view with a kernel behind it.

    Args:
        name: Of the module in ``js/``, without ending.
        data: What it shows.
        answer: Called with what the page asks for, a dict; its result, if any, is the new data.
    """
    kind = type(f"{name.title()}Module", (Module,), {"_esm": source(name)})
    made = kind(data=data)

    def ask(change):
        new = answer(change.new)
        if new is not None:
            made.data = new

    if answer:
        made.observe(ask, "asked")
    return made
