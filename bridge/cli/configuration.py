"""`config`: are the settings right, what can be set, and what is set."""

import logging
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.exits import exit_code_of
from bridge.cli.forms import finding_words
from bridge.cli.show import clean, hint, say, say_error, say_json
from bridge.cli.using import Config, settings_of
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.settings import Settings

MASKED = "********"

group = typer.Typer(no_args_is_help=True, help="Check and show the settings.")


@group.command()
def check(config: Config = None) -> None:
    """Say ok, or what is wrong with the settings, the patterns of our own rules included."""
    from bridge.app.backends import must_have_keys
    from bridge.app.hosts import host_apis, served_hosts
    from bridge.cli.welcome import hosts_of

    logging.getLogger("bridge").setLevel(logging.ERROR)  # the line below says it shorter
    settings = settings_of(config)
    served_hosts(settings)
    host_apis(settings)
    must_have_keys(settings)
    remarks = list(remarks_on_rules(settings))
    errors = [words for level, words in remarks if level == "error"]
    for level, words in remarks:
        if level != "error":
            hint(clean(f"{level}: {words}"))
    for words in errors:
        say_error(words)
    if errors:
        raise typer.Exit(exit_code_of(Rejected("")))
    backend = settings.dokploy.url or "the embedded backend"
    say("ok")
    hint(f"hosts served: {', '.join(hosts_of(settings)) or 'none yet'}; deploys on {backend}")
    for words in _of_slack(settings):
        hint(words)


def _of_slack(settings: "Settings") -> list[str]:
    """How Slack is heard, and what is still missing for anybody to do something by it."""
    from bridge.settings import access_of

    given = settings.slack
    if given.bot_token is None:
        return []
    ways = (("HTTP", given.signing_secret), ("Socket Mode", given.app_token))
    heard = " and ".join(way for way, secret in ways if secret is not None)
    said = [f"slack is heard by {heard}"]
    if not heard:
        said = [
            (
                "slack can't be heard: set BRIDGE_SLACK_SIGNING_SECRET (HTTP) or"
                " BRIDGE_SLACK_APP_TOKEN (Socket Mode)"
            )
        ]
    if not access_of(settings).grants:
        said.append("nobody may do anything by slack: say who in `access` of bridge.yaml")
    return said


OF_NAMES = ("never_matches", "unclosed", "bang_class")
"""What can be wrong with a glob over names as well as with one over paths."""


def remarks_on_rules(settings: "Settings") -> "Iterator[tuple[str, str]]":
    """Levels and words: what of our own rules can't be read, or hardly says what is meant."""
    from bridge.core.watch_lint import lint

    for place, rule in enumerate(settings.rules):
        for name, pattern in (("apps", rule.apps), ("branch", rule.branch), ("tags", rule.tags)):
            for level, words in _remarks_on_names(pattern):
                yield level, f"rules.{place}.{name}: {words}"
        for one in lint(rule.watch_paths, settings.watch.semantics, settings.watch.picomatch):
            if one.level != "note":
                yield one.level, f"rules.{place}.watch_paths: {finding_words(asdict(one))}"
    for place, grant in enumerate(settings.access):
        for pattern in grant.apps:
            for level, words in _remarks_on_names(pattern):
                yield level, f"access.{place}.apps: {words}"


def _remarks_on_names(pattern: str | None) -> "Iterator[tuple[str, str]]":
    from bridge.core.globs import Glob, GlobError
    from bridge.core.watch_lint import lint

    if pattern is None:
        return
    try:
        Glob(pattern)
    except GlobError as error:
        shown = pattern if len(pattern) < 40 else f"{pattern[:40]}…"
        why = f"{error.reason}; write a name, or a simpler glob"
        yield "error", f"`{shown}` can't be read as a glob: {why}"
        return
    for one in lint([pattern]):
        if one.code in OF_NAMES:
            yield one.level, finding_words(asdict(one))


@group.command()
def schema() -> None:
    """Print the JSON Schema of bridge.yaml, for editors."""
    from bridge.settings import Settings

    say_json(Settings.model_json_schema() | {"title": "bridge.yaml"})


@group.command()
def show(config: Config = None) -> None:
    """Print what is set and where it comes from, as YAML; secrets are masked."""
    settings = settings_of(config)
    typer.echo("\n".join(shown(settings, config, os.environ)))


def shown(settings: Any, config: Path | None, environment: Mapping[str, str]) -> list[str]:
    """The settings as lines of YAML, each with where it comes from."""
    import json

    from bridge.settings import Settings, fields, is_secret

    origins = _origins(config, environment)
    lines: list[str] = []
    section = ""
    for path, field in fields(Settings):
        value = settings
        for name in path:
            value = getattr(value, name)
        if len(path) > 1 and path[0] != section:
            section = path[0]
            lines.append(f"{section}:")
        text = _masked(value) if is_secret(field) else json.dumps(value, default=_plain)
        indent = "  " * (len(path) - 1)
        lines.append(f"{indent}{path[-1]}: {text}  # {origins.get(path, 'default')}")
    return lines


def _plain(value: Any) -> Any:
    """What JSON does not know: paths, and a list's own records, without what they do not say."""
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True)
    return str(value)


def _masked(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{MASKED}"' for _ in value) + "]"
    return "null" if value is None else f'"{MASKED}"'


def _origins(config: Path | None, environment: Mapping[str, str]) -> dict[Any, str]:
    """Where each setting that is set comes from; settings that can't be read got no further."""
    import yaml

    from bridge.settings import variables

    file = config or Path("bridge.yaml")
    origins: dict[Any, str] = {}
    if config is not None or file.exists():
        for name, value in (yaml.safe_load(file.read_text()) or {}).items():
            inner = value if isinstance(value, dict) else {}
            origins |= {(name, key): str(file) for key in inner} | {(name,): str(file)}
    known = variables()
    for variable in sorted(environment):  # in the order in which they are read
        path = known.get(variable) or known.get(variable.removesuffix("_FILE"))
        if path is not None:
            origins[path] = variable
    return origins
