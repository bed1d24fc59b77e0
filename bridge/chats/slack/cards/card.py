"""The live card: one message for one deployment that always shows how it stands."""

from bridge.chats.slack.drawing import names
from bridge.chats.slack.drawing.around import NOTHING_KNOWN, Around, places_of
from bridge.chats.slack.drawing.blocks import Element, actions, button, confirm, context, section
from bridge.chats.slack.drawing.facts import (
    ENVIRONMENT,
    ICONS,
    Links,
    another_commit,
    asked_by,
    commit_of,
    first_line,
    joined,
    name_of,
    ref_of,
    remark,
    since,
    took,
    verdict_of,
)
from bridge.chats.slack.drawing.messages import Block, Message
from bridge.chats.slack.drawing.mrkdwn import code, escape, link, moment, plain, plain_middle
from bridge.core.lifecycle import Deployment, State
from bridge.core.watch import App, environment_of

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
    """The card of a deployment as it stands; the same facts make the same card.

    Args:
        app: None where it is not known any more; then nothing links to its repository.
        can_cancel: whether the backend can still be told to stop.
        superseded_by: the permalink of the card of what took its place, where there is one.
        around: what else is known of it.
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
    """The newest thing there is to say, where the rest of the card does not say it."""
    if deployment.state is State.SUPERSEDED:
        newer = link(superseded_by, "a newer deployment") if superseded_by else ""
        return f"Superseded by {newer}" if newer else ""
    if another_commit(deployment):
        deployed = commit_of(deployment.deployed_commit, app, links)
        pushed = code((deployment.commit or "")[:7], 20)
        return f":warning: {deployed} is live, not {pushed}: the backend builds the branch's head"
    return remark(deployment)


def buttons_of(deployment: Deployment, *, can_cancel: bool) -> list[Element]:
    """Return what can be done about a deployment as it stands."""
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
    """Cancel, which asks first and names what it would stop."""
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
    """App, branch or tag and commit in plain words, short enough for a question."""
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
