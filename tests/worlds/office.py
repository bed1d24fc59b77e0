"""A bridge, a Git host, and people who approve in Slack, the console and the command line."""

import html
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.core.access import Right
from bridge.core.lifecycle import State
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.slack.hands import words_of
from tests.worlds.bridge import Origin
from tests.worlds.console import ConsoleWorld, sent
from tests.worlds.embedded import Repository, git_server, until
from tests.worlds.slack import SlackWorld, slack_world

NAME = "my-org/mono"
HOSTS: dict[str, type[FakeGithub | FakeGitlab]] = {"github": FakeGithub, "gitlab": FakeGitlab}
PEOPLE = ("ada", "ada-renamed", "bob", "grace", "eve")
WHO = ["everyone", *(f"{host}:{one}" for host in HOSTS for one in PEOPLE)]
MAY = [{"who": WHO, "may": [str(right) for right in Right]}]
ADA, BOB = ("Ada", "ada@example.com"), ("Bob", "bob@example.com")
"""Who commits, and by which address."""


@dataclass
class Office:
    """A bridge, a Git host, a workspace with Ada, Bob and Grace, and a repository."""

    both: SlackWorld
    origin: Origin
    host: FakeGithub | FakeGitlab

    def commit(self, text: str | None, by: tuple[str, str] = ADA) -> str:
        """Commit a file, or nothing, by somebody; return the commit."""
        repository = self.origin.repository
        if text is not None:
            (repository.path / "web/index.html").write_text(text)
        name, email = by
        who = ("-c", f"user.name={name}", "-c", f"user.email={email}")
        repository.git("add", "-A")
        repository.git(*who, "commit", "-q", "--allow-empty", "-m", f"feat: {text}")
        return repository.head()

    async def push(
        self, text: str, pusher: str, *, by: tuple[str, str] = ADA, empty_by: Any = None
    ) -> str:
        """Push a commit, and perhaps an empty one on top; return the head.

        The webhook names its head alone, as one whose list is cut.
        """
        before = self.origin.head("main")
        after = self.commit(text, by)
        if empty_by is not None:
            after = self.commit(None, empty_by)
        await self.says(before, after, pusher, empty_by or by)
        return after

    async def says(self, before: str, after: str, pusher: str, by: tuple[str, str]) -> None:
        """Have the host tell of a push, and of the author of its head alone."""
        said = self.origin.payload("refs/heads/main", before, after)
        author = {"name": by[0], "email": by[1]}
        said["commits"] = [one | {"author": author} for one in said["commits"][-1:]]
        if self.origin.host == "github":
            said["pusher"] = {"name": pusher, "email": f"{pusher}@example.com"}
            said["head_commit"]["author"] = author
            said["repository"]["html_url"] = self.origin.url.removesuffix(".git")
        else:
            said["user_username"] = pusher
        assert (await self.both.world.hook(self.origin.host, said)).status_code == 202

    async def approve(self, user: str) -> str:
        """Have somebody click *Approve* on the newest card; return what they are told."""
        card = await self.both.card_says("is held")
        clicked = await self.both.hands.click(card, "gate.approve", user=user)
        return words_of(await clicked.later())

    async def approve_in_console(self, login: str, number: int) -> str:
        """Have somebody who signed in with the host press *Approve*; return what the page says."""
        journal = self.both.world.stores.journal
        (held,) = await until(lambda: journal.deployments(limit=1, state=State.HELD), bool)
        return await self._press(login, number, f"/console/deployments/{held.id}", "Approve")

    async def deploy_in_console(self, login: str, number: int) -> str:
        """Have somebody who signed in with the host press *Deploy* on the app's page."""
        (done,) = await self.both.world.stores.journal.deployments(limit=1)
        return await self._press(login, number, f"/console/apps/{done.app_id}", "Deploy")

    async def _press(self, login: str, number: int, path: str, button: str) -> str:
        console = ConsoleWorld(self.both.world)
        host, email = self.origin.host, f"{login}@office.example"
        groups = frozenset({f"{host}:#{number}"})
        secret = await console.session(f"{host}:{login}", groups=groups, email=email)
        async with console.browsing(secret) as web:
            answer = await sent(web, await web.get(path), button)
            if answer.status_code == 303:
                answer = await web.get(answer.headers["Location"])
            return html.unescape(answer.text)

    async def is_live(self, commit: str) -> None:
        """Wait until a commit is what the app serves."""
        journal = self.both.world.stores.journal

        async def served() -> list[str | None]:
            done = await journal.deployments(limit=1, state=State.DONE)
            return [one.deployed_commit for one in done]

        await until(served, lambda found: found == [commit])

    async def begin(self) -> None:
        """Have a first version live, whoever approves it."""
        commit = await self.push("first version", "bob")
        await self.held("has 0")
        asked = await self.both.hands.type("override web the first version", user="U0GRACE")
        await self.both.hands.click(asked.body, "operation.run", user="U0GRACE")
        await self.is_live(commit)

    async def held(self, words: str) -> None:
        """Wait until the newest card is held for a reason that says this."""

        def says() -> Any:
            cards = self.both.slack.channels["C0SHOP"].roots()
            return [
                one for one in cards[-1:] if "is held" in one["text"] and words in words_of(one)
            ]

        await self.both.slack.until(says)


@asynccontextmanager
async def office_in(
    folder: Path, identities: Mapping[str, Sequence[str]], *, on: str = "github", **rule: Any
) -> AsyncIterator[Office]:
    """Open an office whose app `shop/web` needs an approval, unless the rule says otherwise."""
    root = folder / "served"
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})
    async with git_server(root) as server, HOSTS[on]() as host:
        origin = Origin(repository, on, NAME, 4711, f"{server.url}/{NAME}.git")
        host.repository(NAME, id=4711, git=repository.path)
        there = host.settings | {f"BRIDGE_{on.upper()}_WEB_URL": server.url}
        there["BRIDGE_RULES"] = json.dumps([{"apps": "shop/*", "approvals": 1} | rule])
        if identities:
            there["BRIDGE_IDENTITIES"] = json.dumps(identities)
        async with slack_world(folder / "bridge", MAY, **there) as both:
            both.slack.person("U0BOB", "Bob")
            both.slack.person("U0GRACE", "Grace")
            await both.app(origin)
            yield Office(both, origin, host)
