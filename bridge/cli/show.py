"""How things are shown: tables on a terminal, plain lines in a pipe, JSON where asked for.

Whatever came from outside is cleaned first: a commit message must not steer a terminal.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import typer

from bridge.core.log_text import STEERING, cut, edge, harmless

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def clean(text: str) -> str:
    """Return text on one line and without control characters."""
    return harmless(text).strip()


_ZEROS = re.compile(r"(?<![0-9a-zA-Z.])0{4,}(?=[0-9])")
_SHA = re.compile(r"(?<![0-9a-zA-Z])([0-9a-f]{7})[0-9a-f]{33}(?![0-9a-zA-Z])")
LONGEST_ID = 44


def shrunk(id_: str) -> str:
    """Return an id as people read it: without leading zeros, commits in seven characters."""
    text = _SHA.sub(r"\1", _ZEROS.sub("", clean(id_)))
    return cut(text, LONGEST_ID)


LONGEST_BRANCH = 48


def short_branch(name: str) -> str:
    """Return a branch's name for a list on a terminal: of a long one the beginning and the end.

    Teams begin names alike, and end them with what tells them apart.
    """
    text = clean(name)
    if len(text) <= LONGEST_BRANCH:
        return text
    end = LONGEST_BRANCH * 2 // 5
    return (
        f"{text[: edge(text, LONGEST_BRANCH - end - 1)]}…{text[edge(text, -end, onwards=True) :]}"
    )


def clean_lines(text: str) -> str:
    """Return text with its line breaks and tabs, and without other control characters."""
    kept = re.split(r"([\n\t])", text)
    return "".join(one if one in ("\n", "\t") else harmless(one) for one in kept)


def clean_line(line: str) -> str:
    """Return a line of a log without control characters; its indentation stays, also by tabs."""
    return harmless(line.expandtabs()).rstrip()


# ── How things are shown: tables on a terminal, plain lines in a pipe, JSON where asked for ─────

_ESCAPED = re.compile(f"(?!\n)[{STEERING}]")

T = TypeVar("T")

MASKED = "********"
"""What stands for a secret."""

STYLES = {
    "done": "green",
    "shown": "green",
    "decided": "green",
    "deploy": "green",
    "running": "cyan",
    "asked": "cyan",
    "queued": "cyan",
    "waiting": "yellow",
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
}
"""How words that say a state look on a terminal."""

MARKS = {
    "waiting": "…",
    "asked": "→",
    "queued": "…",
    "running": "●",
    "done": "✓",
    "failed": "✗",
    "cancelled": "⊘",
    "superseded": "»",
    "unknown": "?",
}
"""One sign for each state of a deployment."""


WIDEST = 36
"""Columns that a name or an id takes at most, but for one that stands last and takes the rest."""

NARROW = 110
"""Columns of a terminal below which what is long gets lines of its own."""


def on_terminal() -> bool:
    """Return whether a person reads our output."""
    return sys.stdout.isatty()


def console(*, stderr: bool = False) -> "Console":
    """Return where to show things; made anew, since tests and pipes replace the streams."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)


def say(text: str, style: str = "") -> None:
    """One line on standard output, whole in a pipe, wrapped on a terminal."""
    text = clean_lines(text)
    if on_terminal():
        console().print(text, style=style or None)
    else:
        typer.echo(text)


def hint(text: str, style: str = "dim", indent: int = 0) -> None:
    """Print a line for a person, beside the output that a script reads."""
    text = clean_lines(text)
    if sys.stderr.isatty():
        console(stderr=True).print(indented(text, indent) if indent else text, style=style)
    else:
        typer.echo(f"{' ' * indent}{text}", err=True)


def say_error(text: str) -> None:
    """Print what went wrong and how to mend it, on one line; wrapped on a terminal."""
    text = f"error: {clean(text)}"
    if sys.stderr.isatty():
        console(stderr=True).print(text, style="red")
    else:
        typer.echo(text, err=True)


def say_json(value: Any) -> None:
    """Print a value for a script, escaped on a terminal so that it steers nothing."""
    typer.echo(as_json(value, only_ascii=not writes_utf8()))


def as_json(value: Any, *, only_ascii: bool = False) -> str:
    """JSON in which whatever might steer a terminal is escaped; line breaks are its own."""
    text = json.dumps(value, indent=2, ensure_ascii=only_ascii)
    return _ESCAPED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    """Return a character as JSON escapes it; one beyond the first plane takes two escapes."""
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(*[iter(units)] * 2, strict=True))


def writes_utf8() -> bool:
    """Return whether standard output takes every character."""
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


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """How a list of things is shown.

    Attributes:
        form: the machine form of one, for `--json`.
        columns, row, line: see `say_table`; a row and a line stand for one thing.
        side: so many of the columns stand side by side on a narrow terminal, and the others
            below them, a line each; 0 shows the table at every width.
    """

    form: Callable[[T], Any]
    columns: Sequence[str]
    row: Callable[[T], "Sequence[str | Text]"]
    line: Callable[[T], str]
    side: int = 0

    def say(self, found: Sequence[T], why_none: str, *, json: bool) -> None:
        """Show them; where there are none, a person is told why."""
        if not found:
            hint(why_none)
        if json:
            say_json([self.form(one) for one in found])
        elif found and self.side and on_terminal() and console().width < NARROW:
            rows = [self.row(one) for one in found]
            heads, below = [row[: self.side] for row in rows], [row[self.side :] for row in rows]
            console().print(stacked(heads, below, titles=self.columns[: self.side]))
        else:
            say_table(self.columns, map(self.row, found), map(self.line, found))


def table(columns: Sequence[str], rows: "Iterable[Sequence[str | Text]]") -> Any:
    """Return a table for a terminal; see `say_table`. Text is shown as it is, so clean it before.

    What is longer than `WIDEST` is folded in any column, so that reasons keep their room.
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
        titles: of the cells, above them all.
    """
    from rich.console import Group
    from rich.text import Text

    cells = [[_cell(cell) for cell in row] for row in rows]
    heads = [[Text(title.removeprefix("*"), "bold") for title in titles]] if titles else []
    columns = list(zip(*heads, *cells, strict=True))
    widths = [min(WIDEST, max(cell.cell_len for cell in column)) for column in columns]
    parts: list[Any] = [_side_by_side(head, widths) for head in heads]
    for row, those in zip(cells, notes, strict=True):
        parts.append(_side_by_side(row, widths))
        parts += [indented(note, indent) for note in those if note]
    return Group(*parts)


def indented(text: "str | Text", columns: int) -> Any:
    """Return text of which every line begins so far from the edge."""
    from rich.padding import Padding

    return Padding(_cell(text), (0, 0, 0, columns))


def _side_by_side(cells: "Sequence[Text]", widths: Sequence[int]) -> Any:
    """Cells of one row; a long one is folded within its column."""
    from rich.table import Table

    line = Table.grid(padding=(0, 3, 0, 0), pad_edge=False)
    for width in widths[:-1]:
        line.add_column(width=width, overflow="fold")
    line.add_column(overflow="fold")
    line.add_row(*cells)
    return line


def _cell(cell: "str | Text") -> "Text":
    from rich.text import Text

    return cell if isinstance(cell, Text) else Text(clean(cell), style=STYLES.get(cell, ""))


def iso(seconds: float | None) -> str | None:
    """Return a time as scripts read it, e.g. "2026-01-31T12:00:00.123Z"."""
    if seconds is None:
        return None
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(seconds: float) -> str:
    """Return the time of day here, e.g. "12:00:01"."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def ago(seconds: float, now: float) -> str:
    """Return how long ago, in one unit: "12 s ago"."""
    age = max(0.0, now - seconds)
    steps = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next(((size, unit) for size, unit in steps if age >= size), (1, "s"))
    return f"{int(age / size)} {unit} ago"


def called_as() -> str:
    """Return how this program is called from the working directory, to be typed as it is."""
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
    """Return the first that fits; None when none does."""
    return next((one for one in found if fits(one)), None)
