"""What a kept delivery means, and the deployment that it wishes for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge.core.commands import ASKING_HOSTS, parse_command
from bridge.core.errors import MalformedPayload, Rejected
from bridge.core.events import Action, Asked, Event, PullRequestOpened, RefKind, RefPushed
from bridge.core.found import FOUND_EVENT, parse_found
from bridge.core.lifecycle import Deployment, State, deployment_id
from bridge.core.tracking import token_for
from bridge.core.watch import App
from bridge.ports.githosts import GitHost
from bridge.ports.inbox import Delivery
from bridge.ports.outcomes import About


@dataclass(frozen=True, slots=True)
class Meaning:
    """A delivery with its event; a replay means what the replayed one meant."""

    delivery: Delivery
    event: Event
    asked: Asked | None = None


def read(delivery: Delivery, hosts: Mapping[str, GitHost]) -> Meaning | str:
    """What a delivery means, or in words why that can't be said."""
    try:
        body = delivery.body
    except Rejected as error:
        return str(error)
    if body is None:
        return "its body was forgotten by now (see retention): push again, or deploy by command"
    try:
        if delivery.host in ASKING_HOSTS:
            return Meaning(delivery, parse_command(delivery.event, body))
        host = hosts.get(delivery.host)
        if host is None:
            return f"{delivery.host} is not served any more: set its secret, then replay"
        if delivery.event == FOUND_EVENT:
            return Meaning(delivery, parse_found(body))
        return Meaning(delivery, host.parse(delivery.event, delivery.headers, body))
    except (MalformedPayload, Rejected) as error:
        return str(error)


def trigger_of(meaning: Meaning) -> str:
    """What the deployments of a push are caused by, for people."""
    assert isinstance(meaning.event, RefPushed)
    kind = "tag" if meaning.event.ref.kind is RefKind.TAG else "push"
    if meaning.event.found:
        kind += ", found by reconciliation"
    return kind if meaning.asked is None else f"{kind}, replayed by {meaning.asked.actor}"


def author_of(push: RefPushed) -> str:
    """Who a push is by, for people: the author of its newest commit, else who pushed."""
    return (push.commit.author if push.commit else "") or push.pusher


def about(event: Event) -> About | None:
    """What an event is about, for people; None where it is of no repository."""
    if isinstance(event, RefPushed):
        commit = event.commit.sha if event.commit else event.after
        return About(event.repository.name, str(event.ref), commit, author_of(event))
    if isinstance(event, PullRequestOpened):
        return About(event.repository.name, f"refs/heads/{event.branch}", event.commit, None)
    return None


def wished(
    delivery: Delivery,
    app: App,
    action: Action,
    trigger: str,
    salt: str,
    now: float,
    push: RefPushed | None = None,
) -> Deployment:
    """The deployment that a delivery wishes for an app, before anything was done for it.

    Args:
        trigger: "push", "tag", or who asked.
        salt: random, see `token_for`.
    """
    id_ = deployment_id(delivery.seq, app.id)
    branch = app.source.branch if app.source else None
    commit = push.commit if push else None
    return Deployment(
        id=id_,
        seq=delivery.seq,
        delivery=delivery.id,
        app_id=app.id,
        app=app.label,
        action=action,
        trigger=trigger,
        state=State.WAITING,
        created_at=now,
        ref=str(push.ref) if push else (f"refs/heads/{branch}" if branch else None),
        commit=commit.sha if commit else None,
        message=commit.message[:4000] if commit else None,
        author=commit.author if commit else None,
        note="waits for its turn",
        token=token_for(salt, id_),
    )
