"""The live card: one message for one deployment that always shows its state."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bridge.chats.facts.card import (
    LOUD,
    Card,
    Channels,
    Failure,
    Newer,
    OtherCommit,
    card_of,
    failure_of,
)
from bridge.chats.facts.links import NOTHING_KNOWN, Around, Links
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
    ICONS,
    bold,
    fate_line,
    icon_now,
    joined,
    news,
    phrase_of,
    remark,
    sentence,
    shown_commit,
    shown_places,
    shown_ref,
    since,
    text_of,
)
from bridge.chats.slack.gates import (
    held_buttons,
    hold_lines,
    proposal_lines,
    unlock_button,
)
from bridge.chats.slack.mrkdwn import (
    code,
    code_block,
    escape,
    link,
    mention,
    moment,
    plain,
    plain_middle,
)
from bridge.core.apps import App
from bridge.core.events import Action, Asked
from bridge.core.health.fate import Fate
from bridge.core.holds import Gate
from bridge.core.lifecycle import LIVE, Change, Deployment, State
from bridge.ports.feedback import Occasion
from bridge.ports.outcomes import Subscription, about_delivery, about_deployment
from bridge.views.states import told_verdict

_AGAIN = {*LIVE, State.FAILED, State.CANCELLED, State.UNKNOWN}


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
    card = card_of(deployment, app, links, around, superseded_by)
    blocks: list[Block] = [section(_head(card)), context(_about(card))]
    if card.holds:
        blocks.append(section("\n".join(hold_lines(card.holds))))
    if card.proposal is not None:
        blocks.append(section("\n".join(proposal_lines(card.proposal))))
    if news := "\n".join(filter(None, (_standing(card), _note(card)))):
        blocks.append(context(news))
    if places := shown_places(card.places):
        blocks.append(context(places))
    shown = buttons_of(deployment, around, can_cancel=can_cancel, past=card.past)
    if card.lock is not None:
        key = f"{Gate.LOCK}:{card.lock.key}"
        shown.insert(0, unlock_button(deployment.id, key, card.lock.says))
    blocks.append(actions(*shown))
    return Message(_text(deployment, card), tuple(blocks))


def _head(card: Card) -> str:
    title = f"{icon_now(card.state, card.fate)}  {bold(card.app)} {card.verdict}"
    about = joined(shown_ref(card.ref), _subject(card))
    return f"{title}\n{about}" if about else title


def _subject(card: Card) -> str:
    what = shown_commit(card.commit) or code(card.image.words, card.image.limit)
    return " ".join(filter(None, (what, text_of(card.says))))


def _about(card: Card) -> str:
    length = f"took {card.took}" if card.took else since(card.building_since)
    at = moment(card.created_at)
    return joined(text_of(card.environment), phrase_of(card.by), at, length)


def _standing(card: Card) -> str:
    """Return from where to where a rollback led, and what has become of what was live."""
    return joined(sentence(card.way), fate_line(card.fate, card.lock))


def _note(card: Card) -> str:
    """Return the latest news, unless the rest of the card shows it."""
    match card.note:
        case Newer(url=url):
            return f"Superseded by {link(url, 'a newer deployment')}" if url else ""
        case OtherCommit(live=live, pushed=pushed, tense=tense):
            deployed, head = shown_commit(live), "the backend builds the branch's head"
            return f":warning: {deployed} {tense} live, not {shown_commit(pushed)}: {head}"
        case str(note):
            return sentence(note)


def buttons_of(
    deployment: Deployment, around: Around, *, can_cancel: bool, past: bool
) -> list[Element]:
    """Return the buttons for a deployment in its state; `past`: it is live no more."""
    id_ = deployment.id
    shown = held_buttons(deployment)
    if can_cancel and not deployment.final and not deployment.served:
        shown.append(cancel_button(deployment))
    if deployment.state is State.UNHEALTHY and not past:
        shown.append(button("Roll back", names.DEPLOYMENT_ROLLBACK, id_, style="danger"))
    if around.last_good:
        shown.append(button("Roll back to this", names.DEPLOYMENT_ROLLBACK_TO, id_))
    goes_back = deployment.action is Action.ROLLBACK  # what it has left stays checked out
    if deployment.state in _AGAIN and not goes_back and not past and not around.overtaken:
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


def _text(deployment: Deployment, card: Card) -> str:
    commit = text_of(card.commit.short) if card.commit else ""
    what = " ".join(filter(None, (commit, text_of(card.says))))
    says = card.fate.says if card.fate is not None else ""
    said = sentence(says) or remark(deployment, card.fate)
    return joined(f"{text_of(card.app)} {card.verdict}", what, said)


# ── The card's thread: one line for each change, and failures for the channel ─────────────────────


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
        card = card_of(deployment, app, links or Links(), around)
        told = _loud(card, failure_of(deployment, change, log_tail), mention(author_id or ""))
        return Line(_to_act_on(told, deployment, card, around), broadcast=True)
    said = news(change) or told_verdict(change.state)
    at = moment(change.at, "{time_secs}")
    line = f"{ICONS[change.state]}  {said}  ·  {at}"
    return Line(Message(f"{escape(deployment.app, 200)}: {said}", (context(line),)))


def render_fate(deployment: Deployment, fate: Fate) -> Message:
    """Return the line in the thread of a version that was rolled back, or is live again."""
    said, since = sentence(fate.says), fate.until
    if fate.live and fate.by is not None:
        said, since = f"Live again: {fate.says}", fate.by.live_at
    at = moment(since, "{time_secs}") if since is not None else ""
    line = context(joined(f"{icon_now(deployment.state, fate)}  {said}", at))
    return Message(f"{escape(deployment.app, 200)}: {said}", (line,))


def _loud(card: Card, failure: Failure, called: str) -> Message:
    title = f"{ICONS[failure.state]}  {bold(card.app)} {failure.verdict}"
    about = joined(shown_ref(card.ref), _subject(card), called or phrase_of(card.by))
    blocks: list[Block] = [section("\n".join(filter(None, (title, about))))]
    note = sentence(failure.note)
    if note and not failure.repeated:
        blocks.append(section(note))
    if failure.tail:
        blocks.append(section(code_block(failure.tail, SECTION_TEXT)))
    text = f"{text_of(card.app)} {failure.verdict}"
    return Message(joined(text, note, called), tuple(blocks))


def _to_act_on(told: Message, deployment: Deployment, card: Card, around: Around) -> Message:
    """Add links, and the buttons of the card, which is far above."""
    places = shown_places(card.places)
    more: list[Block] = [context(places)] if places else []
    around = replace(around, last_good=False)
    more.append(actions(*buttons_of(deployment, around, can_cancel=False, past=card.past)))
    return Message(told.text, (*told.blocks, *more))


# ── Plan the cards: one for each deployment and channel. Pure ─────────────────────────────────────

CARD = "slack.card"
NOTICE = "slack.notice"
"""The kinds of subscriptions in Slack: a live card, and a message to one person."""


class Cards:
    """The planner of Slack."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    def __call__(self, occasion: Occasion) -> list[Subscription]:
        """Return a card for each deployment in each channel; a message to a requester in vain.

        Previews have a place of their own.
        """
        asked = _of_slack(occasion.asked)
        found = [
            card(one.id, channel, asked)
            for one in occasion.of_people()
            for channel in self._of(one.app, asked)
        ]
        if asked is not None and not occasion.outcome.decisions:
            found.append(_in_vain(occasion.outcome.seq, asked))
        return found

    def _of(self, label: str, asked: Asked | None) -> Iterable[str]:
        """People who ask outside a channel, such as in Home, are told directly."""
        here = (asked.channel or asked.person) if asked else ""
        return self._channels.of(label, here)


_IS_PERSON = re.compile(r"(?:slack:)?([UW][A-Z0-9]{2,})").fullmatch


def _of_slack(asked: Asked | None) -> Asked | None:
    """Return a request by somebody of Slack, also if made elsewhere; others can't be told here."""
    found = _IS_PERSON(asked.person) if asked else None
    return replace(asked, person=found[1]) if asked and found else None


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
