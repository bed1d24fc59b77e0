"""How the demo looks: short titled acts with a moving line on a terminal, plain lines in a pipe."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.cleaning import clean
from bridge.cli.deployments import change_line, change_text
from bridge.cli.show import console, on_terminal

if TYPE_CHECKING:
    from bridge.core.lifecycle import Change

GOOD, BAD, QUIET = "green", "red", "dim"

RANDOM = "python3 -c 'import secrets; print(secrets.token_hex(32))'"


class Stage:
    """Where the demo is shown."""

    def __init__(self) -> None:
        self._console: Any = console() if on_terminal() else None
        self._acts = 0

    def title(self, text: str) -> None:
        """The head of it all."""
        if self._console is None:
            typer.echo(text)
        else:
            self._console.rule(f"{text}", style="cyan", align="left")

    def act(self, text: str) -> None:
        """A new part begins."""
        self._acts += 1
        if self._console is None:
            typer.echo(f"\n{self._acts}. {text}")
        else:
            self._console.print(f"\n{self._acts}. {text}", style="bold cyan")

    def fact(self, name: str, value: str, style: str = "") -> None:
        """One thing that is so."""
        if self._console is None:
            typer.echo(f"   {name:<9} {clean(value)}")
            return
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 1))  # folds a long value under itself
        line.add_column(width=9, no_wrap=True)
        line.add_column(overflow="fold")
        line.add_row(Text(name, style="bold"), Text(clean(value), style=style))
        self._console.print(Padding(line, (0, 0, 0, 3)))

    def change(self, change: "Change") -> None:
        """One step of a deployment."""
        if self._console is None:
            typer.echo(f"   {'':<9} {change_line(change)}")
        else:
            from rich.padding import Padding

            self._console.print(Padding(change_text(change), (0, 0, 0, 13)))

    def lines(self, lines: list[str]) -> None:
        """Text as it stands, for copying."""
        for line in lines:
            if self._console is None:
                typer.echo(line)
            else:
                style = "cyan" if line.startswith("    ") else ""
                self._console.print(line, style=style, soft_wrap=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Something takes a moment."""
        if self._console is None:
            yield
            return
        with self._console.status(text, spinner="dots"):
            yield


def farewell(command: str) -> list[str]:
    """How to go on from here: a real host and a real Dokploy. Pure."""
    return [
        "",
        "That was the whole journey. With your own repositories and your own Dokploy:",
        "",
        "  1. Choose a secret for the webhook, and name your Dokploy and its API key:",
        f"    SECRET=$({RANDOM})",
        "    export BRIDGE_GITHUB_WEBHOOK_SECRETS=$SECRET",
        "    export BRIDGE_DOKPLOY_URL=https://dokploy.example.com",
        "    export BRIDGE_DOKPLOY_API_KEY=…    # Settings, Profile, API Keys",
        "     (for GitLab: BRIDGE_GITLAB_WEBHOOK_TOKENS; without a Dokploy, the embedded",
        "     backend deploys, as it did here)",
        "",
        "  2. Start the bridge where your Git host can reach it:",
        f"    {command} serve --host 0.0.0.0 --port 8080",
        "",
        "  3. Add the webhook. GitHub: Settings, Webhooks, Add webhook:",
        "    Payload URL   https://bridge.example.com/hooks/github",
        "    Content type  application/json",
        "    Secret        the value of BRIDGE_GITHUB_WEBHOOK_SECRETS",
        "    Events        pushes and pull requests",
        "",
        "  4. Turn Auto Deploy off in Dokploy for these apps, push, and ask:",
        f"    {command} deliveries",
        f"    {command} why APP",
    ]
