"""Going back and promoting by chat: what is said before, who may do it, and what is kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bridge.core.access import Grant, Person, Right
from bridge.core.apps import App, Rules
from bridge.core.chat.calls import Call
from bridge.core.chat.replies import Denied, Sorry
from bridge.core.gates.locks import Lock
from bridge.core.lifecycle import Deployment, State
from bridge.core.pins import pin_for
from bridge.pipeline.deploying.rollback_plan import Ways
from bridge.pipeline.deploying.serving import Looks
from bridge.ports.chats import AnyReply
from bridge.storage.journal import SqlJournal
from bridge.views.deploying import Kept
from bridge.views.values import plain
from bridge.views.view import View
from tests.fakes.journey import FakeBackend, ManualClock, app, deployment, source
from tests.worlds.chat_desk import ADA, BOB, EVE, Desk, desk_of, sorry, view
from tests.worlds.journal import outcome, record

WEB = app("app-web", name="web", project="shop")
STAGING = app("app-stage", name="web", project="shop", environment="staging")
LIVE = app("app-live", name="web", project="shop", environment="production")
RULES = Rules(branch="main", pin=True, approvals=2, after=("shop/staging/web",))
PINNED = replace(LIVE, source=source(branch=pin_for(LIVE)), rules=RULES)
VAULT = app("app-vault", name="vault", project="secret")
GRANTS = (
    Grant(("U0ADA",), frozenset({Right.VIEW, Right.DEPLOY, Right.CANCEL}), ("shop/**",)),
    Grant(("U0BOB",), frozenset({Right.VIEW}), ("shop/**",)),
)


@dataclass
class Versions:
    """People who ask for versions, and the backend that has made them."""

    desk: Desk
    backend: FakeBackend

    async def made(
        self, seq: int, version: str, state: State = State.DONE, of: App = WEB
    ) -> Deployment:
        self.desk.clock.now += 10
        job = self.backend.foreign(of, head=version * 40)
        one = deployment(
            seq, of.id, app=of.label, state=state, deployed_commit=version * 40,
            backend_id=job.id, live_at=self.desk.clock.now,
        )  # fmt: skip
        await record(self.desk.journal, outcome(seq, one))
        return one

    async def click(self, name: str = "rollback", person: Person = ADA, **given: str) -> AnyReply:
        """Carry out what a button calls."""
        return await self.desk.say(Call(name, {"app": WEB.id, **given}), person)

    async def promote(self, version: Deployment, person: Person = ADA) -> AnyReply:
        """Carry out what the button of an offer to promote calls."""
        given = {"app": PINNED.id, "source": STAGING.id, "seen": f"pin {version.id}"}
        return await self.desk.say(Call("promote", given), person)

    async def nothing_kept(self) -> bool:
        return await self.desk.inbox.newest(5) == []


def seen_in(said: AnyReply) -> str:
    """Return what a view that asks gives along: the way, the version, and what is served."""
    assert isinstance(said, View)
    assert said.asks is not None
    return str(said.asks.call.given["seen"])


def refused(said: AnyReply) -> str:
    """Return why something was not done."""
    assert isinstance(said, View)
    assert said.refused
    return plain(said.head)


@pytest.fixture
async def versions(
    journal: SqlJournal, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Versions]:
    backend = FakeBackend(clock)
    apps = [WEB, STAGING, PINNED, VAULT]
    ways = Ways({"dokploy": backend}, Looks(journal, clock))
    async with desk_of(journal, clock, tmp_path, apps, GRANTS, ways=ways) as desk:
        yield Versions(desk, backend)


async def test_it_says_how_and_does_nothing_before_that_is_confirmed(versions: Versions) -> None:
    old = await versions.made(1, "a")
    await versions.made(2, "b")

    said = view(await versions.desk.say("rollback shop/web"))

    seen = seen_in(said)
    assert seen.split()[:2] == ["kept", old.id]
    assert plain(said.head).startswith("shop/web: go back from bbbbbbb to aaaaaaa")
    assert await versions.nothing_kept()

    done = view(await versions.click(seen=seen))

    assert isinstance(done.data, Kept)
    assert (done.data.action, done.data.target) == ("rollback", WEB.label)
    asked = await versions.desk.kept()
    assert (asked.deployment, asked.way, asked.person) == (old.id, "kept", "U0ADA")


async def test_the_button_of_an_unhealthy_one_leads_to_the_same(versions: Versions) -> None:
    old = await versions.made(1, "a")
    bad = await versions.made(2, "b", State.UNHEALTHY)

    said = await versions.click(deployment=bad.id)

    assert seen_in(said).split()[1] == old.id


async def test_the_button_of_a_failed_one_leads_away_from_what_stayed_live(
    versions: Versions,
) -> None:
    old = await versions.made(1, "a")
    live = await versions.made(2, "b")
    failed = deployment(3, WEB.id, app=WEB.label, state=State.FAILED)
    await record(versions.desk.journal, outcome(3, failed))

    said = await versions.click(deployment=failed.id)

    assert seen_in(said).split()[1:] == [old.id, live.id]


async def test_a_click_on_what_is_no_longer_live_does_nothing(versions: Versions) -> None:
    """A click means what was seen: another version may be live by now."""
    old = await versions.made(1, "a")
    bad = await versions.made(2, "b", State.UNHEALTHY)
    await versions.made(3, "c")

    shown = await versions.click(deployment=bad.id)
    done = await versions.click(seen=f"kept {old.id} {bad.id}")

    for said in (shown, done):
        assert "By now another version of shop/web is live: ccccccc, by #3." in refused(said)

    await versions.made(4, "d", State.UNKNOWN)
    done = await versions.click(seen=f"kept {old.id} {bad.id}")
    assert refused(done) == "By now it is not known what shop/web serves. Nothing was done"
    assert await versions.nothing_kept()


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("rollback shop/web", "no healthy version before aaaaaaa"),
        ("rollback shop/web fffffff", "no healthy deployment of it has made 'fffffff'"),
        ("rollback shop/web aaaaaaa", "is what is served already"),
    ],
)
async def test_what_is_not_possible_is_said(versions: Versions, typed: str, says: str) -> None:
    await versions.made(1, "a")

    said = sorry(await versions.desk.say(typed))

    assert says in said


async def test_who_may_not_deploy_may_not_go_back(versions: Versions) -> None:
    old = await versions.made(1, "a")
    bad = await versions.made(2, "b", State.UNHEALTHY)

    for reply in (
        await versions.desk.say("rollback shop/web", BOB),
        await versions.click(person=BOB, deployment=bad.id),
        await versions.click(person=BOB, seen=f"kept {old.id}"),
    ):
        assert isinstance(reply, Denied)
    assert isinstance(await versions.click(person=EVE, deployment=bad.id), Sorry | Denied)
    assert await versions.nothing_kept()


async def test_a_click_does_nothing_to_a_deployment_of_another_app(versions: Versions) -> None:
    """The right is to the app that is named; an id beside it proves nothing."""
    served = await versions.made(1, "a", of=VAULT)
    runs = await versions.made(2, "b", State.RUNNING, of=VAULT)
    await versions.made(3, "c")
    await versions.made(4, "d", State.WAITING)

    assert "That version is gone" in refused(await versions.click(seen=f"kept {served.id}"))
    cancelled = await versions.click("cancel", deployment=runs.id)
    assert cancelled == Sorry("That deployment is gone.")
    assert await versions.nothing_kept()


async def test_what_is_only_being_verified_is_not_cancelled(versions: Versions) -> None:
    """By command and by button; the remedy is a rollback."""
    await versions.made(1, "a")
    live = await versions.made(2, "b", State.VERIFYING)

    typed = await versions.desk.say("cancel shop/web")
    clicked = await versions.click("cancel", deployment=live.id)

    for said in (typed, clicked):
        assert refused(said) == (
            "It can't be cancelled: deployment #2 is live already and is only being verified. A"
            " rollback leads back"
        )
        assert isinstance(said, View)
        assert [one.typed for one in said.offers] == ["rollback shop/web"]
    assert await versions.nothing_kept()


# ── promoting ────────────────────────────────────────────────────────────────

WORDS = "promote shop/production/web from shop/staging/web"


async def test_it_names_the_gates_that_it_has_to_pass(versions: Versions) -> None:
    await versions.made(1, "a", of=STAGING)
    for person in ("slack:U0BOB", "slack:U0ADA"):  # her own lock lets her pass
        scope = f"app/{PINNED.id}" if person == "slack:U0BOB" else "project/shop"
        lock = Lock(scope, PINNED.label, person, person[-3:], "I look", 1_700_000_000.0)
        await versions.desk.journal.take_lock(lock, None, steal=False)

    said = view(await versions.desk.say(WORDS))

    requires = "2 approvals, that it is live in shop/staging/web"
    assert [plain(one) for one in said.notes[:2]] == [
        "it will be held: shop/production/web is locked by BOB: I look",
        f"shop/production/web requires for aaaaaaa: {requires}",
    ]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("promote shop/staging/web from shop/production/web", "is known to run"),
        ("promote shop/production/web", "From APP? The app whose version"),
        (
            "promote shop/production/web shop/staging/web",
            "From APP? The app whose version",
        ),
        (f"{WORDS} now", "That is more than `promote` takes."),
        ("promote shop/production/web from secret/vault", "There is no app 'secret/vault'"),
    ],
)
async def test_what_can_not_be_promoted_is_said(versions: Versions, typed: str, says: str) -> None:
    await versions.made(1, "a", of=STAGING)

    said = sorry(await versions.desk.say(typed))

    assert says in said


async def test_a_version_that_is_hidden_or_of_yesterday_or_without_the_right_is_not_promoted(
    versions: Versions,
) -> None:
    hidden = await versions.made(1, "a", of=VAULT)
    old = await versions.made(2, "b", of=STAGING)
    version = await versions.made(3, "c", of=STAGING)

    assert isinstance(await versions.desk.say(WORDS, BOB), Denied)
    assert isinstance(await versions.desk.say(WORDS, EVE), Denied)
    assert isinstance(await versions.promote(version, BOB), Denied)
    assert refused(await versions.promote(hidden))
    assert "another one runs there now" in refused(await versions.promote(old))
    assert await versions.nothing_kept()
