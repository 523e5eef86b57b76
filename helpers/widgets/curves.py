"""Loss curves as SVG: drawn in a millisecond, sharp at every size, in the colours of the page."""

import html
import math

WIDTH, HEIGHT, LEFT, BOTTOM = 420, 230, 52, 26
COLOURS = {"total": "#777777", "α · content": "#0072B2", "β · style": "#D55E00"}


def curves(history: dict[str, list[float]], marks: list[tuple[int, str]] = (), last: int = 0) -> str:
    """Return the curves of a run as SVG, on a logarithmic axis.

    Args:
        history: Name to the values of all evaluations.
        marks: (evaluations until then, what was changed): a line at each.
        last: Evaluation at the right end; that of the history if larger.
    """
    values = [v for line in history.values() for v in line if 0 < v < math.inf]
    if not values:
        return _svg('<text x="60" y="110" fill="currentColor">no loss computed yet</text>', "No loss yet")
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    high, last = max(high, low + 1), max(last, *(len(line) for line in history.values()), 2)

    def x(n):
        return LEFT + (WIDTH - LEFT - 90) * (n - 1) / (last - 1)

    def y(value):
        return 8 + (HEIGHT - BOTTOM - 8) * (1 - (math.log10(value) - low) / (high - low))

    parts = []
    for power in range(low, high + 1):
        at = y(10**power)
        parts.append(f'<line x1="{LEFT}" x2="{x(last):.0f}" y1="{at:.1f}" y2="{at:.1f}" class="g"/>')
        place = f'x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end"'
        parts.append(f'<text {place} fill="currentColor">1e{power}</text>')
    for n, words in marks:
        parts.append(
            f'<line x1="{x(n + 1):.1f}" x2="{x(n + 1):.1f}" y1="8" y2="{HEIGHT - BOTTOM}" class="m"/>'
        )
        parts.append(f'<text x="{x(n + 1) + 3:.1f}" y="18" fill="currentColor">{html.escape(words)}</text>')
    ends = []
    for name, line in history.items():
        points = " ".join(f"{x(n):.1f},{y(v):.1f}" for n, v in enumerate(line, 1) if 0 < v < math.inf)
        colour = COLOURS.get(name, "#009E73")
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        if line and 0 < line[-1] < math.inf:
            ends.append((y(line[-1]), name, colour, x(len(line))))
    place = -math.inf
    for height, name, colour, right in sorted(ends):  # labels one below the other where lines end close by
        place = max(height + 4, place + 14)
        parts.append(f'<text x="{right + 5:.1f}" y="{place:.1f}" fill="{colour}">{html.escape(name)}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}" fill="currentColor">evaluation 1</text>')
    parts.append(
        f'<text x="{x(last):.0f}" y="{HEIGHT - 6}" text-anchor="end" fill="currentColor">{last}</text>'
    )
    count = max(len(line) for line in history.values())
    ends = ", ".join(f"{name} {line[-1]:.3g}" for name, line in history.items() if line)
    return _svg("".join(parts), f"Loss curves after {count} evaluations: {ends}")


def _svg(inner: str, alt: str) -> str:
    style = ".g{stroke:currentColor;opacity:.15}.m{stroke:currentColor;opacity:.6;stroke-dasharray:4 3}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img" '
        f'aria-label="{html.escape(alt)}" font-size="11" font-family="sans-serif">'
        f"<style>{style}</style>{inner}</svg>"
    )
