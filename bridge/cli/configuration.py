"""`config`: are the settings right, what can be set, and what is set."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from bridge.cli.show import hint, say, say_json
from bridge.cli.using import Config, settings_of

MASKED = "********"

group = typer.Typer(no_args_is_help=True, help="Check and show the settings.")


@group.command()
def check(config: Config = None) -> None:
    """Say ok, or what is wrong with the settings."""
    from bridge.app import served_hosts
    from bridge.cli.serve import hosts_of

    logging.getLogger("bridge").setLevel(logging.ERROR)  # the line below says it shorter
    settings = settings_of(config)
    served_hosts(settings)
    backend = settings.dokploy.url or "the embedded backend"
    say("ok")
    hint(f"hosts served: {', '.join(hosts_of(settings)) or 'none yet'}; deploys on {backend}")


@group.command()
def schema() -> None:
    """Print the JSON Schema of bridge.yaml, for editors."""
    from bridge.settings import Settings

    say_json({"title": "bridge.yaml"} | Settings.model_json_schema())


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
