"""The facts of a pull request's previews, free of any chat's markup; see `card`.

A chat has one message for each pull request, however many apps it previews and pushes it has.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.chats.facts.card import LOUD, REF_NAME, Channels
from bridge.chats.facts.links import APP_NAME, Links, Place, address_of
from bridge.chats.facts.proposal import FIRST_LINE, PERSON
from bridge.core.apps import MARKER
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import Preview, PreviewState, pull_id, still_served
from bridge.core.previews.verdict import HOLDS, STARTED_AGAIN, Act, Why, possible
from bridge.core.pulls import PullRequest
from bridge.ports.feedback import Occasion, Snapshot
from bridge.ports.outcomes import Subscription, about_delivery, about_pull, named
from bridge.views.states import redacted, told_verdict
from bridge.views.view import Text

WHY = 200
"""The most characters of a reason."""

RANK = 1
"""Of what is told of previews: within a channel, deployments of the apps themselves go first."""

FEW = 3
"""With at most this many previews under way, each outcome is told at once; else they wait."""


class Look(StrEnum):
    """The condition of a preview, as its icon shows it."""

    WAITS = "waits"
    HELD = "held"
    BUILDS = "builds"
    UP = "up"
    FAILED = "failed"
    ENDS = "ends"
    GONE = "gone"


class Outcome(StrEnum):
    """An outcome that gets a line in the thread; the reasons of held previews get one, too."""

    READY = "ready"
    FAILED = "failed"
    ENDED = "ended"


_BY_STATE = {
    PreviewState.NEW: (Look.WAITS, "is being looked at"),
    PreviewState.SKIPPED: (Look.GONE, "has no preview"),
    PreviewState.HELD: (Look.HELD, "is held"),
    PreviewState.MAKING: (Look.BUILDS, "is being made"),
    PreviewState.UP: (Look.WAITS, "waits for its deployment"),
    PreviewState.ENDING: (Look.ENDS, "is being removed"),
    PreviewState.ENDED: (Look.GONE, "has ended"),
}
_BY_REASON = {
    Why.STOPPED: "was stopped",
    Why.IDLE: "was idle for too long",
    Why.APPROVAL: "waits for an approval",
    Why.LIMIT: "waits for a free place",
    Why.CANNOT_BUILD: "can't be built",
}
_LOOKS = {
    State.RUNNING: Look.BUILDS,
    State.VERIFYING: Look.BUILDS,
    State.DONE: Look.UP,
    State.CANCELLED: Look.GONE,
    **dict.fromkeys(LOUD, Look.FAILED),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One preview.

    Attributes:
        id: of the preview; `name`: what people type to name it.
        verdict: how it stands, as a phrase after the app's name.
        address: where it is served.
        commit: the one that `verdict` is about, in short.
        why: what keeps it, or why there is none; "" if all is well.
        acts: what can be asked of it, whoever asks.
        head: the newest commit of the pull request, which an approval would be for.
        under_way: it is going to change by itself.
        outcome: what is told of it, once; "" for nothing.
    """

    id: str
    name: str
    app: Text
    look: Look
    verdict: str
    address: Place | None
    commit: Text
    why: str
    acts: tuple[Act, ...]
    head: str
    under_way: bool
    outcome: str


@dataclass(frozen=True, slots=True)
class PullCard:
    """A pull request and its previews, for any chat.

    Attributes:
        name: its sign and number, e.g. "#12".
        url: its page; None if that is not known.
        repository: its name, with its page.
        stands: "merged", "closed" or "a draft"; "" if it is simply open.
        fork: it comes from a fork.
    """

    name: str
    title: Text
    url: str | None
    repository: Text
    repository_url: str | None
    author: Text
    head: Text
    stands: str
    fork: bool
    rows: tuple[Row, ...]

    @property
    def under_way(self) -> int:
        """Return how many previews are going to change by themselves."""
        return sum(row.under_way for row in self.rows)


def pull_card(
    subscription: Subscription,
    snapshot: Snapshot,
    links: Links,
    told_here: Collection[str],
    known: Collection[str] = (),
) -> PullCard | None:
    """Return the card of a pull request in one place; None if there is nothing to show there.

    Args:
        told_here: the ids of the apps that are told there.
        known: the ids of previews of which something was told before; these stay.
    """
    found = [one for one in snapshot.previews if one.app_id in told_here]
    shown = [one for one in found if _is_shown(one) or one.id in known]
    if not shown:
        return None
    newest: dict[str, Deployment] = {}
    for deployment in sorted(snapshot.deployments, key=lambda one: one.seq, reverse=True):
        newest.setdefault(deployment.app_id, deployment)
    settled = _is_decided(subscription, snapshot)
    rows = tuple(
        row_of(
            *(one, newest.get(one.made or ""), snapshot.served.get(one.made or "")),
            settled=settled,
        )
        for one in shown
    )
    return card_of_pull(max(shown, key=lambda one: one.version), links, rows)


def card_of_pull(preview: Preview, links: Links, rows: tuple[Row, ...]) -> PullCard:
    """Return the card of a preview's pull request with some of its previews."""
    pull, repository = preview.pull, preview.repository
    page, sign = links.pull_at(repository, pull.number)
    return PullCard(
        name=f"{sign}{pull.number}",
        title=Text(pull.title, FIRST_LINE),
        url=page,
        repository=Text(repository.name, APP_NAME),
        repository_url=links.repository_at(repository),
        author=Text(pull.author, PERSON),
        head=Text(pull.head, REF_NAME),
        stands=_stands(pull),
        fork=not pull.own,
        rows=rows,
    )


def row_of(
    preview: Preview,
    deployment: Deployment | None,
    served: Deployment | None = None,
    *,
    settled: bool = True,
) -> Row:
    """Return a preview with the newest deployment of its app.

    Args:
        served: the one that its app serves; None if that is not known.
        settled: whether all that was asked for is decided, so that the deployment is the last one.
    """
    pull, is_up = preview.pull, preview.state is PreviewState.UP
    current = deployment if is_up and preview.asked == pull.head_sha else None
    look, verdict = _standing(preview, current)
    if current is not None and (still := still_served(current.state, served)):
        verdict += f", {still}"
    live = current.deployed_commit if current is not None else None
    return Row(
        id=preview.id,
        name=preview.name,
        app=Text(preview.app, APP_NAME),
        look=look,
        verdict=verdict,
        address=address_of(preview.url) if look is not Look.GONE else None,
        commit=Text((live or pull.head_sha)[:7], 20),
        why=_why(preview, current),
        acts=possible(preview),
        head=pull.head_sha,
        under_way=_is_under_way(preview, current, settled=settled),
        outcome=_outcome(preview, current) if settled or not is_up else "",
    )


_UP = {State.DONE: "is up", State.UNHEALTHY: "is up and unhealthy"}


def _standing(preview: Preview, current: Deployment | None) -> tuple[Look, str]:
    if current is not None:
        verdict = _UP.get(current.state) or told_verdict(current.state)
        return _LOOKS.get(current.state, Look.WAITS), verdict
    look, verdict = _BY_STATE[preview.state]
    speaks = preview.state in (PreviewState.HELD, PreviewState.SKIPPED)
    return look, _BY_REASON.get(Why(preview.reason), verdict) if speaks else verdict


def _why(preview: Preview, current: Deployment | None) -> str:
    if current is not None:
        return redacted(current.note) if current.state in LOUD else ""
    says = preview.state in (PreviewState.HELD, PreviewState.SKIPPED) or preview.failures
    return redacted(preview.note) if says else ""


def _is_under_way(preview: Preview, current: Deployment | None, *, settled: bool) -> bool:
    """Return whether it goes on by itself; one whose step fails may do so for long."""
    if preview.failures:
        return False
    if preview.state is PreviewState.UP:
        return not settled or current is None or not current.final
    return preview.state in (PreviewState.NEW, PreviewState.MAKING, PreviewState.ENDING)


def _outcome(preview: Preview, current: Deployment | None) -> str:
    if current is not None and current.state in LOUD:
        return Outcome.FAILED
    if current is not None and current.state is State.DONE:
        return Outcome.READY
    if preview.state is PreviewState.HELD:
        return preview.reason if preview.reason in HOLDS else ""
    over = (PreviewState.SKIPPED, PreviewState.ENDED)
    return Outcome.ENDED if preview.state in over else ""


def _is_shown(preview: Preview) -> bool:
    """Return whether a preview is of interest; most apps of a repository are not concerned."""
    return preview.state is not PreviewState.SKIPPED or preview.reason in STARTED_AGAIN


def _is_decided(subscription: Subscription, snapshot: Snapshot) -> bool:
    """Return whether the last deployment that was asked for is known."""
    asked = max(map(int, named(subscription.follows, "delivery")), default=0)
    return not asked or any(one.seq >= asked for one in snapshot.explained)


def _stands(pull: PullRequest) -> str:
    if not pull.open:
        return "merged" if pull.merge_sha else "closed"
    return "a draft" if pull.draft else ""


# ── What is told besides, once ──────────────────────────────────────────────────────────────────


def news_in(card: PullCard, told: Mapping[str, str]) -> tuple[Row, ...]:
    """Return the previews with an outcome to tell; none while many are under way.

    So a pull request of fifty apps is told of in a few messages, not in fifty.

    Args:
        told: what was told last of each preview, by its id.
    """
    new = tuple(row for row in card.rows if _is_news(row, told.get(row.id)))
    return () if card.under_way > FEW else new


def _is_news(row: Row, before: str | None) -> bool:
    if not row.outcome or row.outcome == before:
        return False
    return before is not None or row.outcome != Outcome.ENDED


# ── Where it is shown. Pure ─────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PullPlans:
    """Plans where previews are told: once for each pull request and channel, quietly.

    Attributes:
        places: returns the channels of the previews of an app, given by its own label.
        place: returns the kind, the lane and the place of a pull request in a channel.
    """

    places: Callable[[str], Sequence[str]]
    place: Callable[[str, str], tuple[str, str, Mapping[str, str]]]

    def of_preview(self, preview: Preview, seq: int | None) -> list[Subscription]:
        """Return the messages that show a preview; see `ports.feedback.ShowsPreviews`."""
        return self._of(pull_id(preview.repository, preview.pull.number), preview.app, seq)

    def __call__(self, occasion: Occasion) -> list[Subscription]:
        """Return the same for previews that were deployed, also because somebody asked for it."""
        apps = (occasion.apps.get(one.app_id) for one in occasion.outcome.deployments)
        return [
            place
            for app in apps
            if app is not None and app.marker
            for place in self._of(_pull_of(app.marker), app.stands_for, occasion.outcome.seq)
        ]

    def _of(self, pull: str, label: str, seq: int | None) -> list[Subscription]:
        follows = (about_pull(pull), *(() if seq is None else (about_delivery(seq),)))
        found = []
        for name in self.places(label):
            kind, lane, place = self.place(pull, name)
            found.append(Subscription(f"{kind} {pull} {name}", kind, lane, follows, place, RANK))
        return found


def _pull_of(marker: str) -> str:
    """Return the name of the pull request of an app of ours; see `core.previews.preview`."""
    return marker.removeprefix(MARKER).rpartition(":")[0]


def told_in(channels: Channels, name: str, previews: Sequence[Preview]) -> frozenset[str]:
    """Return the ids of the apps whose previews are told in a channel."""
    return frozenset(one.app_id for one in previews if name in channels.of_previews(one.app))
