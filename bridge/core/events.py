"""The meaning of a delivery: a ref moved, a person requested something, or it is irrelevant."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

from bridge.core.checks import Check
from bridge.core.errors import MalformedPayload
from bridge.core.log_text import one_line
from bridge.core.people import NOBODY, Actor, Writer
from bridge.core.pulls import PullRequest
from bridge.core.refs import normalise_url
from bridge.core.validation_errors import unreadable

ZERO = "0" * 40
"""The null object id: `before` of a new ref, `after` of a deleted one."""


class RefKind(StrEnum):
    """The kinds of refs for which hosts send events."""

    BRANCH = "branch"
    TAG = "tag"


_PREFIXES = {"refs/heads/": RefKind.BRANCH, "refs/tags/": RefKind.TAG}


@dataclass(frozen=True, slots=True)
class Ref:
    """A branch or tag by its full name: `refs/heads/a/b` is the branch `a/b`."""

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


def kind_of(host: str) -> str:
    """Return the kind of a Git host by its name: "gitea" of the server "gitea/second"."""
    return host.partition("/")[0]


def no_repository(_headers: Mapping[str, str]) -> str:
    """Return "": the headers name no repository."""
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """How to recognise a Git host by the headers of its webhooks.

    Attributes:
        key: the host's own, e.g. "gitlab".
        title: its name for people.
        event_header: the header that names the event.
        also_sends: other hosts' event headers that its webhooks also contain.
        begins: the prefixes of the headers that only its webhooks contain, if any of them is enough
            to recognise it.
        repository_id: returns the host's id of the repository from the unverified headers; "" if
            they contain none.
    """

    key: str
    title: str
    event_header: str
    also_sends: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()
    repository_id: Callable[[Mapping[str, str]], str] = no_repository


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository as its host names it.

    Attributes:
        host: the Git host's name: its key, with a further server's own name "gitea/second".
        id: the host's numeric id as text, which survives renames; the name in lower case where
            nobody vouches for a number (see `core.hooks`).
        name: path with owner, e.g. "my-org/mono" or "group/sub/project".
        urls: normalised clone URLs (`refs.normalise_url`), for custom Git sources.
        web_url: its URL for people; None if the payload has none.
        owner_id: the host's id of its owner as text; "" if the host does not say.
    """

    host: str
    id: str
    name: str
    urls: frozenset[str] = frozenset()
    web_url: str | None = None
    owner_id: str = ""

    @property
    def numbered(self) -> bool:
        """True if its id is the number that the host gave it."""
        return self.id.isdecimal()

    @property
    def kind(self) -> str:
        return kind_of(self.host)

    def is_at(self, address: str) -> bool:
        """Return whether its own URLs belong to the server at `address`.

        Compare its web URL, or else any clone URL; the one for SSH may name another host.
        """
        home = f"{normalise_url(address)}/"
        named = self.urls if self.web_url is None else [normalise_url(self.web_url)]
        return any(one.startswith(home) for one in named)


LONGEST_NAME = 200
"""Characters of a name or of a message's first line. Git takes any length; lists would show it."""


def _name(text: str) -> str:
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


@dataclass(frozen=True, slots=True)
class Commit:
    """The commit that a ref points to after a push.

    Attributes:
        author: a name; a longer one than `LONGEST_NAME` is cut.
        parents: the first is the commit it was made on; empty if unknown.
    """

    sha: str
    message: str = ""
    author: str = ""
    url: str | None = None
    email: str = ""
    parents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "author", _name(self.author))


def subject_of(message: str | None) -> str:
    """Return the first line of a commit's message that is not empty, for a list."""
    return _name(one_line((message or "").lstrip().partition("\n")[0]))


@dataclass(frozen=True, slots=True)
class RefPushed:
    """A branch or tag was created, moved or deleted.

    Attributes:
        before, after: object ids as sent; `after` of an annotated tag is the tag object.
        commit: the commit that the ref points to now; None if it was deleted or not sent.
        paths: files that changed, sorted; None if the host sent no complete list.
        paths_note: why `paths` is None, or how the host's API found them, for people; "" if the
            host has listed them.
        forced: commits were removed; None if the host does not say.
        options: push options (`git push -o …`), if the host sends them.
        pusher: the pusher's login or name, for display; cut as an author's.
        authors: those who wrote and pushed its commits, as far as the host tells; sorted.
        found: reconciliation found that the ref moved; no webhook has reported it.
        several: it may contain several pushes, since more than its head was found.
        moment: the time of the push, in the host's own format; "" if the host does not say.
        hook: the webhook that reports it, of a host that keeps a delivery's id when it sends that
            again; else "".
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
    authors: tuple[Writer, ...] = ()
    found: bool = False
    several: bool = False
    moment: str = ""
    hook: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "pusher", _name(self.pusher))


@dataclass(frozen=True, slots=True)
class PullRequestChanged:
    """A pull request was opened, pushed to, labelled, renamed, retargeted, merged or closed.

    It also becomes a draft, or ready. It may come from a fork (`pull.own`).

    Attributes:
        pull: as it is now.
        opened: it was opened or reopened: earlier pushes may be published on it now.
    """

    repository: Repository
    pull: PullRequest
    opened: bool = False


@dataclass(frozen=True, slots=True)
class CheckReported:
    """Something has changed about the checks of a commit.

    Attributes:
        check: the check as the event has it; None if the event says only that something changed.
    """

    repository: Repository
    commit: str
    check: Check | None = None


class Action(StrEnum):
    """What a person can request; every request goes through the inbox."""

    DEPLOY = "deploy"
    REDEPLOY = "redeploy"
    ROLLBACK = "rollback"
    CANCEL = "cancel"
    REPLAY = "replay"
    CONFIGURE = "configure"
    DISCONNECT = "disconnect"
    UNDO = "undo"

    @property
    def verb(self) -> str:
        """Return it as what somebody asks to do."""
        return "roll back" if self is Action.ROLLBACK else str(self)


CONFIGURING = frozenset({Action.CONFIGURE, Action.DISCONNECT, Action.UNDO})
"""The actions that change an app's configuration."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A person's request, by command line or chat.

    Attributes:
        target: an app's id, or a delivery's id for a replay.
        person: their id in the chat; "" for the command line.
        channel, thread: where in the chat it was requested; "" for the command line.
        app: the target's label, to be shown if the target is gone later.
        deployment: the one to cancel, "" for all of the app; the one whose version is wanted.
        way: how to bring a version, as it was shown; "" for the best way at that time.
        commit: the exact commit to build; "" for the branch's head.
        image: the image to deploy; "" for the app's own.
        back_from: the deployment from which the bridge goes back by itself; "" for a person.
        view: the dialog in which it was requested; "" if none.
        draft: the confirmed draft, to configure an app; the number of the change, to undo one.
        not_before: the time for which a deploy is asked, in seconds since 1970; "" for at once.
        accounts: what else their service calls them, with spaces between, e.g. "github:#583231".
        operation: what they asked for, e.g. "promote", which is a deploy; "" for the action itself.
    """

    action: Action
    target: str
    actor: Actor = NOBODY
    person: str = ""
    channel: str = ""
    thread: str = ""
    app: str = ""
    deployment: str = ""
    view: str = ""
    draft: str = ""
    not_before: str = ""
    way: str = ""
    commit: str = ""
    image: str = ""
    back_from: str = ""
    accounts: str = ""
    operation: str = ""

    @property
    def called(self) -> str:
        """What was asked for, as the audit log names it."""
        return self.operation or str(self.action)

    @property
    def by(self) -> Actor:
        """The requester as the audit log names them."""
        return replace(self.actor, id=self.person or self.actor.id)


@dataclass(frozen=True, slots=True)
class Ignored:
    """An irrelevant delivery, and why."""

    reason: str


FromRepository = RefPushed | PullRequestChanged | CheckReported
"""The events of a repository."""

Event = FromRepository | Asked | Ignored


# ── A person's request as a delivery, by command line or by chat ────────────────────────────────

COMMAND_HOST = "cli"
"""The `host` of deliveries from the command line."""

CONSOLE_HOST = "console"
"""The `host` of deliveries from the console."""

PREVIEW_HOST = "preview"
"""The `host` of deliveries by which the bridge itself asks for deployments of previews."""

ASKING_HOSTS = frozenset({COMMAND_HOST, CONSOLE_HOST, PREVIEW_HOST})
"""The hosts whose deliveries are requests, without a chat."""

_FROM_A_CHAT = (
    *("person", "accounts", "channel", "thread", "app", "deployment", "view", "draft"),
    *("not_before", "way", "commit", "image", "back_from", "operation"),
)


def write_command(asked: Asked) -> bytes:
    """Return the body of a command's delivery."""
    # An older release reads `actor`.
    fields = {"target": asked.target, "actor": str(asked.actor)}
    fields |= {"door": asked.actor.door, "name": asked.actor.name}
    fields |= {name: value for name in _FROM_A_CHAT if (value := getattr(asked, name))}
    return json.dumps(fields).encode()


def parse_command(event: str, body: bytes) -> Asked:
    """Read a command's delivery back; raise MalformedPayload."""
    try:
        fields = json.loads(body)
        more = {name: str(fields.get(name, "")) for name in _FROM_A_CHAT}
        actor = Actor.read(str(fields["actor"]))
        if "door" in fields:
            actor = Actor(str(fields["door"]), str(fields["name"]))
        return Asked(Action(event), str(fields["target"]), actor, **more)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = unreadable(error)
        raise MalformedPayload(f"command {event[:40]!r} can't be read: {why}") from None


# ── A push found by reconciliation, as a delivery ───────────────────────────────────────────────

FOUND_EVENT = "found"
"""The `event` of reconciliation's deliveries; no host has an event of that name."""

FOUND_NOTE = "found by reconciliation, so the host has sent no list of changed files"


def write_found(push: RefPushed) -> bytes:
    """Return the body of a found push's delivery."""
    repository = asdict(push.repository) | {"urls": sorted(push.repository.urls)}
    del repository["owner_id"]  # an older release rejects unknown fields
    commit = None if push.commit is None else asdict(push.commit)
    if commit is not None:
        del commit["parents"]  # as above
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
    """Read a found push back; raise MalformedPayload."""
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
