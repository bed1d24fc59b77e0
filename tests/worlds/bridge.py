"""A whole bridge to test over HTTP: real git, the embedded backend."""

import hashlib
import hmac
import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bridge.app.run import Bridge, run_bridge
from bridge.app.storage import Stores, migrate
from bridge.app.wiring import NO_PUBLISHERS, Publishers
from bridge.core.events import COMMAND_HOST, Action, Asked, write_command
from bridge.core.lifecycle import Deployment
from bridge.core.people import Actor
from bridge.ports.inbox import Delivery, DeliveryState, NewDelivery
from bridge.settings import Settings, read_settings
from tests.worlds.embedded import Client, Repository, until

SECRET = "a secret of the tests"
TOKEN = "a token of the tests"
ZERO = "0" * 40


@dataclass(frozen=True)
class Origin:
    """A repository that is pushed to, and its host's account of a push."""

    repository: Repository
    host: str = "github"
    name: str = "my-org/mono"
    id: int = 4711
    url: str = ""
    home: str = ""
    """Its host's address, if neither the usual one nor where it is cloned from."""

    @property
    def clone_url(self) -> str:
        return self.url or self.repository.url

    @property
    def web_url(self) -> str:
        """Its page, beside its clone address if it is served."""
        if self.url and not self.home:
            return self.url.removesuffix(".git")
        usual = {"github": "https://github.com", "gitlab": "https://gitlab.example.com"}
        return f"{self.home or usual[self.host]}/{self.name}"

    def head(self, ref: str = "HEAD") -> str:
        return self.repository.git("rev-parse", ref)

    def payload(self, ref: str, before: str, after: str) -> dict[str, Any]:
        return (github_push if self.host == "github" else gitlab_push)(self, ref, before, after)

    def commits(self, before: str, after: str) -> list[dict[str, Any]]:
        """Return a host's list for a push, from git's own data."""
        if ZERO in (before, after):
            return []
        listed = self.repository.git("rev-list", "--reverse", f"{before}..{after}").split()
        return [self.commit(sha) for sha in listed]

    def commit(self, sha: str) -> dict[str, Any]:
        shown = self.repository.git("show", "--format=%B%x00", "--no-renames", "--name-status", sha)
        message, _, changed = shown.partition("\0")
        files: dict[str, list[str]] = {"A": [], "M": [], "D": []}
        for line in changed.split("\n"):
            kind, _, path = line.partition("\t")
            if path:
                files[kind].append(path)
        return {
            "id": sha,
            "message": message.strip(),
            "author": {"name": "Ada", "email": "ada@example.com", "username": "ada"},
            "added": files["A"],
            "modified": files["M"],
            "removed": files["D"],
            "url": f"https://example.com/{sha}",
        }


def github_push(origin: Origin, ref: str, before: str, after: str) -> dict[str, Any]:
    gone = after == ZERO
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "created": before == ZERO,
        "deleted": gone,
        "forced": False,
        "repository": {
            "id": origin.id,
            "name": origin.name.rpartition("/")[2],
            "full_name": origin.name,
            "owner": {"login": origin.name.partition("/")[0]},
            "html_url": origin.web_url,
            "clone_url": origin.clone_url,
        },
        "pusher": {"name": "ada"},
        "head_commit": None if gone else origin.commit(origin.head(after + "^{commit}")),
        "commits": [] if ref.startswith("refs/tags/") else origin.commits(before, after),
    }


def gitlab_push(origin: Origin, ref: str, before: str, after: str) -> dict[str, Any]:
    commits = origin.commits(before, after)
    kind = "tag_push" if ref.startswith("refs/tags/") else "push"
    gone = after == ZERO
    return {
        "object_kind": kind,
        "event_name": kind,
        "ref": ref,
        "before": before,
        "after": after,
        "checkout_sha": None if gone else origin.head(after + "^{commit}"),
        "user_username": "ada",
        "project_id": origin.id,
        "project": {
            "id": origin.id,
            "path_with_namespace": origin.name,
            "web_url": origin.web_url,
            "git_http_url": origin.clone_url,
        },
        "commits": commits,
        "total_commits_count": len(commits),
    }


@dataclass
class World:
    """A running bridge and everything around it."""

    bridge: Bridge
    web: httpx.AsyncClient
    backend: Client | None = None

    @property
    def stores(self) -> Stores:
        return self.bridge.stores

    async def hook(
        self, host: str, payload: Mapping[str, Any], *, id_: str | None = None
    ) -> httpx.Response:
        """Deliver a webhook as a host does."""
        body = json.dumps(payload).encode()
        return await self.web.post(
            f"/hooks/{host}", content=body, headers=hook_headers(host, payload, body, id_)
        )

    async def push(
        self, origin: Origin, ref: str, before: str, after: str, *, id_: str | None = None
    ) -> str:
        """Deliver a push's webhook; return its delivery id."""
        answer = await self.hook(origin.host, origin.payload(ref, before, after), id_=id_)
        assert answer.status_code in (200, 202), answer.text
        return str(answer.json()["delivery"])

    async def commit(self, origin: Origin, message: str, files: dict[str, str]) -> str:
        """Commit to main and deliver the push; return the delivery id."""
        before = origin.head("main")
        after = origin.repository.commit(message, files)
        return await self.push(origin, "refs/heads/main", before, after)

    async def ask(self, action: Action, target: str) -> str:
        """Ask the way the command line does; return the delivery id."""
        asked = Asked(action, target, Actor("cli", "ada"))
        id_ = f"cli-{uuid.uuid4().hex}"
        new = NewDelivery(COMMAND_HOST, id_, action, {}, write_command(asked), 0.0)
        await self.stores.inbox.keep(new)
        return id_

    async def delivery(self, id_: str, host: str = "github") -> Delivery:
        """Wait until a delivery is decided; return it."""
        found = await until(
            lambda: self.stores.inbox.find(host, id_),
            lambda d: d is not None and d.state is not DeliveryState.KEPT,
        )
        assert found is not None
        return found

    async def reasons(self, id_: str, host: str = "github") -> dict[str, str]:
        """Wait until a delivery is decided; return the reason by app."""
        delivery = await self.delivery(id_, host)
        decided = (await self.stores.journal.decisions([delivery.seq]))[delivery.seq]
        return {decision.app: str(decision.reason) for decision in decided}

    async def deployments(self) -> list[Deployment]:
        """Return all of them, oldest first."""
        return (await self.stores.journal.deployments(limit=1000))[::-1]

    async def states(self) -> list[str]:
        return [str(deployment.state) for deployment in await self.deployments()]

    async def ended(self, count: int) -> list[Deployment]:
        """Wait for this many deployments, all ended; return them, oldest first."""
        return await until(
            self.deployments, lambda those: len(those) == count and all(d.final for d in those)
        )


def hook_headers(
    host: str, payload: Mapping[str, Any], body: bytes, id_: str | None = None
) -> dict[str, str]:
    """Return the headers that a host would send with a body."""
    id_ = id_ or str(uuid.uuid4())
    if host == "github":
        signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        return {
            "X-GitHub-Event": "pull_request" if "pull_request" in payload else "push",
            "X-GitHub-Delivery": id_,
            "X-Hub-Signature-256": f"sha256={signature}",
            "Content-Type": "application/json",
        }
    events = {"tag_push": "Tag Push Hook", "merge_request": "Merge Request Hook"}
    return {
        "X-Gitlab-Event": events.get(str(payload.get("object_kind")), "Push Hook"),
        "X-Gitlab-Token": TOKEN,
        "Idempotency-Key": id_,
        "Content-Type": "application/json",
    }


def settings_for(data: Path, **others: str) -> Settings:
    """Return settings for tests: free ports on loopback, and short pauses."""
    environment = {
        "BRIDGE_DATA": str(data),
        "BRIDGE_PORT": "0",
        "BRIDGE_EMBEDDED_PORT": "0",
        "BRIDGE_GITHUB_WEBHOOK_SECRETS": SECRET,
        "BRIDGE_GITLAB_WEBHOOK_TOKENS": TOKEN,
        "BRIDGE_GITLAB_WEB_URL": "https://gitlab.example.com",
        "BRIDGE_JOURNEY_LOOK": "0.05",
        "BRIDGE_JOURNEY_LOOK_AT_MOST": "0.2",
        "BRIDGE_JOURNEY_CATALOG_EVERY": "3600",
        "BRIDGE_JOURNEY_CATALOG_EAGER": "0",
        "BRIDGE_FEEDBACK_DEBOUNCE": "0.05",
    }
    return read_settings(None, environment | others)


_EMPTY_STORES: dict[str, bytes] = {}


async def make_stores(data: Path) -> None:
    """Copy empty stores if there are none: that is far quicker than creating tables."""
    if data.exists():
        return
    if not _EMPTY_STORES:
        with TemporaryDirectory() as folder:
            made = Path(folder) / "data"
            await migrate(settings_for(made))
            _EMPTY_STORES.update({file.name: file.read_bytes() for file in made.iterdir()})
    data.mkdir(mode=0o700, parents=True)
    for name, content in _EMPTY_STORES.items():
        (data / name).touch(mode=0o600)
        (data / name).write_bytes(content)


@asynccontextmanager
async def running_world(
    data: Path, publishers: Publishers = NO_PUBLISHERS, **others: str
) -> AsyncIterator[World]:
    """Run a bridge in this process; DBOS allows one at a time."""
    if "DATABASE_URL" not in others:
        await make_stores(data)
    async with (
        run_bridge(settings_for(data, **others), publishers) as bridge,
        httpx.AsyncClient(base_url=bridge.url, trust_env=False, timeout=20) as web,
        httpx.AsyncClient(
            base_url=bridge.backend_url or bridge.url,
            headers={"x-api-key": bridge.backend_key or "none"},
            trust_env=False,
            timeout=20,
        ) as http,
    ):
        yield World(bridge, web, Client(bridge, http))  # type: ignore[arg-type]  # only its http is used here
