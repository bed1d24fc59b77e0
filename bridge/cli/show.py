"""Show output: tables on a terminal, plain lines in a pipe, JSON on request.

Text from outside is cleaned first: a commit message must not control a terminal.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import typer

from bridge.core.log_text import STEERING, harmless

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def clean(text: str) -> str:
    """Return text on one line and without control characters."""
    return harmless(text).strip()


def clean_lines(text: str) -> str:
    """Return text with its line breaks and tabs, and without other control characters."""
    kept = re.split(r"([\n\t])", text)
    return "".join(one if one in ("\n", "\t") else harmless(one) for one in kept)


def clean_line(line: str) -> str:
    """Return a line of a log without control characters, but with its indentation."""
    return harmless(line.expandtabs()).rstrip()


# ── Output: tables on a terminal, plain lines in a pipe, JSON on request ──────────────────────────

_ESCAPED = re.compile(f"(?!\n)[{STEERING}]")

MASKED = "********"
"""Replaces a secret."""

STYLES = {
    "verifying": "cyan",
    "done": "green",
    "unhealthy": "red",
    "shown": "green",
    "decided": "green",
    "deploy": "green",
    "running": "cyan",
    "asked": "cyan",
    "queued": "cyan",
    "waiting": "yellow",
    "held": "yellow",
    "kept": "yellow",
    "due": "yellow",
    "failing": "yellow",
    "parked": "red",
    "unknown": "yellow",
    "failed": "red",
    "cancelled": "magenta",
    "superseded": "dim",
    "ignored": "dim",
    "skip": "dim",
    "warn": "yellow",
    "new": "yellow",
    "skipped": "dim",
    "making": "cyan",
    "building": "cyan",
    "up": "green",
    "ending": "cyan",
    "ended": "dim",
}
"""The styles of states on a terminal, of deployments, deliveries and previews."""

MARKS = {
    "waiting": "…",
    "held": "‖",
    "asked": "→",
    "queued": "…",
    "running": "●",
    "verifying": "◌",
    "done": "✓",
    "unhealthy": "✗",
    "failed": "✗",
    "cancelled": "⊘",
    "superseded": "»",
    "unknown": "?",
}
"""One icon for each state of a deployment."""


WIDEST = 36
"""The most columns for a name or an id; the last cell takes the rest."""

GAP = 3
"""Columns between cells that stand side by side."""

LEAST = 10
"""Columns below which a cell is not narrowed to make room for others beside it."""

NARROW = 110
"""Columns of a terminal below which long cells get their own lines."""


def on_terminal() -> bool:
    """Return whether a person reads our output."""
    return sys.stdout.isatty()


def console(*, stderr: bool = False) -> "Console":
    """Return a new console each time, since tests and pipes replace the streams."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)


def say(text: str, style: str = "") -> None:
    """Print one line on standard output, whole in a pipe, wrapped on a terminal."""
    text = clean_lines(text)
    if on_terminal():
        console().print(text, style=style or None)
    else:
        typer.echo(text)


def hint(text: str, style: str = "dim", indent: int = 0, *, whole: bool = False) -> None:
    """Print a line for a person on standard error, apart from a script's output.

    Args:
        whole: let the terminal itself break it, so that an address in it stays one.
    """
    text = clean_lines(text)
    if sys.stderr.isatty():
        shown = indented(text, indent) if indent else text
        console(stderr=True).print(shown, style=style, soft_wrap=whole)
    else:
        typer.echo(f"{' ' * indent}{text}", err=True)


def say_error(text: str) -> None:
    """Print an error and its remedy on one line, wrapped on a terminal."""
    text = f"error: {clean(text)}"
    if sys.stderr.isatty():
        console(stderr=True).print(text, style="red")
    else:
        typer.echo(text, err=True)


def say_json(value: Any) -> None:
    """Print a value for a script, with control characters escaped on a terminal."""
    typer.echo(as_json(value, only_ascii=not writes_utf8()))


def as_json(value: Any, *, only_ascii: bool = False) -> str:
    """Return JSON with terminal control characters escaped, except its own line breaks."""
    text = json.dumps(value, indent=2, ensure_ascii=only_ascii)
    return _ESCAPED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    """Return a character's JSON escape; one beyond the first plane takes two."""
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(*[iter(units)] * 2, strict=True))


def writes_utf8() -> bool:
    """Return whether standard output can encode every character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") == "utf8"


def say_table(
    columns: Sequence[str],
    rows: "Iterable[Sequence[str | Text]]",
    lines: Iterable[str],
) -> None:
    """Print a table on a terminal, else one line for each row.

    Args:
        columns: their titles; one that starts with "*" may be folded, the others stay whole.
    """
    rows = list(rows)
    if not on_terminal():
        for line in lines:
            typer.echo(clean(line))
    elif rows:
        console().print(table(columns, rows))


def table(columns: Sequence[str], rows: "Iterable[Sequence[str | Text]]") -> Any:
    """Return a table for a terminal; see `say_table`. Text must already be clean.

    Text longer than `WIDEST` is folded in any column, so reasons keep their space.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    cells = [[_cell(cell) for cell in row] for row in rows]
    shown = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=False)
    for place, column in enumerate(columns):
        widest = max((row[place].cell_len for row in cells), default=0)
        folds = column.startswith("*")
        shown.add_column(
            column.removeprefix("*"),
            no_wrap=not folds and widest <= WIDEST,
            overflow="fold",
            max_width=None if folds else WIDEST,
        )
    for row in cells:
        shown.add_row(*row)
    return shown


def stacked(
    rows: "Iterable[Sequence[str | Text]]",
    notes: "Iterable[Sequence[str | Text]]",
    indent: int = 4,
    titles: Sequence[str] = (),
) -> Any:
    """Return rows for a narrow terminal: long cells get lines of their own.

    Args:
        titles: the headings of the cells.
    """
    from rich.console import Group
    from rich.text import Text

    cells = [[_cell(cell) for cell in row] for row in rows]
    heads = [[Text(title.removeprefix("*"), "bold") for title in titles]] if titles else []
    columns = list(zip(*heads, *cells, strict=True))
    widths = [min(WIDEST, max(cell.cell_len for cell in column)) for column in columns]
    room = console().width - GAP * (len(widths) - 1)
    while sum(widths) > room and max(widths) > LEAST:
        widths[widths.index(max(widths))] -= 1
    parts: list[Any] = [_side_by_side(head, widths) for head in heads]
    for row, those in zip(cells, notes, strict=True):
        parts.append(_side_by_side(row, widths))
        parts += [indented(note, indent) for note in those if note]
    return Group(*parts)


def indented(text: "str | Text", columns: int) -> Any:
    """Indent every line of a text."""
    from rich.padding import Padding

    return Padding(_cell(text), (0, 0, 0, columns))


def _side_by_side(cells: "Sequence[Text]", widths: Sequence[int]) -> Any:
    """Lay out the cells of one row; fold a long one within its column."""
    from rich.table import Table

    line = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    for width in widths[:-1]:
        line.add_column(width=width, overflow="fold")
    line.add_column(overflow="fold")
    line.add_row(*cells)
    return line


def _cell(cell: "str | Text") -> "Text":
    from rich.text import Text

    return cell if isinstance(cell, Text) else Text(clean(cell), style=STYLES.get(cell, ""))


def clock(seconds: float) -> str:
    """Return the local time of day, e.g. "12:00:01"."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def ago(seconds: float, now: float) -> str:
    """Return how long ago, in one unit: "12 s ago"."""
    age = max(0.0, now - seconds)
    steps = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next(((size, unit) for size, unit in steps if age >= size), (1, "s"))
    return f"{int(age / size)} {unit} ago"


def called_as() -> str:
    """Return this program's command, as typed in the working directory."""
    program = Path(sys.argv[0])
    if program.name == "dokploy-bridge":
        return _from_here(program)
    return f"{_from_here(Path(sys.executable))} -m bridge"


def _from_here(program: Path) -> str:
    if which(program.name) == str(program):
        return program.name
    here, program = Path.cwd(), program.absolute()
    return str(program.relative_to(here) if program.is_relative_to(here) else program)


def first(found: Iterable[Any], fits: Callable[[Any], bool]) -> Any:
    """Return the first match, or None."""
    return next((one for one in found if fits(one)), None)
