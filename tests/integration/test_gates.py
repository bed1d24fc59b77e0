"""Held deployments from the push to the backend, in one process."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from bridge.core.apps import App, Rules
from bridge.core.checks import CheckPolicy, CheckState, Need, Otherwise, Required
from bridge.core.errors import Rejected, Unreachable
from bridge.core.events import Action, Commit
from bridge.core.gates.locks import scope_named
from tests.worlds.gates import ADA, GRACE, MONO, ChecksHost, GateWorld, gated

ONE, TWO = "1" * 40, "2" * 40
ALL = CheckPolicy(Need.ALL)
PASSED, FAILED, PENDING = CheckState.PASSED, CheckState.FAILED, CheckState.PENDING


@pytest.fixture
async def world(world: GateWorld) -> GateWorld:
    await world.add(gated())
    return world


async def rules(world: GateWorld, **those: Any) -> None:
    await world.add(gated(rules=Rules(**those)))


async def test_a_check_that_appears_late_is_waited_for_and_none_is_not(world: GateWorld) -> None:
    await rules(world, checks=replace(ALL, none_after=90.0))
    new = await world.push(ONE)
    await world.settle()
    assert "has no checks yet" in (await world.now(new)).note
    world.clock.now += 60
    late = world.check(ONE, "build", PENDING)
    await world.ci.report(MONO, ONE, late)
    world.clock.now += 60
    await world.settle()
    assert "waits for checks" in (await world.now(new)).note

    await world.ci.report(MONO, ONE, world.check(ONE, "build", PASSED))
    await world.settle()
    assert await world.state(new) == "done"

    without = await world.push(TWO)
    await world.settle()
    assert await world.state(without) == "held"
    world.clock.now += 90
    await world.settle()
    assert await world.state(without) == "done"


async def test_a_host_that_stays_away_is_not_waited_for_longer_than_its_checks(
    world: GateWorld,
) -> None:
    await rules(world, checks=replace(ALL, late=Otherwise.DEPLOY))
    world.host.away = True
    new = await world.push(ONE)
    await world.settle()
    (hold,) = (await world.now(new)).holds
    assert hold.until == (await world.now(new)).created_at + 3600

    world.clock.now += 3599
    await world.settle()
    assert await world.state(new) == "held"
    world.clock.now += 1
    await world.settle()
    assert await world.state(new) == "done"


async def test_the_order_of_apps_holds_while_the_head_can_not_be_read_and_for_the_soak(
    world: GateWorld,
) -> None:
    await world.add(gated("app-staging"))
    await rules(world, after=("shop/staging",), soak=600.0)
    staged = await world.push(ONE, "app-staging")
    await world.settle()
    assert await world.state(staged) == "done"

    world.host.away = True
    new = await world.push(ONE)
    await world.settle()
    assert "can't be read: github" in (await world.now(new)).note
    world.host.away = False
    world.clock.now += 30
    await world.settle()
    assert "less than 10 minutes" in (await world.now(new)).note

    world.clock.now += 600
    await world.settle()
    assert await world.state(new) == "done"


@dataclass
class GlobbingHost(ChecksHost):
    """A Git host whose branches require globs of names."""

    def fits(self, required: str, name: str) -> bool:
        return name.startswith(required.removesuffix("*"))


async def test_each_required_glob_needs_a_check_and_all_that_it_matches(world: GateWorld) -> None:
    host = world.host = GlobbingHost(required=(Required("ci/*"), Required("scan*")))
    world.start()
    await rules(world, checks=CheckPolicy(Need.REQUIRED))
    for name, state in (("ci/unit", PASSED), ("ci/e2e", FAILED), ("other", FAILED)):
        world.check(ONE, name, state)
    new = await world.push(ONE)
    await world.settle()
    assert (await world.now(new)).note == "held: checks failed: ci/e2e of 1111111"

    await world.ci.report(MONO, ONE, world.check(ONE, "ci/e2e", PASSED))
    await world.settle()
    assert (await world.now(new)).note == "held: waits for checks of 1111111: scan*"

    await world.ci.report(MONO, ONE, world.check(ONE, "scan / code", PASSED))
    await world.settle()
    assert await world.state(new) == "done"
    assert host.lists > 2


async def test_a_head_that_has_moved_is_what_the_checks_must_be_of(world: GateWorld) -> None:
    """A push that does not concern the app, which the backend would build all the same."""
    await rules(world, checks=ALL)
    world.check(ONE, "build", PASSED)
    new = await world.push(ONE)
    world.host.heads["main"] = TWO
    world.check(TWO, "build", FAILED)
    await world.settle()
    assert (await world.now(new)).note == "held: checks failed: build of 2222222"

    await world.ci.report(MONO, TWO, world.check(TWO, "build", PASSED))
    await world.settle()
    assert await world.state(new) == "done"


async def test_another_commit_than_the_judged_one_is_told(world: GateWorld) -> None:
    await rules(world, checks=ALL)
    world.check(ONE, "build", PASSED)

    def pushed_meanwhile(app: App) -> None:
        world.backend.head = TWO

    world.backend.watch = pushed_meanwhile  # type: ignore[method-assign]
    new = await world.push(ONE)
    await world.settle()

    found = await world.now(new)
    assert (found.deployed_commit, found.head) == (TWO, ONE)
    assert found.note == (
        "commit 2222222 is live, but 1111111 is what had passed the gates: the branch's head moved"
        " before the backend cloned it. Check 2222222, or deploy again"
    )


async def test_somebody_else_has_to_approve_the_commit(world: GateWorld) -> None:
    await rules(world, approvals=1)
    new = await world.push(ONE, person=ADA.person)
    await world.settle()

    for who, says in ((ADA, "yourself"), (replace(GRACE, email="Author@example.com"), "own")):
        with pytest.raises(Rejected, match=says):
            await world.approve(who, new)
    assert await world.approve(GRACE, new)
    await world.settle()

    assert await world.state(new) == "done"


async def test_a_commit_that_is_not_known_or_whose_authors_are_not_is_not_approved(
    world: GateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_repository: str, _sha: str) -> Commit:
        raise Unreachable("github", "ConnectError")

    await rules(world, approvals=1)
    new = await world.push(ONE)
    world.host.away = True
    await world.settle()
    with pytest.raises(Rejected, match="can't be approved now: it needs approval of a commit that"):
        await world.approve(GRACE, new)

    world.host.away = False
    world.host.heads["main"] = TWO
    world.clock.now += 30
    with monkeypatch.context() as patched:
        patched.setattr(world.host, "commit", away)
        await world.settle()
        assert "the authors of 2222222 can't be read" in (await world.now(new)).note

    world.clock.now += 30
    await world.settle()
    assert (await world.now(new)).note == "held: needs 1 approval of 2222222, has 0"


async def test_what_a_newer_push_has_replaced_is_not_approved_though_its_host_is_away(
    world: GateWorld,
) -> None:
    await rules(world, approvals=1)
    new = await world.push(ONE)
    await world.settle()
    shown = await world.now(new)
    await world.push(TWO)
    await world.settle()
    world.host.away = True

    with pytest.raises(Rejected, match="is now 2222222, not 1111111: look again"):
        await world.commands.approve(GRACE, shown, ONE)

    assert await world.journal.approvals("app-web") == []


async def test_a_deploy_at_a_time_waits_for_it(world: GateWorld) -> None:
    new = await world.push(ONE, person=ADA.person, not_before=world.clock.now + 3600)
    await world.settle()
    assert (await world.now(new)).look_at == world.clock.now + 3600

    world.clock.now += 3600
    await world.settle()

    assert await world.state(new) == "done"


async def test_an_earlier_app_that_does_not_exist_holds_with_its_name(world: GateWorld) -> None:
    await rules(world, after=("shop/stagin",))
    new = await world.push(ONE)
    await world.settle()

    assert "`after` names shop/stagin, and there is no such app" in (await world.now(new)).note


async def test_a_redeploy_waits_for_locks_only(world: GateWorld) -> None:
    await rules(world, checks=ALL, approvals=1)
    new = await world.push(ONE, action=Action.REDEPLOY)
    await world.settle()

    assert await world.state(new) == "done"


async def test_a_lock_names_what_it_does_not_stop(world: GateWorld) -> None:
    new = await world.push(ONE)
    await world.journal.intend(new.id, [], await world.judges.now(new.id))

    answer = await world.commands.lock(ADA, scope_named("web", world.shelf.all()), "a release")

    assert [one.id for one in answer.going] == [new.id]
