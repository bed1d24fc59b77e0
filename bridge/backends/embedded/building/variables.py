"""Environment variables as people write them: lines of KEY=VALUE. Pure."""

import re
from collections.abc import Mapping

from bridge.core.configuring.variables import statements, written_value

_REFERENCE = re.compile(r"\$\{\{\s*(?:(project|environment)\.)?([A-Za-z0-9_.][\w.-]*)\s*\}\}")
_QUOTES = ("'", '"', "`")


def parse_variables(text: str | None) -> dict[str, str]:
    """Read lines of KEY=VALUE as Dokploy does; later ones win.

    Empty lines, comments and lines without a proper key are left out. Quotes around a value
    are taken off; a value in quotes may go over several lines, one in double quotes knows `\\n`.
    """
    return {key: _unquoted(written_value(raw)) for key, raw in statements(text) if key}


def resolve(
    variables: Mapping[str, str], *, project: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Put in what `${{project.KEY}}`, `${{environment.KEY}}` and `${{KEY}}` stand for.

    A reference to nothing is left as it is written. References are not followed further.
    """
    scopes = {"project": project, "environment": environment, None: variables}

    def value_of(match: re.Match[str]) -> str:
        return scopes[match[1]].get(match[2], match[0])

    return {key: _REFERENCE.sub(value_of, value) for key, value in variables.items()}


def as_env_file(variables: Mapping[str, str]) -> str:
    """Lines for an `.env` file that the usual readers take back as they were."""
    return "".join(f"{key}={_quoted(value)}\n" for key, value in variables.items())


def _quoted(value: str) -> str:
    if re.fullmatch(r"[\w./:@%+,=-]*", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        inner = value[1:-1]
        return _unescaped(inner) if value[0] == '"' else inner
    return value


def _unescaped(text: str) -> str:
    known = {"n": "\n", '"': '"', "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: known.get(match[1], match[0]), text)
