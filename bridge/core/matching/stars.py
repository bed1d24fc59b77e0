"""Stars: within a segment, over segments, or the sign of an extglob."""

import re

from bridge.core.matching import draft as pieces
from bridge.core.matching.draft import (
    GLOBSTAR,
    NO_DOT_AHEAD,
    NO_DOT_SEGMENT_AHEAD,
    NOT_EMPTY,
    SLASH,
    STAR,
    Draft,
    Kind,
    Token,
)
from bridge.core.matching.groups import open_extglob


def star(draft: Draft, _char: str) -> None:
    """Handle `*`."""
    last = draft.last
    if last.kind is Kind.GLOBSTAR or last.run:
        # A third star and all after it: one plain star.
        last.kind, last.run, last.output = Kind.STAR, True, STAR
        last.value += "*"
        draft.rewrite = True
    elif draft.peek() == "(" and draft.peek(2) not in ("", "?"):
        open_extglob(draft, Kind.STAR, "*")
    elif last.kind is Kind.STAR:
        _second_star(draft)
    else:
        _single_star(draft)


def _single_star(draft: Draft) -> None:
    last = draft.last
    guard = ""
    if last.kind is Kind.DOT:
        guard = NO_DOT_SEGMENT_AHEAD
    elif draft.at == draft.start or last.kind is Kind.SLASH:
        guard = NO_DOT_AHEAD
    if guard:
        if draft.peek() != "*":
            guard += NOT_EMPTY
        draft.output += guard
        last.output = f"{last.output or ''}{guard}"
    draft.push(Token(Kind.STAR, "*", STAR))


def _second_star(draft: Draft) -> None:
    """Make a globstar of two stars where they fill a segment."""
    one = draft.last
    prior = one.before
    assert prior is not None  # a star is never the first token
    may_span = prior.kind in (Kind.SLASH, Kind.START, Kind.PAREN)
    if not may_span and not (draft.braces and prior.kind in (Kind.COMMA, Kind.BRACE)):
        draft.push(Token(Kind.STAR, "*", ""))
        return
    rest = _skip_repeats(draft)
    at_end = draft.at_end
    one.kind = Kind.GLOBSTAR
    one_star = one.written
    if prior.kind is Kind.START and at_end:
        one.output = draft.output = GLOBSTAR
    elif _in_a_path(prior) and at_end and not _after_star(prior):
        _join_slash(draft, prior, one, one_star, f"{GLOBSTAR}|$)")
    elif _in_a_path(prior) and rest.startswith("/"):
        end = "|$" if len(rest) > 1 else ""
        _join_slash(draft, prior, one, one_star, f"{GLOBSTAR}{SLASH}|{SLASH}{end})")
        _swallow_slash(draft, one)
        return
    elif prior.kind is Kind.START and rest.startswith("/"):
        one.output = draft.output = f"(?:^|{SLASH}|{GLOBSTAR}{SLASH})"
        _swallow_slash(draft, one)
        return
    else:
        draft.cut(len(one_star))
        one.output = GLOBSTAR
        draft.output += GLOBSTAR
    one.value += "*"


def _skip_repeats(draft: Draft) -> str:
    """Step over `/**` as long as it repeats; return what is left after it."""
    rest = draft.rest
    while rest.startswith("/**"):
        behind = draft.peek(4)
        if behind and behind != "/":
            break
        rest = rest[3:]
        draft.at += 3
    return rest


def _in_a_path(prior: Token) -> bool:
    """Return whether a slash precedes the stars, and something precedes the slash."""
    before = prior.before
    return prior.kind is Kind.SLASH and before is not None and before.kind is not Kind.START


def _after_star(prior: Token) -> bool:
    return prior.before is not None and prior.before.kind in (Kind.STAR, Kind.GLOBSTAR)


def _join_slash(draft: Draft, prior: Token, one: Token, one_star: str, output: str) -> None:
    """Put the slash before the stars into their group, so that it may be missing too."""
    draft.cut(len(prior.written + one_star))
    prior.output = f"(?:{prior.written}"
    one.output = output
    draft.output += prior.output + output


def _swallow_slash(draft: Draft, one: Token) -> None:
    one.value += "*"
    draft.take()
    draft.push(Token(Kind.SLASH, "/", ""))


# ── Signs that stand for themselves or for little: `?`, `!`, `+`, `@`, `/`, `|`, quotes, text ───

_PLAIN_RUN = re.compile(r"[^@!\[\].,$*+?^{}()|\\/]+")


def text(draft: Draft, char: str) -> None:
    """Handle a character that means nothing, and all such characters after it."""
    value = f"\\{char}" if char in ("$", "^") else char
    if run := _PLAIN_RUN.match(draft.text, draft.at + 1):
        value += run[0]
        draft.at += len(run[0])
    draft.push(Token(Kind.TEXT, value))


def quote(draft: Draft, _char: str) -> None:
    """Handle `"`: what is between two of them is literal."""
    draft.quoted = not draft.quoted


def open_paren(draft: Draft, char: str) -> None:
    """Handle a `(` without a sign before it."""
    draft.parens += 1
    draft.enter(Kind.PAREN)
    draft.push(Token(Kind.PAREN, char))


def pipe(draft: Draft, char: str) -> None:
    """Handle `|`."""
    draft.push(Token(Kind.TEXT, char))


def slash(draft: Draft, char: str) -> None:
    """Handle `/`."""
    if draft.last.kind is Kind.DOT and draft.at == draft.start + 1:
        # Drop a leading `./` (after `!`, say) and everything written for it.
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
