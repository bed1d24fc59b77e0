"""Character classes: `[a-z]`, `[^a]`, `[[:alpha:]]`."""

from typing import Literal

from bridge.core.globs.draft import Draft, Kind, Token
from bridge.core.globs.pieces import INHERITED, NOT_EMPTY, POSIX_CLASSES, escaped, has_special


def open_bracket(draft: Draft, char: str) -> None:
    """Handle `[`: literal unless a `]` follows somewhere."""
    if "]" in draft.rest:
        draft.brackets += 1
        draft.enter(Kind.BRACKET)
        draft.push(Token(Kind.BRACKET, char))
    else:
        draft.push(Token(Kind.BRACKET, f"\\{char}"))


def inside_bracket(draft: Draft, char: str, version: Literal["2.3.1", "2.3.2"]) -> bool:
    """Take `char` (or an escape) into the open class; False when there is none, or it ends."""
    last = draft.last
    at_head = last.value in ("[", "[^")
    if draft.brackets <= 0 or (char == "]" and not at_head):
        return False
    if char == ":" and _posix_class(draft, version):
        return True
    literal_opener = char == "[" and draft.peek() != ":"
    last_dash = char == "-" and draft.peek() == "]"
    if literal_opener or last_dash or char == "]":
        char = f"\\{char}"
    draft.extend_last(char)
    return True


def _posix_class(draft: Draft, version: Literal["2.3.1", "2.3.2"]) -> bool:
    """Handle the second colon of `[:alpha:]`: put the members in the name's place."""
    last = draft.last
    inner = last.value[1:]
    if "[" not in inner:
        return False
    last.posix = True
    if ":" not in inner:
        return False
    opener = last.value.rfind("[")
    name = last.value[opener + 2 :]
    members = POSIX_CLASSES.get(name)
    if members is None and version == "2.3.1":
        members = INHERITED.get(name)
    if members is None:
        return False
    last.value = last.value[:opener] + members
    draft.rewrite = True
    draft.take()
    if not draft.first.output and len(draft.tokens) > 1 and draft.tokens[1] is last:
        draft.first.output = NOT_EMPTY
    return True


def close_bracket(draft: Draft, char: str) -> None:
    """Handle `]`: close the class, or stand for itself."""
    last = draft.last
    is_bare_opener = last.kind is Kind.BRACKET and len(last.value) == 1
    if is_bare_opener or draft.brackets == 0:
        draft.push(Token(Kind.TEXT, char, f"\\{char}"))
        return
    draft.brackets -= 1
    draft.leave()
    members = last.value[1:]
    if not last.posix and members.startswith("^") and "/" not in members:
        char = f"/{char}"  # a negated class stays within its segment
    draft.extend_last(char)
    if has_special(members):
        return
    # Without ranges or negation it may also be meant as it stands: `[id]` is a file name
    # in some frameworks.
    draft.cut(len(last.value))
    last.value = f"(?:{escaped(last.value)}|{last.value})"
    draft.output += last.value
