"""The vocabulary of answers: what is said, free of any door's markup.

A door is a way to talk to people or programs: the command line, a chat, the console, comments. Each
renders these values in its own form: it escapes, links, shortens, and speaks its own time zone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.lifecycle import Change, Deployment
from bridge.views.values import Link, Phrase, Sign

# ── parts of an answer ────────────────────────────────────────────────────────────────────────────


class Tone(StrEnum):
    """How a message is meant, e.g. by its colour."""

    CALM = "calm"
    BUSY = "busy"
    GOOD = "good"
    BAD = "bad"
    DOUBT = "doubt"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is done; `danger`: it can't be taken back."""

    title: str
    says: Phrase
    yes: str
    no: str
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done about a message, by a button where there are any.

    Attributes:
        name: which button it is, e.g. "deployment.cancel".
        about: the ids of what was seen, which a click returns; they prove no right.
        style: "primary" or "danger"; "" for neither.
        command: how it is typed on the command line; "" for what is not worth typing. A door
            without buttons shows that.
    """

    label: str
    name: str
    about: str
    style: str = ""
    asks: Question | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a list.

    Attributes:
        note: what else to know of it, on a line of its own.
    """

    says: Phrase
    sign: Sign | None = None
    note: Phrase = ()
    actions: Sequence[Action] = ()


class Weight(StrEnum):
    """How much room a list takes: what a message is about, what belongs to it, or an aside."""

    MAIN = "main"
    PLAIN = "plain"
    ASIDE = "aside"


@dataclass(frozen=True, slots=True)
class Lines:
    """A list of lines, with a title or "".

    Attributes:
        more: how many further ones there are.
        hint: what to do about those for which there is no room.
    """

    title: str
    items: Sequence[Item]
    more: int = 0
    weight: Weight = Weight.PLAIN
    hint: Phrase = ()


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        long: its cells may be folded, or take lines of their own.
        said: what stands before each cell where titles don't stand above it, e.g. "until". Long
            cells of such columns are then on one line.
    """

    title: str
    long: bool = False
    said: str = ""


def long_lines(cells: Iterable[tuple[Column, Any]]) -> list[Any]:
    """Return the lines below a row for what is long in it; what is said of it shares a line."""
    long = [(column, cell) for column, cell in cells if column.long and cell]
    said = "; ".join(f"{column.said} {cell}" for column, cell in long if column.said)
    return [*filter(None, [said]), *(cell for column, cell in long if not column.said)]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, with a phrase for each column; () for an empty cell.

    Attributes:
        line: the row as one line, for scripts; () for its cells.
        says: the row as a paragraph, line by line; () for its cells.
        below: logs that belong to it, where it is a paragraph.
    """

    cells: Sequence[Phrase]
    sign: Sign | None = None
    line: Phrase = ()
    says: Sequence[Phrase | Item] = ()
    below: "Sequence[Log]" = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table; a narrow door shows each row as lines.

    Attributes:
        columns: none if its rows are paragraphs at every door.
        title: what its rows are, where they are shown as sentences; () if that is plain.
        legend: what explains its cells.
        above: a terminal shows the title as well.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: Phrase = ()
    legend: Sequence[Phrase] = ()
    above: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one thing: names, each with its value.

    Attributes:
        title: the thing; a terminal then shows a table below it. () if others name it.
    """

    facts: Sequence[tuple[str, Phrase]]
    title: Phrase = ()


@dataclass(frozen=True, slots=True)
class Log:
    """Lines of a log, in which secrets are masked.

    Attributes:
        title: what they are; "" if that is plain.
        exact: scripts get them as they are, as they may be of several lines each.
    """

    lines: Sequence[str]
    title: str = ""
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """What a deployment went through, oldest first."""

    changes: Sequence[Change]


Part = Lines | Table | Facts | Steps | Log


@dataclass(frozen=True, slots=True)
class Field:
    """An argument that is still asked for.

    Attributes:
        apps: it is one of the apps to which the person has this right; None for anything else.
        optional: it may stay empty.
        most: the most characters that it may have; None for no limit of its own.
    """

    name: str
    label: str
    help: str
    apps: Right | None = None
    optional: bool = False
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """What is done once somebody says so.

    Attributes:
        call: with what was seen.
        question: e.g. "Roll back shop/web?".
        does: the same in a word or two, e.g. "Roll back".
        sure: what to ask once more where a click may be a slip; "" for nothing.
        danger: it is not to be done lightly.
        lacks: required arguments that the call lacks.
    """

    call: Call
    question: str
    does: str
    sure: str = ""
    danger: bool = False
    lacks: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class About:
    """The app that a view is about, with its newest deployment; doors offer what can be done."""

    app: App
    newest: Deployment | None = None


@dataclass(frozen=True, slots=True)
class View:
    """An answer, or a message that is kept up to date.

    Attributes:
        head: what has happened, or what is so; one line.
        says: what belongs to it, each a line; a reason, for one.
        warns: what to know before it is done, or that it was done in spite of.
        notes: what else to know, less loudly.
        parts: lists, tables, facts, histories, logs.
        offers: what may be wanted next.
        data: what programs get of it, of dataclasses, sequences, mappings and JSON's own types.
        public: it concerns everybody who reads the channel in which it was asked.
        refused: what was asked for was not done.
        empty: there is nothing to list, which the head says.
        missing: there is nothing by that name, as the head says.
        asks: what would be done; nothing was done yet.
        shown_in: the channels where a card will show the same.
        may_be_lost: such a card says all of it.
        remarks: what to know before reading it, e.g. that it may be out of date.
        hints: what helps to read it, or to find more.
        call: what it answers; None for nothing that can be asked for again.
        page: which part of its rows is shown, from 1, where there are too many for a door.
        about: whose buttons a door may add.

        brief: the same in one line, for notifications; () for the head.
        url: the page of what it is about.
        facts: labels with values, e.g. "Trigger".
        log: the end of a log or an answer, redacted; "" for none.
        links: where more is to be seen.
        actions: what can be done about it.
        why: what `why` explains of it, e.g. "shop/web"; "" for nothing.
        more: the console's page that says why; None without a console.
        name: a plain title that stays true, for a place that can't be edited.
        at: when it happened, if that is not among the facts; in seconds since 1970.
        failed: what could not be done, or looked at, while the rest was.
    """

    head: Phrase
    sign: Sign | None = None
    says: Sequence[Phrase] = ()
    notes: Sequence[Phrase] = ()
    parts: Sequence[Part] = ()
    offers: Sequence[Call] = ()
    data: Any = field(default=None, kw_only=True)
    public: bool = field(default=False, kw_only=True)
    refused: bool = field(default=False, kw_only=True)
    empty: bool = field(default=False, kw_only=True)
    missing: bool = field(default=False, kw_only=True)
    warns: Sequence[Phrase] = field(default=(), kw_only=True)
    asks: Ask | None = field(default=None, kw_only=True)
    shown_in: tuple[str, ...] = field(default=(), kw_only=True)
    may_be_lost: bool = field(default=False, kw_only=True)
    remarks: Sequence[Phrase] = field(default=(), kw_only=True)
    hints: Sequence[Phrase] = field(default=(), kw_only=True)
    call: Call | None = field(default=None, kw_only=True)
    page: int = field(default=1, kw_only=True)
    about: About | None = field(default=None, kw_only=True)
    brief: Phrase = field(default=(), kw_only=True)
    tone: Tone = field(default=Tone.CALM, kw_only=True)
    url: str | None = field(default=None, kw_only=True)
    facts: Mapping[str, Phrase] = field(default_factory=dict, kw_only=True)
    log: str = field(default="", kw_only=True)
    links: Sequence[Link] = field(default=(), kw_only=True)
    actions: Sequence[Action] = field(default=(), kw_only=True)
    why: str = field(default="", kw_only=True)
    more: str | None = field(default=None, kw_only=True)
    name: str = field(default="", kw_only=True)
    at: float | None = field(default=None, kw_only=True)
    failed: Sequence[Phrase] = field(default=(), kw_only=True)

    @property
    def only_asks(self) -> bool:
        """Whether it says nothing, but asks for the arguments that a call lacks."""
        return self.asks is not None and not self.head

    @property
    def headed(self) -> bool:
        """Whether the head stands above the parts; tables, facts and logs speak for themselves."""
        return self.asks is not None or all(isinstance(one, Lines) for one in self.parts)
