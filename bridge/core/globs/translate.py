"""From a glob to the regular expression that picomatch would build from it.

One pass over the pattern; a table says who handles which character. The handlers for
brackets, braces, extglobs and stars live in modules of those names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bridge.core.globs import pieces
from bridge.core.globs.braces import close_brace, comma, dot, open_brace
from bridge.core.globs.brackets import close_bracket, inside_bracket, open_bracket
from bridge.core.globs.draft import Draft, Kind, Token
from bridge.core.globs.errors import GlobThrows, GlobUnsupported
from bridge.core.globs.extglobs import close_extglob
from bridge.core.globs.marks import (
    at,
    exclamation,
    open_paren,
    pipe,
    plus,
    question,
    quote,
    slash,
    text,
)
from bridge.core.globs.shortcuts import common_glob, plain_glob
from bridge.core.globs.stars import star

Picomatch = Literal["2.3.1", "2.3.2"]

MAX_LENGTH = 1024
MAX_NESTING = 50
JS_MAX_LENGTH = 65536

_BACKSLASHES = re.compile(r"\\+")


@dataclass(frozen=True, slots=True)
class Translation:
    """What picomatch makes of a glob.

    Attributes:
        source: of the JavaScript regular expression, anchors and negation included.
        negated: `!glob`.
        excludes: `!glob` or `!(glob)…`: what a list takes as an exclusion.
    """

    source: str
    negated: bool
    excludes: bool


def translate(
    glob: str, version: Picomatch = "2.3.1", *, written: str | None = None
) -> Translation:
    """Write the regular expression that stands for `glob` (a unit string).

    Args:
        written: the pattern as its owner wrote it, for errors.
    Raises:
        GlobThrows: where picomatch throws.
        GlobUnsupported: longer or deeper than we allow, or picomatch never comes back.
    """
    whole = glob if written is None else written
    _refuse_impossible(glob, whole, version)
    if glob[0] in ".*" and (source := common_glob(glob)) is not None:
        return Translation(f"^(?:{source})$", negated=False, excludes=False)
    draft = _drafted(glob, whole, version, shortcut=True)
    source = f"^(?:{draft.output})$"
    if draft.negated:
        source = f"^(?!{source}).*$"
    return Translation(source, draft.negated, draft.negated or draft.negated_extglob)


def _refuse_impossible(glob: str, whole: str, version: Picomatch) -> None:
    if not glob:
        raise GlobThrows(whole, "it is empty, and an empty pattern throws in micromatch")
    if len(glob) > JS_MAX_LENGTH:
        why = f"it is longer than {JS_MAX_LENGTH} characters, which throws in micromatch"
        raise GlobThrows(whole, why, javascript="SyntaxError")
    if len(glob) > MAX_LENGTH:
        why = f"it is longer than {MAX_LENGTH} characters"
        raise GlobUnsupported(whole, why, code="too_long")
    if version == "2.3.1" and glob in pieces.INHERITED:
        raise GlobThrows(whole, "micromatch throws at this word; write it as `./word`")


def _drafted(glob: str, whole: str, version: Picomatch, *, shortcut: bool) -> Draft:
    body = pieces.WHOLE_PATTERNS.get(glob, glob).removeprefix("./")
    draft = Draft(body)
    if shortcut and (source := plain_glob(body)) is not None:
        draft.output = source
        return draft
    while not draft.at_end:
        if draft.at >= len(body):
            raise GlobUnsupported(whole, "picomatch never comes back from it", code="freezes")
        if draft.parens + len(draft.braces) > MAX_NESTING:
            why = f"it is nested more than {MAX_NESTING} deep"
            raise GlobUnsupported(whole, why, code="too_deep")
        _step(draft, whole, version)
    return _finished(draft)


def _step(draft: Draft, whole: str, version: Picomatch) -> None:
    """Handle the next character, or the next few."""
    char = draft.take()
    if char == "\0":
        return
    if char == "\\":
        char = _escape(draft)
        if not char:
            return
    if inside_bracket(draft, char, version):
        return
    if draft.quoted and char != '"':
        draft.extend_last(pieces.escaped(char))
    elif char == ")":
        _close_paren(draft, whole, version)
    else:
        _HANDLERS.get(char, text)(draft, char)


def _escape(draft: Draft) -> str:
    """Handle a backslash; give what a class has to take, or nothing when it is done."""
    follower = draft.peek()
    if follower and follower in "/.;":
        return ""
    if not follower:
        draft.push(Token(Kind.TEXT, "\\\\"))
        return ""
    taken = "\\"
    row = _BACKSLASHES.match(draft.text, draft.at + 1)
    if row and len(row[0]) > 2:
        draft.at += len(row[0])
        taken += "\\" * (len(row[0]) % 2)
    taken += draft.take()
    if draft.brackets:
        return taken
    draft.push(Token(Kind.TEXT, taken))
    return ""


def _close_paren(draft: Draft, whole: str, version: Picomatch) -> None:
    """Handle `)`."""
    if draft.extglobs and draft.parens == draft.extglobs[-1].parens + 1:

        def inner_output(rest: str) -> str:
            return _drafted(rest, whole, version, shortcut=False).output

        close_extglob(draft, draft.extglobs.pop(), version, whole, inner_output)
        return
    draft.push(Token(Kind.PAREN, ")", ")" if draft.parens else r"\)"))
    draft.parens -= 1
    draft.leave()


_HANDLERS: dict[str, Callable[[Draft, str], None]] = {
    '"': quote,
    "(": open_paren,
    "[": open_bracket,
    "]": close_bracket,
    "{": open_brace,
    "}": close_brace,
    "|": pipe,
    ",": comma,
    "/": slash,
    ".": dot,
    "?": question,
    "!": exclamation,
    "+": plus,
    "@": at,
    "*": star,
}


def _finished(draft: Draft) -> Draft:
    """Make what was never closed literal, allow a slash at the end, read the tokens out."""
    for count, opener in ((draft.brackets, "["), (draft.parens, "("), (len(draft.braces), "{")):
        for _ in range(count):
            draft.output = _escape_last(draft.output, opener)
    if draft.last.kind in (Kind.STAR, Kind.BRACKET):
        draft.push(Token(Kind.TAIL, "", f"{pieces.SLASH}?"))
    if draft.rewrite:
        draft.output = draft.read_out()
    return draft


def _escape_last(source: str, opener: str) -> str:
    place = source.rfind(opener)
    while place > 0 and source[place - 1] == "\\":
        place = source.rfind(opener, 0, place)
    return source if place < 0 else f"{source[:place]}\\{source[place:]}"
