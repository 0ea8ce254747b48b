"""Charts as SVG: bars for figures side by side, spreads for percentiles on a logarithmic scale.

Each is one complete document of 800 by what it needs: a title and a description for those who cannot see it,
colours for light and for dark, no script and no font of its own. Knows nothing of what the figures mean.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH = 800
_MARGIN = 24
_ROW = 34
_BAR = 20
_HEADING = 58
# The average width of a character in the fonts below, at 14 px: enough to keep columns apart.
_CHARACTER = 7.6
_LONGEST_LABEL = 44
_LARGEST_BAR = 0.86

_STYLE = """
svg { background: #ffffff; font: 14px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif }
.title { font-size: 18px; font-weight: 600 }
text { fill: #1b1f24 } .quiet { fill: #57606a; font-size: 12.5px } .page { fill: #ffffff }
.bar { fill: #2f6db5 } .grid { stroke: #d5dbe1 } .axis { stroke: #8c959f } .range { stroke: #9fb9d8 }
.mark0 { fill: #2f6db5 } .mark1 { fill: #1f8a70 } .mark2 { fill: #c05717 } .mark3 { fill: #a3324e }
@media (prefers-color-scheme: dark) {
svg { background: #12161b } .page { fill: #12161b }
text { fill: #e6edf3 } .quiet { fill: #9aa6b2 }
.bar { fill: #6ea8ec } .grid { stroke: #2b333c } .axis { stroke: #6b7682 } .range { stroke: #3d5878 }
.mark0 { fill: #6ea8ec } .mark1 { fill: #4cc4a4 } .mark2 { fill: #f0955a } .mark3 { fill: #ee7f9b }
}
"""


class Panel(NamedTuple):
    """A chart before it is on a page: what it shows in words, its height in pixels, and its SVG elements."""

    title: str
    description: str
    height: int
    elements: Sequence[str]


def bars(title: str, rows: Sequence[tuple[str, float]], unit: str) -> str:
    """One bar per row of label and value, all values in ``unit``, 0 or more: a complete SVG document."""
    return page([bar_panel(title, rows, unit)])


def page(panels: Sequence[Panel]) -> str:
    """The panels one below the other: a complete SVG document, titled as the first of them."""
    height = sum(panel.height for panel in panels) + _MARGIN
    title = panels[0].title if panels else ""
    description = " ".join(f"{panel.title}: {panel.description}" for panel in panels)
    box = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{height}"/>',
    ]
    top = 0
    for panel in panels:
        lines += [f'<g transform="translate(0 {top})">', *panel.elements, "</g>"]
        top += panel.height
    return "\n".join([*lines, "</svg>", ""])


def bar_panel(title: str, rows: Sequence[tuple[str, float]], unit: str) -> Panel:
    """As ``bars``, to be put on a page with others."""
    left = _label_width([label for label, _ in rows])
    longest = max([value for _, value in rows], default=0) or 1
    # The figure stands behind its bar, so the longest one leaves room for it.
    room = (WIDTH - _MARGIN - left) * _LARGEST_BAR
    room = min(room, WIDTH - _MARGIN - left - _text_width(f"{shown(longest)} {unit}") - 16)
    elements = [_title(title)]
    for row, (label, value) in enumerate(rows):
        top = _HEADING + row * _ROW
        width = max(room * max(value, 0) / longest, 1)
        elements += [
            _label(label, left, top),
            f'<rect class="bar" x="{left}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2"/>',
            _text(left + width + 8, top + 15, f"{shown(value)} {unit}".rstrip()),
        ]
    bottom = _HEADING + len(rows) * _ROW - (_ROW - _BAR) // 2
    elements.append(f'<path class="axis" d="M{left} {_HEADING - 7}V{bottom}"/>')
    told = ", ".join(f"{label} {shown(value)} {unit}".rstrip() for label, value in rows)
    return Panel(title, f"{told}.", bottom + _MARGIN, elements)


def spread_panel(
    title: str, names: Sequence[str], rows: Sequence[tuple[str, Sequence[float]]], unit: str
) -> Panel:
    """One line per row, from its lowest to its highest figure, with a mark for each of up to four ``names``.

    The scale is logarithmic: percentiles of a latency lie decades apart. Figures of 0 are shown at its start.
    """
    left = _label_width([label for label, _ in rows])
    right = WIDTH - _MARGIN - 8
    figures = [figure for _, spread in rows for figure in spread if figure > 0]
    low, high = _decades(figures)

    def place(figure: float) -> float:
        return left + (right - left) * math.log10(max(figure, low) / low) / math.log10(high / low)

    top = _HEADING + 24
    bottom = top + len(rows) * _ROW - (_ROW - _BAR) // 2
    elements = [_title(title), *_legend(names, left)]
    for tick in _ticks(low, high):
        x = place(tick)
        elements.append(f'<path class="grid" d="M{x:.1f} {top - 7}V{bottom}"/>')
        elements.append(_text(x, bottom + 18, f"{tick:g}", 'class="quiet" text-anchor="middle"'))
    elements.append(_text(left - 14, bottom + 18, unit, 'class="quiet" text-anchor="end"'))
    for row, (label, spread) in enumerate(rows):
        y = top + row * _ROW + _BAR / 2
        elements.append(_label(label, left, top + row * _ROW))
        start, end = place(min(spread)), place(max(spread))
        elements.append(f'<path class="range" stroke-width="3" d="M{start:.1f} {y}H{end:.1f}"/>')
        elements += [_mark(number, place(figure), y) for number, figure in enumerate(spread)]
    told = "; ".join(
        f"{label} "
        + ", ".join(f"{name} {shown(figure)} {unit}" for name, figure in zip(names, spread, strict=True))
        for label, spread in rows
    )
    return Panel(title, f"{told}.", bottom + 22 + _MARGIN, elements)


def shown(value: float) -> str:
    """A figure with three digits that mean something, and all of those before the point: 0.412, 95,600."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _title(text: str) -> str:
    return _text(_MARGIN, 34, text, 'class="title"')


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'.replace(" >", ">", 1)


def _label(text: str, left: float, top: float) -> str:
    short = text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"
    return _text(left - 10, top + 15, short, 'text-anchor="end"')


def _label_width(labels: Sequence[str]) -> int:
    longest = max([len(label) for label in labels], default=0)
    return int(_MARGIN + 14 + _CHARACTER * min(longest, _LONGEST_LABEL))


def _text_width(text: str) -> float:
    return _CHARACTER * len(text)


def _legend(names: Sequence[str], left: float) -> list[str]:
    elements: list[str] = []
    x = left
    for number, name in enumerate(names):
        elements += [_mark(number, x + 6, _HEADING - 4), _text(x + 18, _HEADING + 1, name, 'class="quiet"')]
        x += 18 + _text_width(name) + 22
    return elements


def _mark(number: int, x: float, y: float) -> str:
    """A shape for each figure, so that they differ for those too who see no colours."""
    shapes = (
        f'<circle class="mark0" cx="{x:.1f}" cy="{y:.1f}" r="6"/>',
        f'<rect class="mark1" x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10"/>',
        f'<path class="mark2" d="M{x:.1f} {y - 7:.1f}l7 7l-7 7l-7 -7z"/>',
        f'<path class="mark3" d="M{x - 6:.1f} {y - 6:.1f}l12 6l-12 6z"/>',
    )
    return shapes[number % len(shapes)]


def _decades(figures: Sequence[float]) -> tuple[float, float]:
    """The scale from the power of ten below all figures to the 1, 2 or 5 of one above them."""
    if not figures:
        return 1.0, 10.0
    low = 10.0 ** math.floor(math.log10(min(figures)))
    top = 10.0 ** math.floor(math.log10(max(figures)))
    high = next(step * top for step in (1, 2, 5, 10) if step * top >= max(figures) * 0.999)
    return low, max(high, low * 10)


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade, or only the 1 where there are many."""
    decades = round(math.log10(high / low) + 0.5)
    steps = (1, 2, 5) if decades <= 3 else (1,)
    ticks = [low * 10**decade * step for decade in range(decades + 1) for step in steps]
    return [tick for tick in ticks if tick <= high * 1.001]
