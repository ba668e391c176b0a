"""Plots as SVG, drawn on the server: lines, areas and bars over time (pure).

The drawing stretches with its place and holds no text; numbers and times stand beside it as text. Each moment is a
column that says its values when it is pointed at, and a table below says all of them to who cannot see the drawing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor, log10
from typing import Literal

from markupsafe import Markup, escape

from api.panel.words import Words

Kind = Literal["line", "area", "bar"]
WIDTH, HEIGHT = 720.0, 160.0
COLOURS = 6
"""Series beyond so many begin again with the first colour."""
TICKS = 4
LABELS = 5
HOURS = 36 * 3600
"""Plots over more seconds than this are labelled with days."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """A line of the plot; a value of None is a gap, a colour of None that of its place."""

    name: str
    values: Sequence[float | None]
    colour: int | None = None


def plot(
    title: str,
    at: Sequence[float],
    series: Sequence[Series],
    words: Words,
    *,
    kind: Kind = "line",
    shown: Callable[[float | None], str] | None = None,
) -> Markup:
    """A figure of series over moments (Unix seconds, evenly spaced); areas and bars of several stand on each other.

    `shown` says a value in words, such as `words.money`.
    """
    said = shown or words.short
    known = [value for one in series for value in one.values if value is not None]  # zeros are nothing to see
    if not at or not any(known):
        empty = Markup('<p class="plot-empty">{}</p>').format(words.say("Nothing in this time."))
        return _figure(title, Markup(""), empty)
    tops = _stacked(series) if kind != "line" else [list(one.values) for one in series]
    top = nice(max((value for row in tops for value in row if value is not None), default=0.0))
    if all(isinstance(value, int) for value in known):
        top = max(top, TICKS - 1.0)  # there is no half of what is counted
    colours = _colours(series)
    drawn = _bars(tops, top, colours) if kind == "bar" else _lines(tops, top, colours, filled=kind == "area")
    columns = _columns(at, series, said)
    grid = Markup("").join(
        Markup('<line class="grid" x1="0" x2="{0:g}" y1="{1:g}" y2="{1:g}"/>').format(WIDTH, HEIGHT * row / (TICKS - 1))
        for row in range(TICKS)
    )
    svg = Markup(
        '<svg class="drawing" viewBox="0 0 {0:g} {1:g}" preserveAspectRatio="none" role="img" aria-label="{2}">'
        "{3}{4}{5}</svg>"
    ).format(WIDTH, HEIGHT, title, grid, drawn, columns)
    body = Markup('<div class="plot-y" aria-hidden="true">{}</div>{}<div class="plot-x" aria-hidden="true">{}</div>')
    legend = _legend(series) if len(series) > 1 else Markup("")
    return _figure(
        title, legend, body.format(_ticks(top, said), svg, _times(at)) + _table(title, at, series, said, words)
    )


def nice(value: float) -> float:
    """The end of an axis that holds a value: 1, 2, 3, 6 or 9 times a power of ten, so that its thirds read well."""
    if value <= 0:
        return 3.0
    power = 10.0 ** floor(log10(value))
    for step in (1.5, 3, 6, 9):
        if value <= step * power * (1 + 1e-9):
            return step * power
    return 15 * power


def _stacked(series: Sequence[Series]) -> list[list[float | None]]:
    """The upper edge of each, from the lowest one up."""
    edges: list[list[float | None]] = []
    for one in series:
        below = edges[-1] if edges else [0.0] * len(one.values)
        edges.append([(base or 0.0) + (value or 0.0) for base, value in zip(below, one.values, strict=True)])
    return edges


def _colours(series: Sequence[Series]) -> list[int]:
    return [i % COLOURS if one.colour is None else one.colour for i, one in enumerate(series)]


def _lines(tops: Sequence[Sequence[float | None]], top: float, colours: Sequence[int], *, filled: bool) -> Markup:
    found: list[Markup] = []
    for row, colour in reversed(list(zip(tops, colours, strict=True))):
        for run in _runs(row):
            points = " ".join(f"{_x(i, len(row)):.1f},{_y(value, top):.1f}" for i, value in run)
            if filled:
                left, right = _x(run[0][0], len(row)), _x(run[-1][0], len(row))
                edge = f"{left:.1f},{HEIGHT:g} {points} {right:.1f},{HEIGHT:g}"
                found.append(Markup('<polygon class="fill c{}" points="{}"/>').format(colour, edge))
            form = "point" if run[0] == run[-1] else "line"
            found.append(Markup('<polyline class="{} c{}" points="{}"/>').format(form, colour, points))
    return Markup("").join(found)


def _runs(row: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """What lies between the gaps; a lonely moment is drawn as a point."""
    runs: list[list[tuple[int, float]]] = [[]]
    for i, value in enumerate(row):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((i, value))
    return [run if len(run) > 1 else [*run, *run] for run in runs if run]


def _bars(tops: Sequence[Sequence[float | None]], top: float, colours: Sequence[int]) -> Markup:
    found: list[Markup] = []
    width = WIDTH / max(1, len(tops[0]))
    for row, colour in reversed(list(zip(tops, colours, strict=True))):
        for i, value in enumerate(row):
            if value:
                y = _y(value, top)
                found.append(
                    Markup('<rect class="bar c{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                        colour, i * width + width * 0.15, y, width * 0.7, HEIGHT - y
                    )
                )
    return Markup("").join(found)


def _x(i: int, n: int) -> float:
    return WIDTH * (i + 0.5) / n


def _y(value: float, top: float) -> float:
    return HEIGHT * (1 - min(1.0, max(0.0, value / top)))


def _columns(at: Sequence[float], series: Sequence[Series], said: Callable[[float | None], str]) -> Markup:
    """What is pointed at: a column a moment, with its values as the title that browsers show by themselves."""
    width = WIDTH / len(at)
    return Markup("").join(
        Markup(
            '<g class="moment" data-at="{at:g}"><rect x="{x:.1f}" y="0" width="{w:.1f}" height="{h:g}"/>'
            '<line x1="{m:.1f}" x2="{m:.1f}" y1="0" y2="{h:g}"/><title>{title}</title></g>'
        ).format(
            at=moment,
            x=i * width,
            w=width,
            h=HEIGHT,
            m=_x(i, len(at)),
            title="\n".join([_exact(moment), *(f"{one.name}: {said(one.values[i])}" for one in series)]),
        )
        for i, moment in enumerate(at)
    )


def _ticks(top: float, said: Callable[[float | None], str]) -> Markup:
    return Markup("").join(
        Markup("<span>{}</span>").format(said(top * row / (TICKS - 1)) if row else "0")
        for row in reversed(range(TICKS))
    )


def _times(at: Sequence[float]) -> Markup:
    span, last = at[-1] - at[0], len(at) - 1
    places = sorted({round(last * place / (LABELS - 1)) for place in range(LABELS)})
    return Markup("").join(_label(at[i], span) for i in places)


def _label(moment: float, span: float) -> Markup:
    form, kind = ("%m-%d", "day") if span > HOURS else ("%H:%M", "time")
    return Markup('<span data-at="{:.0f}" data-as="{}">{}</span>').format(
        moment, kind, f"{datetime.fromtimestamp(moment, UTC):{form}}"
    )


def _exact(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"


def _legend(series: Sequence[Series]) -> Markup:
    keys = (
        Markup(
            '<li><svg class="swatch c{}" viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10"/></svg>'
            "{}</li>"
        ).format(colour, one.name)
        for one, colour in zip(series, _colours(series), strict=True)
    )
    return Markup('<ul class="legend">{}</ul>').format(Markup("").join(keys))


def _table(
    title: str, at: Sequence[float], series: Sequence[Series], said: Callable[[float | None], str], words: Words
) -> Markup:
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(one.name) for one in series)
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(
            _exact(moment), Markup("").join(Markup("<td>{}</td>").format(said(one.values[i])) for one in series)
        )
        for i, moment in enumerate(at)
    )
    return Markup(
        '<div class="for-readers"><table><caption>{}</caption><thead><tr><th scope="col">{}</th>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>"
    ).format(title, words.say("Time"), head, rows)


def _figure(title: str, legend: Markup, body: Markup) -> Markup:
    return Markup('<figure class="plot"><figcaption>{}{}</figcaption>{}</figure>').format(escape(title), legend, body)
