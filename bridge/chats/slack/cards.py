"""The live card: one message for one deployment that always shows its state."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bridge.chats.slack import names
from bridge.chats.slack.blocks import (
    SECTION_TEXT,
    Block,
    Element,
    Message,
    actions,
    button,
    confirm,
    context,
    section,
)
from bridge.chats.slack.facts import (
    ENVIRONMENT,
    ICONS,
    NOTHING_KNOWN,
    VERDICTS,
    Around,
    Links,
    another_commit,
    asked_by,
    commit_of,
    first_line,
    joined,
    name_of,
    news,
    places_of,
    ref_of,
    remark,
    since,
    took,
    verdict_of,
)
from bridge.chats.slack.mrkdwn import (
    clean_lines,
    code,
    code_block,
    escape,
    link,
    mention,
    moment,
    plain,
    plain_middle,
)
from bridge.core.apps import App, environment_of
from bridge.core.events import Asked
from bridge.core.failure import MOST_CHARACTERS, failure_in
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.log_text import redact
from bridge.core.rules import name_matches
from bridge.ports.feedback import Occasion
from bridge.ports.outcomes import Subscription, about_delivery, about_deployment

_AGAIN = {State.DONE, State.FAILED, State.CANCELLED, State.UNKNOWN}


def render_card(
    deployment: Deployment,
    app: App | None,
    *,
    links: Links,
    can_cancel: bool = False,
    superseded_by: str | None = None,
    around: Around = NOTHING_KNOWN,
) -> Message:
    """Render the card of a deployment; the same facts give the same card.

    Args:
        app: None if it is no longer known; then nothing links to its repository.
        can_cancel: whether the backend can still be told to stop.
        superseded_by: the permalink of its successor's card, if there is one.
        around: further facts about it.
    """
    blocks: list[Block] = [
        section(_head(deployment, app, links)),
        context(_about(deployment, app)),
    ]
    if note := _note(deployment, app, links, superseded_by):
        blocks.append(context(note))
    if places := places_of(deployment, app, links, around):
        blocks.append(context(places))
    blocks.append(actions(*buttons_of(deployment, can_cancel=can_cancel)))
    return Message(_text(deployment), tuple(blocks))


def _head(deployment: Deployment, app: App | None, links: Links) -> str:
    title = f"{ICONS[deployment.state]}  {name_of(deployment)} {verdict_of(deployment)}"
    commit = commit_of(deployment.commit or deployment.deployed_commit, app, links)
    what = " ".join(filter(None, (commit, _says(deployment))))
    about = joined(ref_of(deployment.ref), what)
    return f"{title}\n{about}" if about else title


def _says(deployment: Deployment) -> str:
    return first_line(deployment.message)


def _about(deployment: Deployment, app: App | None) -> str:
    environment = escape(environment_of(app), ENVIRONMENT) if app else ""
    at = moment(deployment.created_at)
    lasted = took(deployment)
    length = f"took {lasted}" if lasted else since(deployment)
    return joined(environment, asked_by(deployment), at, length)


def _note(deployment: Deployment, app: App | None, links: Links, superseded_by: str | None) -> str:
    """Return the latest news, unless the rest of the card shows it."""
    if deployment.state is State.SUPERSEDED:
        newer = link(superseded_by, "a newer deployment") if superseded_by else ""
        return f"Superseded by {newer}" if newer else ""
    if another_commit(deployment):
        deployed = commit_of(deployment.deployed_commit, app, links)
        pushed = code((deployment.commit or "")[:7], 20)
        return f":warning: {deployed} is live, not {pushed}: the backend builds the branch's head"
    return remark(deployment)


def buttons_of(deployment: Deployment, *, can_cancel: bool) -> list[Element]:
    """Return the buttons for a deployment in its state."""
    id_ = deployment.id
    shown: list[Element] = []
    if can_cancel and not deployment.final:
        shown.append(cancel_button(deployment))
    if deployment.state in _AGAIN:
        shown.append(button("Redeploy", names.DEPLOYMENT_REDEPLOY, id_))
    if deployment.backend_id is not None:
        shown.append(button("Log", names.DEPLOYMENT_LOG, id_))
    return [*shown, button("Why", names.DEPLOYMENT_WHY, id_)]


def cancel_button(deployment: Deployment) -> Element:
    """Return the cancel button; it asks first, and names what it would stop."""
    about = _plainly(deployment)
    question = f"{about} stops where it is. What is live now stays live."
    return button(
        "Cancel",
        names.DEPLOYMENT_CANCEL,
        deployment.id,
        style="danger",
        confirm=confirm("Cancel this deployment?", question, "Cancel it", "Go on", danger=True),
    )


def _plainly(deployment: Deployment) -> str:
    """Return app, branch or tag and commit in plain words, short enough for a question."""
    ref = (deployment.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/")
    which = ", ".join(filter(None, (plain(ref, 80), plain((deployment.commit or "")[:7], 10))))
    name = plain_middle(deployment.app, 100) or "It"
    return f"{name} ({which})" if which else name


def _text(deployment: Deployment) -> str:
    said = escape(deployment.app, 200)
    verdict = verdict_of(deployment)
    commit = escape((deployment.commit or deployment.deployed_commit or "")[:7], 10)
    what = " ".join(filter(None, (commit, _says(deployment))))
    return joined(f"{said} {verdict}", what, remark(deployment))


# ── The card's thread: one line for each change, and failures for the channel ─────────────────────

LOUD = frozenset({State.FAILED, State.UNKNOWN})
"""States that the whole channel is told, since somebody must act. Others stay in the thread."""


@dataclass(frozen=True, slots=True)
class Line:
    """A reply in a card's thread; `broadcast`: the channel sees it, too."""

    message: Message
    broadcast: bool = False


def render_line(
    deployment: Deployment,
    change: Change,
    *,
    log_tail: str = "",
    author_id: str | None = None,
    app: App | None = None,
    links: Links | None = None,
    around: Around = NOTHING_KNOWN,
) -> Line:
    """Return the line for one change of a deployment.

    Args:
        log_tail: the end of the build's log, shown with a failure; redacted here.
        author_id: the Slack user id of the commit's author, mentioned if it fails.
        app, links, around: for the links.
    """
    if change.state in LOUD:
        links = links or Links()
        commit = commit_of(deployment.commit, app, links)
        told = _loud(deployment, change, commit, log_tail, author_id)
        return Line(_to_act_on(told, deployment, app, links, around), broadcast=True)
    said = news(change.state, change.note) or VERDICTS[change.state]
    at = moment(change.at, "{time_secs}")
    line = f"{ICONS[change.state]}  {said}  ·  {at}"
    return Line(Message(f"{escape(deployment.app, 200)}: {said}", (context(line),)))


def _loud(
    deployment: Deployment, change: Change, commit: str, log_tail: str, author_id: str | None
) -> Message:
    lasted = took(deployment)
    verdict = VERDICTS[change.state] + (f" after {lasted}" if lasted else "")
    called = mention(author_id or "")
    title = f"{ICONS[change.state]}  {name_of(deployment)} {verdict}"
    what = " ".join(filter(None, (commit, first_line(deployment.message))))
    about = joined(ref_of(deployment.ref), what, called or asked_by(deployment))
    blocks: list[Block] = [section("\n".join(filter(None, (title, about))))]
    note = news(change.state, change.note)
    tail = _tail(log_tail)
    # Don't repeat what the last line of the tail says.
    if note and redact(change.note[:MOST_CHARACTERS]).strip() not in tail.rpartition("\n")[2]:
        blocks.append(section(note))
    if tail:
        blocks.append(section(code_block(tail, SECTION_TEXT)))
    text = f"{escape(deployment.app, 200)} {verdict}"
    return Message(joined(text, note, called), tuple(blocks))


def _to_act_on(
    told: Message, deployment: Deployment, app: App | None, links: Links, around: Around
) -> Message:
    """Add links, and the buttons of the card, which is far above."""
    places = places_of(deployment, app, links, around)
    more: list[Block] = [context(places)] if places else []
    more.append(actions(*buttons_of(deployment, can_cancel=False)))
    return Message(told.text, (*told.blocks, *more))


def _tail(log: str) -> str:
    return clean_lines(failure_in(log).excerpt).strip("\n")


# ── Plan the cards: one for each deployment and channel. Pure ─────────────────────────────────────

CARD = "slack.card"
NOTICE = "slack.notice"
"""The kinds of subscriptions in Slack: a live card, and a message to one person."""


@dataclass(frozen=True, slots=True)
class Channels:
    """The channels of apps.

    Attributes:
        book: globs over labels with their channels, by id or as "#name"; later ones win.
        default: for apps that the book does not name; "" for none.
    """

    book: Sequence[tuple[str, tuple[str, ...]]] = ()
    default: str = ""

    def of(self, label: str, asked_in: str = "") -> tuple[str, ...]:
        """Return the channels of an app; without any, the one in which it was requested."""
        found: tuple[str, ...] = (self.default,) if self.default else ()
        for pattern, channels in self.book:
            if name_matches(pattern, label):
                found = channels
        return found or ((asked_in,) if asked_in else ())


class Cards:
    """The planner of Slack."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def __call__(self, occasion: Occasion) -> list[Subscription]:
        """Return a card for each deployment in each channel; a message to a requester in vain."""
        asked = occasion.asked if occasion.asked and occasion.asked.person else None
        found = [
            card(one.id, channel, asked)
            for one in occasion.outcome.deployments
            for channel in self._of(one.app, asked)
        ]
        if asked is not None and not occasion.outcome.decisions:
            found.append(_in_vain(occasion.outcome.seq, asked))
        return found

    def _of(self, label: str, asked: Asked | None) -> Iterable[str]:
        """People who ask outside a channel, such as in Home, are told directly."""
        here = (asked.channel or asked.person) if asked else ""
        return self._channels.of(label, here)


def card(deployment: str, channel: str, asked: Asked | None = None) -> Subscription:
    """Return the card of a deployment in a channel.

    In its place, `person` is told if the channel is unavailable, and `asker` is mentioned if it
    fails.
    """
    person = asked.person if asked and channel == asked.channel else ""
    place = {"channel": channel, "deployment": deployment}
    if asked is not None and asked.person:
        place["asker"] = asked.person
    return Subscription(
        id=f"{CARD} {deployment} {channel}",
        kind=CARD,
        lane=lane_of(channel),
        follows=(about_deployment(deployment),),
        place=place | ({"person": person} if person else {}),
    )


def lane_of(channel: str) -> str:
    """Return the lane that shares Slack's limit of a message a second."""
    return f"slack {channel}"


def _in_vain(seq: int, asked: Asked) -> Subscription:
    what = f"{asked.action} of {asked.app or asked.target}"
    return Subscription(
        id=f"{NOTICE} {seq}",
        kind=NOTICE,
        lane=lane_of(asked.channel or asked.person),
        follows=(about_delivery(seq),),
        place={
            "channel": asked.channel,
            "person": asked.person,
            "text": f"Your {what} can't be done: the app no longer exists.",
        },
    )
