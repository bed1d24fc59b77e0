"""`manifest`: what the other side needs to know of the bridge, ready to be used there."""

import re
from typing import Annotated

import typer

from bridge.cli.show import hint, say_json
from bridge.cli.using import Json
from bridge.core.errors import Rejected
from bridge.githosts import HOSTS
from bridge.ports.providers import AppManifest

group = typer.Typer(no_args_is_help=True, help="Register the bridge with the services it serves.")

_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?").fullmatch


def address(value: str) -> str:
    """The address of a bridge or server, without a slash at its end."""
    if not _ADDRESS(value):
        raise typer.BadParameter("it must look like https://bridge.example.com")
    return value.rstrip("/")


Url = Annotated[
    str, typer.Option(callback=address, help="Where the bridge is reached from outside.")
]


def _for_host(host: str, title: str, app: AppManifest) -> None:
    """Add the command that registers the bridge as an app at a Git host."""

    def manifest(
        url: Url,
        name: Annotated[
            str, typer.Option(help=f"Name of the App; unique on {title}.")
        ] = "dokploy-bridge",
        org: Annotated[str | None, typer.Option(help="The organisation that shall own it.")] = None,
        server: Annotated[
            str, typer.Option(callback=address, help=f"Your {app.own_server}.")
        ] = app.server,
        link: Annotated[bool, typer.Option("--link", help="Print only the link.")] = False,
    ) -> None:
        made = app.make(url, named(title, name, app.longest_name))
        where = app.link(made, server, org)
        if link:
            typer.echo(where)  # not wrapped: what is cut into lines can't be opened
            return
        say_json(made)
        hint(f"{title}'s form with all that filled in:")
        typer.echo(where, err=True)

    said = f"Print the manifest of the {title} App, and a link that registers it"
    group.command(host, help=f"{said}: open, check, create.")(manifest)


for _host, _one in HOSTS.items():
    if _one.manifest is not None:
        _for_host(_host, _one.title, _one.manifest)


def named(service: str, name: str, longest: int) -> str:
    """Return the name of an app as a service takes it; Rejected where it does not."""
    name = name.strip()
    if not 1 <= len(name) <= longest:
        raise Rejected(
            f"--name: {service} takes names of 1 to {longest} characters, this one has {len(name)}"
        )
    return name


PASTE_AT = "https://api.slack.com/apps"


@group.command()
def slack(
    url: Annotated[
        str | None,
        typer.Option(
            callback=lambda value: value and address(value), help="Where Slack reaches it."
        ),
    ] = None,
    socket: Annotated[
        bool, typer.Option("--socket", help="By Socket Mode: the bridge reaches Slack instead.")
    ] = False,
    more: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="WHAT",
            help="More scopes: any-channel, emails, groups, history (see docs/slack.md).",
        ),
    ] = None,
    name: Annotated[str, typer.Option(help="How the app is called in Slack.")] = "Bridge",
    json: Json = False,
) -> None:
    """Print the manifest of the Slack app, as YAML to paste at api.slack.com/apps."""
    from bridge.chats.slack.manifest import LONGEST_NAME, MORE_SCOPES, slack_manifest

    if bool(url) == socket:
        raise Rejected("say either --url https://… or --socket")
    for one in more or ():
        if one not in MORE_SCOPES:
            raise Rejected(f"--with {one!r}: there are {', '.join(MORE_SCOPES)}")
    made = slack_manifest(url, more or (), named("Slack", name, LONGEST_NAME))
    if json:
        say_json(made)
        return
    import yaml

    typer.echo(yaml.safe_dump(made, sort_keys=False, allow_unicode=True), nl=False)
    hint(f"paste it at {PASTE_AT}: Create New App, From a manifest")
