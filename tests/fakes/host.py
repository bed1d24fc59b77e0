"""Shared by the fake GitHub and the fake GitLab: what they store, send and spoil.

A fake is a real HTTP server on loopback that stores repositories with commits (made here, or read
from a git repository), pull requests, comments, statuses, deployments, webhooks and all their
deliveries. Use it as

    async with FakeGithub() as github:                      # or FakeGitlab()
        repository = github.repository("my-org/mono", id=4711, git=origin.repository.path)
        pull = repository.open_pull("topic")                # branch → main
        settings_for(data, **github.settings)               # the variables that lead to it
        ...
        assert [comment.body for comment in pull.comments] == ["…"]
        assert github.writes("POST", r"/comments$") == 1

    github.spoil(Spoil(status=403, headers={"Retry-After": "1"}), path=r"/comments", times=2)
    github.spoil(Spoil(lose=True), method="POST")           # carried out, but not answered
    github.spoil(Spoil(hang=True), path=r"/statuses/")      # no answer until the fake ends
    github.writes_a_minute = 80                             # then secondary rate limits

`asked` has every request in order, with its time and its answer. In the end each must be one that
the host itself describes (`tests.oracles.descriptions`).
"""

import asyncio
import contextlib
import itertools
import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from tests.fakes.checks import FakeChecks
from tests.fakes.pulls import Change, FakeCommit, FakePull, HoldsPulls
from tests.fakes.serving import served
from tests.oracles.descriptions import misasked

WRITES = ("POST", "PATCH", "PUT", "DELETE")

ADA = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
}


@dataclass
class FakeDeployment:
    id: int
    sha: str
    ref: str
    environment: str
    description: str = ""
    transient: bool = False
    production: bool = True
    states: list[dict[str, Any]] = field(default_factory=list)
    """Its statuses, oldest first, in the host's terms: `state`, `description`, …"""


@dataclass
class FakeSending:
    """One attempt to deliver a webhook."""

    id: int
    delivery: str
    event: str
    headers: dict[str, str]
    payload: dict[str, Any]
    at: float
    status: int = 0
    """0: no answer."""
    again: bool = False


@dataclass
class FakeHook:
    id: int
    place: str
    url: str
    secret: str
    active: bool = True
    events: tuple[str, ...] | None = None
    """In the host's terms; None: all that the bridge needs."""
    content_type: str = "json"
    checks_tls: bool = True
    signing: str | None = None
    """GitLab's signing token."""
    sent: list[FakeSending] = field(default_factory=list)


@dataclass
class FakeRepository(HoldsPulls):
    """A repository and everything in it; `git`: a real one that it follows."""

    git: Path | None = None
    tags: dict[str, str] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    """Every commit status that was set, oldest first: `sha`, `context`, `state`, …"""
    checks: FakeChecks = field(default_factory=FakeChecks)
    deployments: dict[int, FakeDeployment] = field(default_factory=dict)
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    hooks: list[FakeHook] = field(default_factory=list)

    def follow(self) -> None:
        """Read new commits from the git repository."""
        if self.git is None:
            return
        for line in self._git("log", "--all", "--format=%H %ae %ce %P").splitlines():
            sha, author, committer, *parents = line.split()
            if sha not in self.commits:
                tree = self._tree(sha)
                self.commits[sha] = FakeCommit(
                    sha, tuple(parents), tree, author=author, committer=committer
                )
        self._refs()

    def put_branch(self, name: str, sha: str) -> None:
        """Make a branch point to a commit."""
        if self.git is not None:
            self._git("update-ref", f"refs/heads/{name}", sha)
        self.branches[name] = sha

    def drop_branch(self, name: str) -> None:
        """Delete a branch."""
        if self.git is not None:
            self._git("update-ref", "-d", f"refs/heads/{name}")
        del self.branches[name]

    def ancestors(self, sha: str) -> set[str]:
        """Return a commit and all its ancestors."""
        found, left = set[str](), [sha]
        while left:
            if (one := left.pop()) not in found:
                found.add(one)
                left += self.commits[one].parents
        return found

    def differing(self, old: str, new: str) -> list[tuple[str, str]]:
        """Return path and "added", "removed" or "modified" for two commits' files."""
        before, after = self.commits[old].files, self.commits[new].files
        found = []
        for path in sorted(before.keys() | after.keys()):
            if path not in before:
                found.append((path, "added"))
            elif path not in after:
                found.append((path, "removed"))
            elif before[path] != after[path]:
                found.append((path, "modified"))
        return found

    def keep_head(self, pull: FakePull) -> None:
        if self.git is not None and not pull.own:
            self._git("update-ref", f"refs/pull/{pull.number}/head", pull.head_sha)

    def _made(self, files: Mapping[str, str | None], parent: str | None, message: str) -> str:
        """Commit files; in a git repository without touching what is checked out."""
        if self.git is None:
            return super()._made(files, parent, message)
        with TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": f"{folder}/index"}
            self._git("read-tree", parent or "--empty", **index)
            for path, text in files.items():
                if text is None:
                    self._git("update-index", "--force-remove", path, **index)
                else:
                    blob = self._git("hash-object", "-w", "--stdin", text=text).strip()
                    self._git(
                        "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", **index
                    )
            tree = self._git("write-tree", **index).strip()
        onto = ["-p", parent] if parent else []
        sha = self._git("commit-tree", tree, *onto, "-m", message, **ADA).strip()
        self.commits[sha] = FakeCommit(sha, (parent,) if parent else (), self._tree(sha), message)
        return sha

    def _tree(self, sha: str) -> dict[str, tuple[str, str]]:
        found = {}
        for entry in self._git("ls-tree", "-r", "-z", sha).split("\0"):
            if entry:
                facts, _, path = entry.partition("\t")
                mode, _, object_ = facts.split()
                found[path] = (mode, object_)
        return found

    def _refs(self) -> None:
        self.branches.clear()
        self.tags.clear()
        form = "--format=%(refname) %(objectname) %(*objectname)"
        for line in self._git("for-each-ref", form).splitlines():
            ref, object_, *peeled = line.split()
            kind = {"heads": self.branches, "tags": self.tags}.get(ref.split("/")[1])
            if kind is not None:
                kind[ref.split("/", 2)[2]] = (peeled or [object_])[0]
        for pull in self.pulls.values():
            if pull.state == "open" and pull.own:
                self.move(pull, self.branches.get(pull.head, pull.head_sha))

    def _git(self, *words: str, text: str | None = None, **environment: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.git), *words],
            check=True,
            capture_output=True,
            text=True,
            input=text,
            env={**os.environ, **environment},
        )
        return done.stdout


@dataclass(frozen=True)
class Asked:
    """A received request, and the status of its answer (0: none).

    Attributes:
        served: the fake has such a path; a test may lead the bridge to another.
    """

    method: str
    path: str
    at: float
    status: int
    body: Any = None
    authorization: str = ""
    answer: bytes = b""
    served: bool = True


@dataclass(frozen=True)
class Spoil:
    """A fault of a request.

    Attributes:
        status, headers, body: of the substituted answer.
        lose: the request is carried out, then the connection is closed.
        hang: no answer, until the fake ends or `FakeHost.let_go` is called.
        slow: seconds before it is served.
        endless: the answer has this many bytes of JSON, streamed.
    """

    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    lose: bool = False
    hang: bool = False
    slow: float = 0.0
    endless: int = 0


@dataclass
class _Planned:
    spoil: Spoil
    method: str | None
    path: re.Pattern[str]
    times: int


class FakeHost:
    """The server: routes are the subclasses'."""

    name = ""
    prefix = ""
    place = ""
    """The prefix of a repository's name in the path of its webhooks."""
    pages = re.compile("$.")
    """The paths that its description lacks: pages for people, those of signing in, GraphQL."""

    def __init__(self) -> None:
        self.repositories: dict[str, FakeRepository] = {}
        self.asked: list[Asked] = []
        self.writes_a_minute: int | None = None
        self.clock_ahead = 0.0
        """Seconds by which its clock is ahead of this machine's."""
        self.may_write = True
        """Whether the credential may write to the repositories."""
        self.owners: dict[str, int] = {}
        """The ids of organisations and groups that can have webhooks, by name."""
        self.owner_hooks: dict[str, list[FakeHook]] = {}
        self.people: dict[str, int] = {"ada": 21, "grace": 22, "mallory": 23}
        """Accounts of people, by login."""
        self.sees_roles = True
        """Whether the credential may see the rights of people."""
        self.lists_at_most: int | None = None
        """Entries after which the lists of checks end, as if a page were missing."""
        self.hanging = 0
        """The number of unanswered requests."""
        self.url = ""
        self._numbers = itertools.count(1)
        self._planned: list[_Planned] = []
        self._let_go = asyncio.Event()
        self._listening = AsyncExitStack()
        self._session: ClientSession | None = None

    @property
    def settings(self) -> dict[str, str]:
        """Return the variables that lead a bridge to it."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._served], client_max_size=2**24)
        app.router.add_routes(self.routes())
        url = await self._listening.enter_async_context(served(app, cancels=True))
        self.url = f"{url}{self.prefix}"
        self._session = ClientSession(timeout=ClientTimeout(total=10))
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._let_go.set()
        assert self._session is not None
        await self._session.close()
        await self._listening.aclose()
        if kind is None:
            asked = [one for one in self.asked if one.served and not self.pages.match(one.path)]
            wrong = misasked(self.name, asked)
            assert not wrong, "\n".join(wrong)

    async def away(self) -> None:
        """Stop listening."""
        await self._listening.aclose()

    def repository(self, name: str, *, id: int = 4711, git: Path | None = None) -> FakeRepository:  # noqa: A002
        """Create a repository; with `git`, a copy of that one."""
        made = FakeRepository(name, id, self._numbers, git)
        made.follow()
        self.repositories[name.lower()] = made
        return made

    def spoil(
        self, spoil: Spoil, *, method: str | None = None, path: str = "", times: int = 1
    ) -> None:
        """Spoil the next requests whose path contains the pattern."""
        self._planned.append(_Planned(spoil, method, re.compile(path), times))

    def mend(self) -> None:
        """End all faults, and answer hanging requests."""
        self._planned.clear()
        self.let_go()

    def let_go(self) -> None:
        """Answer hanging requests."""
        self._let_go.set()
        self._let_go = asyncio.Event()

    def writes(self, method: str | None = None, path: str = "") -> int:
        """Return how many writes were carried out."""
        return sum(
            one.method in ((method,) if method else WRITES)
            and 200 <= one.status < 300
            and re.search(path, one.path) is not None
            for one in self.asked
        )

    def hook(self, repository: FakeRepository, url: str, secret: str) -> FakeHook:
        """Add a webhook to the repository; `active` False: the host disabled it."""
        made = FakeHook(next(self._numbers), f"{self.place}/{repository.name}", url, secret)
        repository.hooks.append(made)
        return made

    def hooks_under(self, request: web.Request) -> list[FakeHook]:
        """Return the webhooks of the repository or the owner that a path names."""
        if (owner := self.owner_in(request)) is not None:
            if owner not in self.owners:
                raise web.HTTPNotFound(text="Not Found")
            return self.owner_hooks.setdefault(owner, [])
        return self.repository_in(request).hooks

    def hook_under(self, request: web.Request) -> FakeHook:
        """Return the webhook that a path names."""
        for hook in self.hooks_under(request):
            if str(hook.id) == request.match_info["hook"]:
                return hook
        raise web.HTTPNotFound(text="Not Found")

    async def create_hook(self, request: web.Request) -> web.Response:
        """Add a webhook, as a request describes it; its secret is never shown."""
        hooks, said = self.hooks_under(request), await request.json()
        place = request.path.partition("/hooks")[0].removeprefix(self.prefix).lstrip("/")
        made = FakeHook(next(self._numbers), place, "", "")
        self.set_hook(made, said)
        hooks.append(made)
        await self.hook_was_made(made)
        return web.json_response(self.shown_hook(request, made), status=201)

    async def change_hook(self, request: web.Request) -> web.Response:
        hook = self.hook_under(request)
        self.set_hook(hook, await request.json())
        return web.json_response(self.shown_hook(request, hook))

    async def delete_hook(self, request: web.Request) -> web.Response:
        self.hooks_under(request).remove(self.hook_under(request))
        return web.Response(status=204)

    def body_of(self, sending: FakeSending) -> bytes:
        return json.dumps(sending.payload).encode()

    async def send(
        self, hook: FakeHook, event: str, payload: dict[str, Any], *, lost: bool = False
    ) -> FakeSending:
        """Send a webhook; `lost`: it never arrives, as while the bridge is away."""
        sending = self.prepared(hook, event, payload)
        hook.sent.insert(0, sending)
        if not lost:
            await self._deliver(hook, sending)
        return sending

    async def send_pull(
        self, repository: FakeRepository, pull: FakePull, change: Change, *, lost: bool = False
    ) -> list[FakeSending]:
        """Send what the webhooks of a repository send for a change of a pull request."""
        return [
            await self.send(hook, event, payload, lost=lost)
            for hook in self.hooks_of(repository)
            for event, payload in self.pull_events(repository, pull, change, hook)
        ]

    def hooks_of(self, repository: FakeRepository) -> list[FakeHook]:
        """Return the webhooks that send a repository's events."""
        owner = repository.name.rpartition("/")[0]
        return [*repository.hooks, *self.owner_hooks.get(owner, ())]

    def pull_events(
        self, repository: FakeRepository, pull: FakePull, change: Change, hook: FakeHook
    ) -> list[tuple[str, dict[str, Any]]]:
        """Return event and payload for a change of a pull request, if the webhook sends it."""
        raise NotImplementedError

    async def send_again(self, hook: FakeHook, first: FakeSending) -> FakeSending:
        again = FakeSending(
            next(self._numbers),
            first.delivery,
            first.event,
            dict(first.headers),
            first.payload,
            time.time(),
            again=True,
        )
        hook.sent.insert(0, again)
        await self._deliver(hook, again)
        return again

    async def _deliver(self, hook: FakeHook, sending: FakeSending) -> None:
        assert self._session is not None
        try:
            async with self._session.post(
                hook.url, data=self.body_of(sending), headers=sending.headers
            ) as answer:
                sending.status = answer.status
        except (ClientError, TimeoutError, OSError):
            sending.status = 0

    # for the subclasses

    def owner_in(self, request: web.Request) -> str | None:
        """Return the organisation or group that a path names; None if it names a repository."""
        raise NotImplementedError

    def repository_in(self, request: web.Request) -> FakeRepository:
        """Return the repository that a path names."""
        raise NotImplementedError

    def pull_in(self, request: web.Request) -> FakePull:
        """Return the pull request that a path names."""
        raise NotImplementedError

    def set_hook(self, hook: FakeHook, said: dict[str, Any]) -> None:
        """Change a webhook as the host does for such a body."""
        raise NotImplementedError

    def shown_hook(self, request: web.Request, hook: FakeHook) -> dict[str, Any]:
        """Return a webhook as the host shows it."""
        raise NotImplementedError

    async def hook_was_made(self, hook: FakeHook) -> None:
        """Send what the host sends to a new webhook."""

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    def refusal(self, request: web.Request) -> web.Response | None:
        """Return the answer to a request without a valid credential."""
        raise NotImplementedError

    def too_many(self) -> web.Response:
        """Return the answer to more writes than permitted."""
        raise NotImplementedError

    def prepared(self, hook: FakeHook, event: str, payload: dict[str, Any]) -> FakeSending:
        """Return a webhook with its headers, signed."""
        raise NotImplementedError

    # serving requests

    @web.middleware
    async def _served(self, request: web.Request, handler: Any) -> web.StreamResponse:
        is_form = request.content_type == "application/x-www-form-urlencoded"
        body = await request.json() if request.can_read_body and not is_form else None
        at = time.time()
        planned = self._next(request)
        answer: web.StreamResponse | None = None
        try:
            answer = await self._answer(request, handler, planned)
        finally:
            # A cut-off or endless stream is not a host's answer.
            whole = answer if isinstance(answer, web.Response) else None
            said = whole.body if whole else b""
            self.asked.append(
                Asked(
                    request.method,
                    request.path_qs,
                    at,
                    whole.status if whole else 0,
                    body,
                    request.headers.get("Authorization", request.headers.get("PRIVATE-TOKEN", "")),
                    said if isinstance(said, bytes) else b"",
                    request.match_info.http_exception is None,
                )
            )
        if planned is not None and planned.lose and request.transport is not None:
            request.transport.close()
        if self.clock_ahead:
            answer.headers["Date"] = formatdate(time.time() + self.clock_ahead, usegmt=True)
        return answer

    async def _answer(
        self, request: web.Request, handler: Any, planned: Spoil | None
    ) -> web.StreamResponse:
        if planned is not None and planned.slow:
            await asyncio.sleep(planned.slow)
        if planned is not None and planned.hang:
            self.hanging += 1
            await self._let_go.wait()
        elif planned is not None and planned.endless:
            return await _endless(request, planned)
        elif planned is not None and not planned.lose and not planned.slow:
            said = {"message": "spoilt"} if planned.body is None else planned.body
            return web.json_response(said, status=planned.status, headers=planned.headers)
        if (refused := self.refusal(request)) is not None:
            return refused
        if request.method in WRITES and self._over_the_limit():
            return self.too_many()
        try:
            found = await handler(request)
        except web.HTTPException as error:
            return web.json_response({"message": error.text}, status=error.status)
        assert isinstance(found, web.StreamResponse)
        return found

    def _next(self, request: web.Request) -> Spoil | None:
        for planned in self._planned:
            fits = planned.method in (None, request.method) and planned.path.search(request.path)
            if fits and planned.times > 0:
                planned.times -= 1
                return planned.spoil
        return None

    def _over_the_limit(self) -> bool:
        if self.writes_a_minute is None:
            return False
        since = time.time() - 60
        recent = sum(
            one.at > since and one.method in WRITES and one.status < 300 for one in self.asked
        )
        return recent >= self.writes_a_minute


async def _endless(request: web.Request, planned: Spoil) -> web.StreamResponse:
    """Return an endless answer, compressed if the client accepts that."""
    answer = web.StreamResponse(status=planned.status, headers=dict(planned.headers))
    answer.content_type = "application/json"
    answer.enable_compression()
    await answer.prepare(request)
    piece = b'"' + b"x" * 2**20 + b'",'
    with contextlib.suppress(ConnectionError):
        await answer.write(b"[")
        for _ in range(planned.endless // len(piece)):
            await answer.write(piece)
        await answer.write(b"0]")
        await answer.write_eof()
    return answer
