"""`provider`: an app's source, and when it deploys."""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli import configure
from bridge.cli.backend import backends_of, reached
from bridge.cli.configure import How, Reveal, Yes, change, say_fields, with_options
from bridge.cli.context import Config, Json, run, settings_of
from bridge.cli.deployments import AppName
from bridge.cli.show import hint, say_json, say_table
from bridge.core.configuration.fields import SOURCE, settable
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.core.apps import Rules
    from bridge.core.configuration.difference import Configured


# ── `provider set`: set an app's source, one command per kind, and when it deploys ────────────────

setting = typer.Typer(
    no_args_is_help=True,
    help="Set an app's source and when it deploys; only given fields change, and an empty"
    " value removes an optional one.",
)

_KINDS = {
    "github": "Deploy from a repository on GitHub, through an account in Dokploy.",
    "gitlab": "Deploy from a project on GitLab, through an account in Dokploy.",
    "gitea": "Deploy from a repository on Gitea or Forgejo, through an account in Dokploy.",
    "git": "Deploy from any Git repository, by its address.",
    "docker": "Deploy an image from a registry.",
}

Forget = Annotated[
    list[str] | None, typer.Option("--forget", help="Remove this field, e.g. only_newer.")
]


def _set(
    kind: str, app: str, asked: dict[str, Any], how: How, *, forget: "Sequence[str] | None"
) -> None:
    from bridge.core.apps import SourceType
    from bridge.core.configuration.merge import WantedSource

    short = {one.short: one.name for one in SOURCE if one.short}
    for word in forget or ():
        name = word.replace("-", "_")
        name = short.get(name, name)
        if asked.setdefault(name, None) is not None:
            raise Rejected(f"{name[:40]} can't be set and forgotten at once")
    change(app, WantedSource(SourceType(kind), asked), how)


for _kind, _help in _KINDS.items():
    _command = with_options(settable(_kind), partial(_set, _kind), forget=Forget)
    setting.command(_kind, help=_help)(_command)


# ── `provider`: an app's source, and when it deploys ──────────────────────────────────────────────

group = typer.Typer(no_args_is_help=True, help="Show and set an app's source.")
group.add_typer(setting, name="set")


@group.command()
def show(app: AppName, config: Config = None, json: Json = False, reveal: Reveal = False) -> None:
    """Show an app's source, and the bridge's rules for it."""
    run(_show(app, config, json=json, reveal=reveal))


@group.command()
def accounts(config: Config = None, json: Json = False) -> None:
    """List a backend's Git accounts, with their ids for `--account`."""
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
    """Remove an app's source, its watch paths, its trigger and our rules for it."""
    from bridge.core.configuration.merge import NoSource

    change(app, NoSource(), How(config, json, yes))


@group.command()
def undo(app: AppName, config: Config = None, json: Json = False, yes: Yes = False) -> None:
    """Undo an app's newest change, whoever made it; a second undo restores it.

    It is refused, with the difference, if somebody has changed the same fields since.
    """
    configure.undo(app, How(config, json, yes))


async def _accounts(config: "Path | None") -> list[dict[str, str]]:
    from bridge.ports.backends import OffersChoices

    async with backends_of(settings_of(config)) as backends:
        return [
            {"id": one.id, "type": str(one.type), "name": one.name, "backend": name}
            for name, backend in backends.items()
            if isinstance(backend, OffersChoices)
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
    """Return the source's fields, and what all sources share."""
    from pydantic import SecretStr

    from bridge.core.configuration.configuration import DockerSource
    from bridge.core.configuration.difference import shown

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
    from bridge.core.configuration.difference import RULES, rule_value

    said = {spoken: rule_value(getattr(rules, name)) for name, spoken in RULES.items()}
    return {name: value for name, value in said.items() if value is not None}
