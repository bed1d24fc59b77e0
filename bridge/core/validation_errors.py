"""Describe malformed fields in plain words instead of pydantic's.

A rule begins with "it must be", so it can follow a field's name and a colon.
"""

from collections.abc import Container, Mapping, Sequence
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any

from bridge.core.log_text import cut

if TYPE_CHECKING:
    from pydantic import ValidationError  # processes that don't parse start without it

MOST = 3
"""The most fields to name; the others are counted."""

LONGEST = 200
"""The longest description of one field, in characters."""

LONGEST_VALUE = 60
"""The most characters of a wrong value to show."""


def shortened(value: object) -> str:
    """Return a wrong value as an error shows it: in quotes, short, control characters escaped."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = value if isinstance(value, str) else str(value)
    cut = text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
    return repr(cut) if isinstance(value, str) else cut


WHOLE, NUMBER, SWITCH = "a whole number", "a number", "true or false"

_KINDS = {
    "string_type": "a text",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "dataclass_type": "an object",
    "dict_type": "an object",
    "mapping_type": "an object",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
    "path_type": "a path",
    "int_type": WHOLE,
    "int_parsing": WHOLE,
    "int_parsing_size": "a shorter number",
    "int_from_float": WHOLE,
    "float_type": NUMBER,
    "float_parsing": NUMBER,
    "finite_number": NUMBER,
    "bool_type": SWITCH,
    "bool_parsing": SWITCH,
    "none_required": "null",
    "json_invalid": "JSON",
    "json_type": "a text that holds JSON",
    "url_type": "an address",
    "url_parsing": "an address",
    "string_unicode": "a text in UTF-8",
    "date_parsing": "a date such as 2026-01-31",
    "datetime_type": "a date and time",
    "datetime_parsing": "a date and time such as 2026-01-31T12:00:00Z",
    "union_tag_not_found": "of a known kind",
}
"""What a field must be, by the type of pydantic's error."""

_BOUNDS = {
    "less_than_equal": ("le", "be at most {}"),
    "less_than": ("lt", "be less than {}"),
    "greater_than_equal": ("ge", "be at least {}"),
    "greater_than": ("gt", "be greater than {}"),
    "string_too_short": ("min_length", "have at least {} characters"),
    "string_too_long": ("max_length", "have at most {} characters"),
    "too_short": ("min_length", "have at least {} entries"),
    "too_long": ("max_length", "have at most {} entries"),
    "multiple_of": ("multiple_of", "be a multiple of {}"),
    "url_scheme": ("expected_schemes", "begin with {}"),
    "url_too_long": ("max_length", "have at most {} characters"),
    "literal_error": ("expected", "be {}"),
    "enum": ("expected", "be {}"),
    "union_tag_invalid": ("expected_tags", "be of a known kind: {}"),
    "string_pattern_mismatch": ("pattern", "be of the form {}"),
}
"""The same for errors with a limit: the limit's key, and the words around it."""

_EMPTY: dict[type, str] = {
    str: "an empty text",
    list: "an empty list",
    tuple: "an empty list",
    dict: "{}",
}
_CAME: dict[type, str] = {str: "a text", list: "a list", tuple: "a list", dict: "an object"}

_UNKNOWN = "it is not of the form that is needed"

UNREAD = object()
"""Stands for the input if it is no longer available."""

Problem = Mapping[str, Any]


def rule(problem: Problem, forms: Mapping[str, str] | None = None) -> str:
    """Return what a field must be, e.g. "it must be a whole number", or "it is missing".

    Args:
        problem: one of `ValidationError.errors()`.
        forms: words for patterns that a text must match.
    """
    kind, about = problem["type"], problem.get("ctx") or {}
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return "it is not known here"
    if kind in _KINDS:
        return f"it must be {_KINDS[kind]}"
    if kind == "string_pattern_mismatch" and about["pattern"] in (forms or {}):
        return f"it must be {(forms or {})[about['pattern']]}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"it must {words.format(about[name])}"
    if kind in ("value_error", "assertion_error"):  # our own, so already in plain words
        return str(problem["msg"]).partition(", ")[2]
    return _UNKNOWN


def came(problem: Problem, plain: Container[str] = ()) -> str:
    """Return what came instead, e.g. "a list"; never a value that may be a secret.

    Args:
        plain: fields whose values are not secret.

    Returns:
        "" if it would add nothing: the field is missing, or the rule concerns more than its kind.
    """
    if problem["type"] in ("missing", "extra_forbidden", "json_invalid", "value_error"):
        return ""
    value = problem["input"]
    if isinstance(value, str) and value:
        if problem.get("loc") and problem["loc"][-1] in plain:
            return shortened(value)
        if problem["type"] in _BOUNDS:  # a text, but not this one
            return f"a text of {len(value)} characters"
    return kind_of(value)


def kind_of(value: object) -> str:
    """Return the kind of a value, in JSON's terms: "null", "a number", "an empty list"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return NUMBER
    kind = next((kind for kind in _CAME if isinstance(value, kind)), None)
    if kind is None:
        return "something else"
    return _CAME[kind] if value else _EMPTY[kind]


def place(path: Sequence[int | str], data: Any = UNREAD) -> str:
    """Return the path of a field, e.g. "commits[0].added".

    Args:
        data: the input. Parts of the path that it lacks are names of tried variants, which are
            omitted, unless the last part is the missing field.
    """
    if data is UNREAD:
        return ".".join(map(str, path))
    words = ""
    for at, part in enumerate(path):
        last = at == len(path) - 1
        if isinstance(data, Mapping) and (part in data or last):
            words += f".{part}" if words else str(part)
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int):
            words += f"[{part}]"
            data = data[part] if part < len(data) else None
    return words


def explained_one(
    problem: Problem,
    data: Any = UNREAD,
    forms: Mapping[str, str] | None = None,
    plain: Container[str] = (),
) -> str:
    """Return one problem in words: "commits[0].added: it must be a list, and a text came"."""
    where, must, instead = place(problem["loc"], data), rule(problem, forms), came(problem, plain)
    says_more = instead and not must.endswith(f" {instead}")  # strict tuples refuse a list, too
    words = f"{must}, and {instead} came" if says_more else must
    return cut(f"{where}: {words}" if where else words.replace("it", "the body", 1), LONGEST)


def explained(
    error: "ValidationError",
    data: Any = UNREAD,
    forms: Mapping[str, str] | None = None,
    plain: Container[str] = (),
) -> str:
    """Return the first problems in words, without any value that may be secret.

    Args:
        data: the input, to find the paths of the fields.
        forms: words for patterns that a text must match.
        plain: fields whose values are not secret.
    """
    found = error.errors(include_url=False)
    words = "; ".join(explained_one(problem, data, forms, plain) for problem in found[:MOST])
    return words + (f"; and {len(found) - MOST} more" if len(found) > MOST else "")


def unreadable(error: Exception) -> str:
    """Return why a record that the bridge itself has written can't be read."""
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, JSONDecodeError):
        return "it is not JSON"
    return "it is not of the form that this release writes"
