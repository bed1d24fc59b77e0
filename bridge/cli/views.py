"""Render views: tables and sentences on a terminal, plain lines in a pipe, JSON for scripts."""

import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.deployments import change_line, change_text, titled
from bridge.cli.show import (
    MARKS,
    NARROW,
    STYLES,
    ago,
    clean,
    clean_line,
    clean_lines,
    console,
    hint,
    indented,
    on_terminal,
    say,
    say_error,
    say_json,
    say_table,
    stacked,
    table,
)
from bridge.core.chat.calls import Call
from bridge.core.gates.times import in_words, in_zones, read_zone
from bridge.core.lifecycle import State
from bridge.core.log_text import short_branch
from bridge.operations.declared import operation_of
from bridge.views.values import (
    SHORT_COMMIT,
    Code,
    Commit,
    Compared,
    Form,
    Mark,
    Moment,
    Phrase,
    Ref,
    Sentence,
    Strong,
    Text,
    Typed,
    Value,
    iso,
    plain,
)
from bridge.views.view import (
    Facts,
    Item,
    Lines,
    Log,
    Part,
    Row,
    Steps,
    Table,
    View,
    Weight,
    long_lines,
)

if TYPE_CHECKING:
    from rich.text import Text as Styled

    from bridge.settings import Settings

PROGRAM = "dokploy-bridge"

NARROWEST = 10
"""Columns of the names of facts."""


@dataclass(frozen=True, slots=True)
class Links:
    """Finds the pages of repositories, once a view has something to link."""

    settings: "Settings"

    def compare(self, what: Compared) -> str | None:
        """Return the page that compares two commits; None if it is not known for sure."""
        from bridge.app.pages import pages_of
        from bridge.views import links

        pages = links.Links(pages_of(self.settings))
        return pages.compare(what.app, what.old, what.new)


def show(view: View, links: Links, *, json: bool) -> None:
    """Show an answer; a refusal, and that there is nothing to list, go to standard error."""
    _show_beside(view, json)
    if view.missing:
        say_error(line(view.head))
    elif view.refused and (not json or view.data is None):
        say_error("; ".join(_refusal(view)))
    elif json:
        say_json(data_of(view.data))
    elif not view.empty:
        _show_whole(view, links)
    show_failed(view)
    if view.empty or not json:
        for words in view.hints:
            hint(line(words))


def _show_whole(view: View, links: Links) -> None:
    for sentence in _sentences(view):
        say(sentence)
    for part in view.parts:
        _show_part(part, below=bool(view.head))
    for page in _pages(view, links):
        hint(page, whole=True)
    for one in view.warns:
        hint(f"warning: {line(one)}", "yellow")


def show_failed(view: View) -> None:
    """Show on standard error what could not be done."""
    for one in view.failed:
        say_error(line(one))


def _show_beside(view: View, json: bool) -> None:
    """Show on standard error what is to be known of the answer, or that it is empty."""
    for remark in view.remarks:
        hint(line(remark), "yellow")
    aside = not (json or view.missing or (view.headed and not view.empty))
    for note in view.notes if aside else ():
        hint(line(note))
    if view.empty:
        hint(line(view.head))
    for part in view.parts if view.missing or view.empty else ():
        _show_part(part, below=False)


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
    if view.headed:
        yield from filter(None, map(line, (view.head, *view.says, *view.notes)))
    for one in view.offers:
        yield f"`{typed(one)}`"


def _refusal(view: View) -> Iterator[str]:
    yield f"{line(view.head)}: {line(view.says[0])}" if view.says else line(view.head)
    yield from (line(one).rstrip(".") for one in (*view.says[1:], *view.notes))
    yield from (f"`{typed(one)}`" for one in view.offers)


def _show_part(part: Part, *, below: bool) -> None:
    match part:
        case Table():
            _show_table(part)
        case Facts():
            _show_facts(part)
        case Lines():
            _show_lines(part, below=below)
        case Steps():
            _show_steps(part)
        case Log():
            _show_log(part)


def _show_steps(shown: Steps) -> None:
    if not on_terminal():
        for change in shown.changes:
            typer.echo(change_line(change))
        return
    console().print()
    for change in shown.changes:
        console().print(change_text(change))


def _show_log(shown: Log) -> None:
    if shown.exact:
        for line in shown.lines:
            if on_terminal():
                typer.echo(clean_lines(line))
            else:  # of text, `echo` would strip colours; what came in may be no text at all
                typer.echo(line.encode(errors="surrogateescape"))
        return
    if shown.title and on_terminal():
        console().print()
        for line in titled(shown):
            console().print(line, style="dim")
        return
    for line in titled(shown) if shown.title else map(clean_line, shown.lines):
        typer.echo(line)


def _show_facts(shown: Facts) -> None:
    if not on_terminal():
        for name, value in shown.facts:
            say(f"{name}: {line(value)}")
        return
    from rich.text import Text as Styled

    if shown.title:
        console().print(line(shown.title), style="bold")
        rows: list[list[str | Styled]] = [[name, Styled(_lines(one))] for name, one in shown.facts]
        console().print(table(("field", "*value"), rows))
        return
    wide = max(NARROWEST, *(len(name) + 1 for name, _ in shown.facts))
    for name, value in shown.facts:
        text = line(value)
        fact = Styled.assemble((f"{name:<{wide}}", "bold"), (text, STYLES.get(text, "")))
        console().print(fact)


def _lines(phrase: Phrase) -> str:
    """Return a phrase whose line breaks stay."""
    return "\n".join(map(line, _split(phrase)))


def _split(phrase: Phrase) -> Iterator[Phrase]:
    """Yield the lines of a phrase."""
    parts = groupby(phrase, lambda one: one == "\n")
    yield from (tuple(those) for ends, those in parts if not ends)


def show_aside(shown: Lines) -> None:
    """Show on standard error what is beside the point, e.g. what else may be wrong."""
    if shown.title:
        hint(shown.title, "yellow")
    for item in shown.items:
        hint(line(item.says), "yellow", indent=2 * bool(shown.title))
    if shown.hint:
        hint(line(shown.hint), "yellow")


def _show_lines(shown: Lines, *, below: bool) -> None:
    """Show a list; `below`: it belongs to a line before it."""
    if shown.weight is Weight.ASIDE:
        show_aside(shown)
        return
    if shown.title:
        say(shown.title)
    margin = "  " if shown.title or below else ""
    for item in shown.items:
        state = f": {item.sign}" if isinstance(item.sign, State) else ""
        say(f"{margin}{line(item.says)}{state}")
    if shown.more:
        say(f"  and {shown.more} more")


def _show_paragraphs(rows: Sequence[Row]) -> None:
    """Show each row as a paragraph; in a pipe as its line, if it has one."""
    for row in rows:
        if not on_terminal():
            plainly: Sequence[Phrase | Item] = [row.line] if row.line else row.says
            for one in plainly:
                typer.echo(line(_said(one)))
            continue
        first, *others = row.says
        console().print(line(_said(first)), style="bold")
        for one in others:
            style = STYLES.get(str(one.sign), "") if isinstance(one, Item) else ""
            console().print(indented(line(_said(one)), 2), style=style or None)
        for words in (words for log in row.below for words in titled(log)):
            begin = len(words) - len(words.lstrip())
            console().print(indented(words, 2 + begin), style="dim")


def _said(one: Phrase | Item) -> Phrase:
    return one.says if isinstance(one, Item) else one


def _show_table(shown: Table) -> None:
    if not shown.columns:
        _show_paragraphs(shown.rows)
        return
    if shown.above and on_terminal():
        console().print(line(shown.title), style="bold")
    columns = [f"{'*' * one.long}{one.title}" for one in shown.columns]
    rows = [list(map(_cell, row.cells)) for row in shown.rows]
    whole = console().width >= NARROW or not any(one.long for one in shown.columns)
    if whole or not on_terminal():
        say_table(columns, rows, [one for row in shown.rows for one in _row_lines(row)])
    else:
        _show_stacked(shown, columns, rows)
    for words in shown.legend if on_terminal() else ():
        console().print(line(words), style="dim")


def _show_stacked(
    shown: Table, columns: Sequence[str], rows: "Sequence[Sequence[str | Styled]]"
) -> None:
    """Show long cells on lines of their own, below those of their row; leave out empty columns."""
    filled = [place for place, _ in enumerate(shown.columns) if any(row[place] for row in rows)]
    side = [place for place in filled if not shown.columns[place].long]
    heads = [[row[place] for place in side] for row in rows]
    below = [long_lines(zip(shown.columns, row, strict=True)) for row in rows]
    console().print(stacked(heads, below, titles=[columns[place] for place in side]))


def _row_lines(row: Row) -> list[str]:
    return [*map(line, _split(row.line))] or [" ".join(filter(None, map(line, row.cells)))]


def _cell(phrase: Phrase) -> "str | Styled":
    """Return a cell of a terminal; a state has its mark and its colour, lines those of marks."""
    from rich.text import Text as Styled

    match phrase:
        case (State() as state,):
            return Styled(f"{MARKS[state]} {state}", STYLES[state])
        case _ if any(isinstance(one, Mark) for one in phrase):
            lines = (Styled(line(one), _style(one)) for one in _split(phrase))
            return Styled("\n").join(lines)
        case _:
            return line(phrase)


def _style(phrase: Phrase) -> str:
    signs = [str(one.sign) for one in phrase if isinstance(one, Mark)]
    return STYLES.get(signs[0], "") if signs else ""


def line(phrase: Phrase) -> str:
    """Return a phrase as text without control characters."""
    return clean("".join(str(one) if isinstance(one, str) else _value(one) for one in phrase))


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
        case Ref():
            return short_branch(one.short) if on_terminal() else one.short
        case Compared(words=words):
            return words
        case Moment(at=at, form=Form.AGE):
            return ago(at, time.time())
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
    for one in operation_of(call.name).arguments:
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
