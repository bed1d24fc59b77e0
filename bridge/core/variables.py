"""Read and edit variables as people write them: lines of KEY=VALUE.

Dokploy's dotenv and the embedded backend read the result alike. Comments, order and spelling of all
other lines stay as they are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from bridge.core.errors import Rejected

_KEY = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
_OF_SHELLS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUOTES = ("'", '"', "`")
_QUOTED = re.compile(r"""('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|`(?:\\`|[^`])*`)[ \t]*(?:\#[^\n]*)?""")

_REFERENCE = re.compile(r"\$\{\{\s*(?:(project|environment)\.)?([A-Za-z0-9_.][\w.-]*)\s*\}\}")


def variables_in(text: str | None) -> dict[str, str]:
    """Return the variables of a text with their values, without quotes; later ones win."""
    return {key: value_of(raw) for key, raw in statements(text) if key}


def value_of(raw: str) -> str:
    """Return the value of an assignment, without quotes and trailing comment."""
    return _unquoted(written_value(raw))


def written_value(raw: str) -> str:
    """Return the value of an assignment as written, without a trailing comment.

    As in Dokploy's dotenv, a value without quotes ends at the first #.
    """
    value = raw.partition("=")[2].strip()
    if quoted := _QUOTED.fullmatch(value):
        return quoted[1]
    return value.partition("#")[0].rstrip()


def resolve(
    variables: Mapping[str, str], *, project: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Replace `${{project.KEY}}`, `${{environment.KEY}}` and `${{KEY}}` by their values.

    A reference to an unknown variable stays as it is. Values are not resolved again.
    """
    scopes = {"project": project, "environment": environment, None: variables}

    def value_of(match: re.Match[str]) -> str:
        return scopes[match[1]].get(match[2], match[0])

    return {key: _REFERENCE.sub(value_of, value) for key, value in variables.items()}


def assignments_in(text: str | None) -> dict[str, str]:
    """Return the variables of a text, each as written: `KEY=VALUE`, quotes included."""
    return {key: raw for key, raw in statements(text) if key}


def key_of(name: str) -> str:
    """Return the name; raise Rejected if no variable can have it.

    The rule is Dokploy's dotenv's, except for names that tools would take for options.
    """
    if not _KEY.fullmatch(name):
        raise Rejected(
            f"{name[:40]!r} can't be a variable's name: use letters, digits, _, . and -, and do"
            " not begin with -"
        )
    return name


def hidden_from_shells(names: Iterable[str]) -> list[str]:
    """Return the names that no shell accepts, although programs can read them."""
    return [name for name in names if not _OF_SHELLS.fullmatch(name)]


def assignment(key: str, value: str) -> str:
    """Write a variable, in quotes if it needs them; raise Rejected."""
    key_of(key)
    if "\0" in value:
        raise Rejected(f"the value of {key} contains a zero byte, which no environment can hold")
    plain = value == value.strip() and not re.search(r"[#\r\n]", value)
    if plain and not value.startswith(_QUOTES):
        return f"{key}={value}"
    if not re.search(r"['\r\n]", value):
        return f"{key}='{value}'"
    if not re.search(r'["\\]', value):
        escaped = value.replace("\r", "\\r").replace("\n", "\\n")
        return f'{key}="{escaped}"'
    raise Rejected(
        f"the value of {key} can't be quoted for every reader: it contains a line"
        " break or ' beside \" or \\; write it on one line and without '"
    )


def edited(text: str | None, changes: Mapping[str, str | None]) -> str | None:
    """Return a text with some variables set to their assignments, or removed if None.

    A variable that occurs several times keeps its last place, the one that counts. Return None
    if nothing is left.
    """
    if not changes:
        return text
    found = list(statements(text))
    last = {key: place for place, (key, _) in enumerate(found)}
    lines = []
    for place, (key, raw) in enumerate(found):
        if key is None or key not in changes:
            lines.append(raw)
        elif (new := changes[key]) is not None and last[key] == place:
            lines.append(new)
    while lines and not lines[-1]:
        lines.pop()
    lines += [new for key, new in changes.items() if new is not None and key not in last]
    return "\n".join(lines) or None


def statements(text: str | None) -> Iterator[tuple[str | None, str]]:
    """Yield every statement as key and text; the key is None if it assigns nothing."""
    lines = (text or "").split("\n")
    place = 0
    while place < len(lines):
        key = _key(lines[place])
        end = place + (_length(lines[place:]) if key else 1)
        yield key, "\n".join(lines[place:end])
        place = end


def _key(line: str) -> str | None:
    name, equals, _ = line.strip().removeprefix("export ").partition("=")
    return name.strip() if equals and _KEY.fullmatch(name.strip()) else None


def _length(lines: list[str]) -> int:
    """Return how many lines an assignment takes: a quoted value may span several."""
    value = lines[0].partition("=")[2].strip()
    if not value.startswith(_QUOTES):
        return 1
    quote = value[0]
    closed = re.compile(rf"(?<!\\)(?:\\\\)*{quote}")
    if closed.search(value[1:]):
        return 1
    for count, line in enumerate(lines[1:], start=2):
        if closed.search(line):
            return count
    return 1  # never closed, so the quote is part of the value


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] not in _QUOTES or value[-1] != value[0]:
        return value
    inner = value[1:-1]
    return inner.replace("\\n", "\n").replace("\\r", "\r") if value[0] == '"' else inner


def lines_besides(text: str | None) -> str:
    """Return the non-empty lines of a text that assign nothing, such as comments."""
    return "\n".join(raw for key, raw in statements(text) if key is None and raw.strip())
