"""Files of variables as dotenv reads them."""

from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from bridge.core.errors import Rejected
from bridge.core.variables import assignment, key_of

if TYPE_CHECKING:
    from dotenv.parser import Binding

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The content of a file.

    Attributes:
        assignments: by variable, each written so both Dokploy and the embedded backend read the
            value that dotenv reads.
        text: all of them with the file's comments, in its order.
    """

    assignments: dict[str, str]
    text: str


def read_env_file(text: str, name: str) -> EnvFile:
    """Read a file of variables.

    Raises:
        Rejected: some lines are unreadable; the error gives only their numbers, since they may
            hold secrets.
    """
    from dotenv.parser import parse_stream

    found: dict[str, str] = {}
    lines: list[str] = []
    wrong: list[int] = []
    for binding in parse_stream(StringIO(text)):
        if binding.key is None and not binding.error:
            lines.append(binding.original.string.strip("\n"))  # comments, empty lines
        elif (written := _written(binding, name)) is None:
            wrong.append(_line(binding))
        else:
            found[str(binding.key)] = written
            lines.append(written)
    if wrong:
        shown = ", ".join(map(str, wrong[:_SHOWN])) + (" …" if len(wrong) > _SHOWN else "")
        raise Rejected(
            f"{name}: line{'s' if len(wrong) > 1 else ''} {shown} can't be read; write KEY=VALUE,"
            " with the value in ' or \" where it has spaces around it, # or several lines, and"
            " close each quote. Nothing was imported"
        )
    return EnvFile(found, "\n".join(lines).strip("\n"))


def _written(binding: "Binding", name: str) -> str | None:
    """Return an assignment in a form that both backends read; None if the line has none."""
    if binding.error or binding.key is None or binding.value is None:
        return None
    if binding.value.startswith("`"):  # a quote to Dokploy, but not to dotenv
        return None
    try:
        return assignment(key_of(binding.key), binding.value)
    except Rejected as error:
        raise Rejected(f"{name}: line {_line(binding)}: {error}") from None


def _line(binding: "Binding") -> int:
    """Return its first line; the parser includes empty lines before it."""
    string = binding.original.string
    before = string[: len(string) - len(string.lstrip())]
    return int(binding.original.line) + before.count("\n")
