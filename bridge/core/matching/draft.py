"""A regular expression while it is being written, token by token.

The output exists twice, as picomatch keeps it: as text that grows with every token, and
in the tokens. Most patterns end with the text; after a change of mind about an earlier
token (`rewrite`) the tokens are read out again. The two can differ, and the differences
are behaviour, so both are kept.
"""

from dataclasses import dataclass, field
from enum import StrEnum

DOT = r"\."
SLASH = r"\/"
PLUS = r"\+"
NOT_EMPTY = "(?=.)"
IN_SEGMENT = "[^/]"
IN_SEGMENT_NO_DOT = rf"[^.{SLASH}]"
SEGMENT_END = f"(?:{SLASH}|$)"
NO_DOT_AHEAD = f"(?!{DOT})"
NO_DOT_SEGMENT_AHEAD = f"(?!{DOT}{{0,1}}{SEGMENT_END})"
STAR = f"{IN_SEGMENT}*?"
GLOBSTAR = f"(?:(?:(?!(?:^|{SLASH}){DOT}).)*?)"

# `[:name:]` inside a class.
POSIX_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "ascii": r"\x00-\x7F",
    "blank": r" \t",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": r"\x21-\x7E",
    "lower": "a-z",
    "print": r"\x20-\x7E ",
    "punct": r"""\-!"#$%&'()\*+,./:;<=>?@[\]^_`{|}~""",
    "space": r" \t\r\n\v\f",
    "upper": "A-Z",
    "word": "A-Za-z0-9_",
    "xdigit": "A-Fa-f0-9",
}

# Patterns that picomatch replaces as a whole before it looks at them.
WHOLE_PATTERNS = {"***": "*", "**/**": "**", "**/**/**": "**"}

# picomatch 2.3.1 looks patterns and class names up in plain objects, so names that every
# JavaScript object inherits are "found": as a pattern they throw, as a class name their
# source text becomes part of the class. 2.3.2 has closed that door.
INHERITED = {
    "constructor": "function Object() { [native code] }",
    "__proto__": "[object Object]",
} | {
    name: f"function {name}() {{ [native code] }}"
    for name in (
        "__defineGetter__",
        "__defineSetter__",
        "__lookupGetter__",
        "__lookupSetter__",
        "hasOwnProperty",
        "isPrototypeOf",
        "propertyIsEnumerable",
        "toLocaleString",
        "toString",
        "valueOf",
    )
}

_MUST_ESCAPE = frozenset("-*+?.^${}(|)[]")


def escaped(text: str) -> str:
    """Escape `text` so that it is literal; leave backslash and slash alone."""
    return "".join(f"\\{char}" if char in _MUST_ESCAPE else char for char in text)


def has_special(text: str) -> bool:
    """Return whether `text` has a character that means something in a regular expression."""
    return not _MUST_ESCAPE.isdisjoint(text)


# ── A regular expression while it is being written, token by token ──────────────────────────────


class Kind(StrEnum):
    """What a token is; picomatch's decisions look back at the kinds before."""

    START = "start"
    TEXT = "text"
    SLASH = "slash"
    DOT = "dot"
    DOTS = "dots"  # the `..` of a range
    STAR = "star"
    GLOBSTAR = "globstar"
    ANY = "any"  # `?`
    PLUS = "plus"
    COMMA = "comma"
    BRACE = "brace"
    BRACKET = "bracket"
    PAREN = "paren"
    EXTGLOB = "extglob"  # the sign before the parenthesis
    AT = "at"
    TAIL = "tail"  # the optional slash at the end


@dataclass(slots=True, eq=False)
class Token:
    """One piece of the pattern and what is written for it.

    Attributes:
        output: None means "as in the pattern", which is not the same as empty.
        before: the token that was last when this one came, even if since dropped.
        in_extglob: an extglob's sign or parenthesis.
        run: a third or later star of a row has been swallowed.
        posix: a class that holds a `[:` so far.
    """

    kind: Kind
    value: str
    output: str | None = None
    before: "Token | None" = None
    in_extglob: bool = False
    run: bool = False
    posix: bool = False

    @property
    def written(self) -> str:
        return self.value if self.output is None else self.output


@dataclass(slots=True, eq=False)
class OpenBrace:
    """A `{` without its `}` yet: its position, and what was seen inside."""

    token: Token
    output_at: int
    token_at: int
    has_comma: bool = False
    has_range: bool = False


@dataclass(slots=True, eq=False)
class OpenExtglob:
    """An extglob that waits for its `)`.

    Attributes:
        sign: one of `!?+*`; `@(` is a plain group to picomatch.
        parens: how many parentheses were open around it.
        output: everything written before it.
        inner: the values of the tokens inside, without its own parentheses.
        at: index of the sign in the pattern; `token_at` of its token.
    """

    sign: str
    before: Token
    parens: int
    output: str
    at: int
    token_at: int
    inner: str = ""


@dataclass(slots=True, eq=False)
class Draft:
    """All that is known at one moment of the translation."""

    text: str
    at: int = -1
    start: int = 0
    output: str = ""
    negated: bool = False
    negated_extglob: bool = False
    rewrite: bool = False
    quoted: bool = False
    brackets: int = 0
    parens: int = 0
    braces: list[OpenBrace] = field(default_factory=list)
    extglobs: list[OpenExtglob] = field(default_factory=list)
    nesting: list[Kind] = field(default_factory=list)
    first: Token = field(default_factory=lambda: Token(Kind.START, "", ""))
    tokens: list[Token] = field(default_factory=list)
    last: Token = field(init=False)

    def __post_init__(self) -> None:
        self.tokens.append(self.first)
        self.last = self.first

    def peek(self, ahead: int = 1) -> str:
        """Return a later character; empty after the end."""
        place = self.at + ahead
        return self.text[place] if place < len(self.text) else ""

    def take(self) -> str:
        """Step to the next character and return it; empty after the end."""
        self.at += 1
        return self.text[self.at] if self.at < len(self.text) else ""

    @property
    def rest(self) -> str:
        return self.text[self.at + 1 :]

    @property
    def at_end(self) -> bool:
        return self.at == len(self.text) - 1

    def enter(self, kind: Kind) -> None:
        self.nesting.append(kind)

    def leave(self) -> None:
        # Unbalanced closers leave what they never entered; picomatch lets them.
        if self.nesting:
            self.nesting.pop()

    def extend_last(self, text: str) -> None:
        """Add to the newest token and to the output."""
        self.last.value += text
        self.output += text

    def cut(self, length: int) -> None:
        """Take the newest `length` characters off the output, as `slice(0, -length)` does."""
        self.output = self.output[:-length] if length else ""

    def push(self, token: Token) -> None:
        """Add a token: settle the globstar before it, then write it."""
        self._settle_globstar(token)
        if self.extglobs and token.kind is not Kind.PAREN:
            self.extglobs[-1].inner += token.value
        self.output += token.written
        if self.last.kind is Kind.TEXT and token.kind is Kind.TEXT:
            # The text's own output is dropped in favour of its value: only seen on rewrite.
            self.last.value += token.value
            self.last.output = (self.last.output or "") + token.value
            return
        token.before = self.last
        self.tokens.append(token)
        self.last = token

    def _settle_globstar(self, token: Token) -> None:
        """Make `**` a plain star when what follows it ends no segment."""
        last = self.last
        if last.kind is not Kind.GLOBSTAR or token.kind in (Kind.SLASH, Kind.PAREN):
            return
        if token.in_extglob or (self.braces and token.kind in (Kind.COMMA, Kind.BRACE)):
            return
        self.cut(len(last.written))
        last.kind, last.value, last.output = Kind.STAR, "*", STAR
        self.output += STAR

    def read_out(self) -> str:
        return "".join(token.written for token in self.tokens)
