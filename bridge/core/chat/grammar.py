"""The grammar of all chat commands. Pure.

    why APP [COMMIT] | help [COMMAND]
    previews [APP] | previews stop PREVIEW | previews extend PREVIEW
    previews approve PREVIEW COMMIT

Further ones are read by `Others`. A name with spaces stands in quotes. PREVIEW is the app and the
number of the pull request, e.g. shop/web#12.
Parsing is total: every text is either a `Command` or an `Unclear` with suggestions.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.core.chat.calls import Call
from bridge.core.log_text import harmless
from bridge.core.previews.verdict import Act

LONGEST = 400
"""Characters of a text that are parsed; no app's name is that long."""


class Verb(StrEnum):
    """The commands."""

    WHY = "why"
    PREVIEWS = "previews"
    HELP = "help"


USAGE = {
    Verb.WHY: "why APP [COMMIT]",
    Verb.PREVIEWS: "previews [APP] | stop PREVIEW | extend PREVIEW | approve PREVIEW COMMIT",
    Verb.HELP: "help [COMMAND]",
}
"""The usage of each command."""

NEEDS_APP = frozenset({Verb.WHY})

_ALIASES = {
    "preview": Verb.PREVIEWS,
    "?": Verb.HELP,
    "--help": Verb.HELP,
    "-h": Verb.HELP,
}

_COMMIT = re.compile(r"[0-9a-f]{4,64}", re.IGNORECASE)
_LONG_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.IGNORECASE)
_LINK = re.compile(r"<(?:https?://|mailto:)?([^<>|]*)(?:\|([^<>]*))?>")
_MARKS = "`\"'*\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"
_QUOTES = str.maketrans("", "", _MARKS)


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command.

    Attributes:
        app: as typed; None if none was named. For what is done with a preview, the preview.
        rest: a commit for `why` and approvals, a filter for `apps`, a command for `help`.
        act: what is done with a preview; None to list them.
    """

    verb: Verb
    app: str | None = None
    rest: str | None = None
    act: Act | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """A text that is not a command.

    Attributes:
        suggestions: whole commands that may have been meant, the likeliest first.
    """

    why: str
    suggestions: tuple[str, ...] = ()


Read = Command | Call | Unclear


@dataclass(frozen=True, slots=True)
class Others:
    """Operations, which are typed like commands.

    Attributes:
        names: returns the words by which they are called.
        read: reads the words after one of these.
    """

    names: Callable[[], Sequence[str]] = tuple
    read: Callable[[str, list[str]], Call | Unclear] = lambda name, _: Unclear(name)


NO_OTHERS = Others()


def parse_chat(text: str, name: str = "", others: Others = NO_OTHERS) -> Read:
    """Read what was typed after `/dokploy`, or after the short command of `name`."""
    words = [word for word in _said(text).split() if plain_word(word)]
    if name and len(words) == 1 and _verb(words[0]) is Verb.HELP:
        return Command(Verb.HELP, rest=name)
    typed = [name, *words] if name else words
    if not typed:
        return Command(Verb.HELP)
    for count in (2, 1):
        if (known := " ".join(map(_name, typed[:count]))) in others.names():
            return others.read(known, typed[count:])
    verb = _verb(typed[0])
    return _unknown(typed, others) if verb is None else _arguments(verb, typed[1:])


def written(command: Command | Call) -> str:
    """Return a command as it would be typed."""
    if isinstance(command, Call):
        return command.typed
    app = command.app or ""
    if len(app.split()) > 1:
        app = f'"{app}"'
    parts = (command.verb, command.act or "", app, command.rest or "")
    return " ".join(part for part in parts if part)


def _said(text: str) -> str:
    """Return what was typed, without the chat's entities and links."""
    text = _LINK.sub(lambda m: m[2] or m[1], text[: LONGEST * 8])
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return harmless(unicodedata.normalize("NFC", text), unseen=" ")[:LONGEST]


def plain_word(word: str) -> str:
    """Return a word without quotes and marks; reasons keep theirs."""
    return word.translate(_QUOTES)


def _name(word: str) -> str:
    return plain_word(word).lower().rstrip(":,")


def _verb(word: str) -> Verb | None:
    word = _name(word)
    return Verb(word) if word in set(Verb) else _ALIASES.get(word)


def _unknown(words: list[str], others: Others) -> Unclear:
    typed = plain_word(words[0])
    known = [*Verb, *others.names()]
    near = difflib.get_close_matches(typed.lower(), known, n=2, cutoff=0.6)
    read = [parse_chat(" ".join([one, *words[1:]]), others=others) for one in near]
    meant = tuple(written(one) for one in read if not isinstance(one, Unclear))
    return Unclear(f"There is no command `{_shown(typed)}`.", meant)


def _arguments(verb: Verb, typed: list[str]) -> Command | Unclear:
    usage = f"Write `{USAGE[verb]}`."
    words = [plain_word(word) for word in typed]
    if verb is Verb.HELP:
        return Command(verb, rest=_ALIASES.get(_name(words[0]), _name(words[0])) if words else None)
    if verb is Verb.PREVIEWS:
        return _about_previews(words, usage)
    if not words:
        named = verb not in NEEDS_APP
        return Command(verb) if named else Unclear(f"Which app? {usage}")
    return _about_app(verb, words, usage)


# ── names and reasons ───────────────────────────────────────────────────────────────────────────


def name_in(typed: list[str]) -> tuple[str, list[str]]:
    """Return the first name, of several words if it stands in quotes, and what follows."""
    if typed[0][0] in _MARKS and typed[0][-1] not in _MARKS:
        for at, word in enumerate(typed):
            if word[-1] in _MARKS:
                return " ".join(plain_word(one) for one in typed[: at + 1]), typed[at + 1 :]
    return plain_word(typed[0]), typed[1:]


def unquoted(reason: str) -> str:
    """Return a reason without the quotes around all of it."""
    whole = len(reason) > 1 and reason[0] in _MARKS and reason[-1] in _MARKS
    return (reason[1:-1] if whole else reason).strip()


def capital(text: str) -> str:
    """Return a sentence with a capital first letter."""
    return text[:1].upper() + text[1:]


# ── previews ────────────────────────────────────────────────────────────────────────────────────


def _about_previews(words: list[str], usage: str) -> Command | Unclear:
    """Return a command about previews; the name of one may be typed in two words, `web #12`."""
    act = words[0].lower() if words else ""
    if act not in set(Act):
        return Command(Verb.PREVIEWS, " ".join(words) or None)
    if not (rest := words[1:]):
        return Unclear(f"Which preview? {usage}")
    commit = None
    if act == Act.APPROVE and len(rest) > 1 and _LONG_COMMIT.fullmatch(rest[-1]):
        commit = rest.pop().lower()
    return Command(Verb.PREVIEWS, " ".join(rest), rest=commit, act=Act(act))


# ── one app ─────────────────────────────────────────────────────────────────────────────────────


def _about_app(verb: Verb, words: list[str], usage: str) -> Command | Unclear:
    name, *rest = words
    alone = Command(verb, name)
    if not rest:
        return alone
    if len(rest) > 1 or verb is not Verb.WHY:
        return Unclear(f"That is more than one app. {usage}", (written(alone),))
    if _COMMIT.fullmatch(rest[0]):
        return replace(alone, rest=rest[0].lower())
    why = f"`{_shown(rest[0])}` is no commit: at least 4 digits of its object id."
    return Unclear(f"{why} {usage}", (written(alone),))


def _shown(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:39]}…"
