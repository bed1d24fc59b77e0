"""Gates that judge content: a push that changes nothing of an app neither holds nor un-approves."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import App, Rules, Source, SourceType
from bridge.core.errors import Rejected, Unreachable
from bridge.core.events import Action
from bridge.core.gates.locks import Scope
from bridge.core.health.serving import By, Look
from bridge.core.holds import Proposal, proposal_in
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import Writer
from bridge.ports.authors import Authored
from bridge.ports.githosts import ChangeSet
from bridge.views.links import Links
from bridge.views.proposal import proposed_of
from tests.fakes.journey import app, deployment
from tests.worlds.gates import ADA, GRACE, GateWorld
from tests.worlds.journal import outcome, record

ONE, TWO, THREE = "1" * 40, "2" * 40, "3" * 40
WEB = Scope("app/app-web", "shop/web")
AFTER = Rules(after=("shop/staging",))
APPROVED = Rules(approvals=1)
DIFFERS = (
    "held: needs 1 approval of 2222222, has 0; Grace approved 1111111, but web/index.html differs"
)


def watching(app_id: str = "app-web", rules: Rules = AFTER, **others: Any) -> App:
    return app(app_id, **{"watch_paths": ("web/**",), "rules": rules} | others)


@pytest.fixture
async def world(world: GateWorld) -> GateWorld:
    await world.add(watching("app-staging", Rules()), watching())
    return world


def differ(world: GateWorld, *paths: str, base: str = ONE, head: str = TWO) -> None:
    world.host.differing[base, head] = ChangeSet(paths)


async def move(world: GateWorld, commit: str) -> None:
    """Push a commit that deploys no app, as its webhook would be decided."""
    world.host.heads["main"] = world.backend.head = commit
    await world.journal.look_again(list(world.shelf.apps))


async def staged_and_held(world: GateWorld, moved_to: str = TWO) -> Deployment:
    """Deploy one commit to staging; then the branch moves on before production follows."""
    await world.commands.lock(ADA, WEB, "a release")
    new = await world.push(ONE)
    await world.push(ONE, "app-staging")
    await world.settle()
    await move(world, moved_to)
    await world.commands.unlock(ADA, WEB)
    await world.settle()
    return new


@pytest.mark.parametrize(
    ("changed", "watched"), [("jobs/run.py", ("web/**",)), ("web/index.html", ("api/**",))]
)
async def test_a_push_of_other_files_than_the_earlier_app_watches_does_not_hold(
    world: GateWorld, changed: str, watched: tuple[str, ...]
) -> None:
    await world.add(watching("app-staging", Rules(), watch_paths=watched))
    differ(world, changed)

    new = await staged_and_held(world)

    assert await world.state(new) == "done"
    assert (await world.now(new)).deployed_commit == TWO
    assert world.host.count("compare") == 1


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (ChangeSet(None, "the repository has more files than GitHub lists"), "more files than"),
        (Unreachable("github", "ConnectError"), "github"),
        (None, "github has no 2222222"),
    ],
)
async def test_what_can_not_be_compared_holds_says_so_and_is_compared_again(
    world: GateWorld, found: ChangeSet | Unreachable | None, why: str
) -> None:
    if isinstance(found, ChangeSet):
        world.host.differing[ONE, TWO] = found
    elif found is not None:
        for _ in range(30):
            world.host.next("compare", found)

    new = await staged_and_held(world)
    note = (await world.now(new)).note
    assert "they can't be compared: override, or pin this app and promote" in note
    assert why in note

    world.host.scripted.clear()
    differ(world, "jobs/run.py")
    world.clock.now += 60
    await world.settle()
    assert await world.state(new) == "done"


async def test_apps_of_different_repositories_are_not_compared(world: GateWorld) -> None:
    elsewhere = replace(watching().source, repository="my-org/other")  # type: ignore[type-var]
    await world.add(watching("app-staging", Rules(), source=elsewhere))

    new = await staged_and_held(world)

    assert "shop/staging deploys from another repository" in (await world.now(new)).note


async def test_where_no_host_can_be_asked_the_pushed_commit_counts_and_the_reason_says_why(
    world: GateWorld,
) -> None:
    unknown = Source(SourceType.GIT, url="git.example.com/my-org/mono", branch="main")
    await world.add(watching("app-staging", Rules(), source=unknown), watching(source=unknown))
    await world.commands.lock(ADA, WEB, "a release")
    new = await world.push(ONE)
    await move(world, TWO)
    await world.push(TWO, "app-staging")
    await world.commands.unlock(ADA, WEB)
    await world.settle()

    assert (await world.now(new)).note == (
        "held: shop/staging runs 2222222, not 1111111, and they can't be compared: override"
        " (its source is no branch of a Git host that the bridge knows)"
    )
    assert (await world.now(new)).look_at is None, "no look would change that"
    assert world.host.count("compare") == 0


async def test_an_app_that_was_rolled_back_holds_until_it_serves_the_version_again(
    world: GateWorld,
) -> None:
    differ(world, "web/index.html")
    await served(world, 1, ONE)
    await served(world, 2, TWO)
    await served(world, 3, ONE, action=Action.ROLLBACK)
    world.seq = 3
    new = await world.push(TWO)
    await world.settle()
    assert "shop/staging runs 1111111, not 2222222: web/ind" in (await world.now(new)).note
    (hold,) = (await world.now(new)).holds
    assert hold.warns == "shop/staging was rolled back from 2222222"

    await world.push(TWO, "app-staging")
    await world.settle()

    assert await world.state(new) == "done"


async def test_what_somebody_deploys_by_hand_at_the_earlier_app_counts(world: GateWorld) -> None:
    differ(world, "web/index.html")
    differ(world, "jobs/run.py", base=THREE)
    await served(world, 1, TWO)
    await by_hand(world, ONE)
    world.seq = 1
    new = await world.push(TWO)
    await world.settle()
    assert (await world.now(new)).note == (
        "held: shop/staging runs 1111111, not 2222222: web/index.html differs"
    )

    await by_hand(world, THREE)
    await world.settle()

    assert await world.state(new) == "done"


async def by_hand(world: GateWorld, commit: str, app_id: str = "app-staging", seq: int = 1) -> None:
    """Look at the backend after somebody has deployed a commit over that deployment there."""
    newest, since = deployment(seq, app_id).id, world.clock.now
    look = Look(since, newest, record=commit, commit=commit, since=since, by=By.BACKEND)
    await world.journal.save_look(app_id, look)


async def served(
    world: GateWorld, seq: int, commit: str, app_id: str = "app-staging", **facts: Any
) -> None:
    """Record that an app has served a commit."""
    one = deployment(seq, app_id, **facts)
    await record(world.journal, outcome(seq, one, explicit=True))
    at = world.clock.now + seq
    done = {"deployed_commit": commit, "live_at": at, "finished_at": at}
    assert await world.journal.move(one.id, State.DONE, "", **done)


# ── approvals ────────────────────────────────────────────────────────────────


async def approved_in_turn(world: GateWorld, first: str, second: str) -> None:
    """Have two commits approved and deployed that differ for the app, one after the other."""
    await world.add(watching(rules=APPROVED))
    differ(world, "web/index.html", base=first, head=second)
    differ(world, "web/index.html", base=second, head=first)
    for commit in (first, second):
        new = await world.push(commit)
        await world.settle()
        world.clock.now += 10
        assert await world.approve(GRACE, new)
        await world.settle()
        assert await world.state(new) == "done"


@pytest.mark.parametrize(
    ("changed", "note"),
    [
        ("jobs/run.py", "done"),
        ("web/index.html", DIFFERS),
    ],
)
async def test_an_approval_survives_a_push_of_other_files_even_by_whom_it_is_from(
    world: GateWorld, changed: str, note: str
) -> None:
    await world.add(watching(rules=APPROVED))
    world.host.authored[ONE] = Authored(frozenset({Writer("author", "1", "", ONE)}))
    await world.commands.lock(ADA, WEB, "a release")
    new = await world.push(ONE)
    await world.settle()
    assert await world.approve(replace(GRACE, email="somebody@example.com"), new)
    differ(world, changed)
    await move(world, TWO)  # by somebody@example.com, as the host tells
    await world.commands.unlock(ADA, WEB)
    await world.settle()

    given = await world.journal.approvals("app-web")
    assert [(one.commit, one.person) for one in given] == [(ONE, "slack:U2")]
    now = await world.now(new)
    if note == "done":
        assert (now.state, now.deployed_commit) == ("done", TWO)
    else:
        assert now.note == note


async def test_an_approval_survives_that_what_is_live_is_built_again(world: GateWorld) -> None:
    await world.add(watching(rules=Rules(approvals=2)))
    await served(world, 1, THREE, "app-web")
    world.seq = 1
    for head in (ONE, TWO):
        differ(world, "web/index.html", base=THREE, head=head)
    differ(world, "jobs/run.py")
    new = await world.push(ONE)
    await world.settle()
    world.clock.now += 10
    assert await world.approve(GRACE, new)
    await served(world, 3, THREE, "app-web", action=Action.REDEPLOY)
    world.seq = 3
    await move(world, TWO)
    await world.settle()

    assert (await world.now(new)).note == (
        "held: needs 2 approvals of 2222222, has 1; approved by Grace"
    )
    assert not await world.approve(GRACE, new), "whoever has approved the content has approved"


async def test_an_approval_of_what_was_live_does_not_let_the_app_go_back_to_it(
    world: GateWorld,
) -> None:
    """A revert brings the content that was approved before the fix that it takes back."""
    await approved_in_turn(world, ONE, TWO)
    differ(world, "web/index.html", base=TWO, head=THREE)
    differ(world, base=ONE, head=THREE)

    world.clock.now += 10
    reverted = await world.push(THREE)
    await world.settle()

    assert (await world.now(reverted)).note == (
        "held: needs 1 approval of 3333333, has 0; approvals from before what is live now don't"
        " count"
    )


async def test_what_is_live_needs_no_second_approval(world: GateWorld) -> None:
    await world.add(watching(rules=APPROVED))
    new = await world.push(ONE)
    await world.settle()
    await world.approve(GRACE, new)
    world.clock.now += 10
    await world.settle()
    differ(world, "jobs/run.py")

    again = await world.push(TWO, person=ADA.person, trigger="cli: ada")
    await world.settle()

    assert await world.state(again) == "done"


async def test_who_wrote_one_of_the_pushes_since_what_is_live_does_not_approve_the_newest(
    world: GateWorld,
) -> None:
    await world.add(watching(rules=APPROVED))
    for number, commit in enumerate((THREE, ONE, TWO), 1):
        new = await world.push(commit)
        world.wrote[new.seq] = f"writer-{number}"
        await world.settle()
        world.clock.now += 10
        if number == 1:
            assert await world.approve(GRACE, new)
            await world.settle()
    assert (await world.now(new)).note.startswith("held: needs 1 approval of 2222222, has 0")

    for number in (2, 3):
        with pytest.raises(Rejected, match="2222222 is your own commit"):
            await world.approve(replace(GRACE, email=f"Writer-{number}@example.com"), new)
    assert await world.approve(replace(GRACE, email="writer-1@example.com"), new)


async def test_an_author_whose_address_the_host_links_later_is_known_within_a_minute(
    world: GateWorld,
) -> None:
    await world.add(watching(rules=APPROVED))
    new = await world.push(ONE)
    unlinked = Writer(email="eve@home.example", commit=ONE)
    world.host.authored[ONE] = Authored(frozenset({unlinked}))
    await world.settle()
    asked = world.host.count("authors")
    for later in (30, 30):
        with pytest.raises(Rejected, match="has no known account on github"):
            await world.approve(GRACE, new)
        world.host.authored[ONE] = Authored(frozenset({replace(unlinked, login="eve")}))
        world.clock.now += later
        await world.settle()
    for _ in range(2):
        with pytest.raises(Rejected, match="is your own commit"):
            await world.approve(replace(GRACE, person="slack:U3", email=""), new)
        world.clock.now += 3600
        await world.journal.look_again([new.app_id])
        await world.settle()
    assert world.host.count("authors") == asked + 1, "what is linked is kept"
    assert await world.approve(GRACE, new)


@pytest.mark.parametrize("told", [True, False])
async def test_nothing_is_approved_once_the_head_has_moved(world: GateWorld, told: bool) -> None:
    """Somebody reads what is shown; meanwhile a newer push comes, or its webhook is late."""
    await world.add(watching(rules=APPROVED))
    new = await world.push(ONE)
    await world.settle()
    shown = await world.now(new)
    with pytest.raises(Rejected, match="'1' is too short: give at least seven digits"):
        await world.commands.approve(GRACE, shown, "1")
    if told:
        new = await world.push(TWO)
        await world.settle()
    world.host.heads["main"] = TWO

    with pytest.raises(Rejected, match="head of shop/web is now 2222222, not 1111111: look again"):
        await world.commands.approve(GRACE, shown, ONE)

    assert await world.journal.approvals("app-web") == []
    await world.settle()
    assert (await world.now(new)).note == "held: needs 1 approval of 2222222, has 0"


# ── what an approval would be for ────────────────────────────────────────────


async def proposed(world: GateWorld, new: Deployment) -> Proposal:
    """Return what somebody would approve."""
    found = proposal_in((await world.now(new)).holds)
    assert found is not None
    return found


async def test_what_is_shown_to_approve_is_what_was_pushed_and_follows_what_the_app_serves(
    world: GateWorld,
) -> None:
    await world.add(watching(rules=APPROVED))
    new = await world.push(ONE, message="feat: pushed", author="Ada")
    await world.settle()
    shown = await proposed(world, new)
    assert (shown.message, shown.author) == ("feat: pushed", "Ada")
    assert (shown.live, shown.changed) == (None, None)
    assert proposed_of(shown, None, Links({})).unlisted == "nothing is live yet"
    assert world.host.count("compare") == 0

    await served(world, 2, ONE, "app-web")
    world.seq = 2
    differ(world, "web/a", base=ONE, head=THREE)
    differ(world, "web/a", "web/b", base=TWO, head=THREE)
    new = await world.push(THREE)
    await world.settle()
    shown = await proposed(world, new)
    assert (shown.live, shown.files) == (ONE, ("web/a",))

    await by_hand(world, TWO, "app-web", 2)
    await world.settle()
    shown = await proposed(world, new)
    assert (shown.live, shown.files) == (TWO, ("web/a", "web/b"))
