"""Where it is shown what a delivery leads to."""

from dataclasses import replace

import pytest

from bridge.core.apps import Rules, Trigger
from bridge.core.decision import Reason
from bridge.core.events import (
    PullRequestChanged,
    RefKind,
    Repository,
)
from bridge.core.pulls import PullRequest
from bridge.ports.feedback import Occasion
from bridge.ports.inbox import DeliveryState
from bridge.ports.outcomes import Subscription, about_delivery, about_deployment
from tests.fakes.journey import push
from tests.worlds.deliveries import ELSEWHERE, Desk

PULL = PullRequest(12, "main", push().after, open=True)


def cards(occasion: Occasion) -> list[Subscription]:
    """One for the delivery, and one for each of its deployments."""
    outcome = occasion.outcome
    push = Subscription(f"push {outcome.seq}", "push", "G", (about_delivery(outcome.seq),), {})
    return [push] + [
        Subscription(f"card {one.id}", "card", "C", (about_deployment(one.id),), {"app": one.app})
        for one in outcome.deployments
    ]


async def shown_at(desk: Desk) -> list[str]:
    return sorted(one.subscription.id for one in await desk.journal.feedback(limit=100))


async def test_a_second_hook_for_the_same_push_is_shown_nowhere_again(desk: Desk) -> None:
    desk.plan = cards
    first = await desk.keep("one", push())
    await desk.keep("two", push())
    await desk.drain()

    assert await shown_at(desk) == [f"card {first:016d}.app-web", f"push {first}"]


async def test_a_webhook_that_is_caught_and_sent_again_under_another_id_deploys_nothing(
    desk: Desk,
) -> None:
    caught = push(moment="1795600000")
    await desk.keep("one", caught)
    await desk.drain()
    desk.clock.now += 86_400
    again = await desk.keep("two", caught)
    await desk.drain()

    (found,) = (await desk.journal.decisions([again]))[again]
    assert (found.reason, found.evidence) == (
        Reason.DUPLICATE_PUSH,
        "delivery one brought the same push and has been decided",
    )
    assert len(await desk.journal.deployments(limit=10)) == 1


async def test_a_tag_that_is_deleted_and_pushed_anew_deploys_anew(desk: Desk) -> None:
    await desk.journal.save_rules("app-web", Rules(trigger=Trigger.TAG), by="cli: ada")
    await desk.catalog.refresh()
    zero = "0" * 40
    made = push("v1", kind=RefKind.TAG, before=zero, created=True, moment="1795600000")
    gone = push("v1", kind=RefKind.TAG, before=made.after, after=zero, deleted=True, commit=None)
    for id_, event in {"made": made, "gone": gone, "made again": made}.items():
        await desk.keep(id_, event)
        await desk.drain()
        desk.clock.now += 86_400

    assert len(await desk.journal.deployments(limit=10)) == 2


COMMENT = Subscription(
    "github.comment 4711 12", "github.comment", "github", (about_delivery(1),), {}
)


HERE, FORK = push().repository, replace(PULL, own=False)
NOTHING_DEPENDS = "pull request 12 has changed: nothing depends on it"
NOTHING_TO_SHOW = "pull request 12 was opened: there is nothing to show on it"


@pytest.mark.parametrize(
    ("pull", "opened", "where", "pushed", "shown", "why"),
    [
        (PULL, False, HERE, True, True, NOTHING_DEPENDS),
        (FORK, True, HERE, True, True, "is from a fork, which sends its own pushes"),
        (FORK, False, HERE, True, True, NOTHING_DEPENDS),
        (replace(PULL, open=False), False, HERE, True, True, "no lock ends with pull request 12"),
        (PULL, True, HERE, True, True, "was opened: it gets the comment of what was pushed"),
        (PULL, True, HERE, True, False, NOTHING_TO_SHOW),
        (PULL, True, HERE, False, True, NOTHING_TO_SHOW),
        (
            *(PULL, True, ELSEWHERE.repository, False, True),
            "was opened: no known app deploys from my-org/other on github",
        ),
    ],
    ids=[
        *("labelled", "a fork", "a fork's push", "closed"),
        *("shown", "comments are off", "nothing pushed", "no app"),
    ],
)
async def test_a_pull_request_is_told_a_comment_only_where_it_gets_one(
    desk: Desk,
    pull: PullRequest,
    opened: bool,
    where: Repository,
    pushed: bool,
    shown: bool,
    why: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", "bridge.pipeline.deciding.deliveries")
    desk.late = lambda _opened, decided: [COMMENT] if shown and decided else []
    if pushed:
        await desk.keep("a push", push())
        await desk.drain()
    seq = await desk.keep("changed", PullRequestChanged(where, pull, opened=opened))

    await desk.drain()

    one = await desk.one(seq)
    assert one.state is DeliveryState.IGNORED
    assert (one.error or "").endswith(why)
    assert caplog.records[-1].__dict__["why"] == one.error
    wanted = [found.subscription.id for found in await desk.journal.feedback(limit=9)]
    assert wanted == ([COMMENT.id] if "gets the comment" in why else [])
