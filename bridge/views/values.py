"""Values within what is said: text, commits, times, signs; free of any door's markup."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from bridge.core.apps import App
from bridge.core.chat.calls import Call
from bridge.core.holds import Gate
from bridge.core.lifecycle import State

SHORT_COMMIT = 7
"""Digits of a commit that people are shown."""


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
    """The form of a time at doors that have several: in full, as a growing age, or time of day."""

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
    SKIP = "skip"
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
