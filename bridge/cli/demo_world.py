"""The demo's Git side: a bare repository, a clone to push from, and the host's webhook."""

import asyncio
import hashlib
import hmac
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.deployments import change_line, change_text
from bridge.cli.show import clean, console, on_terminal
from bridge.core.errors import Refused, Rejected

if TYPE_CHECKING:
    from bridge.core.lifecycle import Change


NOBODY = "0" * 40
BRANCH = "main"
WHO = ("-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false")


@dataclass(frozen=True, slots=True)
class Push:
    """The result of a `git push`."""

    before: str
    after: str


class Shop:
    """A small monorepo, `web/` and `docs/`, as on a Git host."""

    name = "my-org/shop"

    def __init__(self, folder: Path) -> None:
        self.bare = folder / "host" / "my-org" / "shop.git"
        self.clone = folder / "work" / "shop"

    @property
    def url(self) -> str:
        """The clone address."""
        return self.bare.as_uri()

    async def make(self) -> None:
        """Create a bare repository and an empty clone of it."""
        if shutil.which("git") is None:
            raise Rejected("the demo needs git, and there is none in PATH")
        self.bare.mkdir(parents=True)
        self.clone.mkdir(parents=True)
        await git(self.bare, "init", "--quiet", "--bare")
        await git(self.clone, "init", "--quiet")
        # Git's own default branch may have another name; this works with any Git.
        for place in (self.bare, self.clone):
            await git(place, "symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
        await git(self.clone, "remote", "add", "origin", self.url)

    async def push(self, message: str, files: dict[str, str]) -> Push:
        """Commit files and push them."""
        before = await git(self.bare, "for-each-ref", "--format=%(objectname)", "refs/heads/main")
        for name, text in files.items():
            file = self.clone / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        await git(self.clone, "add", "--all")
        await git(self.clone, "commit", "--quiet", "-m", message)
        await git(self.clone, "push", "--quiet", "origin", BRANCH)
        after = await git(self.bare, "rev-parse", f"refs/heads/{BRANCH}")
        return Push(before or NOBODY, after)

    async def payload(self, push: Push, web_url: str) -> bytes:
        """Return the body of the webhook that GitHub would send for a push.

        Args:
            web_url: GitHub's address.
        """
        span = push.after if push.before == NOBODY else f"{push.before}..{push.after}"
        listed = (await git(self.bare, "rev-list", "--reverse", span)).split()
        commits = [await self._commit(sha) for sha in listed]
        return json.dumps(
            {
                "ref": f"refs/heads/{BRANCH}",
                "before": push.before,
                "after": push.after,
                "created": push.before == NOBODY,
                "deleted": False,
                "forced": False,
                "repository": {
                    "id": 4711,
                    "name": "shop",
                    "full_name": self.name,
                    "owner": {"login": "my-org"},
                    "clone_url": self.url,
                    "html_url": f"{web_url}/{self.name}",
                },
                "pusher": {"name": "ada"},
                "head_commit": commits[-1],
                "commits": commits,
            }
        ).encode()

    async def _commit(self, sha: str) -> dict[str, Any]:
        files: dict[str, list[str]] = {"A": [], "M": [], "D": []}
        shown = await git(
            self.bare, "show", "--format=", "--no-renames", "--name-status", "--root", sha
        )
        for line in shown.splitlines():
            kind, _, path = line.partition("\t")
            files.setdefault(kind, []).append(path)
        return {
            "id": sha,
            "message": await git(self.bare, "log", "-1", "--format=%B", sha),
            "author": {"name": "Ada", "username": "ada"},
            "added": files["A"],
            "modified": files["M"],
            "removed": files["D"],
        }


def signed(body: bytes, secret: str) -> dict[str, str]:
    """Return the headers that GitHub would send with a body."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": str(uuid.uuid4()),
        "X-Hub-Signature-256": f"sha256={signature}",
        "Content-Type": "application/json",
    }


async def git(folder: Path, *words: str) -> str:
    """Run git; return its output, or raise Refused with git's own words."""
    # The caller's variables for their own repository must not affect this one.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    process = await asyncio.create_subprocess_exec(
        "git",
        *WHO,
        *words,
        cwd=folder,
        env=environment | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    if process.returncode != 0:
        raise Refused("git", f"{words[0]}: {errors.decode(errors='replace').strip()}")
    return output.decode(errors="replace").strip()


# ── How the demo looks: short titled acts with a moving line on a terminal, plain lines in a pipe

GOOD, BAD, QUIET = "green", "red", "dim"


class Stage:
    """The demo's output."""

    def __init__(self) -> None:
        self._console: Any = console() if on_terminal() else None
        self._acts = 0

    def title(self, text: str) -> None:
        """Print the title."""
        if self._console is None:
            typer.echo(text)
        else:
            self._console.rule(f"{text}", style="cyan", align="left")

    def act(self, text: str) -> None:
        """Start a new part."""
        self._acts += 1
        if self._console is None:
            typer.echo(f"\n{self._acts}. {text}")
        else:
            self._console.print(f"\n{self._acts}. {text}", style="bold cyan")

    def fact(self, name: str, value: str, style: str = "") -> None:
        """Print one fact."""
        if self._console is None:
            typer.echo(f"   {name:<9} {clean(value)}")
            return
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        line = Table.grid(padding=(0, 1))  # wraps a long value below itself
        line.add_column(width=9, no_wrap=True)
        line.add_column(overflow="fold")
        line.add_row(Text(name, style="bold"), Text(clean(value), style=style))
        self._console.print(Padding(line, (0, 0, 0, 3)))

    def change(self, change: "Change") -> None:
        """Print one step of a deployment."""
        if self._console is None:
            typer.echo(f"   {'':<9} {change_line(change)}")
        else:
            from rich.padding import Padding

            self._console.print(Padding(change_text(change), (0, 0, 0, 13)))

    def box(self, title: str, lines: list[str], *, markdown: bool = False) -> None:
        """Print what is shown somewhere else, in a box."""
        if self._console is None:
            typer.echo(f"   {title}:")
            for line in lines:
                typer.echo(f"   | {clean(line)}".rstrip())
            return
        from rich.markdown import Markdown
        from rich.padding import Padding
        from rich.panel import Panel
        from rich.text import Text

        text = "\n".join(map(clean, lines))
        inner = Markdown(text) if markdown else Text(text, overflow="fold")
        self._console.print(Padding(Panel(inner, title=title, title_align="left"), (0, 0, 0, 3)))

    def lines(self, lines: list[str]) -> None:
        """Print text unchanged, for copying."""
        for line in lines:
            if self._console is None:
                typer.echo(line)
            else:
                style = "cyan" if line.startswith("    ") else ""
                self._console.print(line, style=style, soft_wrap=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something takes a moment."""
        if self._console is None:
            yield
            return
        with self._console.status(text, spinner="dots"):
            yield


def farewell(command: str) -> list[str]:
    """Return the next steps: a real host and a real Dokploy. Pure."""
    return [
        "",
        "That was all of it. With your own repositories, Dokploy and chat:",
        "",
        "  1. Start the bridge where your browser and your Git host reach it:",
        f"     {command} serve --host 0.0.0.0 --port 8080",
        "",
        "  2. Open the link that it prints, and connect everything there (docs/setup.md);",
        "     or by hand, as the README says.",
        "",
        "  3. Push, and ask:",
        f"     {command} deliveries",
        f"     {command} why APP",
    ]
