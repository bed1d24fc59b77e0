"""Signs that stand for themselves or for little: `?`, `!`, `+`, `@`, `/`, `|`, quotes, text."""

import re

from bridge.core.globs import pieces
from bridge.core.globs.draft import Draft, Kind, Token
from bridge.core.globs.extglobs import open_extglob

_PLAIN_RUN = re.compile(r"[^@!\[\].,$*+?^{}()|\\/]+")


def text(draft: Draft, char: str) -> None:
    """Handle a character that means nothing, and all such behind it."""
    value = f"\\{char}" if char in ("$", "^") else char
    if run := _PLAIN_RUN.match(draft.text, draft.at + 1):
        value += run[0]
        draft.at += len(run[0])
    draft.push(Token(Kind.TEXT, value))


def quote(draft: Draft, _char: str) -> None:
    """Handle `"`: what is between two of them is literal."""
    draft.quoted = not draft.quoted


def open_paren(draft: Draft, char: str) -> None:
    """Handle a `(` that no sign stands before."""
    draft.parens += 1
    draft.enter(Kind.PAREN)
    draft.push(Token(Kind.PAREN, char))


def pipe(draft: Draft, char: str) -> None:
    """Handle `|`."""
    draft.push(Token(Kind.TEXT, char))


def slash(draft: Draft, char: str) -> None:
    """Handle `/`."""
    if draft.last.kind is Kind.DOT and draft.at == draft.start + 1:
        # A leading `./` (behind `!`, say) is forgotten, as is all that was written for it.
        draft.start = draft.at + 1
        draft.output = ""
        draft.tokens.pop()
        draft.last = draft.first
        return
    draft.push(Token(Kind.SLASH, char, pieces.SLASH))


def question(draft: Draft, char: str) -> None:
    """Handle `?`."""
    last = draft.last
    if last.value != "(" and draft.peek() == "(" and draft.peek(2) != "?":
        open_extglob(draft, Kind.EXTGLOB, char)
        return
    if last.kind is Kind.PAREN:
        draft.push(Token(Kind.TEXT, char, _after_paren(draft)))
    elif last.kind in (Kind.SLASH, Kind.START):
        draft.push(Token(Kind.ANY, char, pieces.IN_SEGMENT_NO_DOT))
    else:
        draft.push(Token(Kind.ANY, char, pieces.IN_SEGMENT))


def _after_paren(draft: Draft) -> str:
    """Choose between a quantifier, the start of a `(?` group, and a literal mark."""
    follower = draft.peek()
    opens_group = follower != "" and follower in "!=<:"
    if draft.last.value == "(" and not opens_group:
        return r"\?"
    if follower == "<" and not re.search(r"<([!=]|[A-Za-z0-9_]+>)", draft.rest):
        return r"\?"
    return "?"


def exclamation(draft: Draft, char: str) -> None:
    """Handle `!`."""
    follower = draft.peek(3)
    if draft.peek() == "(" and (draft.peek(2) != "?" or not follower or follower not in "!=<:"):
        open_extglob(draft, Kind.EXTGLOB, char)
    elif draft.at == 0:
        _negate(draft)
    else:
        text(draft, char)


def _negate(draft: Draft) -> None:
    """Count the leading exclamation marks: an even number cancels out."""
    count = 1
    while draft.peek() == "!" and (draft.peek(2) != "(" or draft.peek(3) == "?"):
        draft.at += 1
        draft.start += 1
        count += 1
    if count % 2:
        draft.negated = True
        draft.start += 1


def plus(draft: Draft, char: str) -> None:
    """Handle `+`."""
    last = draft.last
    if draft.peek() == "(" and draft.peek(2) != "?":
        open_extglob(draft, Kind.EXTGLOB, char)
    elif last.value == "(":
        draft.push(Token(Kind.PLUS, char, pieces.PLUS))
    elif last.kind in (Kind.BRACKET, Kind.PAREN, Kind.BRACE) or draft.parens > 0:
        draft.push(Token(Kind.PLUS, char))
    else:
        draft.push(Token(Kind.PLUS, pieces.PLUS))


def at(draft: Draft, char: str) -> None:
    """Handle `@`."""
    if draft.peek() == "(" and draft.peek(2) != "?":
        draft.push(Token(Kind.AT, char, "", in_extglob=True))
    else:
        draft.push(Token(Kind.TEXT, char))
