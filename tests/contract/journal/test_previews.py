"""The `Journal` port: previews of pull requests."""

from dataclasses import replace
from typing import Any

from bridge.core.events import Repository
from bridge.core.previews.preview import PreviewState
from bridge.core.pulls import PullRequest
from bridge.ports.outcomes import Subscription, about_pull
from bridge.ports.previews import Previewed, Reported
from tests.fakes.journey import ManualClock, app

WEB = Previewed("app-web", "shop/web", "dokploy")
API = Previewed("app-api", "shop/api", "dokploy")
PULL = PullRequest(
    12,
    "feature",
    "a" * 40,
    open=True,
    own=False,
    base="main",
    title="Add a page",
    author="ada",
    draft=True,
    labels=frozenset({"preview", "ui"}),
    url="https://github.com/my-org/mono/pull/12",
    updated_at=100.0,
)
MONO = Repository(
    "github", "583231", "my-org/mono", frozenset({"github.com/my-org/mono"}), "https://github.com/x"
)
WEB_12 = "github:583231#12:app-web"
LANE = ("dokploy", "github")


def reported(**changed: Any) -> Reported:
    return Reported("583231", MONO, replace(PULL, **changed))


async def test_a_pull_request_is_kept_for_each_app(journal: Any, clock: ManualClock) -> None:
    assert not await journal.report_previews(reported(open=False), [WEB, API])
    assert await journal.report_previews(reported(), [WEB, API])
    assert not await journal.report_previews(reported(), [WEB, API])
    old = reported(head_sha="b" * 40, updated_at=99.0)
    assert not await journal.report_previews(old, [WEB, API])

    found = await journal.previews(pull=("github", "583231", 12))
    assert {one.id for one in found} == {WEB_12, "github:583231#12:app-api"}
    web = await journal.preview(WEB_12)
    assert (web.pull, web.app, web.backend, web.repository) == (PULL, "shop/web", "dokploy", MONO)
    assert (web.state, web.version, web.created_at) == (PreviewState.NEW, 1, clock.now)
    assert await journal.preview("github:583231#13:app-web") is None


async def test_one_is_due_once_it_is_reported_and_when_its_time_has_come(
    journal: Any, clock: ManualClock
) -> None:
    """Each backend and Git host has its own queue."""
    assert await journal.previews_due(clock.now + 99) == {}
    await journal.report_previews(reported(), [WEB, replace(API, backend="other")])
    (due,) = await journal.due_previews(clock.now, 9, LANE)
    (other,) = await journal.due_previews(clock.now, 9, ("other", "github"))
    await journal.change_preview(other, look_at=None)
    assert await journal.previews_due(clock.now + 99) == {LANE: clock.now}
    assert await journal.previews_due(clock.now - 1) == {}

    changed = await journal.change_preview(due, state=PreviewState.UP, look_at=clock.now + 60)
    assert (changed.state, changed.look_at) == (PreviewState.UP, clock.now + 60)
    assert await journal.due_previews(clock.now, 9, LANE) == []

    await journal.report_previews(reported(head_sha="b" * 40, updated_at=101.0), [WEB])
    await journal.change_preview(changed, asked="a" * 40, look_at=None)  # reported meanwhile
    (again,) = await journal.due_previews(clock.now, 9, LANE)
    assert (again.asked, again.pull.head_sha) == ("a" * 40, "b" * 40)


async def test_what_people_ask_for_counts_at_once_and_a_push_starts_what_was_stopped(
    journal: Any, clock: ManualClock
) -> None:
    await journal.report_previews(reported(), [WEB])
    (due,) = await journal.due_previews(clock.now, 9, LANE)
    await journal.change_preview(due, look_at=None, failures=3)
    found = await journal.ask_previews(WEB_12, approved="a" * 40, approver="grace")
    assert (found.approved, found.approver, found.failures) == ("a" * 40, "grace", 0)
    assert [one.id for one in await journal.due_previews(clock.now, 9, LANE)] == [WEB_12]
    assert await journal.ask_previews("github:583231#13:app-web", stopped=True) is None

    assert (await journal.ask_previews(WEB_12, stopped=True)).stopped
    clock.now += 1000
    changed: dict[str, Any] = {"title": "Add a better page", "labels": frozenset()}
    for at, (news, starts) in enumerate(((changed, False), ({"head_sha": "b" * 40}, True))):
        await journal.report_previews(reported(**news, updated_at=101.0 + at), [WEB])
        web = await journal.preview(WEB_12)
        assert web.stopped is not starts
        assert (web.active_at == clock.now) is starts


async def test_only_what_is_over_is_left_out_and_forgotten_with_what_shows_it(
    journal: Any, clock: ManualClock
) -> None:
    await journal.report_previews(reported(), [WEB, API])
    shown = Subscription("a message", "chat", "lane", (about_pull(WEB_12.rpartition(":")[0]),), {})
    await journal.subscribe([shown])
    assert await journal.places_taken() == {}
    web = await journal.change_preview(await journal.preview(WEB_12), state=PreviewState.MAKING)
    assert await journal.places_taken() == {"app-web": 1}
    await journal.change_preview(web, state=PreviewState.ENDED)
    assert await journal.places_taken() == {}
    assert [one.app for one in await journal.previews()] == ["shop/api"]
    assert len(await journal.previews(ended=True)) == 2
    assert [one.id for one in await journal.previews(app_id="app-web", ended=True)] == [WEB_12]

    assert await journal.forget_previews(clock.now, 9) == 0
    assert await journal.forget_previews(clock.now + 1, 9) == 1
    assert await journal.preview(WEB_12) is None
    (api,) = await journal.previews(ended=True)
    assert len(await journal.feedback(limit=9)) == 1
    await journal.change_preview(api, state=PreviewState.ENDED)
    assert await journal.forget_previews(clock.now + 1, 9) == 1
    assert await journal.feedback(limit=9) == []


# ── what reports come to ─────────────────────────────────────────────────────


async def test_within_a_second_the_last_report_counts_and_without_a_time_always(
    journal: Any,
) -> None:
    """The host's clock may be ahead of ours."""
    await journal.report_previews(reported(updated_at=100.734), [WEB])

    assert await journal.report_previews(reported(open=False, updated_at=100.0), [])
    assert not (await journal.preview(WEB_12)).pull.open
    assert not await journal.report_previews(reported(updated_at=99.999), [])
    assert await journal.report_previews(reported(updated_at=100.734), [])
    assert (await journal.preview(WEB_12)).pull.open
    assert await journal.report_previews(reported(open=False, updated_at=None), [])
    assert not (await journal.preview(WEB_12)).pull.open

    for number, head in enumerate("bab"):
        news = reported(head_sha=head * 40, updated_at=101.0 + number)
        await journal.report_previews(news, [])
    await journal.report_previews(reported(head_sha="b" * 40, updated_at=109.0, title="x"), [])
    assert (await journal.preview(WEB_12)).pushes == 4, "also a head that comes back counts"


async def test_a_renamed_repository_keeps_its_previews(journal: Any) -> None:
    await journal.report_previews(Reported("my-org/mono", MONO, PULL), [WEB])
    renamed = replace(MONO, name="my-org/new")

    assert await journal.report_previews(Reported("my-org/new", renamed, PULL), [WEB])

    (one,) = await journal.previews()
    assert (one.id, one.key, one.repository.name) == (WEB_12, "my-org/new", "my-org/new")
    assert one.version == 1


async def test_one_whose_app_is_gone_is_looked_at(journal: Any, clock: ManualClock) -> None:
    own = [app(f"made-{n}", marker=f"bridge:{n}") for n in (1, 2, 3)]
    await journal.renew_apps(own)
    await journal.report_previews(reported(), [WEB, API])
    web, api = await journal.previews()
    facts = {"asked": "a" * 40, "look_at": None, "failures": 0}
    web = await journal.change_preview(web, state=PreviewState.UP, made="made-1", **facts)
    await journal.change_preview(api, state=PreviewState.ENDING, made="made-2", **facts)
    clock.now += 1

    await journal.renew_apps([], gone={one.id for one in own})
    await journal.renew_apps([], gone={one.id for one in own})  # it is gone once

    (due,) = await journal.due_previews(clock.now, 9, LANE)
    assert (due.id, due.asked, due.version) == (web.id, None, web.version + 1)
