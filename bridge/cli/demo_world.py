"""The world of the demo: a repository with its webhooks, GitHub and Slack, and a terminal."""

import asyncio
import hashlib
import hmac
import json
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import typer

from bridge.cli.deployments import change_line, change_text
from bridge.cli.show import clean, console, on_terminal
from bridge.core.errors import Refused, Rejected

if TYPE_CHECKING:
    from aiohttp import web

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
        if self._console is None:
            typer.echo(text)
        else:
            self._console.rule(f"{text}", style="cyan", align="left")

    def act(self, text: str) -> None:
        self._acts += 1
        if self._console is None:
            typer.echo(f"\n{self._acts}. {text}")
        else:
            self._console.print(f"\n{self._acts}. {text}", style="bold cyan")

    def fact(self, name: str, value: str, style: str = "") -> None:
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


# ── GitHub and Slack: stand-ins on this machine that keep what the bridge sends them ──────────────

TOKEN = "xoxb-demo"  # noqa: S105 - of a stand-in
CHANNEL = "C0DEPLOYS"
LOGIN = "bridge"


@dataclass(slots=True)
class Services:
    """The demo's stand-ins for a Git host and a chat.

    Attributes:
        url: of both stand-ins.
        merged: the commit of the pull request that is to be commented on; "" for none.
        comments: texts of its comments, by id.
        card: the newest message in the channel.
        thread: the texts below it.
    """

    url: str = ""
    merged: str = ""
    comments: dict[str, str] = field(default_factory=dict)
    cards: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    thread: list[str] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def shown(self, fits: Callable[["Services"], bool]) -> None:
        """Wait until what people see fits."""
        while not fits(self):
            self.changed.clear()
            await self.changed.wait()

    # ── GitHub: https://docs.github.com/en/rest ──────────────────────────────────────────────────

    async def github(self, request: "web.Request") -> "web.Response":
        """Answer a request of GitHub's API."""
        from aiohttp import web

        place = f"{request.method} {request.path.rpartition('/api/v3')[2]}"
        body = await request.json() if request.can_read_body else {}
        if place == "GET /user":
            return web.json_response({"login": LOGIN})
        if found := re.fullmatch(r"GET /repos/[^/]+/[^/]+/commits/(\w+)/pulls", place):
            return web.json_response([self._pull()] if found[1] == self.merged else [])
        if re.fullmatch(r"GET /repos/[^/]+/[^/]+/issues/1/comments", place):
            return web.json_response([_comment(*one) for one in self.comments.items()])
        if re.fullmatch(r"POST /repos/[^/]+/[^/]+/issues/1/comments", place):
            return web.json_response(self._written(str(len(self.comments) + 1), body), status=201)
        if found := re.fullmatch(r"PATCH /repos/[^/]+/[^/]+/issues/comments/(\d+)", place):
            return web.json_response(self._written(found[1], body))
        return web.json_response({"message": "Not Found"}, status=404)

    def _pull(self) -> dict[str, Any]:
        branch = {"ref": "opening", "sha": self.merged, "repo": {"id": 4711}}
        return {
            "number": 1,
            "state": "closed",
            "merged_at": "2026-01-01T00:00:00Z",
            "merge_commit_sha": self.merged,
            "head": branch,
            "base": branch | {"ref": "main"},
        }

    def _written(self, id_: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.comments[id_] = str(body["body"])
        self.changed.set()
        return _comment(id_, self.comments[id_])

    # ── Slack: https://docs.slack.dev/reference/methods ──────────────────────────────────────────

    async def slack(self, request: "web.Request") -> "web.Response":
        """Answer a method of Slack's Web API."""
        from aiohttp import web

        method = request.path.rpartition("/")[2]
        said = await _arguments(request)
        answer: dict[str, Any] = {"ok": True}
        if method == "auth.test":
            answer |= {"team": "Demo", "team_id": "T0DEMO", "user": LOGIN, "user_id": "U0BRIDGE"}
        elif method in ("chat.postMessage", "chat.update"):
            ts = str(said.get("ts") or f"{len(self.cards) + len(self.thread) + 1}.000001")
            if said.get("thread_ts"):
                self.thread.append(str(said.get("text", "")))
            else:
                self.cards[ts] = said
            self.changed.set()
            answer |= {"channel": CHANNEL, "ts": ts, "message": {"ts": ts}}
        elif method == "chat.getPermalink":
            ts = str(said.get("message_ts", "")).replace(".", "")
            answer |= {"permalink": f"https://demo.slack.com/archives/{CHANNEL}/p{ts}"}
        else:
            answer = {"ok": False, "error": "unknown_method"}
        return web.json_response(answer)


def _comment(id_: str, body: str) -> dict[str, Any]:
    return {"id": int(id_), "body": body, "user": {"login": LOGIN}}


async def _arguments(request: "web.Request") -> Mapping[str, Any]:
    if request.method == "GET":
        return dict(request.query)
    if request.content_type == "application/json":
        found: Mapping[str, Any] = await request.json()
        return found
    return dict(parse_qsl(await request.text()))


@asynccontextmanager
async def running_services() -> AsyncIterator[Services]:
    """Run both stand-ins on a free port of this machine."""
    from aiohttp import web

    from bridge.listening.listener import close_all

    services = Services()
    app = web.Application()
    app.router.add_route("*", "/api/v3/{path:.*}", services.github)
    app.router.add_route("*", "/api/{method}", services.slack)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    assert runner.server is not None
    listener = await asyncio.get_running_loop().create_server(runner.server, "127.0.0.1", 0)
    services.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield services
    finally:
        await close_all([listener])
        await runner.cleanup()


# ── in a terminal ────────────────────────────────────────────────────────────────────────────────

_LINK = re.compile(r"<(?:[^|>]*)\|([^>]*)>")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_EMOJI = {":white_check_mark:": "✅", ":x:": "❌", ":hourglass_flowing_sand:": "⏳"}


def card_lines(card: Mapping[str, Any]) -> list[str]:
    """Return the lines of a Slack message, as Slack shows its blocks."""
    lines: list[str] = []
    for block in card["blocks"]:
        if block["type"] == "section":
            lines += _plain(block["text"]["text"]).split("\n")
        elif block["type"] == "context":
            lines.append(" ".join(_plain(one["text"]) for one in block["elements"]))
        elif block["type"] == "actions":
            lines.append("  ".join(f"[{one['text']['text']}]" for one in block["elements"]))
    return lines


def _plain(text: str) -> str:
    """Return Slack's markup as text: links by their words, entities as what they stand for."""
    text = _LINK.sub(r"\1", text).replace("*", "").replace("`", "")
    for sign, meant in {**_EMOJI, **_ENTITIES}.items():
        text = text.replace(sign, meant)
    return text


def comment_lines(body: str) -> list[str]:
    """Return the lines of a comment, without its invisible marker."""
    return [line for line in body.splitlines() if not line.startswith("<!--")]
