"""Braces, `{a,b}` and `{1..3}`, and the dots and commas that mean something in them."""

from bridge.core.globs.dialect import is_valid
from bridge.core.globs.draft import Draft, Kind, OpenBrace, Token
from bridge.core.globs.pieces import DOT, escaped


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
