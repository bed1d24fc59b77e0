"""What a delivery means: a ref moved, a person asked for something, or nothing of ours."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Self

from bridge.core.errors import MalformedPayload
from bridge.core.misfits import unreadable
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


def no_repository(_headers: Mapping[str, str]) -> str:
    """Return no id: the headers name no repository."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """How a Git host is told by the headers of its webhooks.

    Attributes:
        key: the host's own, e.g. "gitlab".
        title: its name for people.
        event_header: the header that names an event.
        also_sends: event headers of other hosts that its webhooks carry besides.
        repository_id: finds the host's id of the repository in the headers, which nothing has
            verified; "" if they name none.
    """

    key: str
    title: str
    event_header: str
    also_sends: tuple[str, ...] = ()
    repository_id: Callable[[Mapping[str, str]], str] = no_repository


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as its host names it.

    Attributes:
        host: key of the Git host.
        id: the host's numeric id as text; it survives renames.
        name: path with owner, e.g. "my-org/mono" or "group/sub/project".
        urls: normalised clone addresses (`refs.normalise_url`), for custom Git sources.
        web_url: where people look at it; None if the payload has none.
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
            in words for people; "" if the host has listed them.
        forced: commits were taken back; None if the host does not say.
        options: push options (`git push -o …`), where the host tells them.
        pusher: login or name of who pushed, for people to read.
        found: no webhook has told of it; the ref was found to have moved.
        several: it may stand for several pushes, since more than its head was found.
        moment: when the host says that it was pushed, in its own words; "" if it does not say.
    """

    repository: Repository
    ref: Ref
    before: str
    after: str
    commit: Commit | None = None
    created: bool = False
    deleted: bool = False
    forced: bool | None = False
    paths: Sequence[str] | None = None
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


# ── What a person asks for, as a delivery: by command line or by chat ───────────────────────────

COMMAND_HOST = "cli"
"""The `host` of deliveries that the command line brings."""

ASKING_HOSTS = frozenset({COMMAND_HOST})
"""Whose deliveries are what people ask for, where there is no chat."""

_FROM_A_CHAT = ("person", "channel", "thread", "app", "deployment", "view", "draft")


def write_command(asked: Asked) -> bytes:
    """Return the body of a command's delivery."""
    fields = {"target": asked.target, "actor": asked.actor}
    fields |= {name: value for name in _FROM_A_CHAT if (value := getattr(asked, name))}
    return json.dumps(fields).encode()


def parse_command(event: str, body: bytes) -> Asked:
    """Read a command's delivery back; raises MalformedPayload."""
    try:
        fields = json.loads(body)
        more = {name: str(fields.get(name, "")) for name in _FROM_A_CHAT}
        return Asked(Action(event), str(fields["target"]), str(fields["actor"]), **more)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = unreadable(error)
        raise MalformedPayload(f"command {event[:40]!r} can't be read: {why}") from None


# ── A push that no webhook has told of, as a delivery that reconciliation keeps ─────────────────

FOUND_EVENT = "found"
"""The `event` of deliveries that reconciliation keeps; no host has one of that name."""

FOUND_NOTE = "found by reconciliation, so the host has sent no list of changed files"


def write_found(push: RefPushed) -> bytes:
    """Return the body of such a delivery."""
    repository = asdict(push.repository) | {"urls": sorted(push.repository.urls)}
    commit = None if push.commit is None else asdict(push.commit)
    if commit is not None:
        del commit["parents"]  # an older release takes no field that it does not know
    fields: dict[str, Any] = {
        "repository": repository,
        "ref": str(push.ref),
        "before": push.before,
        "after": push.after,
        "commit": commit,
        "several": push.several,
    }
    return json.dumps(fields, sort_keys=True).encode()


def parse_found(body: bytes) -> RefPushed:
    """Read it back; raises MalformedPayload."""
    try:
        fields = json.loads(body)
        repository = fields["repository"]
        commit = fields["commit"]
        return RefPushed(
            repository=Repository(**repository | {"urls": frozenset(repository["urls"])}),
            ref=Ref.parse(fields["ref"]),
            before=str(fields["before"]),
            after=str(fields["after"]),
            commit=None if commit is None else Commit(**commit),
            paths_note=FOUND_NOTE,
            found=True,
            several=bool(fields.get("several")),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedPayload(f"a found push can't be read: {unreadable(error)}") from None
