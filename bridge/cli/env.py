"""`env`: an app's environment, build arguments and build secrets."""

import sys
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import reached
from bridge.cli.configure import How, Reveal, Yes, change, option
from bridge.cli.context import Config, Json, ask_hidden, run, settings_of
from bridge.cli.deployments import AppName
from bridge.cli.show import MASKED, clean, clean_lines, on_terminal, say, say_json
from bridge.core.errors import Rejected
from bridge.core.variables import assignment, key_of

if TYPE_CHECKING:
    from dotenv.parser import Binding

    from bridge.core.configuration.configuration import Environment


BEFORE = {"env": "", "build_args": "build argument ", "build_secrets": "build secret "}

group = typer.Typer(no_args_is_help=True, help="Show and set an app's variables.")


@group.command()
def show(app: AppName, config: Config = None, json: Json = False, reveal: Reveal = False) -> None:
    """List an app's variables; their values are masked unless you ask for them."""
    run(_show(app, config, json=json, reveal=reveal))


@group.command("set")
def set_(
    app: AppName,
    variables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE|KEY",
            help="A KEY alone prompts for its value, hidden, or reads standard input.",
            show_default=False,
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", metavar="KEY", help="The same as a KEY alone. Repeatable."),
    ] = None,
    build_arg: Annotated[
        list[str] | None,
        typer.Option("--build-arg", metavar="KEY=VALUE|KEY", help="For the build. Repeatable."),
    ] = None,
    build_secret: Annotated[
        list[str] | None,
        typer.Option("--build-secret", metavar="KEY", help="Always prompted for. Repeatable."),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="KEY", help="Remove it from every section. Repeatable."),
    ] = None,
    env_file: Annotated[bool | None, option("create_env_file")] = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Set variables; others stay as they are."""
    from bridge.core.configuration.merge import WantedVariables

    wishes = [
        *(("env", word) for word in variables or ()),
        *(("env", _bare(word)) for word in secret or ()),
        *(("build_args", word) for word in build_arg or ()),
        *(("build_secrets", _bare(word)) for word in build_secret or ()),
    ]
    changes = _assignments(wishes)
    for key in unset or ():
        for section in BEFORE:
            if changes.setdefault(section, {}).setdefault(key, None) is not None:
                raise Rejected(f"{key[:40]!r} can't be set and removed at once")
    change(app, WantedVariables(changes, create_env_file=env_file), How(config, json, yes))


@group.command("import")
def import_(
    app: AppName,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Lines of KEY=VALUE; - is standard input.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove all variables that are not in the file.")
    ] = False,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Import variables from a file, as dotenv reads it; stop at an unreadable line."""
    from bridge.core.configuration.merge import WantedVariables

    found = read_env_file(_read(file), str(file))
    if not found.assignments:
        raise Rejected(f"{file} holds no variables: write lines of KEY=VALUE")
    wanted = (
        WantedVariables(replaced={"env": found.text})
        if replace
        else WantedVariables({"env": dict(found.assignments)})
    )
    change(app, wanted, How(config, json, yes))


def _read(file: Path) -> str:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Rejected(f"{file} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Rejected(f"{file} is not UTF-8 text") from None
    return text.replace("\r\n", "\n")


def _bare(word: str) -> str:
    if "=" in word:
        key = word.partition("=")[0][:40]
        raise Rejected(f"give {key!r} alone: a command line is no place for its value")
    return word


def _assignments(wishes: list[tuple[str, str]]) -> dict[str, dict[str, str | None]]:
    """Return the assignments by section; prompt for missing values."""
    from bridge.core.variables import assignment, key_of

    asked = [key_of(word) for _, word in wishes if "=" not in word]
    if len(set(asked)) < len(asked):
        raise Rejected("a variable is named twice: its value can be asked for once")
    hidden = ask_hidden(asked)
    changes: dict[str, dict[str, str | None]] = {}
    for section, word in wishes:
        key, equals, value = word.partition("=")
        written = assignment(key, value if equals else hidden[key])
        changes.setdefault(section, {})[key] = written
    return changes


async def _show(name: str, config: Path | None, *, json: bool, reveal: bool) -> None:
    async with reached(settings_of(config), name) as reach:
        app = reach.app
        environment = (await reach.configurer.now(app)).saved.environment
    found = _values(environment, reveal=reveal)
    if json:
        other: dict[str, Any] = {"create_env_file": environment.create_env_file}
        say_json({"app": app.label, "app_id": app.id} | found | other)
        return
    if not any(found.values()):
        say(f"{clean(app.label)} has no variables")
    for section, words in BEFORE.items():
        for key, value in found[section].items():
            if on_terminal():
                typer.echo(f"{words}{key}={clean_lines(value)}")
            else:  # a script gets the exact value; `echo` would strip colours
                sys.stdout.write(f"{words}{key}={value}\n")


def _values(environment: "Environment", *, reveal: bool) -> dict[str, dict[str, str]]:
    from bridge.core.variables import variables_in

    found = {}
    for section in BEFORE:
        text = getattr(environment, section)
        values = variables_in(text.get_secret_value() if text else None)
        found[section] = {key: value if reveal else MASKED for key, value in values.items()}
    return found


# ── Files of variables as dotenv reads them, for `env import` ───────────────────────────────────

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
