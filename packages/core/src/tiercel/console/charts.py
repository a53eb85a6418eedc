"""Lines and bars as SVG, drawn by the server; colours come from the style sheet."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup


def line(values: Sequence[float], width: int = 120, height: int = 24, title: str = "") -> Markup:
    """Draw values from left to right; the highest one touches the top.

    Args:
        values: At least two, or nothing is drawn.
        width: Pixels.
        height: Pixels.
        title: What it shows, for those who cannot see it.
    """
    if len(values) < 2:
        return Markup("")
    top, step = max(*values, 1e-9), width / (len(values) - 1)
    points = " ".join(
        f"{number * step:.1f},{height - 1 - value / top * (height - 2):.1f}"
        for number, value in enumerate(values)
    )
    return Markup(
        '<svg class="line" width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img">'
        '<title>{2}</title><polygon points="0,{1} {3} {0},{1}"/><polyline points="{3}"/></svg>'
    ).format(width, height, title, points)


def bar(share: float | None, width: int = 80, height: int = 10) -> Markup:
    """Draw a share of 0 to 1; nothing where it is not known."""
    if share is None:
        return Markup("")
    filled = max(0.0, min(share, 1.0)) * width
    return Markup(
        '<svg class="bar" width="{0}" height="{1}" role="img"><title>{2:.1%}</title>'
        '<rect class="all" width="{0}" height="{1}"/><rect width="{3:.1f}" height="{1}"/></svg>'
    ).format(width, height, share, filled)
