"""What a delivery means: a ref moved, a person asked for something, or nothing of ours."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from bridge.core.errors import MalformedPayload
from bridge.core.refs import normalise_url

ZERO = "0" * 40
"""The object id for "there is none": `before` of a new ref, `after` of a deleted one."""


class RefKind(StrEnum):
    """The two kinds of refs that hosts send events for."""

    BRANCH = "branch"
    TAG = "tag"


_PREFIXES = {"refs/heads/": RefKind.BRANCH, "refs/tags/": RefKind.TAG}


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or tag by its whole name: `refs/heads/a/b` is the branch `a/b`."""

    kind: RefKind
    name: str

    @classmethod
    def parse(cls, full: str) -> Self:
        """Read a full ref, e.g. `refs/tags/v1.2`.

        Raises:
            MalformedPayload: it is neither a branch nor a tag.
        """
        for prefix, kind in _PREFIXES.items():
            if full.startswith(prefix) and len(full) > len(prefix):
                return cls(kind, full.removeprefix(prefix))
        raise MalformedPayload(f"ref {full[:200]!r} is neither refs/heads/… nor refs/tags/…")

    def __str__(self) -> str:
        prefix = "refs/heads/" if self.kind is RefKind.BRANCH else "refs/tags/"
        return prefix + self.name


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as its host names it.

    Attributes:
        host: key of the Git host, "github" or "gitlab".
        id: the host's numeric id as text; it survives renames.
        name: path with owner, e.g. "my-org/mono" or "group/sub/project".
        urls: normalised clone addresses (`refs.normalise_url`), for custom Git sources.
        web_url: where people look at it; None where the payload has none.
    """

    host: str
    id: str
    name: str
    urls: frozenset[str] = frozenset()
    web_url: str | None = None

    def is_at(self, address: str) -> bool:
        """Return whether its own addresses are of the server at this one.

        Where people look at it says so, else any clone address; that of ssh may be another host.
        """
        home = f"{normalise_url(address)}/"
        named = self.urls if self.web_url is None else [normalise_url(self.web_url)]
        return any(one.startswith(home) for one in named)


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that a ref points to after a push.

    Attributes:
        email: its author's, as committed.
        parents: the first is what it was committed on; empty where nobody said.
    """

    sha: str
    message: str = ""
    author: str = ""
    url: str | None = None
    email: str = ""
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefPushed:
    """A branch or tag was created, moved or deleted.

    Attributes:
        before, after: object ids as sent; `after` of an annotated tag is the tag object.
        commit: the commit that the ref points to now; None when it was deleted or not sent.
        paths: files that changed, sorted; None when the host sent no complete list.
        paths_note: why `paths` is None, or how they were found where the host's API was asked,
            in words for people; "" where the host has listed them.
        options: push options (`git push -o …`), GitLab only.
        pusher: login or name of who pushed, for people to read.
        found: no webhook has told of it; the ref was found to have moved.
        several: it may stand for several pushes, since more than its head was found.
        moment: when the host says that it was pushed, in its own words; "" where it does not say.
    """

    repository: Repository
    ref: Ref
    before: str
    after: str
    commit: Commit | None = None
    created: bool = False
    deleted: bool = False
    forced: bool = False
    paths: tuple[str, ...] | None = None
    paths_note: str = ""
    options: tuple[str, ...] = ()
    pusher: str = ""
    found: bool = False
    several: bool = False
    moment: str = ""


@dataclass(frozen=True, slots=True)
class PullRequestOpened:
    """A pull request was opened, or opened again: what was pushed before may show on it now.

    Attributes:
        branch, commit: its head, which is a branch of the same repository.
    """

    repository: Repository
    number: int
    branch: str
    commit: str


class Action(StrEnum):
    """What a person can ask for; every one enters through the inbox."""

    DEPLOY = "deploy"
    REDEPLOY = "redeploy"
    CANCEL = "cancel"
    REPLAY = "replay"
    CONFIGURE = "configure"
    DISCONNECT = "disconnect"
    UNDO = "undo"


CONFIGURING = frozenset({Action.CONFIGURE, Action.DISCONNECT, Action.UNDO})
"""What changes how an app is configured."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A person asked for something, by command line or chat.

    Attributes:
        target: an app's id, or a delivery's id for a replay.
        actor: who asked, for people to read, e.g. "cli: ada".
        person: their id in the chat; "" by command line, as `channel` and `thread`, which say
            where in the chat it was asked.
        app: how people call the target; what is told should it be gone by then.
        deployment: the one that shall be cancelled; "" for all of its app.
        view: the dialog that it was asked in; "" in none.
        draft: what was agreed to, where an app shall be configured; the number of the change,
            where one shall be undone.
    """

    action: Action
    target: str
    actor: str = ""
    person: str = ""
    channel: str = ""
    thread: str = ""
    app: str = ""
    deployment: str = ""
    view: str = ""
    draft: str = ""


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing of ours, and why."""

    reason: str


Event = RefPushed | PullRequestOpened | Asked | Ignored
