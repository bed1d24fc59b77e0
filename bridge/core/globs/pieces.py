"""The fragments of regular expression that picomatch writes, by meaning.

Which fragment stands for which glob is picomatch's choice (MIT licence, versions 2.3.1
and 2.3.2); how we put them together is ours.
"""

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
    """Write `text` so that it stands for itself; backslash and slash are left alone."""
    return "".join(f"\\{char}" if char in _MUST_ESCAPE else char for char in text)


def has_special(text: str) -> bool:
    """Tell whether `text` has a character that means something in a regular expression."""
    return not _MUST_ESCAPE.isdisjoint(text)
