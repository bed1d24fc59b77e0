"""Locks: somebody keeps others from deploying an app, a project, an environment or everything."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bridge.core.apps import App, apps_like, environment_of, find_app
from bridge.core.errors import Rejected
from bridge.core.events import COMMAND_HOST
from bridge.core.lifecycle import Deployment

ALL = "all"
"""The scope of every app."""

BRIDGE = "the bridge"
"""The name under which the bridge itself asks."""

BY_ITSELF = f"{COMMAND_HOST}:{BRIDGE}"
"""The owner of the lock that follows a rollback by the bridge itself."""

DAY = 86_400.0

LONGEST = 90 * DAY
"""Seconds that a lock may last at most."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The set of apps that a lock or freeze covers.

    Attributes:
        key: "all", "project/NAME", "environment/PROJECT/NAME" or "app/ID"; unique.
        label: its name for people.
    """

    key: str
    label: str


EVERYTHING = Scope(ALL, "all apps")

_ALL_MAY_BE_MEANT = frozenset({"everything", "every", "any", "global", "*"})


@dataclass(frozen=True, slots=True)
class PullRef:
    """A pull or merge request with whose end a lock is released.

    Attributes:
        host: the server's name; repository: its path there; sign: stands before the number.
    """

    host: str
    repository: str
    number: int
    sign: str = "#"

    def __str__(self) -> str:
        return f"{self.repository}{self.sign}{self.number}"


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock; there is at most one for each scope.

    Attributes:
        owner: e.g. "slack:U012AB3CD" or "cli:ada"; what they ask for passes.
        name: the owner's, for display.
        at: when it was taken; until: when it expires, None for never. Seconds since 1970.
        merge: the pull request with whose merge or close it is released; None for none.
        channel: where in a chat it was taken; "" for the command line.
        remind_at: when its owner is reminded next; None for never.
        of_rollback: a rollback took it, to keep pushes from undoing it.
    """

    scope: str
    label: str
    owner: str
    name: str
    reason: str
    at: float
    until: float | None = None
    merge: PullRef | None = None
    channel: str = ""
    remind_at: float | None = None
    of_rollback: bool = False

    @property
    def key(self) -> str:
        """Identify this lock among all that its scope ever has."""
        return f"{self.scope}:{self.at:.6f}"

    def expired(self, now: float) -> bool:
        """Return whether it holds nothing any more."""
        return self.until is not None and now >= self.until

    @property
    def named(self) -> str:
        """The scope followed by "is" or "are", e.g. "shop/web is", "all apps are"."""
        return f"{self.label} {'are' if self.scope == ALL else 'is'}"

    @property
    def says(self) -> str:
        """The reason why it holds, in a sentence."""
        ends = "" if self.merge is None else f" (until {self.merge} is merged)"
        return f"{self.named} locked by {self.name}: {self.reason}{ends}"


def next_reminder(lock: Lock, after: float) -> float | None:
    """Return when a lock's owner is to be reminded next; None if it ends within a day of that.

    It is the time of the day at which the lock was taken: its owner was at work then.
    """
    days = max(1, math.floor((after - lock.at) / DAY) + 1)
    at = lock.at + days * DAY
    return None if lock.until is not None and lock.until - at <= DAY else at


def lock_after(rollback: Deployment, app: App, now: float) -> Lock:
    """Return the lock that a rollback takes, so the next push does not undo it.

    It belongs to the person who went back: what they ask for passes.
    """
    owner = rollback.person or f"rollback:{rollback.id}"
    reason = f"rolled back by deployment #{rollback.seq}; unlock it once a fix is merged"
    name = rollback.origin.actor.name
    lock = Lock(f"app/{app.id}", app.label, owner, name, reason, now, of_rollback=True)
    return replace(lock, remind_at=next_reminder(lock, now))


def app_in(scope: str) -> str | None:
    """Return the id of the one app that a scope covers; None if it covers more than one."""
    kind, slash, id_ = scope.partition("/")
    return id_ if slash and kind == "app" else None


def scopes_of(app: App) -> tuple[str, ...]:
    """Return the keys of all scopes that cover an app."""
    return (ALL, _project(app).key, _environment(app).key, f"app/{app.id}")


def covered(scope: Scope, apps: Sequence[App]) -> list[App]:
    """Return the apps that a scope covers."""
    return [app for app in apps if scope.key in scopes_of(app)]


def _project(app: App) -> Scope:
    return Scope(f"project/{app.project}", f"project {app.project}")


def _environment(app: App) -> Scope:
    name = f"{app.project}/{environment_of(app)}"
    return Scope(f"environment/{name}", f"environment {name}")


def scope_named(text: str, apps: Sequence[App]) -> Scope:
    """Return the scope that somebody means: an app, a project, PROJECT/ENVIRONMENT or "all".

    "project:NAME", "environment:PROJECT/NAME" and "app:NAME" say which, where a name fits several.

    Args:
        apps: those that they may see.

    Raises:
        NotFound, Ambiguous: no app or several fit.
        Rejected: the name fits an app and something else.
    """
    kind, colon, name = text.partition(":")
    if not colon or kind not in ("project", "environment", "app"):
        kind, name = "", text
    if kind == "" and name == ALL:
        return EVERYTHING
    found = {scope.key: scope for scope in _scopes(kind, name, apps)}
    if len(found) > 1:
        fits = ", ".join(sorted(scope.label for scope in found.values()))
        raise Rejected(
            f"{name!r} fits {fits}: say which with project:{name}, environment:{name} or app:{name}"
        )
    if found:
        return next(iter(found.values()))
    if kind == "" and name.strip().lower() in _ALL_MAY_BE_MEANT and not apps_like(apps, name):
        raise Rejected(f"{name!r} is neither an app nor a project; did you mean {ALL}?")
    app = find_app(apps, name)
    return Scope(f"app/{app.id}", app.label)


def _scopes(kind: str, name: str, apps: Sequence[App]) -> Iterator[Scope]:
    """Yield the scopes with exactly this name."""
    for app in apps:
        if kind in ("", "project") and name == app.project:
            yield _project(app)
        if kind in ("", "environment") and name == f"{app.project}/{environment_of(app)}":
            yield _environment(app)
        if kind in ("", "app") and name == app.label:
            yield Scope(f"app/{app.id}", app.label)


def typed_scope(key: str, label: str) -> str:
    """Return how a scope is typed, given by its key and label."""
    kind, _, name = key.partition("/")
    typed = ALL if key == ALL else label if kind == "app" else f"{kind}:{name}"
    return f'"{typed}"' if len(typed.split()) > 1 else typed


def scope_of_hold(key: str, label: str) -> str:
    """Return how the scope of a lock is typed, by the key of the hold that it makes.

    Args:
        label: of the app that it holds.
    """
    scope = key.partition(":")[2].rpartition(":")[0]
    return typed_scope(scope, label).strip('"')


# ── pull requests as people name them ───────────────────────────────────────────────────────────

_PAGE = re.compile(
    r"(?P<url>(?:https?://)?[^/\s]+/\S+?)/(?:-/)?(?:pull|pulls|merge_requests)/(?P<number>\d{1,15})"
    r"(?:[/?#]\S*)?"
)
_NAMED = re.compile(r"(?P<repository>[^\s#!]+/[^\s#!]+)?[#!]?(?P<number>\d{1,15})")


@dataclass(frozen=True, slots=True)
class PullName:
    """A pull request as somebody has named it.

    Attributes:
        repository: its path; "" if it is that of the apps.
        url: of its repository, if its page was named; then `repository` is "".
    """

    number: int
    repository: str = ""
    url: str = ""


def pull_named(text: str) -> PullName | None:
    """Return the pull request of "#12", "!12", "12", "acme/shop#12" or a page's URL, or None."""
    if (page := _PAGE.fullmatch(text)) is not None:
        return PullName(int(page["number"]), url=page["url"])
    if (named := _NAMED.fullmatch(text)) is None:
        return None
    if named["repository"] and not re.search(r"[#!]\d+$", text):
        return None
    return PullName(int(named["number"]), named["repository"] or "")
