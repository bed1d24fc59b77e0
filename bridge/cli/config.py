"""`config`: check the settings, show their schema and their values."""

import logging
import os
import re
from collections.abc import Mapping
from json import dumps, loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bridge.backends import EMBEDDED, titles
from bridge.cli.show import MASKED, clean, hint, say, say_error, say_json, writes_utf8
from bridge.cli.using import Config, Json, exit_code_of, settings_of
from bridge.core.errors import BridgeError, Rejected
from bridge.core.log_text import STEERING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
            help=f"Ask each {titles()}, too: does it answer, and accept the key? And each webhook"
            " of a chat, and each Git host for the webhooks of the apps' repositories.",
        ),
    ] = False,
) -> None:
    """Check the settings, including the patterns of our own rules.

    Exits with 2 if the settings are wrong, with 1 if only a backend, a Git host or a chat has a
    problem.
    """
    from bridge.cli.checking import checked, tried, tried_channels, tried_hosts
    from bridge.cli.checking_webhooks import FINE, tried_webhooks

    logging.getLogger("bridge").setLevel(logging.ERROR)  # the lines below are shorter
    form = checked(lambda: settings_of(config))
    settings_fit = form["ok"]
    if online and settings_fit:
        form["online"] = tried(settings_of(config))
        form["online_hosts"] = tried_hosts(settings_of(config))
        form["channels"] = tried_channels(settings_of(config))
        form["webhooks"] = tried_webhooks(settings_of(config))
        every = form["online"] + form["online_hosts"] + form["channels"]
        form["ok"] = all(one["state"] == "ok" for one in every)
        form["ok"] &= all(one["state"] in FINE for one in form["webhooks"])
    if json:
        say_json(form)
    else:
        _say_checked(form)
    if not form["ok"]:
        raise typer.Exit(exit_code_of(BridgeError() if settings_fit else Rejected("")))


def _say_checked(form: dict[str, Any]) -> None:
    from bridge.cli.checking import said_of, said_of_channel, said_of_host
    from bridge.cli.checking_webhooks import FINE, said_of_webhook

    told: dict[str, list[str]] = {"warning": [], "error": [], "note": []}
    for remark in form["remarks"]:
        told[remark["level"]].append(clean(remark["message"]))
    for words in told["warning"]:
        hint(f"warning: {words}")
    for words in told["error"]:
        say_error(words)
    for one in form.get("online", ()):
        (hint if one["state"] == "ok" else say_error)(clean(said_of(one)))
    for one in form.get("online_hosts", ()):
        (hint if one["state"] == "ok" else say_error)(clean(said_of_host(one)))
    for one in form.get("webhooks", ()):
        (hint if one["state"] in FINE else say_error)(clean(said_of_webhook(one)))
    for one in form.get("channels", ()):
        (hint if one["state"] == "ok" else say_error)(clean(said_of_channel(one)))
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
    found = list(shown(settings_of(config), config, os.environ))
    if json:
        say_json(_nested(found))
    else:
        typer.echo("\n".join(_lines(found, only_ascii=not writes_utf8())))


class Shown(NamedTuple):
    """A setting, safe to show."""

    path: tuple[str, ...]
    value: Any
    """Its value for JSON, masked if it is a secret."""
    origin: str
    """The variable or file that set it, or "default"."""


def shown(settings: Any, config: Path | None, environment: Mapping[str, str]) -> "Iterator[Shown]":
    """Return every setting, section by section."""
    from bridge.settings import Settings, fields, is_secret

    origins = _origins(config, environment)
    for path, field in fields(Settings):
        value = settings
        for name in path:
            value = getattr(value, name)
        value = _masked(value) if is_secret(field) else loads(dumps(value, default=_plain))
        yield Shown(path, value, origins.get(path, "default"))


def _lines(found: "Iterable[Shown]", *, only_ascii: bool) -> "Iterator[str]":
    """Return YAML, each setting with its origin; a long list has one entry per line."""
    section = ""
    for path, value, origin in found:
        if len(path) > 1 and path[0] != section:
            section = path[0]
            yield f"{section}:"
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


def _origins(config: Path | None, environment: Mapping[str, str]) -> dict[Any, str]:
    """Return the origin of each configured setting."""
    import yaml

    from bridge.settings import set_there

    file = config or Path("bridge.yaml")
    origins: dict[Any, str] = {}
    if config is not None or file.exists():
        for name, value in (yaml.safe_load(file.read_text()) or {}).items():
            inner = value if isinstance(value, dict) else {}
            origins |= {(name, key): str(file) for key in inner} | {(name,): str(file)}
    return origins | dict(set_there(environment))
