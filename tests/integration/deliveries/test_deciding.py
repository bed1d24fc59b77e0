"""From a kept delivery to its decisions and deployments."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import Rules, Trigger
from bridge.core.errors import MalformedPayload
from bridge.core.events import Ignored, RefKind
from bridge.pipeline.deciding.catalog import SELDOM, TROUBLE_PAUSE
from bridge.pipeline.deciding.deliveries import DEPLOYMENT_FLOW
from bridge.ports.inbox import DeliveryState
from tests.fakes.journey import app, deployment, push, source
from tests.worlds.deliveries import ELSEWHERE, Desk


async def test_tags_that_only_go_up_are_decided_by_one_process_at_a_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a tag is the newest depends on what the others decide just now."""
    rules = Rules(trigger=Trigger.TAG, only_newer=True)
    await desk.journal.save_rules("app-web", rules, by="cli: ada")
    await desk.catalog.refresh()
    await desk.journal.hold("tags", "another process", 60.0)
    hold, waits = desk.journal.hold, asyncio.Event()

    async def watched(name: str, owner: str, seconds: float) -> bool:
        held = await hold(name, owner, seconds)
        waits.set()
        return held

    monkeypatch.setattr(desk.journal, "hold", watched)
    tag = await desk.keep("one", push("v2.0.0", kind=RefKind.TAG))
    deciding = asyncio.create_task(desk.drain())
    await asyncio.wait_for(waits.wait(), 10)
    assert (await desk.one(tag)).state is DeliveryState.KEPT

    await desk.journal.release("tags", "another process")
    await deciding

    assert (await desk.one(tag)).state is DeliveryState.DECIDED
    assert await desk.journal.hold("tags", "a third", 60.0)


# ── what a delivery leads to ─────────────────────────────────────────────────


async def test_a_push_is_decided_and_its_deployment_started(desk: Desk) -> None:
    seq = await desk.keep("one", push())

    await desk.drain()

    assert (await desk.one(seq)).state is DeliveryState.DECIDED
    assert await desk.reasons(seq) == {"app-web": "no_watch_paths"}
    (new,) = await desk.journal.deployments(limit=10)
    assert (new.seq, new.delivery, new.trigger, new.ref) == (
        seq, "one", "push", "refs/heads/main",
    )  # fmt: skip
    assert (new.commit, new.message) == ("b" * 40, "feat: something")
    assert new.token
    assert desk.flows.started == [(DEPLOYMENT_FLOW, new.id, "app-web")]


async def test_every_app_of_the_repository_is_decided_on_its_own(desk: Desk) -> None:
    desk.backend.found = [app(), app("app-docs", watch_paths=("docs/**",)), app("app-z")]
    await desk.catalog.refresh()
    seq = await desk.keep("one", push())

    await desk.drain()

    assert await desk.reasons(seq) == {
        "app-web": "no_watch_paths", "app-docs": "no_path_hit", "app-z": "no_watch_paths",
    }  # fmt: skip
    assert [key for _, _, key in desk.flows.started] == ["app-web", "app-z"]


@pytest.mark.parametrize(
    ("meaning", "state", "error"),
    [
        (Ignored("event ping: hello"), DeliveryState.IGNORED, "event ping: hello"),
        (MalformedPayload("ref: missing"), DeliveryState.FAILED, "ref: missing"),
        (ELSEWHERE, DeliveryState.IGNORED, "no app deploys from my-org/other on github"),
    ],
)
async def test_what_deploys_nothing_ends_with_its_reason(
    desk: Desk, meaning: Any, state: DeliveryState, error: str
) -> None:
    seq = await desk.keep("one", meaning)
    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.error) == (state, error)
    assert await desk.journal.deployments(limit=10) == []


async def test_a_delivery_of_a_host_that_is_served_no_more_says_what_to_do(desk: Desk) -> None:
    seq = await desk.keep("one", push(), host="gitlab")
    await desk.drain()

    found = await desk.one(seq)
    assert found.state is DeliveryState.FAILED
    assert found.error == "gitlab is not served any more: set its secret, then replay"


async def test_the_oldest_comes_first_and_of_one_app_only_the_newest_deploys(desk: Desk) -> None:
    seqs = [await desk.keep(f"id-{n}", push(before=f"{n}" * 40)) for n in range(20)]

    await desk.drain()

    states = await desk.states()
    assert states == dict.fromkeys(seqs[:-1], "superseded") | {seqs[-1]: "waiting"}
    assert desk.flows.ids(DEPLOYMENT_FLOW)[-1] == deployment(seqs[-1]).id


async def test_the_log_says_of_each_push_what_it_leads_to(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "bridge.pipeline")
    await desk.keep("deploys", push())
    await desk.keep("elsewhere", ELSEWHERE)
    await desk.keep("a-branch", push("other"))
    await desk.keep("noise", Ignored("event star is not used"))
    await desk.keep("broken", MalformedPayload("no repository"))

    await desk.drain()

    told = {
        (record.message, getattr(record, "why", None) or getattr(record, "reasons", None))
        for record in caplog.records
    }
    assert told == {
        ("decided", None),
        ("ignored", "no app deploys from my-org/other on github"),
        ("nothing deploys", "branch_mismatch"),
        ("a delivery can't be read", "no repository"),
    }


# ── an app that is not known yet ─────────────────────────────────────────────


async def test_an_app_made_just_before_its_first_push_deploys(desk: Desk) -> None:
    other = app("app-new", source=source(repository="my-org/other"))
    desk.backend.found = [app(), other]
    seq = await desk.keep("one", ELSEWHERE)

    await desk.drain()

    assert await desk.reasons(seq) == {"app-new": "no_watch_paths"}


async def test_a_push_of_an_unknown_repository_waits_for_a_newer_reading(desk: Desk) -> None:
    await desk.catalog.refresh()
    seq = await desk.keep("one", ELSEWHERE)
    await desk.drain()
    assert (await desk.one(seq)).state is DeliveryState.KEPT
    assert await desk.inbox.due(desk.clock.now, 10) == []

    desk.clock.now += 3.0
    await desk.drain()

    found = await desk.one(seq)
    assert (found.state, found.attempts) == (DeliveryState.IGNORED, 0)


@pytest.mark.slow
async def test_pushes_of_a_repository_that_no_app_uses_do_not_have_the_apps_read_for_ever(
    desk: Desk,
) -> None:
    for second in range(300):
        desk.clock.now += 1
        await desk.keep(f"id-{second}", ELSEWHERE)
        await desk.drain()
    assert desk.backend.count("apps") < 12  # once in 3 s would be a hundred times

    other = app("app-new", source=source(repository="my-org/other"))
    desk.backend.found = [app(), other]
    seq = await desk.keep("after it was made", replace(ELSEWHERE, before="b" * 40, after="c" * 40))
    await desk.drain()
    desk.clock.now += SELDOM
    await desk.drain()
    assert await desk.reasons(seq) == {"app-new": "no_watch_paths"}


async def test_while_the_apps_can_not_be_read_it_waits_says_why_and_holds_up_nobody(
    desk: Desk,
) -> None:
    desk.backend.away = True
    unknown = await desk.keep("unknown", ELSEWHERE)
    known = await desk.keep("known", push())

    await desk.drain()

    assert await desk.states() == {known: "waiting"}
    found = await desk.one(unknown)
    assert found.state is DeliveryState.KEPT
    assert found.error == "dokploy can't be reached: ConnectError"

    desk.backend.away = False
    other = app("app-new", source=source(repository="my-org/other"))
    desk.backend.found = [app(), other]
    desk.clock.now += TROUBLE_PAUSE
    await desk.catalog.refresh()
    await desk.drain()
    assert await desk.reasons(unknown) == {"app-new": "no_watch_paths"}
