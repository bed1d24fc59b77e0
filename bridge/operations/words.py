"""Read an operation's arguments from the words of a chat, and write them as they are typed.

What is required comes first, each one word or several in quotes; then optional ones, each with its
keyword; then what takes all the rest, such as a reason:

    lock SCOPE [for 2h] [until 18:00] [until merge of #12] REASON
"""

from collections.abc import Mapping
from typing import Any

from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import (
    Others,
    Read,
    Unclear,
    capital,
    name_in,
    names_in,
    parse_chat,
    plain_word,
    unquoted,
)
from bridge.core.chat.replies import Usage
from bridge.core.errors import Rejected
from bridge.operations.base import Argument, Door, Operation, Took
from bridge.operations.every import offered
from bridge.operations.typed import (
    called,
    is_name,
    lacks_all,
    named,
    names,
    takes_of,
    usage,
    written,
)


def read_words(name: str, typed: list[str]) -> Call | Unclear:
    """Return what somebody means with the words after an operation's name, or another for it."""
    asked, implied = named(name)
    given: dict[str, Any] = dict(implied)
    how = f"Write `{usage(asked, name if implied else '')}`."
    words = list(typed)
    if not words and lacks_all(asked, given):
        return called(asked.name, given)
    words, why = _take_names(asked, words, given)
    if why:
        return Unclear(why.format(how=how), _alone(asked, given))
    try:
        words = _take_keyed(asked, words, given)
    except Rejected as error:
        return Unclear(f"{capital(str(error))}. {how}", _alone(asked, given))
    for one in asked.arguments:
        if one.required and one.kind.takes is not None and one.name not in given:
            return Unclear(f"{capital(one.kind.metavar)}? {one.kind.help} {how}")
    rest = next((one for one in asked.arguments if one.kind.rest), None)
    if rest is None:
        alone = written(asked.name, given)
        if words:
            return Unclear(f"That is more than `{asked.name}` takes. {how}", (alone,))
        return Call(asked.name, given, alone)
    if rest.kind.many:
        some = {rest.name: names_in(words)} if words else {}
        return called(asked.name, {**given, **some})
    given[rest.name] = unquoted(" ".join(words))
    if rest.required and not given[rest.name]:
        return Unclear(f"{capital(rest.kind.help)} {how}")
    return called(asked.name, given)


def _take_names(asked: Operation, words: list[str], given: dict[str, Any]) -> tuple[list[str], str]:
    """Read the names, and what is typed behind them; return the words left, and what is missing."""
    for one in asked.arguments:
        kind = one.kind
        if kind.behind and (why := _part_behind(one, given)):
            return words, f"{why} {{how}}"
        if not is_name(one):
            continue
        if words and (one.required or _keyed(asked, words, given) is None):
            given[one.name], words = name_in(words)
        elif one.required:
            about = f" {kind.metavar} is {_lowered(kind.help)}" if kind.help else ""
            return words, f"Which {_lowered(kind.metavar)}? {{how}}{about}"
    return words, ""


def _part_behind(one: Argument, given: dict[str, Any]) -> str:
    """Part what is typed behind the last name from it; return what is missing, if anything is."""
    name = next(reversed(given), "")
    said, mark, behind = str(given.get(name, "")).partition(one.kind.behind)
    if not mark:
        return ""
    given[name] = said
    if not said:
        del given[name]
        return f"Which {name}?"
    if not behind:
        return f"Which {_lowered(one.kind.metavar)}?"
    given[one.name] = behind
    return ""


def _alone(asked: Operation, given: dict[str, Any]) -> tuple[str, ...]:
    """Return the call with what is given so far, if that is enough for one."""
    whole = all(given.get(one.name) for one in asked.arguments if one.required)
    return (written(asked.name, given),) if whole and given else ()


def _take_keyed(asked: Operation, words: list[str], given: dict[str, Any]) -> list[str]:
    """Read what begins with a keyword, in any order; return the words that are left."""
    while words and (found := _keyed(asked, words, given)) is not None:
        one, (text, count) = found
        if one.kind.many:
            given.setdefault(one.name, []).append(text)
        else:
            given[one.name] = one.kind.flag or text
        words = words[count:]
    return words


def _keyed(
    asked: Operation, words: list[str], given: Mapping[str, Any]
) -> tuple[Argument, Took] | None:
    """Return the argument with whose keyword the words begin, unless it was given before."""
    plain = [plain_word(word) for word in words]
    for one in asked.arguments:
        takes = takes_of(asked, one)
        again = one.kind.many or one.name not in given
        if takes is not None and again and (found := takes(plain)) is not None:
            text, count = found
            return one, (words[count - 1].strip("`'\"") if one.kind.exact else text, count)
    return None


def usages() -> tuple[Usage, ...]:
    """Return how the operations that can be typed are used, in the order of help."""
    return tuple(
        Usage(word, usage(one, word), _does(one, word), one.more)
        for one in offered(Door.CHATS)
        for word in (one.name, *(word for word, implied in one.aliases.items() if implied))
        if word.replace(" ", "").isalpha()
    )


def _does(asked: Operation, word: str) -> str:
    """Return what an operation does, or what another word for it does besides."""
    implied = asked.aliases.get(word)
    if implied is None:
        return _lowered(asked.does.rstrip("."))
    helps = [one.kind.help for one in asked.arguments if one.name in implied]
    return f"{asked.name}, but {_lowered(' '.join(helps).rstrip('.'))}"


def topic(name: str | None) -> str | None:
    """Return what help is about, if it was asked for with another word for an operation."""
    same = (one.name for one in offered(Door.CHATS) if one.aliases.get(name or "") == {})
    return next(same, name)


OTHERS = Others(names, read_words)


def parse(text: str, name: str = "") -> Read:
    """Read what was typed in a chat; see `core.chat.grammar`."""
    return parse_chat(text, name, OTHERS)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text.lower()
