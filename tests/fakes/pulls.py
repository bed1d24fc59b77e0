"""Pull requests of the fake hosts: their state, and what becomes of them.

Of a repository that is a real one, too: commits are then made in it. Use it as

    pull = repository.open_pull("topic", author="ada")          # branch → main
    sha = repository.fork_commit({"web/index.html": "mine"})    # on main, by somebody else
    theirs = repository.open_pull("topic", own=False, sha=sha, author="mallory")
    repository.push_to(pull, {"web/index.html": "two"})
    repository.label(pull, "preview")
    repository.set_draft(pull, True)
    repository.merge(pull, repository.commit({"web/index.html": "two"}))
    await host.send_pull(repository, pull, Change.MERGED)       # what its webhooks then send
    repository.roles["ada"] = "write"                           # who may write
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class Change(StrEnum):
    """What a webhook tells of a pull request; each host has its own word."""

    OPENED = "opened"
    REOPENED = "reopened"
    PUSHED = "pushed"
    LABELLED = "labelled"
    UNLABELLED = "unlabelled"
    RENAMED = "renamed"
    RETARGETED = "retargeted"
    DRAFTED = "drafted"
    READY = "ready"
    MERGED = "merged"
    CLOSED = "closed"
    ASSIGNED = "assigned"
    DESCRIBED = "described"


@dataclass
class FakeComment:
    id: int
    author: str
    body: str
    history: list[str] = field(default_factory=list)
    """All its bodies, newest last."""


@dataclass
class FakePull:
    number: int
    head: str
    head_sha: str
    base: str = "main"
    state: str = "open"
    merge_sha: str | None = None
    own: bool = True
    commits: set[str] = field(default_factory=set)
    """Those that it is found by, besides its head and its merge."""
    comments: list[FakeComment] = field(default_factory=list)
    title: str = "A change"
    author: str = "ada"
    draft: bool = False
    labels: list[str] = field(default_factory=list)
    updated_at: float = field(default_factory=time.time)
    before: str = ""
    """Its head before the last push."""

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def updated(self) -> str:
        """When it last changed, to the second, as most hosts have it."""
        return datetime.fromtimestamp(self.updated_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def titled(self, mark: str) -> str:
        """Return its title with a host's mark of drafts."""
        return f"{mark}{self.title}" if self.draft else self.title


@dataclass
class FakeCommit:
    sha: str
    parents: tuple[str, ...]
    files: dict[str, tuple[str, str]]
    """Mode and object by path."""
    message: str = "a commit"
    author: str = "ada@example.com"
    committer: str = ""
    """Their addresses; without a committer, its author has committed it."""


@dataclass(frozen=True)
class ChangedFile:
    """A file that a pull request changes; `kind`: "added", "removed", "modified" or "renamed"."""

    path: str
    kind: str
    before: str


@dataclass
class HoldsPulls:
    """The pull requests of a repository.

    Attributes:
        clock: of the host.
        roles: of people, by login: "owner", "admin", "write" or "read"; see `FakeHost.people`.
    """

    name: str
    id: int
    numbers: Iterator[int]
    commits: dict[str, FakeCommit] = field(default_factory=dict, kw_only=True)
    branches: dict[str, str] = field(default_factory=dict, kw_only=True)
    pulls: dict[int, FakePull] = field(default_factory=dict, kw_only=True)
    roles: dict[str, str] = field(default_factory=dict, kw_only=True)
    clock: Callable[[], float] = field(default=time.time, kw_only=True)

    def follow(self) -> None:
        """Read new commits from the git repository."""
        raise NotImplementedError

    def ancestors(self, sha: str) -> set[str]:
        """Return a commit and all its ancestors."""
        raise NotImplementedError

    def commit(
        self,
        files: Mapping[str, str | None],
        *,
        branch: str = "main",
        message: str = "a commit",
        onto: str | None = None,
    ) -> str:
        """Commit changed files (None: removed) to a branch; `onto`: reset it there first."""
        made = self._made(files, onto or self.branches.get(branch), message)
        self.put_branch(branch, made)
        for pull in self.pulls.values():
            if pull.is_open and pull.own and pull.head == branch:
                self.move(pull, made)
        return made

    def fork_commit(
        self, files: Mapping[str, str | None], *, onto: str | None = None, message: str = "a commit"
    ) -> str:
        """Commit changed files in a fork, by default onto our main branch."""
        return self._made(files, onto or self.branches["main"], message)

    def put_branch(self, name: str, sha: str) -> None:
        """Make a branch point to a commit."""
        self.branches[name] = sha

    def keep_head(self, pull: FakePull) -> None:
        """Keep the head of a fork's pull request, as hosts do."""

    def _made(self, files: Mapping[str, str | None], parent: str | None, message: str) -> str:
        now = dict(self.commits[parent].files) if parent else {}
        for path, text in files.items():
            if text is None:
                now.pop(path)
            else:
                now[path] = ("100644", hashlib.sha1(text.encode()).hexdigest())
        told = repr((parent, sorted(now.items()), message, len(self.commits)))
        sha = hashlib.sha1(told.encode()).hexdigest()
        self.commits[sha] = FakeCommit(sha, (parent,) if parent else (), now, message)
        return sha

    def open_pull(
        self,
        head: str,
        *,
        base: str = "main",
        own: bool = True,
        title: str = "A change",
        author: str = "ada",
        draft: bool = False,
        labels: tuple[str, ...] = (),
        sha: str | None = None,
    ) -> FakePull:
        """Open a pull request; `sha`: the head of a fork's branch, which is none of ours."""
        self.follow()
        made = FakePull(next(self.numbers), head, sha or self.branches[head], base, own=own)
        made.title, made.author, made.draft, made.labels = title, author, draft, [*labels]
        made.updated_at = self.clock()
        self.pulls[made.number] = made
        self.keep_head(made)
        return made

    def push_to(
        self, pull: FakePull, files: Mapping[str, str | None], *, message: str = "a commit"
    ) -> str:
        """Push a commit to the branch that a pull request comes from, be it a fork's."""
        if pull.own:
            return self.commit(files, branch=pull.head, message=message)
        self.move(pull, made := self._made(files, pull.head_sha, message))
        return made

    def move(self, pull: FakePull, sha: str) -> None:
        """Have a pull request's branch point to a commit."""
        if pull.head_sha != sha:
            pull.before, pull.head_sha, pull.updated_at = pull.head_sha, sha, self.clock()
            self.keep_head(pull)

    def label(self, pull: FakePull, *labels: str) -> None:
        """Give a pull request exactly these labels."""
        pull.labels, pull.updated_at = [*labels], self.clock()

    def set_draft(self, pull: FakePull, draft: bool) -> None:
        pull.draft, pull.updated_at = draft, self.clock()

    def rename(self, pull: FakePull, title: str) -> None:
        pull.title, pull.updated_at = title, self.clock()

    def retarget(self, pull: FakePull, base: str) -> None:
        pull.base, pull.updated_at = base, self.clock()

    def close(self, pull: FakePull) -> None:
        pull.state, pull.updated_at = "closed", self.clock()

    def reopen(self, pull: FakePull) -> None:
        pull.state, pull.updated_at = "open", self.clock()

    def merge(self, pull: FakePull, sha: str) -> None:
        """Merge the pull request, with that merge commit."""
        pull.state, pull.merge_sha, pull.updated_at = "merged", sha, self.clock()

    def about(self, sha: str) -> list[FakePull]:
        """Return the pull requests that contain a commit."""
        return [
            pull
            for pull in self.pulls.values()
            if sha in (pull.head_sha, pull.merge_sha) or sha in pull.commits
        ]

    def listed(self, *, open_only: bool, by_update: bool) -> list[FakePull]:
        """Return pull requests, oldest first, or the most recently changed first."""
        found = [one for one in self.pulls.values() if one.is_open or not open_only]
        if by_update:
            found.sort(key=lambda one: (int(one.updated_at), one.number), reverse=True)
        return found

    def changed_in(self, pull: FakePull) -> list[ChangedFile]:
        """Return the files that a pull request changes, from where it left its base."""
        theirs = self.ancestors(self.branches[pull.base])
        at = pull.head_sha
        while at not in theirs and self.commits[at].parents:
            at = self.commits[at].parents[0]
        before = self.commits[at].files if at in theirs else {}
        after = self.commits[pull.head_sha].files
        gone = {before[path]: path for path in before.keys() - after.keys()}
        found, moved = [], set[str]()
        for path in sorted(after):
            if path not in before and (old := gone.get(after[path])):
                found.append(ChangedFile(path, "renamed", old))
                moved.add(old)
            elif path not in before:
                found.append(ChangedFile(path, "added", path))
            elif before[path] != after[path]:
                found.append(ChangedFile(path, "modified", path))
        left = sorted(before.keys() - after.keys() - moved)
        return [*found, *(ChangedFile(path, "removed", path) for path in left)]
