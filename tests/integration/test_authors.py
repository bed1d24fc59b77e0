"""Whose commits and pushes a deployment brings, where webhooks or the journal do not tell all."""

from collections.abc import Sequence
from dataclasses import replace
from time import process_time

import pytest

from bridge.core.apps import Rules
from bridge.core.changes import ANYWHERE, Pushes
from bridge.core.decision import Decision, Reason
from bridge.core.errors import Rejected
from bridge.core.lifecycle import Deployment, State
from bridge.core.people import Writer, unlisted_in
from bridge.pipeline.deciding.deliveries import Starting
from bridge.pipeline.gates.brought import UNLINKED_HOLDS, AuthorsOfRanges
from bridge.ports.authors import Authored
from bridge.ports.gates import CommitAt
from bridge.ports.outcomes import Outcome, PushSeen
from tests.fakes.journey import deployment
from tests.integration.test_gates_by_content import APPROVED, ONE, THREE, TWO, served, watching
from tests.worlds.gates import ADA, GRACE, REPOSITORY, GateWorld
from tests.worlds.journal import outcome, record

NOTHING, MAIN = "0" * 40, "github 4711 refs/heads/main"
BOB = Writer("bob", "2", "bob@example.com", TWO)
EARLIER = Writer("grace", "3", "grace@example.com", "4" * 40)


def lists(world: GateWorld, *bases: str) -> None:
    """Let the host list Grace's commit since certain ones, and not since others."""

    async def authors(repository: str, base: str | None, head: str) -> Authored:
        del repository, head
        if base is None:
            return Authored(frozenset({BOB}))
        known = base in bases
        return Authored(frozenset({BOB, EARLIER}) if known else None, "" if known else "it is gone")

    world.host.authors = authors  # type: ignore[method-assign]


async def pushed(world: GateWorld, before: str | None, after: str, **facts: object) -> Deployment:
    """Have a push to `main` deploy the app; without a `before`, somebody asks for the commit."""
    world.seq += 1
    if before is not None:
        world.host.heads["main"] = world.backend.head = after
    new = deployment(world.seq, "app-web", commit=after, created_at=world.clock.now, **facts)
    because = Decision("app-web", new.app, Reason.NO_WATCH_PATHS, "because")
    seen = before and PushSeen(MAIN, before, after, repository=REPOSITORY)
    one = Outcome(world.seq, f"delivery-{world.seq}", (because,), (new,), push=seen or None)
    await Starting(world.flows).follow(await world.journal.record([one], window=0))
    await world.settle()
    return new


async def test_after_an_unknown_outcome_all_counts_since_what_surely_was_live(
    world: GateWorld,
) -> None:
    await world.add(watching(rules=APPROVED))
    await served(world, 1, ONE, "app-web")
    lost = deployment(2, "app-web", commit=TWO)
    await record(world.journal, outcome(2, lost, explicit=True))
    assert await world.journal.move(lost.id, State.UNKNOWN, "", finished_at=world.clock.now + 2)
    world.seq = 2
    lists(world, ONE)
    new = await world.push(THREE)
    await world.settle()

    with pytest.raises(Rejected, match="is your own commit"):
        await world.approve(GRACE, new)


async def test_nobody_approves_a_head_that_is_built_on_no_version_that_was_live(
    world: GateWorld,
) -> None:
    await world.add(watching(rules=APPROVED))
    await served(world, 1, ONE, "app-web")
    world.seq = 1
    world.host.authored[TWO] = Authored(frozenset({BOB}), onward=False)
    new = await world.push(TWO)
    await world.settle()

    with pytest.raises(Rejected, match="2222222 is built on none of the latest live versions"):
        await world.approve(GRACE, new)


CUT = "the webhook of the push to 2222222 does not list all commits"
UNTOLD = "no kept webhook tells of one of the pushes"
FIRST: dict[str, tuple[str, Sequence[str], Sequence[Writer], str]] = {
    "the host lists it": (ONE, [ONE], [unlisted_in(TWO)], "is your own commit"),
    "the host does not list it, the webhook lists all": (ONE, [], [BOB], ""),
    "the host does not list it, nor does the webhook": (ONE, [], [BOB, unlisted_in(TWO)], CUT),
    "it makes the branch, and the webhook lists all": (NOTHING, [], [BOB], ""),
    "it makes the branch, and the webhook does not": (NOTHING, [], [BOB, unlisted_in(TWO)], CUT),
    "it was found without a webhook": (ANYWHERE, [], [], UNTOLD),
    "its webhook is no longer kept, the host lists it": (ONE, [ONE], [], "is your own commit"),
}


@pytest.mark.parametrize("name", FIRST)
async def test_a_first_push_is_approved_if_its_authors_are_all_told(
    world: GateWorld, name: str
) -> None:
    before, listed, told, why = FIRST[name]

    async def by_webhook(_seq: int) -> frozenset[tuple[str, Writer]]:
        return frozenset(("github", one) for one in told)

    world.judges.authors.pushed = by_webhook
    lists(world, *listed)
    await world.add(watching(rules=APPROVED))
    new = await pushed(world, before, TWO)

    if why:
        with pytest.raises(Rejected, match=why):
            await world.approve(GRACE, new)
    else:
        assert await world.approve(GRACE, new)


async def test_a_first_push_is_not_approved_by_an_author_whose_login_has_changed(
    world: GateWorld,
) -> None:
    """A webhook tells of the login alone, so the host is asked whose it is."""

    async def by_webhook(_seq: int) -> frozenset[tuple[str, Writer]]:
        return frozenset({("github", Writer("ada", "", "ada@example.com", THREE)), ("github", BOB)})

    async def authors(repository: str, base: str | None, head: str) -> Authored:
        del repository
        if base is not None:
            return Authored(None, "it is gone")
        now = Writer("ada-2", "1", "ada@example.com", THREE)
        return Authored(frozenset({now if head == THREE else BOB}))

    world.judges.authors.pushed = by_webhook
    world.host.authors = authors  # type: ignore[method-assign]
    await world.add(watching(rules=APPROVED))
    new = await pushed(world, NOTHING, TWO)
    renamed = replace(GRACE, person="github:ada-2", email="", accounts=("github:#1",))

    with pytest.raises(Rejected, match="is your own commit"):
        await world.approve(renamed, new)


async def test_what_a_host_can_not_list_it_is_asked_for_again(world: GateWorld) -> None:
    await world.add(watching(rules=APPROVED))
    await served(world, 1, ONE, "app-web")
    world.seq = 1
    lists(world)
    new = await world.push(TWO)
    await world.settle()
    with pytest.raises(Rejected, match="not all commits since 1111111 are known: it is gone"):
        await world.approve(ADA, new)
    await world.settle()

    lists(world, ONE)
    world.clock.now += UNLINKED_HOLDS
    with pytest.raises(Rejected, match="not all commits since 1111111 are known"):
        await world.approve(ADA, new)  # which has it looked at again
    await world.settle()

    assert await world.approve(ADA, new)


async def test_many_pushes_that_name_many_people_keep_nobody_waiting(world: GateWorld) -> None:
    head = CommitAt("github", REPOSITORY, TWO, "main")

    async def by_webhook(seq: int) -> frozenset[tuple[str, Writer]]:
        return frozenset(
            ("github", Writer(email=f"{seq}-{number}@example.com")) for number in range(990)
        )

    of = AuthorsOfRanges({"github": world.host}, world.clock, pushed=by_webhook)
    began = process_time()
    found = await of.of(head, ONE, Pushes(tuple(range(500))), ())

    assert process_time() - began < 1
    assert found.unknown == "more than 1000 people wrote or pushed it"
    assert not found.authors


@pytest.mark.parametrize("live", [True, False])
async def test_too_many_pushes_hide_no_pusher_where_they_follow_the_pinned_commit(
    world: GateWorld, live: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.pipeline.gates.gates.MOST_PUSHES", 3)
    shas = [f"{number:040x}" for number in range(0xABC000, 0xABC006)]
    if live:
        await world.add(watching(rules=Rules()))
        await world.push(ONE)
        await world.settle()
    await world.add(watching(rules=APPROVED))
    for before, after in zip([ONE, TWO, *shas], [TWO, *shas], strict=False):
        last = await pushed(world, before, after)
    assert last.commit == shas[-1]

    again = await pushed(world, None, TWO, pinned=TWO)

    since = " since 1111111" if live else ", and nothing is live yet"
    with pytest.raises(Rejected, match=f"more than 3 pushes may have come{since}"):
        await world.approve(GRACE, again)
