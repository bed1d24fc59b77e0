"""Plots as they are drawn: axes, bars and lines in pixels, and the same as a table. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bridge.core.report import HeldTime, Stretch
from bridge.views.figures import span, spread_words
from bridge.views.values import many

WIDTH, HEIGHT = 340, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 50, 10, 24
"""Room around the plot for the words of its axes and lines."""

WIDEST = 24
"""Of a bar."""

MOST_DATES = 4

SCALE = (1.0, 10.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 86_400.0, 7 * 86_400.0, 30 * 86_400.0)
"""Seconds at which an axis of durations may be marked; it is logarithmic, so that one slow push
does not flatten all others."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark of an axis: its place along it, in pixels, and its words."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar in pixels, and what it says when it is pointed at."""

    x: float
    y: float
    width: float
    height: float
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points, with gaps where there is no figure; its name is at its end."""

    name: str
    pieces: Sequence[Sequence[tuple[float, float]]]
    named_at: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot, and the same as a table.

    Attributes:
        says: a summary for those who do not see it.
        empty: what to say instead of the plot, if there is nothing to draw.
        head, rows: of the table.
        left, right: the ends of the inner part, in pixels.
        lies: its bars lie, so the words of `y` name them.
    """

    id: str
    title: str
    says: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    x: Sequence[Tick] = ()
    y: Sequence[Tick] = ()
    bars: Sequence[Bar] = ()
    lines: Sequence[Line] = ()
    empty: str = ""
    left: float = LEFT
    right: float = WIDTH - RIGHT
    lies: bool = False


def plots_of(stretches: Sequence[Stretch], held: Sequence[HeldTime], length: str) -> list[Plot]:
    """Return the three plots; `length`: of a stretch, e.g. "week"."""
    return [_failures(stretches, length), _leads(stretches, length), _held(held)]


# ── failure rate ─────────────────────────────────────────────────────────────────────────────────


def _failures(stretches: Sequence[Stretch], length: str) -> Plot:
    rates = [one.failure_rate for one in stretches]
    top = _percent_above(max((rate for rate in rates if rate is not None), default=0.0))
    slot = _inner_width() / len(stretches)
    bars = [
        Bar(
            LEFT + slot * (at + 0.5) - min(slot * 0.7, WIDEST) / 2,
            _y(rate / top),
            min(slot * 0.7, WIDEST),
            max(1.0, rate / top * _inner_height()),
            f"{_dates(one)}: {_rate_words(one)}",
        )
        for at, (one, rate) in enumerate(zip(stretches, rates, strict=True))
        if rate is not None
    ]
    return Plot(
        "failures",
        f"Change failure rate by {length}",
        "; ".join(f"{_dates(one)} {_rate_words(one)}" for one in stretches),
        (length.capitalize(), "Failed"),
        [(_dates(one), _rate_words(one)) for one in stretches],
        _date_ticks(stretches),
        [Tick(_y(part), f"{100 * top * part:.0f}%") for part in (0, 0.5, 1)],
        bars,
        empty="" if bars else f"No {length} has three deploys yet that ended.",
    )


def _percent_above(rate: float) -> float:
    return next((most for most in (0.1, 0.2, 0.5) if rate <= most), 1.0)


def _rate_words(one: Stretch) -> str:
    if one.failure_rate is None:
        return f"too few ({one.ended})" if one.ended else "none ended"
    return f"{one.failure_rate:.0%} ({one.bad} of {one.ended})"


# ── lead time ────────────────────────────────────────────────────────────────────────────────────


def _leads(stretches: Sequence[Stretch], length: str) -> Plot:
    kinds = {
        "median": [one.lead.median for one in stretches],
        "p90": [one.lead.p90 for one in stretches],
    }
    seconds = [each for those in kinds.values() for each in those if each is not None]
    marks = _marks(seconds)
    drawn = {name: _pieces(those, marks[0], marks[-1]) for name, those in kinds.items()}
    lines = _lines(drawn) if seconds else []
    return Plot(
        "leads",
        f"Lead time by {length}",
        "; ".join(f"{_dates(one)} {spread_words(one.lead)}" for one in stretches),
        (length.capitalize(), "Median (p90)"),
        [(_dates(one), spread_words(one.lead)) for one in stretches],
        _date_ticks(stretches),
        [Tick(_y(_along(mark, marks[0], marks[-1])), span(mark)) for mark in marks],
        lines=lines,
        empty="" if lines else f"No {length} has three pushes yet that went live.",
    )


def _marks(seconds: Sequence[float]) -> list[float]:
    """Return the marks of an axis of durations that has room for all of them."""
    low = max((mark for mark in SCALE if mark <= min(seconds, default=1.0)), default=SCALE[0])
    most = max(seconds, default=1.0)
    high = next((mark for mark in SCALE if mark >= most and mark > low), 12 * SCALE[-1])
    return [mark for mark in (*SCALE, 12 * SCALE[-1]) if low <= mark <= high]


def _along(seconds: float, low: float, high: float) -> float:
    """Return where a duration is between the ends of an axis, 0 to 1."""
    return math.log(max(seconds, low) / low) / math.log(high / low)


def _pieces(
    those: Sequence[float | None], low: float, high: float
) -> list[list[tuple[float, float]]]:
    slot = _inner_width() / len(those)
    pieces: list[list[tuple[float, float]]] = [[]]
    for at, seconds in enumerate(those):
        if seconds is None:
            pieces.append([])
        else:
            pieces[-1].append((LEFT + slot * (at + 0.5), _y(_along(seconds, low, high))))
    return [piece for piece in pieces if piece]


def _lines(drawn: Mapping[str, Sequence[Sequence[tuple[float, float]]]]) -> list[Line]:
    """Return lines, the lowest first, with names that do not lie on each other."""
    lines: list[Line] = []
    lowest = math.inf
    for name, pieces in drawn.items():
        x, y = pieces[-1][-1]
        lowest = min(y, lowest - LETTERS)
        lines.append(Line(name, pieces, (x + 6, lowest + 4)))
    return lines


LETTERS = 12
"""The height of a line of text in pixels."""


# ── time held ────────────────────────────────────────────────────────────────────────────────────


def _held(held: Sequence[HeldTime]) -> Plot:
    names = [one.gate or "not recorded" for one in held]
    words = [f"{span(one.seconds)}, {many(one.deployments, 'deployment')}" for one in held]
    top = _round_above(max((one.seconds for one in held), default=1.0))
    slot, left = _inner_height() / max(1, len(held)), LEFT + HELD_NAMES
    width = WIDTH - left - HELD_RIGHT
    return Plot(
        "held",
        "Time held by gate",
        "; ".join(f"{name}: {said}" for name, said in zip(names, words, strict=True)),
        ("Gate", "Held"),
        list(zip(names, words, strict=True)),
        [Tick(left + width * part, span(top * part) if part else "0") for part in (0, 0.5, 1)],
        [Tick(TOP + slot * (at + 0.5), name) for at, name in enumerate(names)],
        [
            Bar(
                left,
                TOP + slot * (at + 0.5) - min(slot * 0.7, WIDEST) / 2,
                max(1.0, width * one.seconds / top),
                min(slot * 0.7, WIDEST),
                f"{name}: {said}",
            )
            for at, (one, name, said) in enumerate(zip(held, names, words, strict=True))
        ],
        empty="" if held else "No gate has held anything that ended in this period.",
        left=left,
        right=left + width,
        lies=True,
    )


HELD_NAMES, HELD_RIGHT = 40, 24
"""More room on the left for the names of gates, and less on the right."""


def _round_above(seconds: float) -> float:
    """Return a round duration that is not shorter."""
    unit = next(one for one in (86_400.0, 3600.0, 60.0, 1.0) if seconds >= one or one == 1.0)
    size = math.pow(10.0, math.floor(math.log10(max(1.0, seconds / unit))))
    return unit * size * next(one for one in (1, 2, 4, 6, 10) if one * size * unit >= seconds)


# ── axes ─────────────────────────────────────────────────────────────────────────────────────────


def _inner_width() -> float:
    return WIDTH - LEFT - RIGHT


def _inner_height() -> float:
    return HEIGHT - TOP - BOTTOM


def _y(part: float) -> float:
    """Return the height of a part of the axis, 0 to 1, from above."""
    return TOP + (1 - part) * _inner_height()


def _date_ticks(stretches: Sequence[Stretch]) -> list[Tick]:
    slot, step = _inner_width() / len(stretches), math.ceil(len(stretches) / MOST_DATES)
    return [
        Tick(LEFT + slot * (at + 0.5), _date(one.since).strftime("%d %b").lstrip("0"))
        for at, one in enumerate(stretches)
        if at % step == 0
    ]


def _dates(one: Stretch) -> str:
    """Return the days of a stretch."""
    first, last = _date(one.since), _date(one.until - 1.0)
    return f"{first}" if first == last else f"{first} to {last}"


def _date(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
