"""`manifest`: register the bridge with Git hosts and chats."""

import re
from typing import Annotated

import typer

from bridge.chats import CHATS
from bridge.cli.context import Json
from bridge.cli.show import hint, say_json
from bridge.core.errors import Rejected
from bridge.githosts import HOSTS
from bridge.ports.providers import AppManifest, ChatManifest

group = typer.Typer(no_args_is_help=True, help="Register the bridge with the services it serves.")

_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#]*)?").fullmatch


def address(value: str) -> str:
    """Return the address of a server, without a trailing slash."""
    if not _ADDRESS(value):
        raise typer.BadParameter("it must look like https://git.example.com")
    return value.rstrip("/")


def bridge_address(value: str | None) -> str | None:
    """Return the bridge's own address, without a trailing slash; None and "" stay as they are."""
    from bridge.ports.settings import own_address

    try:
        return own_address(value) if value else value
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Url = Annotated[
    str, typer.Option(callback=bridge_address, help="Where the bridge is reached from outside.")
]


def _for_host(host: str, title: str, app: AppManifest) -> None:
    """Add the command that registers the bridge as an app at a Git host."""

    def manifest(
        url: Url,
        name: Annotated[
            str, typer.Option(help=f"Name of the App; unique on {title}.")
        ] = "dokploy-bridge",
        org: Annotated[str | None, typer.Option(help="The organisation to own it.")] = None,
        server: Annotated[
            str, typer.Option(callback=address, help=f"Your {app.own_server}.")
        ] = app.server,
        link: Annotated[bool, typer.Option("--link", help="Print only the link.")] = False,
    ) -> None:
        made = app.make(url, named(title, name, app.longest_name))
        where = app.link(made, server, org)
        if link:
            typer.echo(where)  # not wrapped: a broken link can't be opened
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
    """Return an app's name; raise Rejected if the service does not accept it."""
    name = name.strip()
    if not 1 <= len(name) <= longest:
        raise Rejected(
            f"--name: {service} takes names of 1 to {longest} characters, this one has {len(name)}"
        )
    return name


def _for_chat(chat: str, title: str, app: ChatManifest) -> None:
    """Add the command that registers the bridge at a chat."""
    option, way = app.without_url

    def manifest(
        url: Annotated[
            str | None,
            typer.Option(callback=bridge_address, help=f"Where {title} reaches it."),
        ] = None,
        without: Annotated[
            bool, typer.Option(f"--{option}", help=f"By {way}: the bridge reaches {title} instead.")
        ] = False,
        more: Annotated[
            list[str] | None,
            typer.Option(
                "--with",
                metavar="WHAT",
                help=f"More scopes: {', '.join(app.more)} (see docs/{chat}.md).",
            ),
        ] = None,
        name: Annotated[str, typer.Option(help=f"The app's name in {title}.")] = app.name,
        json: Json = False,
    ) -> None:
        if bool(url) == without:
            raise Rejected(f"give either --url https://… or --{option}")
        for one in more or ():
            if one not in app.more:
                raise Rejected(f"--with {one!r}: there are {', '.join(app.more)}")
        made = app.make(url, more or (), named(title, name, app.longest_name))
        if json:
            say_json(made)
            return
        import yaml

        typer.echo(yaml.safe_dump(made, sort_keys=False, allow_unicode=True), nl=False)
        hint(f"paste it at {app.paste_at}: {app.paste_as}")

    place = app.paste_at.removeprefix("https://")
    help_ = f"Print the manifest of the {title} app, as YAML to paste at {place}."
    group.command(chat, help=help_)(manifest)


for _chat, _its in CHATS.items():
    if _its.manifest is not None:
        _for_chat(_chat, _its.title, _its.manifest)
