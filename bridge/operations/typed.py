"""Write an operation and its arguments as they are typed in a chat; `words.py` reads them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bridge.core.chat.calls import Call
from bridge.operations.base import OPERATIONS, Argument, Door, Operation, Took, offered
from bridge.operations.declared import load, operation_of


def usage(asked: Operation, name: str = "") -> str:
    """Return how an operation is typed, e.g. "unlock SCOPE"; `name`: by another word for it."""
    implied = asked.aliases.get(name, {})
    words = [name or asked.name]
    for one in _typed(asked):
        if one.name in implied:
            continue
        kind = one.kind
        if kind.behind:
            words[-1] += f"[{kind.behind}{kind.metavar}]"
        else:
            words.append(kind.metavar if one.required else f"[{_example(one)}]")
    return " ".join(words)


def _example(one: Argument) -> str:
    kind = one.kind
    return f"--{kind.option}" if kind.flag else kind.example or kind.metavar


def _typed(asked: Operation) -> list[Argument]:
    """Return the arguments that can be typed, in the order in which they are."""
    first = [one for one in asked.arguments if is_name(one) or one.kind.behind]
    keyed = [one for one in asked.arguments if takes_of(asked, one) is not None]
    rest = [one for one in asked.arguments if one.kind.rest]
    return [*first, *keyed, *rest]


def is_name(one: Argument) -> bool:
    """Return whether it is typed as a name, of one word or in quotes."""
    kind = one.kind
    typed = kind.rest or kind.flag or kind.takes or kind.behind
    return kind.at(Door.CHATS) and not typed


def lacks_all(asked: Operation, given: Mapping[str, Any]) -> bool:
    """Return whether it requires arguments, and none of them is given: then all are asked for."""
    required = [one.name for one in asked.arguments if one.required and not one.kind.hidden]
    return bool(required) and not any(given.get(one) for one in required)


Takes = Callable[[Sequence[str]], Took | None]


def takes_of(asked: Operation, one: Argument) -> Takes | None:
    """Return what finds an argument among words; a flag that no other word implies is typed."""
    if not one.kind.at(Door.CHATS):
        return None
    if one.kind.flag and not any(one.name in implied for implied in asked.aliases.values()):
        return lambda words: ("", 1) if words[0] == f"--{one.kind.option}" else None
    return one.kind.takes


def named(name: str) -> tuple[Operation, Mapping[str, Any]]:
    """Return the operation of a name, with the arguments that another word for it implies."""
    with suppress(KeyError):
        return operation_of(name), {}
    load()
    return next((one, one.aliases[name]) for one in OPERATIONS.values() if name in one.aliases)


def names() -> list[str]:
    """Return all words by which operations are called in chats."""
    return [word for one in offered(Door.CHATS) for word in (one.name, *one.aliases)]


def called(name: str, given: Mapping[str, Any]) -> Call:
    """Return a call of an operation."""
    return Call(name, given, written(name, given))


def written(name: str, given: Mapping[str, Any]) -> str:
    """Return an operation as it is typed; what is given by a flag stands in another word for it."""
    asked, _ = named(name)
    flags = {one.name: True for one in asked.arguments if one.kind.flag and given.get(one.name)}
    called = next((word for word, implied in asked.aliases.items() if implied == flags), name)
    words = [called if flags else name]
    for one in _typed(asked):
        text = given.get(one.name)
        if text is True:
            words.append(f"--{one.kind.option}")
        elif text and one.kind.behind:
            words[-1] += f"{one.kind.behind}{text}"
        elif text:
            parts = text if isinstance(text, list | tuple) else [str(text)]
            words += [_shown(one, part) for part in parts]
    return " ".join(words)


def _shown(one: Argument, text: str) -> str:
    keyword, keyed, _ = one.kind.example.partition(" ")
    if one.kind.takes is None or not keyed:
        quoted = len(text.split()) > 1 and (one.kind.many or not one.kind.rest)
        return f'"{text}"' if quoted else text
    return text if text.startswith(f"{keyword} ") else f"{keyword} {text}"
