"""Character classes: `[a-z]`, `[^a]`, `[[:alpha:]]`."""

import re
from collections.abc import Callable, Iterator
from typing import Literal

from bridge.core.matching.draft import (
    DOT,
    GLOBSTAR,
    INHERITED,
    NOT_EMPTY,
    POSIX_CLASSES,
    STAR,
    Draft,
    Kind,
    OpenBrace,
    OpenExtglob,
    Token,
    escaped,
    has_special,
)
from bridge.core.matching.regex import JS_SPACES, GlobThrows
from bridge.core.matching.regex_parser import is_valid


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


# ── Braces, `{a,b}` and `{1..3}`, and the dots and commas that mean something in them ───────────


def open_brace(draft: Draft, char: str) -> None:
    """Handle `{`."""
    draft.enter(Kind.BRACE)
    token = Token(Kind.BRACE, char, "(")
    draft.braces.append(OpenBrace(token, len(draft.output), len(draft.tokens)))
    draft.push(token)


def close_brace(draft: Draft, char: str) -> None:
    """Handle `}`: an alternative, a range, or literal braces when it was neither."""
    if not draft.braces:
        draft.push(Token(Kind.TEXT, char, char))
        return
    brace = draft.braces[-1]
    output = ")"
    if brace.has_range:
        output = _range(draft)
        draft.rewrite = True
    elif not brace.has_comma:
        brace.token.value = brace.token.output = r"\{"
        char = output = r"\}"
        inside = draft.tokens[brace.token_at :]
        draft.output = draft.output[: brace.output_at]
        draft.output += "".join(token.output or token.value for token in inside)
    draft.push(Token(Kind.BRACE, char, output))
    draft.leave()
    draft.braces.pop()


def _range(draft: Draft) -> str:
    """Take the tokens of a range back and write it as a class.

    The ends are sorted as text, so `{10..2}` is `[10-2]`: 1 or 0 to 2, not ten to two.
    """
    ends: list[str] = []
    while draft.tokens:
        token = draft.tokens.pop()
        if token.kind is Kind.BRACE:
            break
        if token.kind is not Kind.DOTS:
            ends.append(token.value)
    ends.sort()
    as_class = f"[{'-'.join(ends)}]"
    return as_class if is_valid(as_class) else "..".join(map(escaped, ends))


def comma(draft: Draft, char: str) -> None:
    """Handle `,`: between alternatives where a brace is what was opened last."""
    output = char
    if draft.braces and draft.nesting and draft.nesting[-1] is Kind.BRACE:
        draft.braces[-1].has_comma = True
        output = "|"
    draft.push(Token(Kind.COMMA, char, output))


def dot(draft: Draft, char: str) -> None:
    """Handle `.`."""
    last = draft.last
    if draft.braces and last.kind is Kind.DOT:
        last.output = (DOT if last.value == "." else last.written) + char
        last.value += char
        last.kind = Kind.DOTS
        draft.braces[-1].has_range = True
        return
    mid_segment = last.kind not in (Kind.START, Kind.SLASH)
    if len(draft.braces) + draft.parens == 0 and mid_segment:
        draft.push(Token(Kind.TEXT, char, DOT))
    else:
        draft.push(Token(Kind.DOT, char, DOT))


# ── picomatch 2.3.2's opinion on which repeated groups are dangerous ────────────────────────────

_WRAPPED = re.compile(r"@\(([^\\()\[\]{}|]+)\)")
_ESCAPED = re.compile(r"\\([^\n\r\u2028\u2029])")
_ONLY_WILD = re.compile(r"[*?]+")
_SPECIAL = frozenset("?*+@!()[]{}")


def judged_risky(body: str) -> tuple[bool, str | None]:
    """Return whether repeating `body` counts as risky, and its harmless form if there is one."""
    branches = _branches(body)
    if len(branches) > 1 and (
        any(not branch or _ONLY_WILD.fullmatch(branch) for branch in branches)
        or _repeat_each_other(branches)
    ):
        return True, None
    for branch in branches:
        if simplified := _row_of_stars(branch):
            return True, simplified
        if _repetition(branch, whole=True):
            return True, None
    return False, None


def _branches(body: str) -> list[str]:
    """Split at the `|` that are in no group, class or quotes."""
    parts = [""]
    for char, depth in _walk(body):
        if char == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip(JS_SPACES) for part in parts]


def _walk(text: str) -> Iterator[tuple[str, int]]:
    """Return each character (escapes as two) and how many groups and classes are open."""
    brackets = parens = 0
    quoted = escape = False
    for char in text:
        if escape:
            escape = False
            yield char, -1
            continue
        depth = brackets + parens + quoted
        if char == "\\":
            escape = True
            depth = -1
        elif char == '"':
            quoted = not quoted
        elif not quoted:
            if char == "[":
                brackets += 1
            elif char == "]" and brackets:
                brackets -= 1
            elif not brackets and char == "(":
                parens += 1
            elif not brackets and char == ")" and parens:
                parens -= 1
        yield char, depth


def _plain(branch: str) -> str | None:
    """Return the text that a branch without wildcards matches; None if it has wildcards."""
    value = branch.strip(JS_SPACES)
    while wrapped := _WRAPPED.fullmatch(value):
        value = wrapped[1]
    if not _SPECIAL.isdisjoint(re.sub(r"(?s)\\.?", "", value)):
        return None
    return _ESCAPED.sub(r"\1", value)


def _repeat_each_other(branches: list[str]) -> bool:
    """Return whether two branches are rows of one and the same character: `a|aa`."""
    seen: set[str] = set()
    for branch in branches:
        value = _plain(branch)
        if not value or value != value[0] * len(value):
            continue
        if value[0] in seen:
            return True
        seen.add(value[0])
    return False


def _repetition(text: str, *, whole: bool) -> tuple[str, str, int] | None:
    """Read `+(…)` or `*(…)` at the start of `text`: its sign, body and end.

    Args:
        whole: nothing may follow it.
    """
    if text[:1] not in ("+", "*") or text[1:2] != "(":
        return None
    for place, (char, depth) in enumerate(_walk(text[1:]), start=1):
        if char == ")" and depth == 1:
            return None if whole and place != len(text) - 1 else (text[0], text[2:place], place)
    return None


def _row_of_stars(branch: str) -> str | None:
    """Simplify `*(a)*(b)` to `[ab]*`; None if it is no such row."""
    chars: list[str] = []
    place = 0
    while place < len(branch):
        found = _repetition(branch[place:], whole=False)
        if found is None or found[0] != "*":
            return None
        parts = _branches(found[1])
        char = _plain(parts[0])
        if len(parts) != 1 or char is None or len(char) != 1:
            return None
        chars.append(char)
        place += found[2] + 1
    if not chars:
        return None
    source = escaped(chars[0]) if len(chars) == 1 else f"[{''.join(map(escaped, chars))}]"
    return f"{source}*"


# ── Extended groups: `!(a|b)`, `?(a)`, `+(a)`, `*(a)`; `@(a)` is a plain group ──────────────────

_OPENERS = {"!": "(?:(?!(?:", "?": "(?:", "+": "(?:", "*": "(?:"}
_CLOSERS = {"!": f")){STAR})", "?": ")?", "+": ")+", "*": ")*"}

_ONLY_CLOSERS = re.compile(r"\)+")
_EXTENSION = re.compile(r"\.[^\\/.]+")


def open_extglob(draft: Draft, kind: Kind, sign: str) -> None:
    """Handle a sign and the `(` after it."""
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
