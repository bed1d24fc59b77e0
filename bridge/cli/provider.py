"""`provider`: where an app's code comes from, and when it deploys."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli import changing
from bridge.cli.changing import How, Reveal, Yes, change, say_fields
from bridge.cli.deployments import AppName
from bridge.cli.reaching import backends_of, reached
from bridge.cli.show import hint, say_json, say_table
from bridge.cli.using import Config, Json, run, settings_of
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.core.apps import Rules
    from bridge.core.configuration.difference import Configured


HELD_HERE = "When it deploys"


def _here(name: str, help_: str) -> Any:
    return typer.Option(name, help=help_, rich_help_panel=HELD_HERE)


Account = Annotated[
    str | None,
    typer.Option(
        "--account", "--provider-id", help="Id of the Git account; `provider accounts` lists them."
    ),
]
Owner = Annotated[str | None, typer.Option("--owner", help="User, organisation or group.")]
Repository = Annotated[str | None, typer.Option("--repository", help="Its name, e.g. mono.")]
Branch = Annotated[str | None, typer.Option("--branch", help="The branch that is built.")]
BuildPath = Annotated[
    str | None, typer.Option("--build-path", help="Folder of the repository that is built.")
]
Watch = Annotated[
    list[str] | None,
    typer.Option(
        "--watch",
        "--watch-paths",
        help="Deploy only when a file matches, e.g. 'web/**'. Repeatable.",
    ),
]
Submodules = Annotated[
    bool | None, typer.Option("--submodules/--no-submodules", help="Clone submodules too.")
]
Triggers = Annotated[str | None, _here("--trigger", "push or tag.")]
Branches = Annotated[
    str | None, _here("--branches", "Pushes to these branches deploy, e.g. 'release/*'.")
]
Tags = Annotated[str | None, _here("--tags", "Only tags like this deploy, e.g. 'v*'.")]
Versions = Annotated[str | None, _here("--versions", "Only versions in it, e.g. '>=1.2 <2'.")]
TagPrefix = Annotated[str | None, _here("--tag-prefix", "What stands before a version.")]
Prereleases = Annotated[str | None, _here("--prereleases", "deploy, skip or only.")]
OnlyNewer = Annotated[
    bool | None, _here("--only-newer/--no-only-newer", "Never an older version after a newer one.")
]
SkipDirectives = Annotated[
    bool | None, _here("--skip-directives/--no-skip-directives", r"Whether \[skip ci] counts.")
]
Forget = Annotated[
    list[str] | None, typer.Option("--forget", help="Take this field away, e.g. only_newer.")
]


# ── `provider set`: an app's source, of each kind of its own, and when it deploys ───────────────

setting = typer.Typer(
    no_args_is_help=True,
    help="Set an app's source and when it deploys; only what is given changes, and an empty"
    " value takes an optional one away.",
)

NAMES = {"account": "provider_id", "ssh_key": "ssh_key_id", "watch": "watch_paths"}
"""Options that are shorter than their fields."""


@setting.command()
def github(
    app: AppName,
    owner: Owner = None,
    repository: Repository = None,
    branch: Branch = None,
    account: Account = None,
    build_path: BuildPath = None,
    watch: Watch = None,
    submodules: Submodules = None,
    trigger: Triggers = None,
    branches: Branches = None,
    tags: Tags = None,
    versions: Versions = None,
    tag_prefix: TagPrefix = None,
    prereleases: Prereleases = None,
    only_newer: OnlyNewer = None,
    skip_directives: SkipDirectives = None,
    forget: Forget = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Deploy from a repository on GitHub, by an account that Dokploy has."""
    _set("github", app, _fields_of(locals()), forget, How(config, json, yes))


@setting.command()
def gitlab(
    app: AppName,
    owner: Owner = None,
    repository: Repository = None,
    branch: Branch = None,
    account: Account = None,
    project_id: Annotated[
        int | None, typer.Option("--project-id", help="GitLab's number of the project.")
    ] = None,
    path: Annotated[
        str | None, typer.Option("--path", help="With all groups, e.g. group/sub/mono.")
    ] = None,
    build_path: BuildPath = None,
    watch: Watch = None,
    submodules: Submodules = None,
    trigger: Triggers = None,
    branches: Branches = None,
    tags: Tags = None,
    versions: Versions = None,
    tag_prefix: TagPrefix = None,
    prereleases: Prereleases = None,
    only_newer: OnlyNewer = None,
    skip_directives: SkipDirectives = None,
    forget: Forget = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Deploy from a project on GitLab, by an account that Dokploy has."""
    _set("gitlab", app, _fields_of(locals()), forget, How(config, json, yes))


@setting.command()
def git(
    app: AppName,
    url: Annotated[str | None, typer.Option("--url", help="Its clone address.")] = None,
    url_stdin: Annotated[
        bool, typer.Option("--url-stdin", help="Ask for an address that holds a password.")
    ] = False,
    branch: Branch = None,
    ssh_key: Annotated[
        str | None,
        typer.Option(
            "--ssh-key", "--ssh-key-id", help="Id of the SSH key that Dokploy clones with."
        ),
    ] = None,
    build_path: BuildPath = None,
    watch: Watch = None,
    submodules: Submodules = None,
    trigger: Triggers = None,
    branches: Branches = None,
    tags: Tags = None,
    versions: Versions = None,
    tag_prefix: TagPrefix = None,
    prereleases: Prereleases = None,
    only_newer: OnlyNewer = None,
    skip_directives: SkipDirectives = None,
    forget: Forget = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Any Git repository, by its address."""
    fields = _fields_of(locals()) | {"url": _address(url, asked=url_stdin)}
    _set("git", app, fields, forget, How(config, json, yes))


@setting.command()
def docker(
    app: AppName,
    image: Annotated[str | None, typer.Option("--image", help="E.g. nginx:1.27.")] = None,
    username: Annotated[str | None, typer.Option("--username", help="At the registry.")] = None,
    registry_url: Annotated[
        str | None, typer.Option("--registry-url", help="Empty: Docker Hub.")
    ] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Ask for the registry's password, hidden.")
    ] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    forget: Forget = None,
    config: Config = None,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Deploy an image from a registry."""
    from bridge.cli.using import ask_hidden

    fields: dict[str, Any] = {"image": image, "username": username, "registry_url": registry_url}
    if password or password_stdin:
        from pydantic import SecretStr

        fields["password"] = SecretStr(ask_hidden(["password"])["password"])
    _set("docker", app, fields, forget, How(config, json, yes))


def _fields_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields among a command's arguments."""
    others = {"app", "forget", "config", "json", "yes", "url_stdin"}
    return {name: value for name, value in given.items() if name not in others}


def _address(url: str | None, *, asked: bool) -> str | None:
    """Return the clone address; one with a password is never a word of the command line."""
    if asked:
        from bridge.cli.using import ask_hidden

        return ask_hidden(["url"])["url"]
    if url is not None and re.match(r"https?://[^/]*@|\w+://[^/@]*:[^/@]*@", url):
        raise Rejected(
            "an address with a password or a token is a secret, and a command line is no place"
            " for it: give it with --url-stdin"
        )
    return url


def _set(
    kind: str, app: str, fields: dict[str, Any], forget: "Sequence[str] | None", how: How
) -> None:
    from bridge.core.apps import SourceType
    from bridge.core.configuration.merge import WantedSource

    if (paths := fields.get("watch")) is not None:
        fields["watch"] = tuple(path for path in paths if path) or ""
    asked = {
        NAMES.get(name, name): None if value == "" else value
        for name, value in fields.items()
        if value is not None
    }
    for word in forget or ():
        name = word.replace("-", "_")
        name = NAMES.get(name, name)
        if asked.setdefault(name, None) is not None:
            raise Rejected(f"{name[:40]} can't be set and forgotten at once")
    change(app, WantedSource(SourceType(kind), asked), how)


# ── `provider`: where an app's code comes from, and when it deploys ─────────────────────────────

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
    from bridge.core.configuration.merge import NoSource

    change(app, NoSource(), How(config, json, yes))


@group.command()
def undo(app: AppName, config: Config = None, json: Json = False, yes: Yes = False) -> None:
    """Undo the newest change of an app, by whomever; once more does it again.

    It is refused, with the difference, where somebody has changed the same in between.
    """
    changing.undo(app, How(config, json, yes))


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
    from bridge.core.configuration.difference import RULES

    said = {spoken: getattr(rules, name) for name, spoken in RULES.items()}
    return {name: value for name, value in said.items() if value is not None}
