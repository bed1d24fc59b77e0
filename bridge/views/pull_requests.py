"""A pull request and its previews.

A chat has one message for each pull request, however many apps it previews and pushes it has.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bridge.core.chat.calls import Call
from bridge.core.lifecycle import Deployment, State
from bridge.core.previews.preview import Preview, PreviewState, current_of, still_served
from bridge.core.previews.verdict import HOLDS, Act, Why, possible
from bridge.core.pulls import PullRequest
from bridge.views.actions import of_preview
from bridge.views.deployments import APP_NAME, COMMIT, FIRST_LINE, LOUD, PERSON, REF_NAME, visible
from bridge.views.links import Links, address_of
from bridge.views.states import redacted, told_verdict
from bridge.views.text import clean
from bridge.views.values import (
    Code,
    Icon,
    Link,
    Look,
    Phrase,
    Sentence,
    Strong,
    Text,
    Typed,
    joined,
)
from bridge.views.view import Item, Lines, Tone, View, Weight

WHY = 200
"""The most characters of a reason."""

FEW = 3
"""With at most this many previews under way, each outcome is told at once; else they wait."""

MOST_NAMED, MOST_LISTED = 5, 60
"""Previews that a notification names, and that have a line."""


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
_TONES = {
    Look.FAILED: Tone.BAD,
    Look.HELD: Tone.DOUBT,
    Look.BUILDS: Tone.BUSY,
    Look.WAITS: Tone.CALM,
    Look.UP: Tone.GOOD,
}
"""Of the whole message: that of the first of these that a preview has."""

ACTING: Phrase = ("`previews stop`, `extend` and `approve` act on one.",)
HINT: Phrase = (Typed(Call("previews", {}, "previews")), " lists them; ", *ACTING)


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
    address: Link | None
    commit: Text
    why: str
    acts: tuple[Act, ...]
    head: str
    under_way: bool
    outcome: str

    def item(self, acts: Iterable[Act] | None = None) -> Item:
        """Return its line; `acts`: what is offered, if not all that is possible."""
        offered = self.acts if acts is None else acts
        return Item(
            joined(
                (Strong(self.app), f" {self.verdict}"),
                (self.address,) if self.address else (),
                (Code(self.commit),),
            ),
            self.look,
            (Sentence(self.why, WHY),) if clean(self.why) else (),
            [of_preview(act, self.id, self.name, self.head) for act in offered],
        )

    @property
    def told(self) -> str:
        """Return what the thread says of it, as a phrase after the app's name."""
        return "is ready" if self.outcome == Outcome.READY else self.verdict


def pull_request_view(preview: Preview, links: Links, rows: Sequence[Row]) -> View:
    """Return the message of a preview's pull request with some of its previews."""
    head, page = title_of(preview, links), links.pull_at(preview.repository, preview.pull.number)[0]
    looks = {row.look for row in rows}
    words = [(row.app, f" {row.verdict}") for row in rows]
    return View(
        head,
        Icon.PULL,
        parts=[Lines("", [row.item() for row in rows], weight=Weight.MAIN, hint=HINT)],
        brief=(*head, ": ", *_counted(words)),
        tone=next((tone for look, tone in _TONES.items() if look in looks), Tone.CALM),
        url=page,
        facts=_about(preview, links),
        why=rows[0].name,
        more=links.console.previews(),
        name=f"{head[0]}{clean(preview.pull.title)}",
    )


def title_of(preview: Preview, links: Links, limit: int = FIRST_LINE) -> Phrase:
    """Return the number of a preview's pull request, with its sign, and its title."""
    pull = preview.pull
    sign = links.pull_at(preview.repository, pull.number)[1]
    return (f"{sign}{pull.number} ", Text(pull.title, limit))


def _about(preview: Preview, links: Links) -> dict[str, Phrase]:
    pull, repository = preview.pull, preview.repository
    author = visible(pull.author, PERSON)
    by: Phrase = ("by ", *author) if author else ()
    return {
        "Repository": (Link(Text(repository.name, APP_NAME), links.repository_at(repository)),),
        "Opened": joined(by, () if pull.own else ("from a fork",)),
        "Branch": (Code(Text(pull.head, REF_NAME)),),
        "State": (stands,) if (stands := _stands(pull)) else (),
    }


def _counted(words: Sequence[Phrase]) -> Phrase:
    named = tuple(piece for one in words[:MOST_NAMED] for piece in (", ", *one))[1:]
    more = len(words) - MOST_NAMED
    return (*named, f" and {more} more") if more > 0 else named


def preview_row(
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
    current = current_of(preview, deployment)
    look, verdict = _standing(preview, current)
    if still := still_served(preview, deployment, served):
        verdict += f", {still} is still up"
    live = current.deployed_commit if current is not None else None
    return Row(
        id=preview.id,
        name=preview.name,
        app=Text(preview.app, APP_NAME),
        look=look,
        verdict=verdict,
        address=address_of(preview.url) if look is not Look.GONE else None,
        commit=Text((live or pull.head_sha)[:7], COMMIT),
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
    """Return whether it still changes; one whose step fails may take long."""
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


def _stands(pull: PullRequest) -> str:
    if not pull.open:
        return "merged" if pull.merge_sha else "closed"
    return "a draft" if pull.draft else ""


# ── What is told besides, once ──────────────────────────────────────────────────────────────────


def news_in(rows: Sequence[Row], told: Mapping[str, str]) -> tuple[Row, ...]:
    """Return the previews with an outcome to tell; none while many are under way.

    So a pull request of fifty apps is told of in a few messages, not in fifty.

    Args:
        told: what was told last of each preview, by its id.
    """
    new = tuple(row for row in rows if _is_news(row, told.get(row.id)))
    return () if sum(row.under_way for row in rows) > FEW else new


def _is_news(row: Row, before: str | None) -> bool:
    if not row.outcome or row.outcome == before:
        return False
    return before is not None or row.outcome != Outcome.ENDED


def news_view(rows: Sequence[Row]) -> View:
    """Return one message about all previews that have something new."""
    items = []
    for row in rows[:MOST_LISTED]:
        says = joined(
            (Strong(row.app), f" {row.told}"),
            (Code(row.commit),),
            (row.address,) if row.address else (),
        )
        line = row.item([Act.APPROVE] if Act.APPROVE in row.acts else [])
        note = () if row.outcome == Outcome.READY else line.note
        items.append(Item(says, row.look, note, line.actions))
    if (more := len(rows) - MOST_LISTED) > 0:
        items.append(Item((f"and {more} more",)))
    return View(
        (), parts=[Lines("", items)], brief=_counted([(row.app, f" {row.told}") for row in rows])
    )
