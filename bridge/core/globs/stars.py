"""Stars: within a segment, over segments, or the sign of an extglob."""

from bridge.core.globs.draft import Draft, Kind, Token
from bridge.core.globs.extglobs import open_extglob
from bridge.core.globs.pieces import (
    GLOBSTAR,
    NO_DOT_AHEAD,
    NO_DOT_SEGMENT_AHEAD,
    NOT_EMPTY,
    SLASH,
    STAR,
)


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
    if not _may_span(draft, prior):
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


def _may_span(draft: Draft, prior: Token) -> bool:
    if prior.kind in (Kind.SLASH, Kind.START, Kind.PAREN):
        return True
    return bool(draft.braces) and prior.kind in (Kind.COMMA, Kind.BRACE)


def _skip_repeats(draft: Draft) -> str:
    """Step over `/**` as long as it repeats; give what is left behind it."""
    rest = draft.rest
    while rest.startswith("/**"):
        behind = draft.peek(4)
        if behind and behind != "/":
            break
        rest = rest[3:]
        draft.at += 3
    return rest


def _in_a_path(prior: Token) -> bool:
    """Tell whether a slash stands before the stars, and something before the slash."""
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
