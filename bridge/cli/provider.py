"""`provider`: where an app's code comes from, and when it deploys."""

from typing import TYPE_CHECKING, Any

import typer

from bridge.cli import changing
from bridge.cli.changing import How, Reveal, Yes, change, say_fields
from bridge.cli.deployments import AppName
from bridge.cli.provider_set import setting
from bridge.cli.reaching import backends_of, reached
from bridge.cli.show import hint, say_json, say_table
from bridge.cli.using import Config, Json, run, settings_of

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.core.configuring.difference import Configured
    from bridge.core.watch import Rules

group = typer.Typer(no_args_is_help=True, help="Show and set where an app's code comes from.")
group.add_typer(setting, name="set")


@group.command()
def show(app: AppName, config: Config = None, json: Json = False, reveal: Reveal = False) -> None:
    """Show where an app's code comes from, and the rules that the bridge has for it."""
    run(_show(app, config, json=json, reveal=reveal))


@group.command()
def accounts(config: Config = None, json: Json = False) -> None:
    """List the Git accounts that a backend has, with the ids that `--account` wants."""
    found = run(_accounts(config))
    if json:
        say_json(found)
        return
    if not found:
        hint("the backend has no Git account; connect one there: Settings, Git")
    say_table(
        ("id", "type", "*name", "backend"),
        [list(one.values()) for one in found],
        ["{id} {type} {name} ({backend})".format(**one) for one in found],
    )


@group.command()
def disconnect(app: AppName, config: Config = None, json: Json = False, yes: Yes = False) -> None:
    """Forget an app's source, its watch paths, its trigger and our rules for it."""
    from bridge.core.configuring.merge import NoSource

    change(app, NoSource(), How(config, json, yes))


@group.command()
def undo(app: AppName, config: Config = None, json: Json = False, yes: Yes = False) -> None:
    """Undo the newest change of an app, by whomever; once more does it again.

    It is refused, with the difference, where somebody has changed the same in between.
    """
    changing.undo(app, How(config, json, yes))


async def _accounts(config: "Path | None") -> list[dict[str, str]]:
    async with backends_of(settings_of(config)) as backends:
        return [
            {"id": one.id, "type": str(one.type), "name": one.name, "backend": name}
            for name, backend in backends.items()
            for one in await backend.pickers.git_providers()
        ]


async def _show(name: str, config: "Path | None", *, json: bool, reveal: bool) -> None:
    from bridge.core.rules import rules_for
    from bridge.settings import book_of

    settings = settings_of(config)
    async with reached(settings, name) as reach:
        app = reach.app
        now = await reach.configurer.now(app)
    fields = _fields(now, reveal=reveal)
    file = _said(rules_for(app.label, book_of(settings)))
    own = _said(now.rules)
    if json:
        head = {"app": app.label, "app_id": app.id, "backend": app.backend}
        say_json(head | fields | {"rules": {"set": own, "file": file}})
        return
    if now.saved.provider is None:
        kind = app.source.type if app.source else None
        hint(f"its source is {kind}, which can't be set from here" if kind else "it has no source")
    rules = {f"{key} (the bridge's rule)": value for key, value in own.items()}
    filed = {f"{key} (bridge.yaml)": value for key, value in file.items()}
    say_fields(app.label, fields | rules | filed)


def _fields(now: "Configured", *, reveal: bool) -> dict[str, Any]:
    """The source's fields, and what all sources share."""
    from pydantic import SecretStr

    from bridge.core.configuring.configuration import DockerSource
    from bridge.core.configuring.difference import shown

    provider = now.saved.provider
    names = ["source", *(type(provider).model_fields if provider else ()), "watch_paths"]
    if provider is not None and not isinstance(provider, DockerSource):
        names.append("trigger")
    every = shown(now)
    found: dict[str, Any] = {name: every[name] for name in dict.fromkeys(names) if name in every}
    if reveal and provider is not None:
        for name in found.keys() & set(type(provider).model_fields):
            value = getattr(provider, name)
            found[name] = value.get_secret_value() if isinstance(value, SecretStr) else value
    return found


def _said(rules: "Rules") -> dict[str, Any]:
    from bridge.core.configuring.difference import RULES

    said = {spoken: getattr(rules, name) for name, spoken in RULES.items()}
    return {name: value for name, value in said.items() if value is not None}
