"""`env`: an app's environment, build arguments and build secrets."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.changing import How, Reveal, Yes, change
from bridge.cli.cleaning import clean, clean_lines
from bridge.cli.deployments import AppName
from bridge.cli.hidden import ask_hidden
from bridge.cli.reaching import reached
from bridge.cli.show import MASKED, say, say_json
from bridge.cli.using import Config, Json, run, settings_of
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from bridge.core.configuring.configuration import Environment

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
            help="A KEY alone asks for its value: hidden, or from standard input.",
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
        typer.Option("--build-secret", metavar="KEY", help="Always asked for. Repeatable."),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="KEY", help="Take it out, wherever it is. Repeatable."),
    ] = None,
    env_file: Annotated[
        bool | None, typer.Option("--env-file/--no-env-file", help="Write an .env file to build.")
    ] = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Set variables; those that are not named stay as they are."""
    from bridge.core.configuring.merge import WantedVariables

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
                raise Rejected(f"{key[:40]!r} can't be set and taken out at once")
    change(app, WantedVariables(changes, create_env_file=env_file), How(config, json, yes))


@group.command("import")
def import_(
    app: AppName,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Lines of KEY=VALUE; - is standard input.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Take out all variables that the file has not.")
    ] = False,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Take variables over from a file, as dotenv reads it; a line that can't be read stops it."""
    from bridge.cli.env_file import read_env_file
    from bridge.core.configuring.merge import WantedVariables

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
        raise Rejected(f"{file} is no text in UTF-8") from None
    return text.replace("\r\n", "\n")


def _bare(word: str) -> str:
    if "=" in word:
        key = word.partition("=")[0][:40]
        raise Rejected(f"give {key!r} alone: a command line is no place for its value")
    return word


def _assignments(wishes: list[tuple[str, str]]) -> dict[str, dict[str, str | None]]:
    """The assignments by section; asks for what is missing."""
    from bridge.core.configuring.variables import assignment, key_of

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
            typer.echo(f"{words}{key}={clean_lines(value)}")


def _values(environment: "Environment", *, reveal: bool) -> dict[str, dict[str, str]]:
    from bridge.core.configuring.variables import variables_in

    found = {}
    for section in BEFORE:
        text = getattr(environment, section)
        values = variables_in(text.get_secret_value() if text else None)
        found[section] = {key: value if reveal else MASKED for key, value in values.items()}
    return found
