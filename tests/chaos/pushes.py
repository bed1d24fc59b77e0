"""Pushes as hosts report them, and the apps that they may deploy."""

import time
from dataclasses import dataclass
from typing import Any

from tests.chaos.dokploy.services import Config
from tests.chaos.recording_backend import GIT, push_payload
from tests.fakes.host import FakeRepository

SKIP = "[skip ci]"
DECIDED = 15.0
"""Seconds within which an unharmed bridge has surely decided a push."""

FRESH = 6.0
"""The most seconds by which the bridge's reading of an app may be old if it skips a push: five, and
the time of the decision."""

OLD = 120.0
"""The same if it deploys a push: all apps are read once a minute."""


def message(*, skip: bool) -> str:
    """Commit messages, with and without a skip directive."""
    return f"feat: change {SKIP}" if skip else "feat: change"


def fault_of(app: str) -> str:
    """Return the file that makes an app's version broken."""
    return f"{app}/broken"


def is_broken(repository: FakeRepository, app: str, commit: str) -> bool:
    """Return whether an app does not work at a commit."""
    return fault_of(app) in repository.commits[commit].files


@dataclass(frozen=True)
class Origin:
    """A repository at its host."""

    host: str = "github"
    repository: str = "my-org/mono"
    id: int = 4711


MONO = Origin()


@dataclass
class Push:
    """The sender's record of one delivery of a push.

    Attributes:
        branch: or the tag's name.
        apps: the folders with changed files.
        unharmed: nothing kept the bridge from receiving it, so it must have acknowledged it.
        kind: `push` or `tag`.
        skip: its message asks not to be deployed.
        forced: it is a forced one.
        at: when it was first sent, seconds since 1970.
    """

    id: str
    branch: str
    after: str
    apps: set[str]
    unharmed: bool
    acknowledged: bool = False
    origin: Origin = MONO
    kind: str = "push"
    skip: bool = False
    forced: bool = False
    at: float = 0.0

    def concerns(self, config: Config) -> bool:
        """Whether an app deploys from its repository."""
        return config.repository == self.origin.repository

    def deploys(self, config: Config) -> bool:
        """Return whether it can deploy an app."""
        if not self.concerns(config) or self.skip or config.trigger != self.kind:
            return False
        if self.kind == "tag":
            return True
        watched = {path.removesuffix("/**") for path in config.watch_paths}
        return config.branch == self.branch and (not watched or not watched.isdisjoint(self.apps))

    def reaches(self, config: Config) -> bool:
        """Return whether it is to an app's branch, whatever it changed."""
        same = config.branch == self.branch and config.trigger == self.kind == "push"
        return same and self.concerns(config) and not self.skip

    def payload(self, before: str) -> dict[str, Any]:
        """Return the host's payload."""
        if self.origin.host == "gitlab":
            return self._of_gitlab(before)
        said = push_payload(before, self.after, self.apps, self.branch)
        name = self.origin.repository
        said["repository"] |= {
            "id": self.origin.id,
            "name": name.rpartition("/")[2],
            "full_name": name,
            "clone_url": f"{GIT}/{name}.git",
            "pushed_at": int(self.at or time.time()),
        }
        said["head_commit"]["message"] = message(skip=self.skip)
        said["forced"] = self.forced
        if self.kind == "tag":
            said |= {"ref": f"refs/tags/{self.branch}", "commits": []}
        return said

    def _of_gitlab(self, before: str) -> dict[str, Any]:
        name = self.origin.repository
        files = sorted(f"{app}/file" for app in self.apps)
        told = message(skip=self.skip)
        commit = {"id": self.after, "message": told, "modified": files}
        kind, refs = ("tag_push", "tags") if self.kind == "tag" else ("push", "heads")
        return {
            "object_kind": kind,
            "event_name": kind,
            "ref": f"refs/{refs}/{self.branch}",
            "before": before,
            "after": self.after,
            "checkout_sha": self.after,
            "user_username": "ada",
            "project_id": self.origin.id,
            "project": {
                "id": self.origin.id,
                "path_with_namespace": name,
                "web_url": f"https://gitlab.example.com/{name}",
                "git_http_url": f"https://git.example.com/{name}.git",
            },
            "commits": [commit | {"added": [], "removed": []}],
            "total_commits_count": 1,
        }
