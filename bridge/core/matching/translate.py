"""From a glob to the regular expression that picomatch would build from it.

One pass over the pattern; a table says who handles which character. The handlers for
brackets, braces, extglobs and stars live in modules of those names.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bridge.core.matching import draft as pieces
from bridge.core.matching.draft import (
    DOT,
    GLOBSTAR,
    IN_SEGMENT,
    IN_SEGMENT_NO_DOT,
    NO_DOT_AHEAD,
    NOT_EMPTY,
    SLASH,
    STAR,
    WHOLE_PATTERNS,
    Draft,
    Kind,
    Token,
)
from bridge.core.matching.groups import (
    close_brace,
    close_bracket,
    close_extglob,
    comma,
    dot,
    inside_bracket,
    open_brace,
    open_bracket,
)
from bridge.core.matching.regex import GlobThrows, GlobUnsupported
from bridge.core.matching.stars import (
    at,
    exclamation,
    open_paren,
    pipe,
    plus,
    question,
    quote,
    slash,
    star,
    text,
)

_ANY_DIRECTORY = f"(?:{NO_DOT_AHEAD}{GLOBSTAR}{SLASH})?"

_COMMON = {
    "*": f"{NO_DOT_AHEAD}{NOT_EMPTY}{STAR}",
    ".*": f"{DOT}{NOT_EMPTY}{STAR}",
    "*.*": f"{NO_DOT_AHEAD}{STAR}{DOT}{NOT_EMPTY}{STAR}",
    "*/*": f"{NO_DOT_AHEAD}{STAR}{SLASH}{NOT_EMPTY}{NO_DOT_AHEAD}{STAR}",
    "**": f"{NO_DOT_AHEAD}{GLOBSTAR}",
    "**/*": f"{_ANY_DIRECTORY}{NO_DOT_AHEAD}{NOT_EMPTY}{STAR}",
    "**/*.*": f"{_ANY_DIRECTORY}{NO_DOT_AHEAD}{STAR}{DOT}{NOT_EMPTY}{STAR}",
    "**/.*": f"{_ANY_DIRECTORY}{DOT}{NOT_EMPTY}{STAR}",
}

# The earliest dot that only word characters follow; `.` is no newline in JavaScript.
_EXTENSION = re.compile(r"([^\n\r\u2028\u2029]*?)\.([A-Za-z0-9_]+)\Z")

_NEEDS_TOKENS = re.compile(r"\A[*!]|[/()\[\]{}\"]")
_SYMBOL_RUN = re.compile(r"(\\?)(([^A-Za-z0-9_])(\3*))")
_BACKSLASHES = re.compile(r"\\+")


def common_glob(glob: str) -> str | None:
    """Write the handful of globs that most people use, e.g. `**/*.test.ts`; else None."""
    source = _with_extensions(WHOLE_PATTERNS.get(glob, glob).removeprefix("./"))
    return None if source is None else f"{source}{SLASH}?"


def _with_extensions(glob: str) -> str | None:
    endings = []
    while glob not in _COMMON:
        found = _EXTENSION.match(glob)
        if found is None:
            return None
        glob = found[1]
        endings.append(f"{DOT}{found[2]}")
    return _COMMON[glob] + "".join(reversed(endings))


def plain_glob(glob: str) -> str | None:
    """Write a glob without slashes, groups, classes and quotes; None when it has one.

    A row of the same symbol counts as one here: `++` becomes "one or more plus signs" and
    `||` an alternative. That is how the original behaves.
    """
    if _NEEDS_TOKENS.search(glob):
        return None
    output = _SYMBOL_RUN.sub(_symbols, glob)
    if any(run[3] == "\\" for run in _SYMBOL_RUN.finditer(glob)):
        output = _BACKSLASHES.sub(lambda row: "\\" * (2 - len(row[0]) % 2), output)
    return f"^(?:{output})$"


def _symbols(run: re.Match[str]) -> str:
    escape, symbol, more = run[1], run[3], run[4]
    if symbol == "\\":
        return run[0]
    if symbol == "?":
        rest = IN_SEGMENT * len(more)
        if escape:
            return f"{escape}?{rest}"
        return (IN_SEGMENT_NO_DOT if run.start() == 0 else IN_SEGMENT) + rest
    if symbol == ".":
        return DOT * len(run[2])
    if symbol == "*":
        return f"{escape}*{STAR if more else ''}" if escape else STAR
    return run[0] if escape else f"\\{run[0]}"


# ── From a glob to the regular expression that picomatch would build from it ────────────────────

Picomatch = Literal["2.3.1", "2.3.2"]

MAX_LENGTH = 1024
MAX_NESTING = 50
JS_MAX_LENGTH = 65536


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
    """Return the regular expression for `glob` (a unit string).

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
