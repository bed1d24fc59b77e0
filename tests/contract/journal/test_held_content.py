"""The `Journal` port: what held deployments are compared with, and what they propose."""

from dataclasses import replace
from typing import Any

from bridge.core.apps import Rules
from bridge.core.events import Action
from bridge.core.gates.approvals import SAME, Approval
from bridge.core.gates.order import Earlier
from bridge.core.health.serving import Look
from bridge.core.holds import Gate, Hold, Proposal
from bridge.core.lifecycle import State
from bridge.ports.gates import CommitAt, Judging
from bridge.storage.journal.deployment_rows import holds_text, read_holds
from tests.fakes.journey import HEAD, NO_GATES, ManualClock, app, deployment
from tests.worlds.journal import outcome, record

OLD, OTHER = "a" * 40, "d" * 40
AT = CommitAt("github", "my-org/mono", HEAD, "main")
STRICT = replace(NO_GATES.app, rules=Rules(approvals=2))
PROPOSAL = Proposal(
    HEAD, "fix: the cart", "Eve", OLD, 2, ("web/a", "web/b"), (), ("eve@x.org",), by=("github",)
)


async def ended(journal: Any, seq: int, state: State, commit: str, **facts: Any) -> None:
    one = deployment(seq, "app-api", **facts)
    await record(journal, outcome(seq, one, explicit=True))
    if state in (State.DONE, State.UNHEALTHY):
        await journal.move(one.id, State.VERIFYING, "", live_at=float(seq), finished_at=float(seq))
    await journal.move(one.id, state, "", deployed_commit=commit)


async def api(journal: Any) -> Any:
    (found,) = (await journal.earlier({"shop/api": "app-api", "shop/nowhere": ""})).items()
    assert found[0] == "shop/api"
    return found[1]


async def test_an_earlier_app_is_judged_by_what_it_serves(journal: Any) -> None:
    await journal.save_apps("dokploy", [app("app-api")])
    assert await api(journal) == Earlier("app-api", served=[])

    await ended(journal, 1, State.DONE, OLD)
    await ended(journal, 2, State.FAILED, OTHER)
    await ended(journal, 3, State.CANCELLED, HEAD)

    found = await api(journal)
    assert found.serving.commit == OLD
    assert (found.newest.seq, found.commits) == (2, [OLD])

    await ended(journal, 4, State.UNHEALTHY, OTHER)
    await ended(journal, 5, State.DONE, OLD, action=Action.ROLLBACK)
    found = await api(journal)
    assert found.serving.rolled_back
    assert found.commits == [OLD, OTHER], "after a rollback, what it left is compared too"

    look = Look(9.0, deployment(5, "app-api").id, record="r", commit=HEAD, since=8.0)
    await journal.save_look("app-api", look)
    found = await api(journal)
    assert found.commits[0] == HEAD, "as is what somebody has deployed by hand"
    assert found.since == 8.0


async def test_a_hold_keeps_what_an_approval_would_be_for(journal: Any, clock: ManualClock) -> None:
    await record(journal, outcome(1, deployment(1)))
    await journal.approve(Approval("app-web", OLD, "github:grace", "Grace", "", clock.now))
    compared = {("app-web", OLD): SAME}
    by = Judging(STRICT, head=AT, compared=compared, proposal=replace(PROPOSAL, since=0.0))

    held = await journal.judge(deployment(1).id, by)

    (hold,) = held.holds
    assert hold.proposal == replace(PROPOSAL, same=(OLD,), since=0.0)
    assert hold.says == "needs 2 approvals of ccccccc, has 1; approved by Grace"
    assert (await journal.deployment(held.id)).holds == held.holds


def test_holds_of_an_earlier_version_are_read() -> None:
    text = (
        '[{"gate": "approval", "key": "approval:c", "says": "needs 1 approval",'
        ' "may_lift": "approve", "until": null, "changes_at": null}]'
    )

    (hold,) = read_holds(text)

    assert (hold.gate, hold.proposal, hold.warns) == (Gate.APPROVAL, None, "")
    newer = Hold(hold.gate, hold.key, hold.says, hold.may_lift, proposal=PROPOSAL, warns="mind")
    assert read_holds(holds_text([newer])) == (newer,)
