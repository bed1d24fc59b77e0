"""picomatch 2.3.2's opinion on which repeated groups are dangerous.

It judges by the text of the group, so it is neither complete nor always right; it only
matters here because it changes what such a pattern means.
"""

import re
from collections.abc import Iterator

from bridge.core.globs.pieces import escaped
from bridge.core.globs.units import JS_SPACES

_WRAPPED = re.compile(r"@\(([^\\()\[\]{}|]+)\)")
_ESCAPED = re.compile(r"\\([^\n\r\u2028\u2029])")
_ONLY_WILD = re.compile(r"[*?]+")
_SPECIAL = frozenset("?*+@!()[]{}")


def judged_risky(body: str) -> tuple[bool, str | None]:
    """Tell whether repeating `body` counts as risky, and its harmless form if there is one."""
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
    """Give each character (escapes as two) and how many groups and classes are open."""
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
    """Give the text that a branch without wildcards stands for; None if it has some."""
    value = branch.strip(JS_SPACES)
    while wrapped := _WRAPPED.fullmatch(value):
        value = wrapped[1]
    if not _SPECIAL.isdisjoint(re.sub(r"(?s)\\.?", "", value)):
        return None
    return _ESCAPED.sub(r"\1", value)


def _repeat_each_other(branches: list[str]) -> bool:
    """Tell whether two branches are rows of one and the same character: `a|aa`."""
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
