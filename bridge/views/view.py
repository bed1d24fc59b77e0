"""The vocabulary of answers: what is said, free of any door's markup.

A door is a way to talk to people or programs: the command line, a chat, the console, comments. Each
renders these values in its own form: it escapes, links, shortens, and speaks its own time zone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.holds import Gate
from bridge.core.lifecycle import Change, Deployment, State

SHORT_COMMIT = 7
"""Digits of a commit that people are shown."""

# ── values within a sentence ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Text:
    """Untrusted words, with the most characters that they may take once escaped."""

    words: str
    limit: int


Words = tuple[str | Text, ...]
"""Our own words, with untrusted ones among them."""


@dataclass(frozen=True, slots=True)
class Strong:
    """The name of what a sentence is about; a door may show it in bold."""

    text: Text


@dataclass(frozen=True, slots=True)
class Code:
    """A commit, a branch, a path or another literal, with the page that shows it."""

    text: Text
    url: str | None = None


class Form(StrEnum):
    """How a time is shown where a door can: in full, as an age that grows, or as time of day."""

    DAY = "day"
    AGE = "age"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Moment:
    """A time in seconds since 1970.

    Attributes:
        zone: an IANA name in which somebody has said it, which is then shown as well; "" for none.
        since: it is shown by how long ago it was, where that fits.
        form: how a chat shows it, whose messages keep ages up to date by themselves.
    """

    at: float
    zone: str = ""
    since: bool = False
    form: Form = Form.DAY


@dataclass(frozen=True, slots=True)
class Typed:
    """A call of an operation, as it is typed at each door."""

    call: Call


@dataclass(frozen=True, slots=True)
class Sentence:
    """One of our own sentences with untrusted names in it; a door may mark these."""

    words: str
    limit: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of an app, which a door links to its page if it knows that."""

    sha: str
    app: App | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or a tag, by its full name."""

    name: str

    @property
    def short(self) -> str:
        """Return its name as people say it."""
        return self.name.removeprefix("refs/heads/").removeprefix("refs/tags/")

    @property
    def is_tag(self) -> bool:
        """Return whether it is a tag."""
        return self.name.startswith("refs/tags/")


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs between two commits of an app, in words, with the page that compares them."""

    app: App
    old: str
    new: str
    words: str


@dataclass(frozen=True, slots=True)
class Link:
    """A link to a page of ours, of a host or of a backend; without an address, its text."""

    text: Text
    url: str | None


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody who is called by their id in the chat that shows it."""

    id: str


class Icon(StrEnum):
    """What a message, an answer or a row is about, at a glance."""

    LOCK = "lock"
    UNLOCK = "unlock"
    FREEZE = "freeze"
    THAW = "thaw"
    WELL = "well"
    PULL = "pull"
    MEMO = "memo"
    TAG = "tag"
    GEAR = "gear"
    NOTE = "note"
    WARN = "warn"
    GO = "go"
    BACK = "back"
    UP = "up"
    NOT = "not"
    NEVER = "never"
    PAST = "past"
    UNDONE = "undone"
    DOUBT = "doubt"


class Look(StrEnum):
    """The condition of a preview, as its icon shows it."""

    WAITS = "waits"
    HELD = "held"
    BUILDS = "builds"
    UP = "is up"
    FAILED = "failed"
    ENDS = "ends"
    GONE = "gone"


Sign = Icon | State | Gate | Look
"""What stands before a line. Where two kinds have a word in common, they mean the same icon."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A sign within a sentence."""

    sign: Sign


Value = (
    Text
    | Sentence
    | Strong
    | Code
    | Moment
    | Typed
    | Commit
    | Ref
    | State
    | Compared
    | Link
    | Called
    | Mark
)
Phrase = tuple[str | Value, ...]
"""Our own words, with values among them."""

DOT, GAP = "  ·  ", "  "
"""Stand between pieces of a line; a door may show others."""


def joined(*phrases: Phrase) -> Phrase:
    """Return phrases as one, with dots between those that are not empty."""
    pieces: list[str | Value] = []
    for phrase in filter(None, phrases):
        pieces += [DOT, *phrase] if pieces else phrase
    return tuple(pieces)


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


def long_lines(cells: Iterable[tuple[Column, str]]) -> list[str]:
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
    """

    cells: Sequence[Phrase]
    sign: Sign | None = None
    line: Phrase = ()
    says: Sequence[Phrase | Item] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table; a narrow door shows each row as lines.

    Attributes:
        title: what its rows are, where they are shown as sentences; () if that is plain.
        legend: what explains its cells.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: Phrase = ()
    legend: Sequence[Phrase] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one thing: names, each with its value."""

    facts: Sequence[tuple[str, Phrase]]


@dataclass(frozen=True, slots=True)
class Log:
    """Lines of a log, in which secrets are masked; `title`: what they are, "" if that is plain."""

    lines: Sequence[str]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Steps:
    """What a deployment went through, oldest first."""

    changes: Sequence[Change]


Part = Lines | Table | Facts | Steps | Log


@dataclass(frozen=True, slots=True)
class Field:
    """An argument that is still asked for."""

    name: str
    label: str
    help: str


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
        name: a plain title that stays true, for a place that can't be edited.
        at: when it happened, if that is not among the facts; in seconds since 1970.
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
    name: str = field(default="", kw_only=True)
    at: float | None = field(default=None, kw_only=True)

    @property
    def headed(self) -> bool:
        """Whether the head stands above the parts; tables, facts and logs speak for themselves."""
        return all(isinstance(one, Lines) for one in self.parts)


def iso(at: float | None) -> str | None:
    """Return a time for programs, e.g. "2026-01-31T12:00:00.123Z"; None for what is no date."""
    try:
        moment = None if at is None else datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        moment = None
    if moment is None:
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def many(number: int, noun: str) -> str:
    """Return how many of something there are, e.g. "1 lock" or "2 locks"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def plain(phrase: Phrase) -> str:
    """Return a phrase as text without markup, with times by UTC or as somebody said them."""
    return "".join(_plain(one) for one in phrase)


def _plain(one: str | Value) -> str:
    match one:
        case str():
            return one
        case Text(words=words) | Sentence(words=words) | Compared(words=words):
            return words
        case Typed(call=call):
            return call.typed
        case Strong(text=text) | Code(text=text) | Link(text=text):
            return text.words
        case Commit(sha=sha):
            return sha[:SHORT_COMMIT]
        case Ref():
            return one.short
        case Called(id=id_):
            return id_
        case Mark():
            return ""
        case Moment():
            from bridge.core.gates.times import in_words, read_zone

            return in_words(one.at, read_zone(one.zone or "UTC"))
