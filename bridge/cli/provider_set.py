"""`provider set`: an app's source, of each kind of its own, and when it deploys."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.changing import How, Yes, change
from bridge.cli.deployments import AppName
from bridge.cli.source_options import (
    Account,
    Branch,
    Branches,
    BuildPath,
    Forget,
    OnlyNewer,
    Owner,
    Prereleases,
    Repository,
    SkipDirectives,
    Submodules,
    TagPrefix,
    Tags,
    Triggers,
    Versions,
    Watch,
)
from bridge.cli.using import Config, Json
from bridge.core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """A repository on GitHub, by an account that Dokploy has."""
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
    """A project on GitLab, by an account that Dokploy has."""
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
    """An image from a registry."""
    from bridge.cli.hidden import ask_hidden

    fields: dict[str, Any] = {"image": image, "username": username, "registry_url": registry_url}
    if password or password_stdin:
        from pydantic import SecretStr

        fields["password"] = SecretStr(ask_hidden(["password"])["password"])
    _set("docker", app, fields, forget, How(config, json, yes))


def _fields_of(given: dict[str, Any]) -> dict[str, Any]:
    """The fields among a command's arguments."""
    others = {"app", "forget", "config", "json", "yes", "url_stdin"}
    return {name: value for name, value in given.items() if name not in others}


def _address(url: str | None, *, asked: bool) -> str | None:
    """The clone address; one with a password is never a word of the command line."""
    if asked:
        from bridge.cli.hidden import ask_hidden

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
    from bridge.core.configuring.merge import WantedSource
    from bridge.core.watch import SourceType

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
