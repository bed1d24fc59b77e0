"""`manifest`: what the other side needs to know of the bridge, ready to be used there."""

import re
from typing import Annotated

import typer

from bridge.cli.show import hint, say, say_json

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


@group.command()
def github(
    url: Url,
    name: Annotated[
        str, typer.Option(help="Name of the App; unique on GitHub.")
    ] = "dokploy-bridge",
    org: Annotated[str | None, typer.Option(help="The organisation that shall own it.")] = None,
    server: Annotated[
        str, typer.Option(callback=address, help="Your GitHub Enterprise Server.")
    ] = "https://github.com",
    link: Annotated[bool, typer.Option("--link", help="Print only the link.")] = False,
) -> None:
    """Print the manifest of the GitHub App, and a link that registers it: open, check, create."""
    from bridge.githosts.github_manifest import github_manifest, registration_link

    manifest = github_manifest(url, name)
    where = registration_link(manifest, server=server, org=org)
    if link:
        say(where)
        return
    say_json(manifest)
    hint(f"GitHub's form with all that filled in: {where}")
