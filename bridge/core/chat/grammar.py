"""The grammar of all chat commands. Pure.

    deploy APP[@REF] | redeploy APP | cancel APP | status [APP] | history APP
    why APP [COMMIT] | apps [FILTER] | provider APP | whoami | help [COMMAND]

Parsing is total: every text is either a `Command` or an `Unclear` with suggestions.
"""

import difflib
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.log_text import harmless

LONGEST = 400
"""Characters of a text that are parsed; no app's name is that long."""


class Verb(StrEnum):
    """The commands."""

    DEPLOY = "deploy"
    REDEPLOY = "redeploy"
    CANCEL = "cancel"
    STATUS = "status"
    HISTORY = "history"
    WHY = "why"
    APPS = "apps"
    PROVIDER = "provider"
    WHOAMI = "whoami"
    HELP = "help"


USAGE = {
    Verb.DEPLOY: "deploy APP[@BRANCH]",
    Verb.REDEPLOY: "redeploy APP",
    Verb.CANCEL: "cancel APP",
    Verb.STATUS: "status [APP]",
    Verb.HISTORY: "history APP",
    Verb.WHY: "why APP [COMMIT]",
    Verb.APPS: "apps [FILTER]",
    Verb.PROVIDER: "provider APP",
    Verb.WHOAMI: "whoami",
    Verb.HELP: "help [COMMAND]",
}
"""The usage of each command."""

OPENS_PICKER = frozenset({Verb.DEPLOY, Verb.REDEPLOY, Verb.CANCEL, Verb.PROVIDER})
"""Commands that open a list of apps if none is named."""

NEEDS_APP = frozenset({Verb.HISTORY, Verb.WHY})
ALONE = frozenset({Verb.WHOAMI})

_ALIASES = {
    "rebuild": Verb.REDEPLOY,
    "stop": Verb.CANCEL,
    "abort": Verb.CANCEL,
    "list": Verb.APPS,
    "ls": Verb.APPS,
    "source": Verb.PROVIDER,
    "me": Verb.WHOAMI,
    "?": Verb.HELP,
    "--help": Verb.HELP,
    "-h": Verb.HELP,
}

_COMMIT = re.compile(r"[0-9a-f]{4,64}", re.IGNORECASE)
_LINK = re.compile(r"<(?:https?://|mailto:)?([^<>|]*)(?:\|([^<>]*))?>")
_QUOTES = str.maketrans("", "", "`\"'*\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb")


@dataclass(frozen=True, slots=True)
class Command:
    """A parsed command.

    Attributes:
        app: as typed; None if none was named.
        ref: after an `@`; None if none was given.
        rest: a commit for `why`, a filter for `apps`, a command for `help`.
    """

    verb: Verb
    app: str | None = None
    ref: str | None = None
    rest: str | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """A text that is not a command.

    Attributes:
        suggestions: whole commands that may have been meant, the likeliest first.
    """

    why: str
    suggestions: tuple[str, ...] = ()


def parse_chat(text: str, verb: Verb | None = None) -> Command | Unclear:
    """Read what was typed after `/dokploy`, or after the short command of `verb`."""
    words = _plain(text).split()
    if verb is None:
        if not words:
            return Command(Verb.HELP)
        found = _verb(words[0])
        if found is None:
            return _unknown(words)
        verb, words = found, words[1:]
    elif len(words) == 1 and _ALIASES.get(words[0].lower(), words[0].lower()) == Verb.HELP:
        return Command(Verb.HELP, rest=verb)
    return _arguments(verb, words)


def written(command: Command) -> str:
    """Return a command as it would be typed."""
    app = command.app or ""
    if command.ref is not None:
        app += f"@{command.ref}"
    return " ".join(part for part in (command.verb, app, command.rest or "") if part)


def _plain(text: str) -> str:
    """Return what was typed, without the chat's entities, links and smart quotes."""
    text = _LINK.sub(lambda m: m[2] or m[1], text[: LONGEST * 8])
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    text = unicodedata.normalize("NFC", text).translate(_QUOTES)
    return harmless(text, unseen=" ")[:LONGEST]


def _verb(word: str) -> Verb | None:
    word = word.lower().rstrip(":,")
    return Verb(word) if word in set(Verb) else _ALIASES.get(word)


def _unknown(words: list[str]) -> Unclear:
    near = difflib.get_close_matches(words[0].lower(), list(Verb), n=2, cutoff=0.6)
    read = [_arguments(Verb(one), words[1:]) for one in near]
    meant = tuple(written(one) for one in read if isinstance(one, Command))
    return Unclear(f"There is no command `{_shown(words[0])}`.", meant)


def _arguments(verb: Verb, words: list[str]) -> Command | Unclear:
    usage = f"Write `{USAGE[verb]}`."
    if verb is Verb.HELP:
        topic = _verb(words[0]) if words else None
        return Command(verb, rest=topic)
    if verb is Verb.APPS:
        return Command(verb, rest=" ".join(words) or None)
    if verb in ALONE:
        return Command(verb) if not words else Unclear(f"`{verb}` stands alone. {usage}", (verb,))
    if not words:
        named = verb not in NEEDS_APP
        return Command(verb) if named else Unclear(f"Which app? {usage}")
    return _about_app(verb, words, usage)


def _about_app(verb: Verb, words: list[str], usage: str) -> Command | Unclear:
    name, at, ref = words[0].partition("@")
    rest = words[1:]
    if not name:
        return Unclear(f"Which app? {usage}")
    if at and verb is not Verb.DEPLOY:
        without = written(Command(verb, name))
        return Unclear(f"`{verb}` takes no branch. {usage}", (without,))
    if at and not ref:
        return Unclear(f"Which branch? {usage}", (written(Command(verb, name)),))
    if verb is Verb.WHY and len(rest) == 1:
        if _COMMIT.fullmatch(rest[0]):
            return Command(verb, name, rest=rest[0].lower())
        why = f"`{_shown(rest[0])}` is no commit: at least 4 digits of its object id."
        return Unclear(f"{why} {usage}", (written(Command(verb, name)),))
    if rest:
        return Unclear(f"That is more than one app. {usage}", (written(Command(verb, name)),))
    return Command(verb, name, ref if at else None)


def _shown(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:39]}…"
