"""Where it is shown what a delivery leads to."""

from dataclasses import replace

import pytest

from bridge.core.apps import Rules, Trigger
from bridge.core.decision import Reason
from bridge.core.events import (
    Action,
    Asked,
    Ignored,
    PullRequestChanged,
    RefKind,
    Repository,
    write_command,
)
from bridge.core.people import Actor
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


async def test_what_is_decided_is_recorded_with_where_it_will_be_shown(desk: Desk) -> None:
    occasions: list[Occasion] = []

    def plan(occasion: Occasion) -> list[Subscription]:
        occasions.append(occasion)
        return cards(occasion)

    desk.plan = plan
    pushed = await desk.keep("one", push())
    asked = await desk.ask("deploy", "app-web")
    replayed = await desk.ask(
        "replay", "one", body=write_command(Asked(Action.REPLAY, str(pushed), Actor("cli", "ada")))
    )
    await desk.keep("elsewhere", ELSEWHERE)
    await desk.keep("ignored", Ignored("nothing"))
    await desk.drain()

    assert [one.outcome.seq for one in occasions] == [pushed, asked, replayed]
    assert [str(one.asked and one.asked.action) for one in occasions] == [
        "None", "deploy", "replay",
    ]  # fmt: skip
    assert [set(one.apps) for one in occasions] == [{"app-web"}] * 3
    seqs = (pushed, asked, replayed)
    assert await shown_at(desk) == sorted(
        [f"push {seq}" for seq in seqs] + [f"card {seq:016d}.app-web" for seq in seqs]
    )


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


# ── pull requests that are opened later ──────────────────────────────────────


COMMENT = Subscription(
    "github.comment 4711 12", "github.comment", "github", (about_delivery(1),), {}
)


@pytest.mark.parametrize(
    ("pull", "opened", "why"),
    [
        (PULL, False, "pull request 12 has changed: nothing depends on it"),
        (
            replace(PULL, own=False),
            True,
            "pull request 12 is from a fork, which sends its own pushes",
        ),
        (
            replace(PULL, own=False),
            False,
            "pull request 12 has changed: nothing depends on it",
        ),
        (replace(PULL, open=False), False, "no lock ends with pull request 12"),
    ],
    ids=["labelled", "a fork", "a fork's push", "closed"],
)
async def test_any_other_change_of_a_pull_request_is_ignored_with_its_reason(
    desk: Desk, pull: PullRequest, opened: bool, why: str
) -> None:
    desk.late = lambda _opened, _decided: [COMMENT]
    await desk.keep("a push", push())
    await desk.drain()
    seq = await desk.keep("changed", PullRequestChanged(push().repository, pull, opened=opened))

    await desk.drain()

    one = await desk.one(seq)
    assert (one.state, one.error) == (DeliveryState.IGNORED, why)
    assert [found.subscription.id for found in await desk.journal.feedback(limit=9)] == []


@pytest.mark.parametrize(
    ("repository", "pushed", "shown", "why"),
    [
        (push().repository, True, True, "it gets the comment of what was pushed"),
        (push().repository, True, False, "there is nothing to show on it"),
        (push().repository, False, True, "there is nothing to show on it"),
        (ELSEWHERE.repository, False, True, "no known app deploys from my-org/other on github"),
    ],
    ids=["shown", "comments are off", "nothing pushed", "no app"],
)
async def test_a_pull_request_is_told_a_comment_only_where_it_gets_one(
    desk: Desk,
    repository: Repository,
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
    seq = await desk.keep("opened", PullRequestChanged(repository, PULL, opened=True))

    await desk.drain()

    one = await desk.one(seq)
    assert (one.state, one.error) == (DeliveryState.IGNORED, f"pull request 12 was opened: {why}")
    assert caplog.records[-1].__dict__["why"] == one.error
    wanted = [found.subscription.id for found in await desk.journal.feedback(limit=9)]
    assert wanted == ([COMMENT.id] if pushed and shown else [])
