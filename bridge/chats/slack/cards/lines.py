"""The card's thread: one line for each change, and what the channel hears of a failure."""

from dataclasses import dataclass

from bridge.chats.slack.cards.card import buttons_of
from bridge.chats.slack.drawing.around import NOTHING_KNOWN, Around, places_of
from bridge.chats.slack.drawing.blocks import SECTION_TEXT, actions, context, section
from bridge.chats.slack.drawing.facts import (
    ICONS,
    VERDICTS,
    Links,
    asked_by,
    commit_of,
    first_line,
    joined,
    name_of,
    news,
    ref_of,
    took,
)
from bridge.chats.slack.drawing.messages import Block, Message
from bridge.chats.slack.drawing.mrkdwn import clean_lines, code_block, escape, mention, moment
from bridge.core.failure import MOST_CHARACTERS, failure_in
from bridge.core.lifecycle import Change, Deployment, State
from bridge.core.redaction import redact
from bridge.core.watch import App

LOUD = frozenset({State.FAILED, State.UNKNOWN})
"""What the whole channel hears: it needs somebody. All else only stands in the thread."""


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
    """The line for one change of a deployment.

    Args:
        log_tail: the end of the build's log, shown with a failure; redacted here.
        author_id: the Slack user id of who made the commit, called when it fails.
        app, links, around: for the links.
    """
    if change.state in LOUD:
        links = links or Links(None, None)
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
    # Above a tail whose last line says it, it is not said twice.
    if note and redact(change.note[:MOST_CHARACTERS]).strip() not in tail.rpartition("\n")[2]:
        blocks.append(section(note))
    if tail:
        blocks.append(section(code_block(tail, SECTION_TEXT)))
    text = f"{escape(deployment.app, 200)} {verdict}"
    return Message(joined(text, note, called), tuple(blocks))


def _to_act_on(
    told: Message, deployment: Deployment, app: App | None, links: Links, around: Around
) -> Message:
    """With where more is to be seen, and with the buttons of the card, which is far above."""
    places = places_of(deployment, app, links, around)
    more: list[Block] = [context(places)] if places else []
    more.append(actions(*buttons_of(deployment, can_cancel=False)))
    return Message(told.text, (*told.blocks, *more))


def _tail(log: str) -> str:
    return clean_lines(failure_in(log).excerpt).strip("\n")
