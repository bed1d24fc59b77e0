"""`config`: check the settings, show their schema and their values."""

import logging
import os
import re
from collections.abc import Mapping
from contextlib import asynccontextmanager
from functools import partial
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bridge.backends import EMBEDDED, titles
from bridge.cli.backend import person
from bridge.cli.context import Config, Json, ask_hidden, exit_code_of, run, settings_of
from bridge.cli.show import MASKED, clean, hint, say, say_error, say_json, writes_utf8
from bridge.core.errors import BridgeError, Rejected
from bridge.core.log_text import STEERING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable, Iterator

    from bridge.app.stored_settings import SettingUp
    from bridge.settings import KeyPath, Settings

WIDEST_LINE = 80
"""Characters of a line beyond which a list is written with one entry per line."""

_ESCAPED = re.compile(f"[{STEERING}]")
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")

group = typer.Typer(no_args_is_help=True, help="Check and show the settings.")


@group.command()
def check(
    config: Config = None,
    json: Json = False,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help=f"Check each {titles()}, Git host and chat, too, as `doctor` does: keys, tokens,"
            " channels, and the webhooks of the apps' repositories.",
        ),
    ] = False,
) -> None:
    """Check the settings, including the patterns of our own rules.

    Exits with 2 if the settings are wrong, with 1 if only a backend, a Git host or a chat has a
    problem.
    """
    from bridge.cli import doctor

    read = partial(_settings, config)

    logging.getLogger("bridge").setLevel(logging.ERROR)  # the lines below are shorter
    form = doctor.checked(read)
    settings_fit = form["ok"]
    if online and settings_fit:
        form |= doctor.online(read())
        form["ok"] = all(one["level"] != "error" for one in form["findings"])
    if json:
        say_json(form)
    else:
        _say_checked(form)
    if not form["ok"]:
        raise typer.Exit(exit_code_of(BridgeError() if settings_fit else Rejected("")))


def _settings(config: Path | None) -> "Settings":
    """Return the settings; if the database is away, those of the file and the environment."""
    from bridge.app.stored_settings import Unreadable
    from bridge.settings import read_settings

    try:
        return settings_of(config)
    except Unreadable as error:
        hint(clean(f"warning: {error}; without them:"))
        return read_settings(config, os.environ)


def _stored(settings: "Settings") -> "Collection[KeyPath]":
    """Return the paths of the stored settings; none if the database is away."""
    from bridge.app.stored_settings import Stored, Unreadable

    try:
        return Stored()(settings)
    except Unreadable:  # the warning is already given
        return ()


def _say_checked(form: dict[str, Any]) -> None:
    told: dict[str, list[str]] = {"ok": [], "warning": [], "error": [], "note": []}
    for remark in form["remarks"]:
        told[remark["level"]].append(clean(remark["message"]))
    for one in form.get("findings", ()):
        words = "; ".join(filter(None, (one["says"], one["remedy"])))
        told[one["level"]].append(clean(f"{one['about']}: {words}"))
    for words in told["ok"]:
        hint(words)
    for words in told["warning"]:
        hint(f"warning: {words}")
    for words in told["error"]:
        say_error(words)
    if not form["ok"]:
        return
    say("ok")
    backend = "the embedded backend" if form["backend"] == EMBEDDED else form["backend"]
    hint(f"hosts served: {', '.join(form['hosts']) or 'none yet'}; deploys on {backend}")
    for words in told["note"]:
        hint(words)


@group.command()
def schema() -> None:
    """Print the JSON Schema of bridge.yaml, for editors."""
    from bridge.settings import Settings

    say_json(Settings.model_json_schema() | {"title": "bridge.yaml"})


@group.command()
def show(config: Config = None, json: Json = False) -> None:
    """Print all settings and where each comes from, as YAML; secrets are masked."""
    from bridge.settings import origins_of

    settings = _settings(config)
    found = list(shown(settings, origins_of(config, os.environ, _stored(settings))))
    if json:
        say_json(_nested(found))
    else:
        typer.echo("\n".join(_lines(found, only_ascii=not writes_utf8())))


@group.command("set")
def set_(
    those: Annotated[
        list[str],
        typer.Argument(
            metavar="SETTING[=VALUE]...", help="E.g. public_url=https://bridge.example.com."
        ),
    ],
    config: Config = None,
) -> None:
    """Store settings in the bridge's data, sealed, as setup in the browser does.

    Without =VALUE you are asked for it, hidden, or it is read from standard input; secrets are
    given only this way. Variables and bridge.yaml override what is stored.
    """
    names = [one.partition("=")[0] for one in those]
    values = {
        name: value for name, equals, value in (one.partition("=") for one in those) if equals
    }
    _are_settings(names)
    _are_no_secrets(values)
    values |= ask_hidden([name for name in names if name not in values])
    run(_store(config, values))
    say(f"stored: {', '.join(names)}; a running bridge restarts with it within seconds")


@group.command()
def unset(
    those: Annotated[list[str], typer.Argument(metavar="SETTING...", help="E.g. public_url.")],
    config: Config = None,
) -> None:
    """Remove stored settings."""
    run(_remove(config, those))
    say(f"no longer stored: {', '.join(those)}")


def _are_settings(names: "Iterable[str]") -> None:
    """Raise Rejected if a name is no setting, before anybody is asked for its value."""
    from bridge.app.stored_settings import path_of
    from bridge.settings.reading import must_be_setting

    for name in names:
        must_be_setting(path_of(name))


def _are_no_secrets(values: "Iterable[str]") -> None:
    from bridge.settings import Settings, fields, is_secret

    secret = {".".join(path) for path, field in fields(Settings) if is_secret(field)}
    for name in values:
        if name in secret:
            raise Rejected(
                f"{name} is a secret, and others can read a command's arguments: leave =VALUE out,"
                " and type or pipe it"
            )


async def _store(config: Path | None, values: "Mapping[str, str]") -> None:
    from bridge.app.stored_settings import path_of

    async with _setting_up(settings_of(config), config) as setting_up:
        await setting_up.change({path_of(name): value for name, value in values.items()})


async def _remove(config: Path | None, names: list[str]) -> None:
    from bridge.settings import read_settings

    # Without the stored ones: they are removed even if their key is gone.
    async with _setting_up(read_settings(config, os.environ), config) as setting_up:
        await setting_up.remove(names)


@asynccontextmanager
async def _setting_up(settings: "Settings", config: Path | None) -> "AsyncIterator[SettingUp]":
    from bridge.app.storage import open_stores
    from bridge.app.stored_settings import SettingUp

    async with open_stores(settings) as stores:
        yield SettingUp(settings, stores.journal, config, os.environ, person())


class Shown(NamedTuple):
    """A setting, safe to show."""

    path: tuple[str, ...]
    value: Any
    """Its value for JSON, masked if it is a secret."""
    origin: str
    """The variable or file that set it, "made by setup", or "default"."""


def shown(settings: Any, origins: "Mapping[KeyPath, str]") -> "Iterator[Shown]":
    """Return every setting, section by section."""
    from bridge.settings import Settings, fields, is_secret

    for path, field in fields(Settings):
        value = settings
        for name in path:
            value = getattr(value, name)
        value = _masked(value) if is_secret(field) else loads(dumps(value, default=_plain))
        yield Shown(path, value, origins.get(path, "default"))


def _lines(found: "Iterable[Shown]", *, only_ascii: bool) -> "Iterator[str]":
    """Return YAML, each setting with its origin; a long list has one entry per line."""
    before: KeyPath = ()
    for path, value, origin in found:
        for depth in range(1, len(path)):
            if path[:depth] != before[:depth]:
                yield f"{'  ' * (depth - 1)}{path[depth - 1]}:"
        before = path
        indent = "  " * (len(path) - 1)
        line = f"{indent}{path[-1]}: {yaml_of(value, only_ascii=only_ascii)}  # {origin}"
        if len(line) <= WIDEST_LINE or not isinstance(value, list):
            yield line
            continue
        yield f"{indent}{path[-1]}:  # {origin}"
        yield from (f"{indent}  - {yaml_of(one, only_ascii=only_ascii)}" for one in value)


def yaml_of(value: Any, *, only_ascii: bool = False) -> str:
    """Return a value as YAML on one line, with terminal control characters escaped.

    JSON is YAML but for its two escapes for one character beyond the first plane.
    """
    unsafe = _NOT_ASCII if only_ascii else _ESCAPED
    return unsafe.sub(_escape, dumps(value, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _nested(found: "Iterable[Shown]") -> dict[str, Any]:
    """Return an object: sections by name, each setting as `value` and `from`."""
    form: dict[str, Any] = {}
    for path, value, origin in found:
        inside = form
        for name in path[:-1]:
            inside = inside.setdefault(name, {})
        inside[path[-1]] = {"value": value, "from": origin}
    return form


def _plain(value: Any) -> Any:
    """Convert values that JSON lacks: paths, and records in lists, without unset fields."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return str(value)


def _masked(value: Any) -> Any:
    if isinstance(value, tuple):
        return [MASKED] * len(value)
    if isinstance(value, Mapping):
        return dict.fromkeys(value, MASKED)
    return None if value is None else MASKED
