"""What people ask of previews: they are found by name, stopped, extended and approved."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge.core.errors import Ambiguous, NotFound, Rejected
from bridge.core.people import Actor
from bridge.core.previews.native import NativePreview
from bridge.core.previews.preview import Preview, PreviewState, find_preview
from bridge.core.previews.verdict import Why, possible
from bridge.pipeline.gates.commands import Requester
from bridge.pipeline.previews.commands import PreviewCommands, previews_seen, previews_to_name
from tests.fakes.journey import ManualClock, app
from tests.worlds.gates import GateWorld
from tests.worlds.previewed import HEAD, MONO, MOVED, held, kept, native, report, skipped, up

WEB, API = app("app-web"), app("app-api")
OTHER = app("app-other", name="web", project="blog")
ADA = Requester("cli:ada", Actor("cli", "ada"))


def every(_label: str) -> bool:
    return True


def of_shop(label: str) -> bool:
    return label.startswith("shop/")


async def named(
    world: GateWorld, name: str, sees: Callable[[str], bool] = every
) -> Preview | NativePreview:
    return find_preview(await previews_to_name(world.journal, sees), name)


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


async def test_of_two_previews_the_bridges_is_meant_while_there_is_one(world: GateWorld) -> None:
    await world.journal.save_native_previews(WEB.id, [there := native(WEB, 12)])
    assert await named(world, "web#12") == there
    ours = await up(world.journal, WEB, 12)
    assert (await named(world, "web#12")).id == ours.id

    await kept(world.journal, ours, state=PreviewState.SKIPPED, reason=Why.NATIVE, made=None)
    assert await named(world, "web#12") == there
    assert await previews_seen(world.journal, every, ended=True) == ([], [there])

    for where in (MONO, replace(MONO, id="99", name="my-org/other")):
        await up(world.journal, WEB, 13, where=where)
    with pytest.raises(Ambiguous, match="github:583231#13:app-web, github:99#13:app-web"):
        await named(world, "shop/web#13")


# ── names ────────────────────────────────────────────────────────────────────


async def test_a_preview_is_found_by_app_and_number_if_that_fits_one(world: GateWorld) -> None:
    web = await up(world.journal, WEB, 12)
    await up(world.journal, API, 12)
    only = await up(world.journal, API, 7)
    await skipped(world.journal, WEB, 7, Why.NO_PATH_HIT)

    for name in ("shop/web#12", "shop/web #12", "Shop/Web!12", "web#12", "we #12", web.id):
        assert (await named(world, name)).id == web.id
    for name in ("7", "#7", " !7 "):
        assert (await named(world, name)).id == only.id
    several = r"'12' fits several previews: shop/api#12, shop/web#12; say which"
    for name, kind, says in (
        ("12", Ambiguous, several),
        ("api#13", NotFound, r"there is no preview 'api#13'; `dokploy-bridge previews --all` li"),
        ("shop/web", Rejected, "names no preview: write the app and the pull request, e.g. shop/"),
        ("", Rejected, "names no preview"),
        ("web#" + "9" * 400, Rejected, "names no preview"),
    ):
        with pytest.raises(kind, match=says):
            await named(world, name)


# ── rights ───────────────────────────────────────────────────────────────────


async def test_only_previews_of_apps_that_one_may_view_are_listed_and_found(
    world: GateWorld,
) -> None:
    await up(world.journal, WEB, 12)
    await up(world.journal, OTHER, 12)
    await skipped(world.journal, WEB, 13)
    await world.journal.save_native_previews(WEB.id, [native(WEB, 15)])
    assert await previews_seen(world.journal, lambda _: False) == ([], [])
    with pytest.raises(NotFound):
        await named(world, "web#15", lambda _: False)

    seen, of_dokploy = await previews_seen(world.journal, of_shop)
    assert [one.name for one in seen] == ["shop/web#12"]
    assert len(of_dokploy) == 1
    over, _ = await previews_seen(world.journal, of_shop, ended=True)
    assert sorted(one.name for one in over) == ["shop/web#12", "shop/web#13"]
    assert (await named(world, "12", of_shop)).app == "shop/web"
    with pytest.raises(NotFound) as refused:
        await named(world, "blog/web#12", of_shop)
    assert "blog/web#12 or" not in str(refused.value)
    gone = await up(world.journal, OTHER, 14)
    with pytest.raises(NotFound, match="that preview is gone, or you may not see its app"):
        await named(world, gone.id, of_shop)


async def ask(commands: PreviewCommands, what: str, preview: Preview) -> Preview:
    if what == "stop":
        return await commands.stop(ADA, preview)
    if what == "extend":
        return await commands.extend(ADA, preview)
    return await commands.approve(ADA, preview, preview.pull.head_sha)


# ── what they do ─────────────────────────────────────────────────────────────


async def test_one_is_stopped_and_started_again(
    world: GateWorld, commands: PreviewCommands, clock: ManualClock
) -> None:
    preview = await up(world.journal, WEB, 12)

    stopped = await commands.stop(ADA, preview)
    assert (stopped.stopped, stopped.look_at) == (True, clock.now)

    clock.now += 60
    over = await kept(
        world.journal, stopped, state=PreviewState.SKIPPED, reason=Why.STOPPED, made=None
    )
    assert list(possible(over)) == ["extend"]
    again = await commands.extend(ADA, over)
    assert (again.stopped, again.active_at) == (False, clock.now)
    assert await audited(world) == [
        ("cli: ada", "previews extend", "shop/web", "shop/web #12: starts again"),
        ("cli: ada", "previews stop", "shop/web", "shop/web #12"),
    ]


async def test_one_is_approved_at_the_commit_that_was_shown(
    world: GateWorld, commands: PreviewCommands
) -> None:
    waits = await held(world.journal, WEB, 12)
    with pytest.raises(Rejected, match="at least 7 characters"):
        await commands.approve(ADA, waits, HEAD[:6])
    with pytest.raises(Rejected, match="comes from the repository itself"):
        await commands.approve(ADA, await up(world.journal, API, 13), HEAD)

    approved = await commands.approve(ADA, waits, HEAD[:7].upper())

    assert (approved.approved, approved.approver) == (HEAD, "ada")
    assert "approve" not in possible(approved)
    with pytest.raises(Rejected, match=f"ada has approved {HEAD[:12]} of shop/web #12 already"):
        await commands.approve(ADA, approved, HEAD)
    assert await audited(world) == [
        ("cli: ada", "previews approve", "shop/web", f"shop/web #12: commit {HEAD[:12]}")
    ]


async def test_one_that_moves_while_it_is_approved_stays_held(
    world: GateWorld, commands: PreviewCommands
) -> None:
    shown = await held(world.journal, WEB, 12)
    await report(world.journal, WEB, 12, own=False, head_sha=MOVED)

    with pytest.raises(Rejected, match=f"is at {MOVED[:12]} by now"):
        await commands.approve(ADA, shown, HEAD)

    now = await now_of(world, shown)
    assert (now.approved, now.pull.head_sha) == (HEAD, MOVED)
    assert "approve" in possible(now)


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
            await ask(commands, what, over)
    assert set(possible(over)).isdisjoint(refused.split())
    assert await audited(world) == []


async def test_one_whose_record_is_forgotten_meanwhile_is_gone(
    world: GateWorld, commands: PreviewCommands, clock: ManualClock
) -> None:
    seen = await skipped(world.journal, WEB, 12, Why.IDLE)
    await world.journal.change_preview(seen, state=PreviewState.ENDED)
    assert await world.journal.forget_previews(clock.now + 1, 10) == 1

    with pytest.raises(Rejected, match="the record of shop/web #12 is gone"):
        await commands.extend(ADA, seen)
