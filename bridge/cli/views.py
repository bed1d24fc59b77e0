"""Render views: tables and sentences on a terminal, plain lines in a pipe, JSON for scripts."""

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import TYPE_CHECKING, Any

from bridge.cli.show import (
    NARROW,
    ago,
    clean,
    console,
    hint,
    iso,
    on_terminal,
    say,
    say_error,
    say_json,
    say_table,
    stacked,
)
from bridge.core.chat.calls import Call
from bridge.core.gates.times import in_words, in_zones, read_zone
from bridge.core.lifecycle import State
from bridge.operations.every import OPERATIONS
from bridge.views.view import (
    SHORT_COMMIT,
    Code,
    Commit,
    Compared,
    Lines,
    Moment,
    Part,
    Phrase,
    Sentence,
    Strong,
    Table,
    Text,
    Typed,
    Value,
    View,
    plain,
)

if TYPE_CHECKING:
    from bridge.settings import Settings

PROGRAM = "dokploy-bridge"


@dataclass(frozen=True, slots=True)
class Links:
    """Finds the pages of repositories, once a view has something to link."""

    settings: "Settings"

    def compare(self, what: Compared) -> str | None:
        """Return the page that compares two commits; None if it is not known for sure."""
        from bridge.app.providers import pages_of
        from bridge.views import links

        pages = links.Links(pages_of(self.settings))
        return pages.compare(what.app, what.old, what.new)


def show(view: View, links: Links, *, json: bool) -> None:
    """Show an answer; a refusal, and that there is nothing to list, go to standard error."""
    if view.empty:
        hint(line(view.head))
    if json:
        say_json(data_of(view.data))
    elif view.refused:
        say_error("; ".join(_refusal(view)))
    elif not view.empty:
        for sentence in _sentences(view):
            say(sentence)
        for part in view.parts:
            _show_part(part)
        for page in _pages(view, links):
            hint(page, whole=True)
        for one in view.warns:
            hint(f"warning: {line(one)}", "yellow")


def _pages(view: View, links: Links) -> Iterator[str]:
    """Yield the pages that compare commits, which a terminal can't link to within a line."""
    compared = (one for phrase in view.says for one in phrase if isinstance(one, Compared))
    yield from filter(None, map(links.compare, compared))


def data_of(value: Any) -> Any:
    """Return a view's data as JSON's own types."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, Mapping):
        return {key: data_of(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [data_of(one) for one in value]
    return value


def _sentences(view: View) -> Iterator[str]:
    if not any(isinstance(one, Table) for one in view.parts):  # a table speaks for itself
        yield line(view.head)
    yield from map(line, (*view.says, *view.notes))
    for one in view.offers:
        yield f"`{typed(one)}`"


def _refusal(view: View) -> Iterator[str]:
    yield f"{line(view.head)}: {line(view.says[0])}" if view.says else line(view.head)
    yield from (line(one).rstrip(".") for one in (*view.says[1:], *view.notes))
    yield from (f"`{typed(one)}`" for one in view.offers)


def _show_part(part: Part) -> None:
    if isinstance(part, Table):
        _show_table(part)
    else:
        _show_lines(part)


def _show_lines(shown: Lines) -> None:
    say(shown.title)
    for item in shown.items:
        say(f"  {line(item.says)}" + (f": {item.sign}" if isinstance(item.sign, State) else ""))
    if shown.more:
        say(f"  and {shown.more} more")


def _show_table(shown: Table) -> None:
    columns = [f"{'*' * one.long}{one.title}" for one in shown.columns]
    rows = [[line(cell) for cell in row.cells] for row in shown.rows]
    if on_terminal() and console().width < NARROW:
        below = [place for place, one in enumerate(shown.columns) if one.long]
        side = [place for place in range(len(columns)) if place not in below]
        heads, notes = ([[row[place] for place in some] for row in rows] for some in (side, below))
        console().print(stacked(heads, notes, titles=[columns[place] for place in side]))
        return
    say_table(columns, rows, (" ".join(filter(None, row)) for row in rows))


def line(phrase: Phrase) -> str:
    """Return a phrase as text without control characters."""
    return clean("".join(one if isinstance(one, str) else _value(one) for one in phrase))


def _value(one: Value) -> str:
    match one:
        case Text(words=words) | Sentence(words=words):
            return words
        case Strong(text=text) | Code(text=text):
            return text.words
        case Typed(call=call):
            return f"`{typed(call)}`"
        case Commit(sha=sha):
            return sha[:SHORT_COMMIT]
        case Compared(words=words):
            return words
        case Moment(at=at, since=True):
            return ago(at, time.time()) if on_terminal() else iso(at) or ""
        case Moment():
            utc = read_zone("UTC")
            return in_zones(one.at, read_zone(one.zone)) if one.zone else in_words(one.at, utc)
        case _:
            return plain((one,))


def typed(call: Call) -> str:
    """Return a call as it is typed in a shell."""
    words = [PROGRAM, *call.name.split()]
    for one in OPERATIONS[call.name].arguments:
        value = call.given.get(one.name)
        if not value:
            continue
        kind = one.kind
        if kind.flag:
            words.append(f"--{kind.option}")
            continue
        for text in [value] if isinstance(value, str) else value:
            option = f"-{kind.short}" if kind.short else f"--{kind.option}"
            words += [option, text] if kind.option else [text]
    return shlex.join(words)
