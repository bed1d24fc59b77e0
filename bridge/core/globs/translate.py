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
from bridge.core.globs.extglobs import close_extglob, open_extglob
from bridge.core.globs.shortcuts import common_glob, plain_glob
from bridge.core.globs.stars import star

Picomatch = Literal["2.3.1", "2.3.2"]

MAX_LENGTH = 1024
MAX_NESTING = 50
JS_MAX_LENGTH = 65536

_PLAIN_RUN = re.compile(r"[^@!\[\].,$*+?^{}()|\\/]+")
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


def translate(glob: str, version: Picomatch = "2.3.1") -> Translation:
    """Write the regular expression that stands for `glob` (a unit string).

    Raises:
        GlobThrows: where picomatch throws.
        GlobUnsupported: longer or deeper than we allow, or picomatch never comes back.
    """
    _refuse_impossible(glob, version)
    if glob[0] in ".*" and (source := common_glob(glob)) is not None:
        return Translation(f"^(?:{source})$", negated=False, excludes=False)
    draft = _drafted(glob, glob, version, shortcut=True)
    source = f"^(?:{draft.output})$"
    if draft.negated:
        source = f"^(?!{source}).*$"
    return Translation(source, draft.negated, draft.negated or draft.negated_extglob)


def _refuse_impossible(glob: str, version: Picomatch) -> None:
    if not glob:
        raise GlobThrows(glob, "it is empty, and an empty pattern throws in micromatch")
    if len(glob) > JS_MAX_LENGTH:
        why = f"it is longer than {JS_MAX_LENGTH} characters, which throws in micromatch"
        raise GlobThrows(glob, why, javascript="SyntaxError")
    if len(glob) > MAX_LENGTH:
        why = f"it is longer than {MAX_LENGTH} characters"
        raise GlobUnsupported(glob, why, code="too_long")
    if version == "2.3.1" and glob in pieces.INHERITED:
        raise GlobThrows(glob, "micromatch throws at this word; write it as `./word`")


def _drafted(glob: str, whole: str, version: Picomatch, *, shortcut: bool) -> Draft:
    text = pieces.WHOLE_PATTERNS.get(glob, glob).removeprefix("./")
    draft = Draft(text)
    if shortcut and (source := plain_glob(text)) is not None:
        draft.output = source
        return draft
    while not draft.at_end:
        if draft.at >= len(text):
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
        close_extglob_or_group(draft, whole, version)
    else:
        _HANDLERS.get(char, _text)(draft, char)


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


def close_extglob_or_group(draft: Draft, whole: str, version: Picomatch) -> None:
    """Handle `)`."""
    if draft.extglobs and draft.parens == draft.extglobs[-1].parens + 1:

        def inner_output(rest: str) -> str:
            return _drafted(rest, whole, version, shortcut=False).output

        close_extglob(draft, draft.extglobs.pop(), version, whole, inner_output)
        return
    draft.push(Token(Kind.PAREN, ")", ")" if draft.parens else r"\)"))
    draft.parens -= 1
    draft.leave()


def _quote(draft: Draft, _char: str) -> None:
    draft.quoted = not draft.quoted


def _open_paren(draft: Draft, char: str) -> None:
    draft.parens += 1
    draft.enter(Kind.PAREN)
    draft.push(Token(Kind.PAREN, char))


def _pipe(draft: Draft, char: str) -> None:
    draft.push(Token(Kind.TEXT, char))


def _slash(draft: Draft, char: str) -> None:
    if draft.last.kind is Kind.DOT and draft.at == draft.start + 1:
        # A leading `./` (behind `!`, say) is forgotten, as is all that was written for it.
        draft.start = draft.at + 1
        draft.output = ""
        draft.tokens.pop()
        draft.last = draft.first
        return
    draft.push(Token(Kind.SLASH, char, pieces.SLASH))


def _question(draft: Draft, char: str) -> None:
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


def _exclamation(draft: Draft, char: str) -> None:
    follower = draft.peek(3)
    if draft.peek() == "(" and (draft.peek(2) != "?" or not follower or follower not in "!=<:"):
        open_extglob(draft, Kind.EXTGLOB, char)
    elif draft.at == 0:
        _negate(draft)
    else:
        _text(draft, char)


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


def _plus(draft: Draft, char: str) -> None:
    last = draft.last
    if draft.peek() == "(" and draft.peek(2) != "?":
        open_extglob(draft, Kind.EXTGLOB, char)
    elif last.value == "(":
        draft.push(Token(Kind.PLUS, char, pieces.PLUS))
    elif last.kind in (Kind.BRACKET, Kind.PAREN, Kind.BRACE) or draft.parens > 0:
        draft.push(Token(Kind.PLUS, char))
    else:
        draft.push(Token(Kind.PLUS, pieces.PLUS))


def _at(draft: Draft, char: str) -> None:
    if draft.peek() == "(" and draft.peek(2) != "?":
        draft.push(Token(Kind.AT, char, "", in_extglob=True))
    else:
        draft.push(Token(Kind.TEXT, char))


def _text(draft: Draft, char: str) -> None:
    value = f"\\{char}" if char in ("$", "^") else char
    if run := _PLAIN_RUN.match(draft.text, draft.at + 1):
        value += run[0]
        draft.at += len(run[0])
    draft.push(Token(Kind.TEXT, value))


def _star_or_extglob(draft: Draft, _char: str) -> None:
    star(draft)


_HANDLERS: dict[str, Callable[[Draft, str], None]] = {
    '"': _quote,
    "(": _open_paren,
    "[": open_bracket,
    "]": close_bracket,
    "{": open_brace,
    "}": close_brace,
    "|": _pipe,
    ",": comma,
    "/": _slash,
    ".": dot,
    "?": _question,
    "!": _exclamation,
    "+": _plus,
    "@": _at,
    "*": _star_or_extglob,
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


def _escape_last(text: str, opener: str) -> str:
    place = text.rfind(opener)
    while place > 0 and text[place - 1] == "\\":
        place = text.rfind(opener, 0, place)
    return text if place < 0 else f"{text[:place]}\\{text[place:]}"
