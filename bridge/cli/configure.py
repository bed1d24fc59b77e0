"""What commands that change something share: options of fields, secrets, consent."""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.cli.context import ask_hidden
from bridge.cli.show import clean, hint
from bridge.core.configuration.fields import FIELDS, Field
from bridge.core.errors import Rejected
from bridge.core.variables import key_of
from bridge.operations.base import Kind

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; scripts need it.")]

_CREDENTIALS = re.compile(r"https?://[^/]*@|\w+://[^/@]*:[^/@]*@")

CUT_OFF = "nothing was changed"


@dataclass(frozen=True, slots=True)
class How:
    """The common options of a command."""

    config: Path | None
    json: bool = False
    yes: bool = False


# ── Arguments that set fields, variables, files: secrets never stand on a command line ──────────


def option(name: str) -> Any:
    """Return the option of a field."""
    one = FIELDS[name]
    names = [f"--{word.replace('_', '-')}" for word in (one.short, one.name) if word]
    if one.type is bool:
        names = [f"{names[0]}/--no-{names[0].removeprefix('--')}"]
    panel = "When it deploys" if one.ruled else None
    return typer.Option(*names, help=one.help.replace("[", r"\["), rich_help_panel=panel)


def options_of(one: Field) -> Iterator[inspect.Parameter]:
    """Yield the options of a field: one for its value, one that prompts for it, or both."""
    if one.secret:
        yield _flag(one.name, one.help)
    else:
        type_: Any = list[str] if one.type is tuple else one.type
        yield _parameter(one.name, Annotated[type_ | None, option(one.name)], None)
    if one.asks:
        yield _flag(f"{one.name}_stdin", one.asks)


def _flag(name: str, help_: str) -> inspect.Parameter:
    flag = typer.Option(f"--{name.replace('_', '-')}", help=help_)
    return _parameter(name, Annotated[bool, flag], default=False)


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def field_given(one: Field, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text that was given for a field, by its name; prompt for what is hidden."""
    value = given[one.name]
    if given.get(f"{one.name}_stdin") or (one.secret and value):
        return ask_hidden([one.name])
    if one.secret or value in (None, []):
        return {}
    if one.type is bool:
        return {one.name: "yes" if value else "no"}
    if one.asks and _CREDENTIALS.match(value):
        raise Rejected(
            "an address with a password or a token is a secret, and a command line is no place"
            f" for it: give it with --{one.name}-stdin"
        )
    return {one.name: value if one.type is tuple else str(value)}


def with_values(kinds: Mapping[str, Kind], given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the variables that were given, each with its value; prompt for those that lack it."""
    words = {name: given[name] for name, kind in kinds.items() if kind.assigns and name in given}
    for name, those in words.items():
        for key, equals, _ in (word.partition("=") for word in those):
            if equals and kinds[name].sealed:
                raise Rejected(f"give {key[:40]!r} alone: a command line is no place for its value")
    alone = [key_of(word) for those in words.values() for word in those if "=" not in word]
    if len(set(alone)) < len(alone):
        raise Rejected("a variable is named twice: its value can be asked for once")
    hidden = ask_hidden(alone)
    return {
        name: [word if "=" in word else f"{word}={hidden[word]}" for word in those]
        for name, those in words.items()
    }


def text_of(file: Path) -> str:
    """Return the text of a file, or of standard input; raise Rejected if it can't be read."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Rejected(f"{file} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Rejected(f"{file} is not UTF-8 text") from None
    return text.replace("\r\n", "\n")


# ── Consent ───────────────────────────────────────────────────────────────────────────────────────


def agree(question: str, how: How) -> None:
    """Ask for consent; raise Rejected if nobody can be asked."""
    if how.yes:
        return
    if not sys.stdin.isatty():
        raise Rejected(
            f"{CUT_OFF}: this asks before it goes on, and nobody can answer here; give --yes to go"
            " on without being asked"
        )
    if not typer.confirm(clean(question), err=True):
        hint(CUT_OFF)
        raise typer.Exit(1)
