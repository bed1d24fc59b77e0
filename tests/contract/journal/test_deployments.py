"""The `Journal` port: the moves of a deployment, cancels, and tags that take their turn."""

from dataclasses import replace
from typing import Any

from bridge.core.changes import Live
from bridge.core.decision import Decision, Reason
from bridge.core.events import Action
from bridge.core.lifecycle import MOVES, Cancel, Deployment, State
from bridge.core.rules import AppTags
from bridge.ports.outcomes import (
    Outcome,
)
from tests.fakes.journey import NO_GATES, ManualClock, app, deployment
from tests.worlds.journal import A, card, due, outcome, record, states


async def test_only_the_moves_of_the_lifecycle_are_made(journal: Any) -> None:
    seq = 0
    for now, following in MOVES.items():
        for to in State:
            seq += 1
            new = deployment(seq, f"app-{seq}", state=now)
            await record(journal, outcome(seq, new))
            moved = await journal.move(new.id, to, "a note")
            assert (moved is not None) is (to in following), (now, to)
            found = await journal.deployment(new.id)
            assert found == (moved or new)


async def test_a_deployment_that_is_not_there_is_none(journal: Any) -> None:
    assert await journal.deployment("nothing") is None
    assert await journal.move("nothing", State.DONE) is None
    assert await journal.intend("nothing", [], NO_GATES) is None
    await journal.withdraw("nothing")
    await journal.say("nothing", "words")
    assert await journal.changes("nothing") == []


async def test_an_intent_is_written_once_and_only_while_it_waits(
    journal: Any, clock: ManualClock
) -> None:
    await record(journal, outcome(1, deployment(1)))
    intended = await journal.intend(deployment(1).id, ["old-1", "old-2"], NO_GATES)
    assert (intended.intent_at, intended.known_before) == (clock.now, ("old-1", "old-2"))
    assert await journal.intend(deployment(1).id, [], NO_GATES) is None

    await journal.withdraw(deployment(1).id)
    assert (await journal.deployment(deployment(1).id)).intent_at is None
    await journal.intend(deployment(1).id, [], NO_GATES)
    await journal.move(deployment(1).id, State.ASKED)
    await journal.withdraw(deployment(1).id)
    assert (await journal.deployment(deployment(1).id)).intent_at == clock.now
    assert await journal.intend(deployment(1).id, [], NO_GATES) is None


async def test_errors_that_take_turns_stand_there_once_each_until_it_moves(
    journal: Any, clock: ManualClock
) -> None:
    id_ = deployment(1).id
    await record(journal, outcome(1, deployment(1), subscriptions=(card(),)))
    for _ in range(3):
        for note in ("connection refused", "connection refused", "no answer within 30 s"):
            await journal.say(id_, note)

    notes = [change.note for change in await journal.changes(id_, after=1)]
    assert notes == ["connection refused", "no answer within 30 s"]

    (before,) = await due(journal, clock)
    await journal.say(id_, "connection refused")
    (pending,) = await due(journal, clock)
    assert (await journal.deployment(id_)).note == "connection refused"
    assert pending.wanted > before.wanted  # what shows how it stands shows that

    await journal.move(id_, State.ASKED, "accepted")
    await journal.say(id_, "connection refused")
    last = [(one.state, one.note) for one in await journal.changes(id_)][-2:]
    assert last == [(State.ASKED, "accepted"), (State.ASKED, "connection refused")]


async def test_a_cancel_takes_what_waits_and_came_before_it(
    journal: Any, clock: ManualClock
) -> None:
    before = deployment(2)
    await record(journal, outcome(1, deployment(1, "app-api")), outcome(2, before))
    await record(journal, outcome(4, deployment(4, "app-later")))

    cancelled = await journal.cancel("app-web", 3)
    nothing = await journal.cancel("app-later", 3)

    assert [one.id for one in cancelled] == [before.id]
    assert nothing == []
    note = "cancelled before the backend was asked"
    assert (cancelled[0].state, cancelled[0].note) == (State.CANCELLED, note)
    assert cancelled[0].finished_at == clock.now
    assert await states(journal, "app-api") == {1: "waiting"}
    assert (await journal.changes(before.id))[-1].state is State.CANCELLED
    await journal.say(before.id, "waits for the backend")
    assert (await journal.deployment(before.id)).note == note, "its end keeps its words"


async def test_a_cancel_marks_what_may_have_been_asked(journal: Any) -> None:
    id_ = deployment(1).id
    await record(journal, outcome(1, deployment(1)))
    await journal.intend(id_, [], NO_GATES)

    assert await journal.cancel("app-web", 3) == []
    assert await states(journal) == {1: "waiting"}
    assert (await journal.deployment(id_)).cancel is Cancel.REQUESTED

    await journal.mark_cancel(id_, Cancel.INTERRUPTED)
    assert await journal.cancel("app-web", 4) == []
    assert (await journal.deployment(id_)).cancel is Cancel.INTERRUPTED
    await journal.withdraw(id_)  # nothing was asked after all
    assert await states(journal) == {1: "cancelled"}
    assert await journal.intend(id_, [], NO_GATES) is None


async def test_a_cancel_counts_once_it_is_recorded(journal: Any) -> None:
    """Also of what is recorded together with it; what came after it goes on."""
    redeploys = deployment(2, action=Action.REDEPLOY)
    await record(journal, outcome(1, deployment(1)), outcome(5, deployment(5, "app-api")))
    await journal.intend(deployment(1).id, [], NO_GATES)

    cancel = Decision("app-web", "shop/web", Reason.CANCEL_ASKED, "ada asked to cancel")
    found = await record(
        journal, outcome(2, redeploys), Outcome(3, "c", (cancel,)), outcome(6, deployment(6))
    )

    assert found.start == (deployment(6).id,)
    assert await states(journal) == {1: "waiting", 2: "cancelled", 6: "waiting"}
    assert (await journal.deployment(deployment(1).id)).cancel is Cancel.REQUESTED
    assert (await journal.deployment(deployment(6).id)).cancel is None
    assert await states(journal, "app-api") == {5: "waiting"}


async def test_what_the_backend_lost_waits_again_as_if_it_was_never_asked(journal: Any) -> None:
    for seq, state in enumerate((State.ASKED, State.QUEUED, State.RUNNING), 1):
        lost = deployment(seq, f"app-{state}")
        await record(journal, outcome(seq, lost))
        await journal.intend(lost.id, ["old"], NO_GATES)
        await journal.move(lost.id, state, asked_at=1.0, started_at=2.0, backend_id="lost")

        found = await journal.take_back(lost.id, "[br-2]", "the backend lost it")

        assert found == await journal.deployment(lost.id)
        note = "the backend lost it; it waits here again"
        assert (found.state, found.note) == (State.WAITING, note)
        assert (found.token, found.asked_again, found.known_before) == ("[br-2]", 1, ())
        assert {found.backend_id, found.intent_at, found.asked_at, found.started_at} == {None}
        assert (await journal.changes(lost.id))[-1].state is State.WAITING
    for seq, state in enumerate((State.WAITING, State.DONE, State.CANCELLED), 4):
        await record(journal, outcome(seq, deployment(seq, f"app-{state}", state=state)))
        assert await journal.take_back(deployment(seq, f"app-{state}").id, "x", "lost") is None


async def test_what_waits_again_gives_way_to_a_newer_one(journal: Any) -> None:
    first, second = deployment(1), deployment(2)
    await record(journal, outcome(1, first))
    await journal.intend(first.id, [], NO_GATES)
    await record(journal, outcome(2, second))
    await journal.withdraw(first.id)

    assert await states(journal) == {1: "superseded", 2: "waiting"}
    assert await journal.intend(first.id, [], NO_GATES) is None


async def test_deployments_are_listed_as_they_are_asked_for(journal: Any) -> None:
    both = (deployment(1, "app-a"), deployment(1, "app-b"))
    await record(journal, outcome(1, *both), outcome(2, deployment(2, "app-a")))
    await journal.move(both[1].id, State.RUNNING, backend_id="one")

    every = await journal.deployments(limit=10)
    of_app = await journal.deployments(limit=10, app_id="app-a")
    of_delivery = await journal.deployments(limit=10, seq=1)

    assert [(one.seq, one.app_id) for one in every] == [(2, "app-a"), (1, "app-a"), (1, "app-b")]
    assert [one.seq for one in of_app] == [2, 1]
    assert [one.app_id for one in of_delivery] == ["app-a", "app-b"]
    assert len(await journal.deployments(limit=1)) == 1
    for at, one in enumerate(every, 1):
        assert await journal.deployments(limit=10, after=one) == every[at:]
    assert await journal.pinned("app-b") == {"one": both[1].id}
    for seq, state in enumerate(State, start=3):
        await record(journal, outcome(seq, deployment(seq, f"app-{seq}", state=state)))
    opened = [str(one.state) for one in await journal.open_deployments() if one.seq > 2]
    assert opened == ["waiting", "held", "asked", "queued", "running", "verifying"]


async def test_what_an_app_runs_is_what_was_done_last(journal: Any, clock: ManualClock) -> None:
    done, failed, unknown = State.DONE, State.FAILED, State.UNKNOWN
    cases = {
        "app-a": ([], Live(A)),
        "app-b": ([failed, failed], Live(A, failed=3)),
        "app-c": ([failed, unknown, failed], Live(A, certain=False, failed=5)),
        "app-d": ([failed, State.CANCELLED], Live(A, failed=3)),
        "app-e": ([State.CANCELLED, State.SUPERSEDED], Live(A)),
        "app-f": ([unknown], Live(A, certain=False)),
        "app-g": ([failed, unknown], Live(A, certain=False)),
        "app-h": ([failed, State.RUNNING], Live(A, certain=False, failed=3)),
        "app-i": ([done], Live(None)),
    }
    await journal.save_apps("dokploy", [app(id_) for id_ in (*cases, "app-api", "app-new")])
    await record(journal, outcome(90, deployment(90, "app-api")))
    await journal.move(deployment(90, "app-api").id, failed)
    wanted = {}
    for number, (id_, (after, live)) in enumerate(cases.items()):
        for seq, state in enumerate([done, done, *after], start=10 * number + 1):
            clock.now += 10
            await record(journal, outcome(seq, deployment(seq, id_)))
            commit = A if seq == 10 * number + 2 else None
            await journal.move(deployment(seq, id_).id, state, deployed_commit=commit)
        seq = 10 * number + (3 if after == [done] else 2)
        failed_at = 10 * number + live.failed if live.failed else 0
        wanted[id_] = replace(live, seq=seq, failed=failed_at)

    assert await journal.live([*cases, "app-api", "app-new", "nobody"]) == wanted


# ── tags of apps that take only newer ones ───────────────────────────────────


def tagged(seq: int, tag: str, **others: Any) -> Deployment:
    return deployment(seq, **{"ref": f"refs/tags/{tag}", "trigger": "tag"} | others)


async def test_tags_stand_where_their_deployments_do(journal: Any) -> None:
    """A superseded one stands where the one in its place does."""
    ends = {"v1": State.DONE, "v2": State.FAILED, "v3": State.CANCELLED, "v4": State.UNKNOWN}
    for seq, (tag, end) in enumerate(ends.items(), 1):
        await record(journal, outcome(seq, tagged(seq, tag)))
        await journal.move(tagged(seq, tag).id, end)
    for seq in (5, 6, 7):
        await record(journal, outcome(seq, tagged(seq, f"v{seq}")))
    waiting = tagged(7, "v7").id

    found = await journal.tags(["app-web", "app-b"])

    assert (sorted(found["app-web"].deployed), found["app-web"].under_way) == (
        ["v1", "v4"], {"v5": waiting, "v6": waiting, "v7": waiting},
    )  # fmt: skip
    assert found["app-b"] == AppTags([], {})

    await journal.move(waiting, State.FAILED)
    assert sorted((await journal.tags(["app-web"]))["app-web"].deployed) == ["v1", "v4"]
    assert (await journal.tags(["app-web"]))["app-web"].under_way == {}


async def test_what_is_behind_a_newer_tag_is_requested_only_if_that_brought_up_nothing(
    journal: Any,
) -> None:
    for seq, end, becomes, note in (
        (1, State.DONE, "superseded", "deployment #1 brought up a newer tag"),
        (3, State.UNKNOWN, "superseded", "deployment #3 may have brought up a newer tag"),
        (5, State.FAILED, "waiting", "waits for its turn"),
        (7, State.CANCELLED, "waiting", "waits for its turn"),
    ):
        newer = tagged(seq, "v2", app_id=f"app-{end}")
        older = tagged(seq + 1, "v1", app_id=f"app-{end}", behind=newer.id)
        await record(journal, outcome(seq, newer))
        recorded = await record(journal, outcome(seq + 1, older))
        assert recorded.drop == ()  # it takes the place of nothing
        assert await journal.intend(newer.id, [], NO_GATES) is not None
        await journal.move(newer.id, end)

        intended = await journal.intend(older.id, [], NO_GATES)

        found = await journal.deployment(older.id)
        assert (found.state, found.note) == (becomes, note)
        assert (intended is not None) is (becomes == "waiting")
