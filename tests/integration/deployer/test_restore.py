"""An earlier version is served again: asked for once, verified, and locked."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import Rules, Source, SourceType
from bridge.core.errors import Refused, Unanswered, Unreachable
from bridge.core.events import Action
from bridge.core.gates.freezes import Freeze
from bridge.core.gates.locks import Lock
from bridge.core.health.containers import Container
from bridge.core.health.rollback import Rung
from bridge.core.lifecycle import Deployment, State
from bridge.core.policies import VerifyPolicy
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.probes import Answer, Silent
from tests.fakes.journey import Death, KeptSteps, Lifetime
from tests.worlds.deployer import Stage

ONE, TWO = "1" * 40, "2" * 40


def ways_of(stage: Stage) -> Ways:
    return Ways({"dokploy": stage.backend}, Looks(stage.journal, stage.clock))


async def two_versions(stage: Stage) -> tuple[Deployment, Deployment]:
    """Deploy two versions, one after the other."""
    stage.app = replace(stage.app, url="https://web.test")
    stage.backend.head = ONE
    first = await stage.run(await stage.wish(1, commit=ONE))
    stage.clock.now += 60
    stage.backend.head = TWO
    second = await stage.run(await stage.wish(2, commit=TWO))
    stage.clock.now += 60
    return first, second


async def back(stage: Stage, to: Deployment, seq: int = 3, **others: Any) -> Deployment:
    asked = {"trigger": "cli: ada", "person": "cli:ada", "commit": None, "way": Rung.KEPT}
    return await stage.wish(seq, action=Action.ROLLBACK, target=to.id, **(asked | others))


async def test_what_the_backend_kept_is_served_again_verified_and_locked(stage: Stage) -> None:
    first, _ = await two_versions(stage)
    new = await back(stage, first)

    ended = await stage.run(new)

    assert stage.backend.points == ["point-dep-1"]
    assert stage.backend.asked == 2
    assert (ended.state, ended.deployed_commit) == (State.DONE, ONE)
    assert ended.note == "1111111 is served again, as it was built then; verified"
    assert stage.site.asked == ["https://web.test/"] * 2
    assert await stage.states(ended) == ["waiting", "verifying", "done"]
    live = (await stage.journal.live([stage.app.id]))[stage.app.id]
    assert (live.commit, live.certain) == (ONE, True)
    (lock,) = await stage.journal.locks()
    assert (lock.scope, lock.owner) == ("app/app-web", "cli:ada")
    held = await stage.run(await stage.wish(4))
    assert held.state is State.HELD
    assert "rolled back by deployment #3; unlock it once a fix is merged" in held.note


@pytest.mark.parametrize(
    ("person", "verified"), [("", True), ("cli:grace", True), ("cli:ada", False)]
)
async def test_only_what_its_lock_lets_pass_ends_the_verification_of_a_rollback(
    stage: Stage, person: str, *, verified: bool
) -> None:
    """A push that comes meanwhile is held, so what is live must not become unknown."""
    first, _ = await two_versions(stage)
    new = await back(stage, first)
    answered = stage.site.answers

    def answers(url: str) -> Answer:
        if len(stage.site.asked) == 1:
            raise Silent("connection refused")
        return answered(url)

    async def push() -> None:
        newer = await stage.wish(4, person=person)
        await stage.deployer().run(KeptSteps(), newer.id)

    stage.site.answers = answers
    stage.clock.after(1.0, push)

    ended = await stage.run(new)

    if verified:
        assert (ended.state, ended.note.rpartition("; ")[2]) == (State.DONE, "verified")
    else:
        assert ended.state is State.UNKNOWN
        assert ended.note.endswith("; not verified: deployment #4 is served now")
        assert (await stage.journal.live([stage.app.id]))[stage.app.id].certain


async def test_one_that_never_answers_is_given_up_as_unknown(stage: Stage) -> None:
    first, _ = await two_versions(stage)
    for _ in range(9):
        stage.backend.next("roll_back", Unanswered("dokploy", "ReadTimeout"))

    ended = await stage.run(await back(stage, first))

    assert ended.state is State.UNKNOWN
    assert "asked 5 times" in ended.note
    assert len(await stage.journal.locks()) == 1
    assert stage.backend.count("roll_back") == 5


@pytest.mark.parametrize(
    ("error", "arrives"),
    [(Unreachable("dokploy", "ConnectError"), False), (Unanswered("dokploy", "Timeout"), True)],
)
async def test_it_can_be_cancelled_and_what_may_have_been_made_is_not_called_unasked(
    stage: Stage, error: Unreachable | Unanswered, *, arrives: bool
) -> None:
    first, _ = await two_versions(stage)
    stage.backend.next("roll_back", error, arrives=arrives)
    new = await back(stage, first)
    stage.clock.after(0.1, lambda: stage.journal.cancel(stage.app.id, 9))

    ended = await stage.run(new)

    assert ended.state is State.CANCELLED
    assert ("may have been asked" in ended.note) is arrives
    if not arrives:
        assert (stage.backend.points, await stage.journal.locks()) == ([], [])


def says_no(stage: Stage) -> None:
    stage.backend.next("roll_back", Refused("dokploy", "Error input: Rolling back", status=400))


def kept_no_longer(stage: Stage) -> None:
    stage.backend.keeps = False


def without_an_address(stage: Stage) -> None:
    stage.app = replace(stage.app, url=None)


def still_the_old_container(stage: Stage) -> None:
    stage.backend.shown = [Container("web.1.x", "running", "Up 5 minutes")]


@pytest.mark.parametrize(
    ("prepare", "state", "says"),
    [
        (says_no, State.FAILED, "refused by dokploy: Error input: Rolling back"),
        (kept_no_longer, State.FAILED, "can't go back: the backend has not kept what it built"),
        (
            without_an_address,
            State.UNKNOWN,
            "1111111 is served again, as it was built then; not verified: there is nothing",
        ),
        (still_the_old_container, State.UNHEALTHY, ""),
    ],
)
async def test_what_is_refused_or_cannot_be_verified_is_not_believed(
    stage: Stage, prepare: Callable[[Stage], None], state: State, says: str
) -> None:
    first, _ = await two_versions(stage)
    prepare(stage)

    ended = await stage.run(await back(stage, first))

    assert ended.state is state
    assert ended.note.startswith(says)
    live = (await stage.journal.live([stage.app.id]))[stage.app.id]
    if state is State.FAILED:
        assert live.commit == TWO
    assert live.certain is not (state is State.UNKNOWN)


@pytest.mark.slow
async def test_death_at_any_moment_ends_with_the_old_version_and_one_lock(
    staged: Any,
) -> None:
    whole = staged(waits=0.5, builds=1.0)
    first, _ = await two_versions(whole)
    life = Lifetime()
    new = await back(whole, first)
    await whole.deployer(life).run(KeptSteps(), new.id)
    assert life.moments > 8

    for moment in life.distinct():
        stage = staged(waits=0.5, builds=1.0)
        first, _ = await two_versions(stage)
        new, steps = await back(stage, first), KeptSteps()
        with pytest.raises(Death):
            await stage.deployer(Lifetime(moment)).run(steps, new.id)
        stage.clock.now += 3
        deployer = stage.deployer()
        await deployer.run(steps, new.id)
        await stage.watching(deployer.ending).watch(new.id)

        ended = await stage.now(new)
        assert (ended.state, ended.deployed_commit) == (State.DONE, ONE), moment
        assert 1 <= len(stage.backend.points) <= 2
        assert len(await stage.journal.locks()) == 1
        assert stage.backend.asked == 2


async def two_images(stage: Stage) -> Deployment:
    """Deploy two images, one after the other, of which the backend keeps none; return the first."""
    stage.backend.keeps, stage.backend.tells_after = False, None
    made = []
    for number in (1, 2):
        image = f"shop/web:{number}"
        stage.app = replace(stage.app, source=Source(SourceType.DOCKER, image=image))
        made.append(await stage.run(await stage.wish(number, image=image)))
    return made[0]


def image_of(stage: Stage) -> str | None:
    (found,) = stage.backend.found
    return found.source.image if found.source else None


TO_FIRST: dict[str, Any] = {"way": Rung.IMAGE, "image": "shop/web:1"}
LOST = Unreachable("dokploy", "ConnectError")
NO = Refused("dokploy", "no", status=400)


async def test_the_plan_names_every_gate_that_will_hold_it(stage: Stage) -> None:
    await two_images(stage)
    now = stage.clock.now
    lock = Lock("app/app-web", "shop/web", "cli:bob", "Bob", "a migration", now)
    freeze = Freeze(
        "one", (), "no releases", by="Eve", until=1_700_006_400.0, scope="all", label="all apps"
    )
    await stage.journal.take_lock(lock, None, steal=False)
    await stage.journal.freeze(freeze, None)
    ways = ways_of(stage)

    adas = await ways.plan(stage.app, person="cli:ada")
    bobs = await ways.plan(stage.app, person="cli:bob")

    frozen = (
        "it will be held: all apps are frozen by Eve: no releases, until Wed 2023-11-15 00:00 UTC"
    )
    locked = "it will be held: shop/web is locked by Bob: a migration"
    assert adas.warns[:2] == (locked, frozen)
    assert [one for one in bobs.warns if "held" in one] == [frozen]


async def test_an_image_is_set_and_deployed_again(stage: Stage) -> None:
    first = await two_images(stage)
    plan = await ways_of(stage).plan(stage.app)
    assert (plan.way.rung, plan.way.image) == (Rung.IMAGE, "shop/web:1")

    ended = await stage.run(await back(stage, first, **TO_FIRST))

    assert stage.backend.written == [{"docker.image": "shop/web:1"}]
    assert stage.backend.asked == 3
    assert ended.state is State.DONE
    assert len(await stage.journal.locks()) == 1
    accepted = "the backend accepted it; the app's image was shop/web:2 before"
    assert accepted in await stage.notes(ended)


@pytest.mark.parametrize("away", [0.0, 9.0])
async def test_an_image_whose_rollback_is_cancelled_is_put_back(stage: Stage, away: float) -> None:
    """Also where its backend goes away between the image and the deployment."""
    new = await back(stage, await two_images(stage), **TO_FIRST)
    deploy = stage.backend.deploy

    async def lost(*args: Any, **others: Any) -> None:
        stage.backend.away = away > 0
        stage.clock.after(away, lambda: setattr(stage.backend, "away", False))
        stage.clock.after(0.1, lambda: stage.journal.cancel(stage.app.id, 9))
        await deploy(*args, **others)

    stage.backend.deploy = lost  # type: ignore[method-assign]
    stage.backend.next("deploy", LOST)
    ended = await stage.run(new)

    assert ended.state is State.CANCELLED
    assert image_of(stage) == "shop/web:2"
    assert stage.backend.asked == 3
    assert "cancelled before the backend was asked" in ended.note


CHANGED = "the app's image is shop/web:3: somebody has changed it meanwhile"
FORBIDDEN = (
    "the app's image may still be shop/web:1, since it could not be put back (dokploy: read only):"
    " run `dokploy-bridge provider set docker shop/web --image shop/web:2`"
)


@pytest.mark.parametrize(
    ("is_changed", "image", "says"), [(True, 3, CHANGED), (False, 1, FORBIDDEN)]
)
async def test_an_image_that_is_not_put_back_is_said_with_what_to_do(
    stage: Stage, is_changed: bool, image: int, says: str
) -> None:
    """Either somebody has set another one meanwhile, which stays, or it may not be written."""
    new = await back(stage, await two_images(stage), **TO_FIRST)
    deploy = stage.backend.deploy

    async def overtaken(*args: Any, **others: Any) -> None:
        if is_changed:
            stage.backend.image(stage.app, "shop/web:3")
        else:
            stage.backend.next("write_source", Refused("dokploy", "read only", status=403))
        await deploy(*args, **others)

    stage.backend.deploy = overtaken  # type: ignore[method-assign]
    stage.backend.next("deploy", NO)
    ended = await stage.run(new)

    assert (ended.state, image_of(stage)) == (State.FAILED, f"shop/web:{image}")
    assert ended.note == f"refused by dokploy: no; {says}"


@pytest.mark.slow
@pytest.mark.parametrize("cancelled", [False, True])
async def test_death_at_any_moment_leaves_no_image_that_was_not_asked_for(
    staged: Any, cancelled: bool
) -> None:
    async def begun() -> tuple[Stage, Deployment]:
        stage = staged(waits=0.5, builds=1.0)
        new = await back(stage, await two_images(stage), **TO_FIRST)
        for _ in range(4):
            stage.backend.next("deploy", LOST if cancelled else NO)
        return stage, new

    whole, new = await begun()
    life = Lifetime()
    if cancelled:
        whole.clock.after(0.1, lambda: whole.journal.cancel(whole.app.id, 9))
    await whole.deployer(life).run(KeptSteps(), new.id)
    assert life.moments > 12

    for moment in life.distinct():
        stage, new = await begun()
        steps = KeptSteps()
        with pytest.raises(Death):
            await stage.deployer(Lifetime(moment)).run(steps, new.id)
        if cancelled:
            await stage.journal.cancel(stage.app.id, 9)
        stage.clock.now += 3
        await stage.deployer().run(steps, new.id)

        ended = await stage.now(new)
        assert ended.state in (State.FAILED, State.CANCELLED, State.UNKNOWN), moment
        assert image_of(stage) == "shop/web:2", (moment, ended.note)


async def test_the_plan_does_not_follow_what_is_only_verified(stage: Stage) -> None:
    await two_versions(stage)
    stage.rules = Rules(verify=VerifyPolicy())
    third = await stage.wish(3)
    await stage.deployer().run(KeptSteps(), third.id)
    assert (await stage.now(third)).state is State.VERIFYING

    plan = await ways_of(stage).plan(stage.app)

    assert not any("it follows deployment" in one for one in plan.warns)
