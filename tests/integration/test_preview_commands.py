"""What people ask of previews: they are found by name, stopped, extended and approved."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.access import Access, Grant, Person, Right
from bridge.core.errors import Ambiguous, BridgeError, NotFound, Rejected
from bridge.core.people import Actor
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import Why
from bridge.pipeline.gates.commands import Requester
from bridge.pipeline.previews.commands import Asker, PreviewCommands, offered
from tests.fakes.journey import ManualClock, app
from tests.worlds.gates import GateWorld
from tests.worlds.previewed import HEAD, MONO, MOVED, held, kept, native, report, skipped, up

WEB, API = app("app-web"), app("app-api")
OTHER = app("app-other", name="web", project="blog")
ADA = Asker(Requester("cli:ada", Actor("cli", "ada")))
NOBODY = Person("U1", "Mallory")


def visitor(*rights: Right, apps: str = "*") -> Asker:
    grants = [Grant(("U1",), frozenset(rights), (apps,))] if rights else []
    actor = Requester("console:U1", Actor("console", "Mallory"))
    return Asker(actor, NOBODY, Access(grants))


@pytest.fixture
async def world() -> AsyncIterator[GateWorld]:
    made = GateWorld()
    yield made
    await made.journal.stop()


@pytest.fixture
def commands(world: GateWorld) -> PreviewCommands:
    return PreviewCommands(world.journal, world.clock)


@pytest.fixture
def clock(world: GateWorld) -> ManualClock:
    return world.clock


async def now_of(world: GateWorld, preview: Preview) -> Preview:
    found = await world.journal.preview(preview.id)
    assert found is not None
    return found


async def audited(world: GateWorld) -> list[tuple[str, str, str, str]]:
    found = await world.journal.audited(limit=9)
    return [(str(one.by), one.what, one.app, one.outcome) for one in found]


# ── Dokploy's own ────────────────────────────────────────────────────────────


async def test_previews_of_dokploys_own_are_shown_and_never_changed(
    world: GateWorld, commands: PreviewCommands
) -> None:
    await world.journal.save_native_previews(WEB.id, [there := native(WEB, 12)])

    assert await commands.native_seen_by(ADA) == [there]
    assert await commands.named(ADA, "web#12") == there
    with pytest.raises(Rejected) as refused:
        await commands.named_ours(ADA, "web#12")
    assert "shop/web #12 is Dokploy's own preview, which the bridge only shows" in str(
        refused.value
    )
    assert str(there.page) in str(refused.value)


async def test_of_two_previews_the_bridges_is_meant_while_there_is_one(
    world: GateWorld, commands: PreviewCommands
) -> None:
    await world.journal.save_native_previews(WEB.id, [there := native(WEB, 12)])
    ours = await up(world.journal, WEB, 12)
    assert (await commands.named_ours(ADA, "web#12")).id == ours.id

    await kept(world.journal, ours, state=PreviewState.SKIPPED, reason=Why.NATIVE, made=None)
    assert await commands.named(ADA, "web#12") == there


async def test_who_may_not_see_an_app_sees_no_preview_of_it(
    world: GateWorld, commands: PreviewCommands
) -> None:
    await world.journal.save_native_previews(WEB.id, [native(WEB, 12)])

    assert await commands.native_seen_by(visitor()) == []
    assert await commands.native_seen_by(visitor(Right.VIEW, apps="blog/*")) == []
    assert len(await commands.native_seen_by(visitor(Right.VIEW, apps="shop/*"))) == 1
    with pytest.raises(NotFound):
        await commands.named(visitor(), "web#12")


# ── names ────────────────────────────────────────────────────────────────────


async def test_a_preview_is_found_by_app_and_number(
    world: GateWorld, commands: PreviewCommands
) -> None:
    web = await up(world.journal, WEB, 12)
    await up(world.journal, API, 12)
    only = await up(world.journal, API, 7)

    for name in ("shop/web#12", "shop/web #12", "Shop/Web!12", "web#12", "we #12", web.id):
        assert (await commands.named(ADA, name)).id == web.id
    for name in ("7", "#7", " !7 "):
        assert (await commands.named(ADA, name)).id == only.id


async def test_a_number_means_the_one_that_there_is(
    world: GateWorld, commands: PreviewCommands
) -> None:
    there = await up(world.journal, WEB, 12)
    await skipped(world.journal, API, 12, Why.NO_PATH_HIT)

    assert (await commands.named(ADA, "12")).id == there.id
    assert (await commands.named(ADA, "api#12")).app == API.label


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("web#12", Ambiguous, "'web#12' fits several previews: blog/web#12, shop/web#12; say"),
        ("12", Ambiguous, "fits several previews: blog/web#12, shop/web#12; say which"),
        ("api#12", NotFound, "did you mean blog/web#12 or shop/web#12?"),
        ("web#13", NotFound, "there is no preview 'web#13'; `dokploy-bridge previews --all` li"),
        ("shop/web", Rejected, "names no preview: write the app and the pull request, e.g. shop/"),
        ("web12", Rejected, "names no preview"),
        ("#", Rejected, "names no preview"),
        ("", Rejected, "names no preview"),
        ("web#" + "9" * 400, Rejected, "names no preview"),
    ],
)
async def test_a_name_that_fits_none_or_several_is_refused(
    world: GateWorld, commands: PreviewCommands, name: str, kind: type[BridgeError], says: str
) -> None:
    await up(world.journal, WEB, 12)
    await up(world.journal, OTHER, 12)

    with pytest.raises(kind, match=r".") as refused:
        await commands.named(ADA, name)

    assert says in str(refused.value)


async def test_two_with_the_same_label_and_number_are_told_apart_by_id(
    world: GateWorld, commands: PreviewCommands
) -> None:
    elsewhere = replace(MONO, id="99", name="my-org/other")
    await up(world.journal, WEB, 12)
    await up(world.journal, WEB, 12, where=elsewhere)

    with pytest.raises(Ambiguous, match="github:583231#12:app-web, github:99#12:app-web"):
        await commands.named(ADA, "shop/web#12")


# ── rights ───────────────────────────────────────────────────────────────────


async def test_only_previews_of_apps_that_one_may_view_are_listed_and_found(
    world: GateWorld, commands: PreviewCommands
) -> None:
    await up(world.journal, WEB, 12)
    await up(world.journal, OTHER, 12)
    await skipped(world.journal, WEB, 13)
    of_shop = visitor(Right.VIEW, apps="shop/*")

    assert [one.name for one in await commands.seen_by(of_shop)] == ["shop/web#12"]
    every = await commands.seen_by(of_shop, ended=True)
    assert sorted(one.name for one in every) == ["shop/web#12", "shop/web#13"]
    assert (await commands.named(of_shop, "12")).app == "shop/web"
    assert await commands.seen_by(visitor()) == []
    with pytest.raises(NotFound) as refused:
        await commands.named(of_shop, "blog/web#12")
    assert "blog/web#12 or" not in str(refused.value)


@pytest.mark.parametrize(
    ("right", "offers"),
    [
        (Right.VIEW, []),
        (Right.DEPLOY, ["stop", "extend"]),
        (Right.APPROVE, ["approve"]),
    ],
)
async def test_each_needs_its_right(
    world: GateWorld, commands: PreviewCommands, right: Right, offers: list[str]
) -> None:
    waits = await held(world.journal, WEB, 12)
    asker = visitor(right)

    assert list(offered(asker, waits)) == offers
    for what, needed in {
        "stop": Right.DEPLOY,
        "extend": Right.DEPLOY,
        "approve": Right.APPROVE,
    }.items():
        if what not in offers:
            with pytest.raises(Rejected, match=f"You may not {needed} shop/web"):
                await ask(commands, what, asker, waits)
    seen = await now_of(world, waits)
    assert (seen.stopped, seen.approved, seen.look_at) == (False, None, None)
    assert await audited(world) == []


async def ask(commands: PreviewCommands, what: str, asker: Any, preview: Preview) -> Preview:
    if what == "stop":
        return await commands.stop(asker, preview)
    if what == "extend":
        return await commands.extend(asker, preview)
    return await commands.approve(asker, preview, preview.pull.head_sha)


# ── what they do ─────────────────────────────────────────────────────────────


async def test_one_is_stopped_and_started_again(
    world: GateWorld, commands: PreviewCommands, clock: ManualClock
) -> None:
    preview = await up(world.journal, WEB, 12)

    stopped = await commands.stop(ADA, preview)
    assert (stopped.stopped, stopped.look_at) == (True, clock.now)
    with pytest.raises(Rejected, match="was stopped before"):
        await commands.stop(ADA, stopped)

    clock.now += 60
    over = await kept(
        world.journal, stopped, state=PreviewState.SKIPPED, reason=Why.STOPPED, made=None
    )
    assert list(offered(ADA, over)) == ["extend"]
    again = await commands.extend(ADA, over)
    assert (again.stopped, again.active_at) == (False, clock.now)
    assert await audited(world) == [
        ("cli: ada", "preview extend", "shop/web", "shop/web #12: starts again"),
        ("cli: ada", "preview stop", "shop/web", "shop/web #12"),
    ]


async def test_one_is_approved_at_the_commit_that_was_shown(
    world: GateWorld, commands: PreviewCommands
) -> None:
    waits = await held(world.journal, WEB, 12)

    approved = await commands.approve(ADA, waits, HEAD[:7].upper())

    assert (approved.approved, approved.approver) == (HEAD, "ada")
    assert "approve" not in offered(ADA, approved)
    with pytest.raises(Rejected, match=f"ada has approved {HEAD[:12]} of shop/web #12 already"):
        await commands.approve(ADA, approved, HEAD)
    assert await audited(world) == [
        ("cli: ada", "preview approve", "shop/web", f"shop/web #12: commit {HEAD[:12]}")
    ]


async def test_a_commit_that_is_no_longer_the_head_is_not_approved(
    world: GateWorld, commands: PreviewCommands
) -> None:
    shown = await held(world.journal, WEB, 12)
    moved = await report(world.journal, WEB, 12, own=False, head_sha=MOVED)

    with pytest.raises(Rejected, match=f"shop/web #12 is at {MOVED[:12]} by now: look at that"):
        await commands.approve(ADA, moved, shown.pull.head_sha)

    assert (await now_of(world, moved)).approved is None


async def test_one_that_moves_while_it_is_approved_stays_held(
    world: GateWorld, commands: PreviewCommands
) -> None:
    shown = await held(world.journal, WEB, 12)
    await report(world.journal, WEB, 12, own=False, head_sha=MOVED)

    with pytest.raises(Rejected, match=f"is at {MOVED[:12]} by now"):
        await commands.approve(ADA, shown, HEAD)

    now = await now_of(world, shown)
    assert (now.approved, now.pull.head_sha) == (HEAD, MOVED)
    assert "approve" in offered(ADA, now)


# ── what can't be done ───────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("state", "reason", "note", "refused"),
    [
        (PreviewState.SKIPPED, Why.DRAFT, "the pull request is a draft", "stop extend approve"),
        (PreviewState.ENDED, Why.CLOSED, "the pull request is merged", "stop extend approve"),
        (PreviewState.ENDING, Why.CLOSED, "the pull request is closed", "stop extend approve"),
        (PreviewState.SKIPPED, Why.IDLE, "nobody has pushed for 7 days", "stop approve"),
    ],
)
async def test_what_is_over_says_why(
    world: GateWorld,
    commands: PreviewCommands,
    state: PreviewState,
    reason: Why,
    note: str,
    refused: str,
) -> None:
    seen = await report(world.journal, WEB, 12, own=False)
    over = await kept(world.journal, seen, state=state, reason=reason, note=note)

    for what in refused.split():
        with pytest.raises(Rejected, match=f"there is nothing to {what}: shop/web #12 .*{note}"):
            await ask(commands, what, ADA, over)
    assert set(offered(ADA, over)).isdisjoint(refused.split())
    assert await audited(world) == []


async def test_a_pull_request_of_the_repository_itself_waits_for_no_approval(
    world: GateWorld, commands: PreviewCommands
) -> None:
    preview = await up(world.journal, WEB, 12)

    with pytest.raises(Rejected, match="comes from the repository itself"):
        await commands.approve(ADA, preview, HEAD)
    with pytest.raises(Rejected, match="at least 7 characters"):
        await commands.approve(ADA, await held(world.journal, API, 13), HEAD[:6])


async def test_one_whose_record_is_forgotten_meanwhile_is_gone(
    world: GateWorld, commands: PreviewCommands, clock: ManualClock
) -> None:
    seen = await skipped(world.journal, WEB, 12, Why.IDLE)
    await world.journal.change_preview(seen, state=PreviewState.ENDED)
    assert await world.journal.forget_previews(clock.now + 1, 10) == 1

    with pytest.raises(Rejected, match="the record of shop/web #12 is gone"):
        await commands.extend(ADA, seen)
