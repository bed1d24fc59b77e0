"""The record of one preview, its names, and the preview that a person names."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.core.apps import MARKER, App, Rules
from bridge.core.events import Repository
from bridge.core.health.rollback import version_of
from bridge.core.lifecycle import Deployment, State
from bridge.core.policies import PreviewPolicy
from bridge.core.pulls import PullRequest
from bridge.core.variables import assignment
from bridge.core.words import some

if TYPE_CHECKING:
    from bridge.core.decision import Policy
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from bridge.core.apps import MOST_NAMED
from bridge.core.errors import Ambiguous, NotFound, Rejected

LONGEST_PART = 63
"""Characters of one part of a host name."""

_UNFIT = re.compile(r"[^a-z0-9]+")


class PreviewState(StrEnum):
    """The state of a preview."""

    NEW = "new"  # nobody has looked at the pull request yet
    SKIPPED = "skipped"  # it is to have none, and has none
    HELD = "held"  # it is to have one, and something is missing
    MAKING = "making"
    UP = "up"  # its app is there, and a deployment of the commit is asked for
    ENDING = "ending"
    ENDED = "ended"  # the pull request is over, and nothing is left


OVER = frozenset({PreviewState.SKIPPED, PreviewState.ENDED})
"""States in which there is no preview."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A pull request of an app's repository, and the app that previews it.

    Attributes:
        key: the repository's key for its host's API.
        repository: the repository, as last reported.
        app_id, app, backend: the app that is previewed, its label, and where it is.
        pull: the pull request, as last reported.
        version: counts the reports of the pull request.
        state, reason, note: the reason is a word of a closed list, the note a sentence for people.
        made: the id of the preview's own app; None if there is none.
        url: where it is served; None if that is not known.
        asked: the commit of which a deployment was last asked for.
        branch: the branch of the bridge's own that it is or was built from, and that ends with it;
            None if it was always the pull request's.
        approved, approver: the commit that somebody has approved, and who.
        created_at: when the pull request was first reported, by which places are given.
        active_at: when it was last pushed to or extended.
        look_at: when to look at it next; None if only a report matters.
        failures: how often in a row a step has failed.
        pushes: counts the heads that were reported; one that comes back counts again.
        rules: by which rules it was last looked at; see `rules_mark`.
    """

    key: str
    repository: Repository
    app_id: str
    app: str
    backend: str
    pull: PullRequest
    version: int = 0
    state: PreviewState = PreviewState.NEW
    reason: str = ""
    note: str = ""
    made: str | None = None
    url: str | None = None
    asked: str | None = None
    branch: str | None = None
    approved: str | None = None
    approver: str = ""
    stopped: bool = False
    created_at: float = 0.0
    active_at: float = 0.0
    look_at: float | None = 0.0
    failures: int = 0
    pushes: int = 1
    rules: str = ""

    @property
    def id(self) -> str:
        """Return its name in the journal, e.g. "github:583231#12:ZT6A95NobTiob085n0lpt"."""
        return preview_id(self.repository, self.pull.number, self.app_id)

    @property
    def host(self) -> str:
        return self.repository.host

    @property
    def marker(self) -> str:
        """Return what its app is known by at the backend."""
        return marker_of(self.repository, self.pull.number, self.app_id)

    @property
    def number(self) -> int:
        return self.pull.number

    @property
    def is_over(self) -> bool:
        """Whether nothing of it is left, or there never was anything."""
        return self.state in OVER

    @property
    def ends(self) -> bool:
        """Whether there is none, or it is being removed."""
        return self.is_over or self.state is PreviewState.ENDING

    @property
    def takes_a_place(self) -> bool:
        """Whether something of it is or may be at the backend."""
        return self.made is not None or self.state in (PreviewState.MAKING, PreviewState.ENDING)

    @property
    def label(self) -> str:
        """Return its name for people, e.g. "shop/web #12"."""
        return f"{self.app} #{self.pull.number}"

    @property
    def name(self) -> str:
        """Return what people type to name it, e.g. "shop/web#12"."""
        return f"{self.app}#{self.pull.number}"

    @property
    def host_name(self) -> str | None:
        """Return the host name at which it is served; None if that is not known."""
        return None if self.url is None else urlsplit(self.url).hostname

    def gives_way_to(self, other: "Preview") -> bool:
        """Return whether another one keeps an address that both would have."""
        if other.id == self.id or not other.takes_a_place:
            return False
        earlier = (other.created_at, other.id) < (self.created_at, self.id)
        return earlier or not self.takes_a_place

    def idle_at(self, policy: PreviewPolicy | None) -> float | None:
        """Return when it ends for want of a push; None if it does not."""
        there = self.made is not None and policy is not None and policy.on
        return self.active_at + policy.idle if there and policy is not None else None


def current_of(preview: Preview, newest: Deployment | None) -> Deployment | None:
    """Return the deployment of the pull request's newest commit; None before it is asked for.

    Args:
        newest: the newest deployment of the preview's app, which may be of an earlier commit.
    """
    asked = preview.state is PreviewState.UP and preview.asked == preview.pull.head_sha
    return newest if asked else None


def shown_state(preview: Preview, newest: Deployment | None) -> PreviewState | State:
    """Return the state that people want to know: whether the newest commit is at its address."""
    if preview.state is not PreviewState.UP:
        return preview.state
    current = current_of(preview, newest)
    if current is None:
        return State.WAITING
    return preview.state if current.state is State.DONE else current.state


def still_served(
    preview: Preview, newest: Deployment | None, served: Deployment | None
) -> str | None:
    """Return the version at a preview's address where its newest commit is not.

    Args:
        served: what its app serves; None if that is not known.
    """
    if served is None or served.state is State.UNHEALTHY or preview.ends:
        return None
    current = current_of(preview, newest)
    earlier = current is None or current.state in (State.FAILED, State.CANCELLED)
    return version_of(served) if earlier else None


def pull_id(repository: Repository, number: int) -> str:
    """Return the name of a pull request in the journal, e.g. "github:583231#12"."""
    return f"{repository.host}:{repository.id}#{number}"


def preview_id(repository: Repository, number: int, app_id: str) -> str:
    """Return the name of a pull request's preview of an app."""
    return f"{pull_id(repository, number)}:{app_id}"


def rules_mark(app: App | None, decisions: "Policy") -> str:
    """Return a text that differs once other rules apply to an app's previews; it has no secrets.

    The values of environment variables are not in it: they apply from the next push.
    """
    if app is None:
        return "gone"
    told = (app.source, app.branch, app.watched, app.rules.previews, app.native_previews, decisions)
    return _digest(repr(told))


def as_preview(app: App, model: App | None) -> App:
    """Return an app of ours with the rules of previews: it is verified like its model.

    What gates hold, and which pushes deploy, is said of the model and its pull requests. Who may
    see or deploy the model may do so with its previews.
    """
    verify = None if model is None else model.rules.verify
    quiet = None if verify is None else replace(verify, rollback=False)
    label = "" if model is None else model.label
    return replace(app, rules=Rules(verify=quiet), stands_for=label)


def model_id(marker: str) -> str:
    """Return the id of the app that an app of ours previews."""
    return marker.rpartition(":")[2]


def marker_of(repository: Repository, number: int, app_id: str) -> str:
    """Return what the app of a preview is known by at the backend."""
    return MARKER + preview_id(repository, number, app_id)


_MARKED = re.compile(rf"{MARKER}(?P<host>[^:#]+):(?P<repository>[^#]+)#(?P<number>[0-9]{{1,15}}):")


def number_in(marker: str, repository: Repository) -> int | None:
    """Return the number of the pull request that an app previews; None if it is another's."""
    start = f"{MARKER}{repository.host}:{repository.id}#"
    number = marker.removeprefix(start).partition(":")[0]
    return int(number) if marker.startswith(start) and number.isdecimal() else None


def pull_in(app: App) -> tuple[Repository, int] | None:
    """Return the pull request that an app previews, and its repository; None for other apps."""
    found = _MARKED.match(app.marker)
    if found is None:
        return None
    source = app.source
    name = (source and (source.repository or (source.url or "").partition("/")[2])) or ""
    return Repository(found["host"], found["repository"], name), int(found["number"])


def app_name(model: App, number: int) -> str:
    """Return the name of a preview's app, e.g. "web pr-12"."""
    return f"{model.name} pr-{number}"


def host_name(pattern: str, model: App, number: int) -> str:
    """Return the host name of a preview; a part that is too long is shortened, and stays unique."""
    values = {"number": str(number), "app": _dns(model.name), "project": _dns(model.project)}
    parts = pattern.lower().format(**values).split(".")
    return ".".join(_fit(part) for part in parts)


def _dns(text: str) -> str:
    return _UNFIT.sub("-", text.lower()).strip("-") or "app"


def _fit(part: str) -> str:
    if len(part) <= LONGEST_PART:
        return part
    digest = _digest(part)
    return f"{part[: LONGEST_PART - len(digest) - 1].rstrip('-')}-{digest}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def environment_text(preview: Preview, policy: PreviewPolicy, url: str | None) -> str:
    """Return a preview's whole environment, as lines of NAME=value."""
    pull = preview.pull
    own = {"BRIDGE_PR": str(pull.number), "BRIDGE_SHA": pull.head_sha, "BRIDGE_URL": url or ""}
    given = dict(policy.environment) if _may_have(preview, policy) else {}
    return variables_text(tuple((given | own).items()))


def build_args_text(preview: Preview, policy: PreviewPolicy) -> str:
    """Return a preview's build arguments, as lines of NAME=value."""
    return variables_text(policy.build_args if _may_have(preview, policy) else ())


def _may_have(preview: Preview, policy: PreviewPolicy) -> bool:
    """Return whether a preview may have what the rule gives, which may be secrets."""
    return preview.pull.own or policy.environment_for_forks


def variables_text(variables: Iterable[tuple[str, str]]) -> str:
    """Return variables as lines of NAME=value, as every backend reads them; raise Rejected."""
    return "\n".join(assignment(name, value) for name, value in variables)


# ── the one that a person names ──────────────────────────────────────────────────────────────────

_NAME = re.compile(r"(?P<app>[^#]*?)\s*[#!]?(?P<number>[0-9]{1,15})")
_APART = re.compile(r"[#!\s][0-9]+\Z")
_ID = re.compile(r"[^:#]+:[^#]+#[0-9]+:.+")

LISTS_THEM = "`dokploy-bridge previews --all` lists them"


class HasName(Protocol):
    """A preview of a pull request that people can name: the bridge's, or a backend's own."""

    @property
    def id(self) -> str: ...
    @property
    def app(self) -> str: ...
    @property
    def number(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def is_over(self) -> bool: ...


One = TypeVar("One", bound=HasName)


def find_preview(previews: Sequence[One], name: str) -> One:
    """Return the preview that somebody means, e.g. by "shop/web#12", "web#12", "#12" or its id.

    One that there is comes before those of which nothing is left.

    Args:
        previews: those that they may see.

    Raises:
        NotFound, Ambiguous: none or several fit.
        Rejected: the text does not name a preview.
    """
    if found := [one for one in previews if one.id == name]:
        return found[0]
    fits, like = _fitting(previews, name), previews_like(previews, name)
    if len(fits) == 1:
        return fits[0]
    if fits:
        named = some(like, MOST_NAMED)
        raise Ambiguous(f"{name[:80]!r} fits several previews: {named}; say which")
    near = f"did you mean {' or '.join(like[:MOST_NAMED])}?" if like else LISTS_THEM
    raise NotFound(f"there is no preview {name[:80]!r}; {near}")


def previews_like(previews: Sequence[HasName], name: str) -> list[str]:
    """Return the names that one may mean which fits none or several; ids where names are alike.

    Raises:
        NotFound, Rejected: as `find_preview`.
    """
    fits = _fitting(previews, name)
    names = [one.name for one in fits or _of_number(previews, name)]
    if fits and len(set(names)) < len(names):
        return sorted(one.id for one in fits)
    return sorted(set(names))


def _fitting(previews: Sequence[One], name: str) -> list[One]:
    """Return the previews that a name fits by the strictest rule that fits any."""
    app = _parts(name)[0].lower()
    for fits in _rules(app):
        of_app = [one for one in _of_number(previews, name) if fits(one.app.lower())]
        if of_app:
            return [one for one in of_app if not one.is_over] or of_app
    return []


def _of_number(previews: Sequence[One], name: str) -> list[One]:
    _, number = _parts(name)
    return [one for one in previews if one.number == number]


def _parts(name: str) -> tuple[str, int]:
    """Return the app, "" for any, and the number of the pull request."""
    if _ID.fullmatch(name):
        raise NotFound("that preview is gone, or you may not see its app")
    if not names_preview(name):
        raise Rejected(
            f"{name[:80]!r} names no preview: write the app and the pull request, e.g. shop/web#12"
        )
    found = _NAME.fullmatch(name.strip())
    assert found is not None
    return found["app"], int(found["number"])


def names_preview(text: str) -> bool:
    """Return whether a text is an app and the number of a pull request, or such a number alone."""
    found = _NAME.fullmatch(text.strip())
    return found is not None and bool(not found["app"] or _APART.search(text.strip()))


def _rules(app: str) -> tuple[Callable[[str], bool], ...]:
    """Return the rules by which an app's name fits a label, the strictest first."""
    return (
        lambda label: app in ("", label),
        lambda label: label.rpartition("/")[2] == app,
        lambda label: label.startswith(app) or label.rpartition("/")[2].startswith(app),
    )
