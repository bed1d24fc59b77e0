"""A bridge beside a Git host and the embedded backend, whose pull requests have previews."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from bridge.core.previews.preview import Preview, PreviewState
from bridge.githosts import HOSTS
from tests.fakes.gitea import FakeGitea
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHost, FakeRepository
from tests.fakes.pulls import Change, FakePull
from tests.worlds.bridge import SECRET, TOKEN, World, running_world
from tests.worlds.embedded import Repository, git_server, until
from tests.worlds.feedback import QUICKLY

NAME = "my-org/mono"
FAKES: dict[str, type[FakeGithub | FakeGitlab | FakeGitea]] = {
    "github": FakeGithub,
    "gitlab": FakeGitlab,
    "gitea": FakeGitea,
}


@dataclass
class PreviewWorld:
    """A running bridge, the host, and its one repository, which can be cloned.

    Attributes:
        apps: the ids of the apps, by name.
    """

    world: World
    fake: FakeHost
    git: Repository
    theirs: FakeRepository
    clone_url: str
    apps: dict[str, str] = field(default_factory=dict)

    async def app(self, name: str = "web", watch: Sequence[str] | None = None) -> str:
        """Create an app that publishes a folder of its name from main."""
        assert self.world.backend is not None
        made = await self.world.backend.app(
            name, self.clone_url, publishDirectory=name, env="SECRET=of production"
        )
        id_ = str(made["applicationId"])
        await self.world.backend.save_git(id_, self.clone_url, watchPaths=watch)
        self.apps[name] = id_
        # It may have been read before it had its source.
        await until(
            self.world.stores.journal.apps,
            lambda known: id_ in [one.id for one in known if one.source is not None],
        )
        return id_

    def branch(self, name: str, files: dict[str, str]) -> None:
        """Commit files to a new branch, from main."""
        self.git.git("checkout", "-q", "-b", name, "main")
        self.git.commit(f"feat: {name}", files)
        self.git.git("checkout", "-q", "main")

    def commit(self, branch: str, files: dict[str, str]) -> None:
        """Commit files to a branch."""
        self.git.git("checkout", "-q", branch)
        self.git.commit(f"feat: more of {branch}", files)
        self.git.git("checkout", "-q", "main")
        self.theirs.follow()

    async def opened(self, branch: str, files: dict[str, str], **others: Any) -> FakePull:
        """Open a pull request of a new branch."""
        self.branch(branch, files)
        pull = self.theirs.open_pull(branch, **others)
        await self.send(pull, Change.OPENED)
        return pull

    async def forked(self, files: dict[str, str]) -> FakePull:
        """Open a pull request of a fork, whose commits no branch of ours leads to."""
        sha = self._beside(files, "main")
        pull = self.theirs.open_pull("main", own=False, sha=sha, author="mallory")
        await self.send(pull, Change.OPENED)
        return pull

    async def misreported(self, files: dict[str, str], at: float) -> FakePull:
        """Open a pull request of a fork that its webhook calls the repository's own."""
        sha = self._beside(files, "main")
        pull = self.theirs.open_pull("main", sha=sha, author="mallory")
        true, pull.updated_at = pull.updated_at, at
        (hook,) = self.fake.hooks_of(self.theirs)
        events = self.fake.pull_events(self.theirs, pull, Change.OPENED, hook)
        pull.own, pull.updated_at = False, true
        for event, payload in events:
            await self.fake.send(hook, event, payload)
        return pull

    async def fork_pushed(self, pull: FakePull, files: dict[str, str]) -> None:
        """Push to the fork of a pull request."""
        self.theirs.move(pull, self._beside(files, pull.head_sha))
        await self.send(pull, Change.PUSHED)

    def _beside(self, files: dict[str, str], onto: str) -> str:
        """Commit files, with no branch that leads there; return the commit."""
        self.git.git("checkout", "-q", "--detach", onto)
        sha = self.git.commit("feat: from outside", files)
        self.git.git("update-ref", f"refs/theirs/{sha}", sha)
        self.git.git("checkout", "-q", "main")
        self.theirs.follow()
        return sha

    async def pushed(self, pull: FakePull, files: dict[str, str]) -> None:
        """Push to a pull request."""
        self.commit(pull.head, files)
        await self.send(pull, Change.PUSHED)

    async def approve(self, pull: FakePull, commit: str | None = None) -> None:
        """Approve a commit of a pull request, by default its head."""
        (one,) = (await self.previews(pull)).values()
        facts: dict[str, Any] = {"approved": commit or pull.head_sha, "approver": "grace"}
        await self.world.stores.journal.ask_previews(one.id, **facts)

    async def closed(self, pull: FakePull) -> None:
        self.theirs.close(pull)
        await self.send(pull, Change.CLOSED)

    async def send(self, pull: FakePull, change: Change) -> None:
        await self.fake.send_pull(self.theirs, pull, change)

    def branch_writes(self) -> int:
        """How often a branch of the repository was made, moved or deleted over the host's API."""
        return self.fake.writes(path=r"/(git/refs|branches)\b")

    # ── what becomes of it ────────────────────────────────────────────────

    async def previews(self, pull: FakePull) -> dict[str, Preview]:
        """The previews of a pull request, by the app's name."""
        found = await self.world.stores.journal.previews(ended=True)
        names = {id_: name for name, id_ in self.apps.items()}
        return {names[one.app_id]: one for one in found if one.pull.number == pull.number}

    async def preview(self, pull: FakePull, state: PreviewState, app: str = "web") -> Preview:
        """Wait until the preview of an app is in a state; return it."""
        found = await until(
            lambda: self.previews(pull), lambda all_: app in all_ and all_[app].state is state
        )
        return found[app]

    async def live(self, pull: FakePull, app: str = "web") -> Preview:
        """Wait until a preview serves the pull request's head; return it."""

        async def served() -> Preview | None:
            preview = (await self.previews(pull)).get(app)
            if preview is None or preview.asked != pull.head_sha:
                return None
            made = await self.world.stores.journal.deployments(limit=1, app_id=preview.made)
            there = [one for one in made if one.final and one.deployed_commit == pull.head_sha]
            return preview if there else None

        found = await until(served, lambda one: one is not None)
        assert found is not None
        return found

    async def page(self, preview: Preview) -> str:
        """What a preview serves at its address."""
        assert preview.url is not None
        where = httpx.URL(preview.url)
        sites = httpx.URL(self.world.bridge.sites_url or "")
        async with httpx.AsyncClient(trust_env=False, timeout=20) as web:
            answer = await web.get(sites.join("/"), headers={"Host": where.netloc.decode()})
        return answer.text

    async def made(self) -> list[str]:
        """The names of all previews that the backend has."""
        assert self.world.backend is not None
        found = await self.world.backend.ask("GET", "project.all")
        return sorted(
            one["name"]
            for project in found
            for environment in project["environments"]
            for one in environment["applications"]
            if environment["name"] == "previews"
        )


@asynccontextmanager
async def preview_world(
    folder: Path, host: str, rules: Sequence[dict[str, Any]], **settings: Any
) -> AsyncIterator[PreviewWorld]:
    """Run a bridge beside a host of this kind, with these rules for its apps."""
    files = {"web/index.html": "main", "api/index.html": "main"}
    git = Repository.make(folder / f"{NAME}.git", files)
    async with git_server(folder) as served, FAKES[host]() as fake:
        fake.web_url = served.url
        if isinstance(fake, FakeGitlab):
            fake.clones_from = served.url
        theirs = fake.repository(NAME, id=4711, git=git.path)
        given: dict[str, Any] = fake.settings | QUICKLY | settings
        given |= {"BRIDGE_GITEA_WEBHOOK_SECRETS": SECRET} if host == "gitea" else {}
        given |= {"BRIDGE_RULES": json.dumps(list(rules)), "BRIDGE_JOURNEY_CATALOG_EVERY": "0.2"}
        async with running_world(folder / "bridge", **given) as world:
            made = PreviewWorld(world, fake, git, theirs, f"{served.url}/{NAME}.git")
            secret = TOKEN if host == "gitlab" else SECRET
            fake.hook(theirs, f"{world.bridge.url}/hooks/{host}", secret)
            yield made


def without_limits(monkeypatch: Any) -> None:
    """Have the bridge write to hosts as fast as it can."""
    for host, provider in HOSTS.items():
        monkeypatch.setitem(HOSTS, host, replace(provider, limits=()))
