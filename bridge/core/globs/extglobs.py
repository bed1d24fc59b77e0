"""Extended groups: `!(a|b)`, `?(a)`, `+(a)`, `*(a)`; `@(a)` is a plain group."""

import re
from collections.abc import Callable
from typing import Literal

from bridge.core.globs.draft import Draft, Kind, OpenExtglob, Token
from bridge.core.globs.errors import GlobThrows
from bridge.core.globs.pieces import GLOBSTAR, NOT_EMPTY, STAR, escaped
from bridge.core.globs.risk import judged_risky

_OPENERS = {"!": "(?:(?!(?:", "?": "(?:", "+": "(?:", "*": "(?:"}
_CLOSERS = {"!": f")){STAR})", "?": ")?", "+": ")+", "*": ")*"}

_ONLY_CLOSERS = re.compile(r"\)+")
_EXTENSION = re.compile(r"\.[^\\/.]+")


def open_extglob(draft: Draft, kind: Kind, sign: str) -> None:
    """Handle a sign and the `(` behind it."""
    extglob = OpenExtglob(
        sign=sign,
        before=draft.last,
        parens=draft.parens,
        output=draft.output,
        at=draft.at,
        token_at=len(draft.tokens),
    )
    draft.parens += 1
    draft.enter(Kind.PAREN)
    draft.push(Token(kind, sign, "" if draft.output else NOT_EMPTY))
    draft.push(Token(Kind.PAREN, draft.take(), _OPENERS[sign], in_extglob=True))
    draft.extglobs.append(extglob)


def close_extglob(
    draft: Draft,
    extglob: OpenExtglob,
    version: Literal["2.3.1", "2.3.2"],
    whole: str,
    inner_output: Callable[[str], str],
) -> None:
    """Handle the `)` of `extglob`.

    Args:
        whole: the pattern as given, for errors.
        inner_output: translates a piece of pattern on its own.
    """
    if version == "2.3.2" and extglob.sign in "+*" and _defused(draft, extglob, whole):
        return
    output = _CLOSERS[extglob.sign]
    if extglob.sign == "!":
        output = _negation_end(draft, extglob, inner_output)
        if extglob.before.kind is Kind.START:
            draft.negated_extglob = True
    _close(draft, output)


def _close(draft: Draft, output: str) -> None:
    draft.push(Token(Kind.PAREN, ")", output, in_extglob=True))
    draft.parens -= 1
    draft.leave()


def _negation_end(draft: Draft, extglob: OpenExtglob, inner_output: Callable[[str], str]) -> str:
    """Write what follows the forbidden alternatives: how far the rest may reach."""
    reach = GLOBSTAR if len(extglob.inner) > 1 and "/" in extglob.inner else STAR
    rest = draft.rest
    output = _CLOSERS["!"]
    if reach != STAR or draft.at_end or _ONLY_CLOSERS.fullmatch(rest):
        output = f")$)){reach}"
    if "*" in extglob.inner and _EXTENSION.fullmatch(rest):
        # `!(*.d).ts`: the extension belongs to what is forbidden.
        output = f"){inner_output(rest)}){reach})"
    return output


def _defused(draft: Draft, extglob: OpenExtglob, whole: str) -> bool:
    """Apply picomatch 2.3.2's guard: a risky repetition is read literally, or simplified."""
    body = draft.text[extglob.at + 2 : draft.at]
    risky, simplified = judged_risky(body)
    if not risky:
        return False
    if extglob.token_at >= len(draft.tokens):
        # A range inside took the tokens away that the guard wants to change.
        raise GlobThrows(whole, "micromatch throws at this mix of braces and repetition")
    literal = draft.text[extglob.at : draft.at + 1]
    opener = draft.tokens[extglob.token_at]
    opener.kind = Kind.TEXT
    opener.value = literal
    if simplified:
        opener.output = ("" if extglob.output else NOT_EMPTY) + simplified
    else:
        opener.output = escaped(literal)
    for token in draft.tokens[extglob.token_at + 1 :]:
        token.value = token.output = ""
    draft.output = extglob.output + opener.output
    draft.rewrite = True
    _close(draft, "")
    return True
