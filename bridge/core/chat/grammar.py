"""The grammar of all chat commands. Pure.

    help [COMMAND]

Further ones are read by `Others`. A name with spaces stands in quotes.
Parsing is total: every text is either a `Command` or an `Unclear` with suggestions.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.core.chat.calls import Call
from bridge.core.log_text import harmless

LONGEST = 400
"""Characters of a text that are parsed; no app's name is that long."""


HELP = "help"
_HELPS = frozenset({HELP, "?", "--help", "-h"})

_LINK = re.compile(r"<(?:https?://|mailto:)?([^<>|]*)(?:\|([^<>]*))?>")
_MARKS = "`\"'*\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"
_QUOTES = str.maketrans("", "", _MARKS)


@dataclass(frozen=True, slots=True)
class Command:
    """A request for help; `rest`: about this command, None about all."""

    rest: str | None = None


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
    if name and len(words) == 1 and _name(words[0]) in _HELPS:
        return Command(name)
    typed = [name, *words] if name else words
    if not typed:
        return Command()
    for count in (2, 1):
        if (known := " ".join(map(_name, typed[:count]))) in others.names():
            return others.read(known, typed[count:])
    if _name(typed[0]) not in _HELPS:
        return _unknown(typed, others)
    about = _name(typed[1]) if typed[1:] else None
    return Command(HELP if about in _HELPS else about)


def written(command: Command | Call) -> str:
    """Return a command as it would be typed."""
    if isinstance(command, Call):
        return command.typed
    return f"{HELP} {command.rest or ''}".strip()


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


def _unknown(words: list[str], others: Others) -> Unclear:
    typed = plain_word(words[0])
    known = [HELP, *others.names()]
    near = difflib.get_close_matches(typed.lower(), known, n=2, cutoff=0.6)
    read = [parse_chat(" ".join([one, *words[1:]]), others=others) for one in near]
    meant = tuple(written(one) for one in read if not isinstance(one, Unclear))
    return Unclear(f"There is no command `{_shown(typed)}`.", meant)


# ── names and reasons ───────────────────────────────────────────────────────────────────────────


def name_in(typed: list[str]) -> tuple[str, list[str]]:
    """Return the first name, of several words if it stands in quotes, and what follows."""
    if typed[0][0] in _MARKS and typed[0][-1] not in _MARKS:
        for at, word in enumerate(typed):
            if word[-1] in _MARKS:
                return " ".join(plain_word(one) for one in typed[: at + 1]), typed[at + 1 :]
    return plain_word(typed[0]), typed[1:]


def names_in(typed: list[str]) -> list[str]:
    """Return all names, each of several words if it stands in quotes."""
    names = []
    while typed:
        name, typed = name_in(typed)
        names.append(name)
    return names


def unquoted(reason: str) -> str:
    """Return a reason without the quotes around all of it."""
    whole = len(reason) > 1 and reason[0] in _MARKS and reason[-1] in _MARKS
    return (reason[1:-1] if whole else reason).strip()


def capital(text: str) -> str:
    """Return a sentence with a capital first letter."""
    return text[:1].upper() + text[1:]


def _shown(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:39]}…"
