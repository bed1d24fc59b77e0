"""Pinning and unpinning, interrupted anywhere: a push still deploys, and again completes it."""

from contextlib import suppress
from dataclasses import replace

import pytest

from bridge.core.apps import App, Rules
from bridge.core.configuration.configuration import DockerSource, GitSource
from bridge.core.decision import decide
from bridge.core.errors import Rejected
from bridge.core.lifecycle import State
from bridge.core.people import Actor
from bridge.core.pins import pin_of
from bridge.core.rules import RuleBook
from bridge.pipeline.deploying.configure import Configurer
from bridge.pipeline.deploying.pinning import Pinner, Pins
from bridge.storage.journal import SqlJournal
from tests.fakes.journey import Death, Lifetime, ManualClock, deployment, push
from tests.worlds.embedded import Maker
from tests.worlds.gates import ChecksHost

ONE = "1" * 40
HOMES = {"github.com": "github"}
GIT = GitSource(url="https://github.com/my-org/mono.git", branch="main")
BY = Actor("cli", "ada")


@pytest.fixture
def host() -> ChecksHost:
    return ChecksHost(heads={"main": ONE})


@pytest.fixture
async def app(maker: Maker, journal: SqlJournal) -> App:
    made = await maker.create_app("web", project="shop", source=GIT)
    await journal.save_apps("embedded", await maker.apps())
    return made


def pinner(
    maker: Maker,
    journal: SqlJournal,
    host: ChecksHost,
    life: Lifetime | None = None,
    book: RuleBook = (),
) -> Pinner:
    life = life or Lifetime()
    clock = ManualClock()
    configurer = Configurer(
        life.mortal(maker), life.mortal(journal), clock, book=book, sleep=clock.sleep
    )
    pins = Pins({"github": life.mortal(host)}, HOMES, book)
    return Pinner(configurer, life.mortal(journal), pins, book)


async def now(maker: Maker, journal: SqlJournal, app: App) -> App:
    """Return the app as its backend has it, with the stored rules."""
    return replace(await maker.app(app.id), rules=await journal.rules(app.id))


def check_a_push_deploys(found: App, host: ChecksHost) -> None:
    """Check that a push to `main` deploys, and that what the backend would clone is there."""
    urls = frozenset({"github.com/my-org/mono"})
    pushed = push(repository=replace(push().repository, urls=urls))
    assert decide(pushed, found).deploy
    assert found.source is not None
    assert found.source.branch in host.heads


async def test_pin_and_unpin_die_at_any_moment(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    for moment in range(1, 60, 2):  # before each call, which is after the one before it
        life = Lifetime(moment)
        with suppress(Death):
            there = pinner(maker, journal, host, life)
            await there.pin(await there.plan(app), by=BY)
        check_a_push_deploys(await now(maker, journal, app), host)
        there = pinner(maker, journal, host)
        await there.pin(await there.plan(app), by=BY)
        pinned = await now(maker, journal, app)
        assert (pin_of(pinned), pinned.rules) == (
            f"bridge/web/{app.id}",
            Rules(branch="main", pin=True),
        )
        assert host.heads == {"main": ONE, f"bridge/web/{app.id}": ONE}

        back = Lifetime(moment)
        with suppress(Death):
            there = pinner(maker, journal, host, back)
            await there.unpin(await there.plan_back(app), by=BY)
        check_a_push_deploys(await now(maker, journal, app), host)
        there = pinner(maker, journal, host)
        await there.unpin(await there.plan_back(app, "main"), by=BY)
        free = await now(maker, journal, app)
        assert (free.source, free.rules) == (app.source, Rules())
        assert host.heads == {"main": ONE}
        if life.moments < moment and back.moments < moment:
            return
    raise AssertionError("it never lives to the end")


async def test_another_branch_to_track_is_named(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    host.heads["release"] = "2" * 40
    there = pinner(maker, journal, host)

    await there.pin(await there.plan(app, "release"), by=BY)

    found = await now(maker, journal, app)
    assert found.rules == Rules(branch="release", pin=True)
    assert host.heads[pin_of(found) or ""] == "2" * 40


async def test_what_can_not_be_pinned_is_refused_with_the_reason(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    there = pinner(maker, journal, host)
    with pytest.raises(Rejected, match="there is no branch nowhere in my-org/mono on github"):
        await there.pin(await there.plan(app, "nowhere"), by=BY)
    assert (await now(maker, journal, app)).rules == Rules()

    await journal.save_rules(app.id, Rules(branch="release/*"), by=str(BY))
    with pytest.raises(
        Rejected, match=r"name the branch .* with --branch: 'release/\*' is several"
    ):
        await there.plan(app)

    made = await maker.create_app("db", project="shop", source=DockerSource(image="postgres"))
    with pytest.raises(Rejected, match="can't be pinned: its source is docker"):
        await there.plan(made)

    nowhere = Pinner(Configurer(maker, journal, ManualClock()), journal, Pins({}, {}))
    with pytest.raises(Rejected, match=r"can't be pinned: .* is at no Git host of the settings"):
        await nowhere.plan(app)
    with pytest.raises(Rejected, match=r"^shop/web is not pinned$"):
        await nowhere.plan_back(app)


async def test_what_bridge_yaml_says_wins(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    book = [("shop/*", Rules(branch="main", pin=True))]
    there = pinner(maker, journal, host, book=book)
    with pytest.raises(Rejected, match=r"bridge.yaml says branch: main for shop/web, and wins"):
        await there.plan(app, "next")
    with pytest.raises(Rejected, match=r"bridge.yaml pins shop/web, and wins"):
        await there.plan_back(app)


async def test_a_build_that_may_still_clone_the_branch_is_waited_for(
    maker: Maker, journal: SqlJournal, host: ChecksHost, app: App
) -> None:
    from bridge.core.decision import Decision, Reason
    from bridge.ports.outcomes import Outcome

    there = pinner(maker, journal, host)
    await there.pin(await there.plan(app), by=BY)
    new = deployment(1, app.id)
    because = Decision(app.id, app.label, Reason.ASKED, "because")
    await journal.record([Outcome(1, "delivery-1", (because,), (new,))], window=0)
    await there.plan_back(app)  # it was not asked for yet

    await journal.move(new.id, State.ASKED, "accepted")

    with pytest.raises(Rejected, match="a deployment of shop/web is asked, and may still clone"):
        await there.plan_back(app)
