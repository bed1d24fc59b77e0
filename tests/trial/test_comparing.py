"""The comparison itself: each lie that it is there to find is planted and found."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.trial.comparing import Outcome, Wanted, differences
from tests.trial.database import Record

SHA, OTHER = "a" * 40, "b" * 40
STARTED, FINISHED = "2026-11-26T20:00:01.000Z", "2026-11-26T20:00:02.000Z"


def claim(**changes: Any) -> dict[str, Any]:
    made = {
        "id": "0000000000000007.app",
        "app_id": "app",
        "action": "deploy",
        "state": "done",
        "delivery": "d-1",
        "commit": SHA,
        "deployed_commit": SHA,
        "backend_id": "r-1",
        "created_at": "2026-11-26T20:00:00.000Z",
        "asked_at": "2026-11-26T20:00:00.500Z",
        "started_at": STARTED,
        "finished_at": FINISHED,
        "note": "",
        "superseded_by": None,
    }
    return made | changes


def record(
    id_: str = "r-1", *, seen_at: float = 0.0, delivery: str = "d-1", **changes: Any
) -> Record:
    token = f"[br-{id_.encode().hex()}]"
    first = {
        "deploymentId": id_,
        "applicationId": "app",
        "composeId": None,
        "title": f"Deploy main {token}",
        "description": f"commit {SHA}; by push; delivery {delivery}; {token}",
        "status": "running",
        "createdAt": STARTED,
        "startedAt": STARTED,
        "finishedAt": None,
    }
    ended = {"status": "done", "description": f"Commit: {SHA}", "finishedAt": FINISHED}
    return Record(first, first | ended | changes, seen_at, seen_at)


CUT_OFF: dict[str, Any] = {"status": "cancelled", "finishedAt": None, "description": ""}
NOT_DEPLOYED: dict[str, Any] = {"deployed_commit": None}


def compare(claims: Any, records: Any, states: set[str] = {"done"}, **more: Any) -> list[str]:  # noqa: B006
    wanted = Wanted({"d-1": states}, live=more.pop("live", None))
    wanted.persons = more.pop("persons", set())
    wanted.reasons = more.pop("reasons", {})
    return differences(wanted, Outcome(claims, records, **more))


def test_what_is_true_has_no_difference() -> None:
    failed = claim(state="failed", note="no space left", **NOT_DEPLOYED)
    again = [record("r-0", **CUT_OFF), record()]

    assert compare([claim()], [record()], live=SHA) == []
    assert compare([claim()], again) == []
    assert compare([failed], [record(status="error")], {"failed"}) == []
    assert compare([], [], set()) == ["delivery d-1 made 0 deployments, not 1"]


def test_a_redeploy_builds_what_was_fetched_last() -> None:
    before = record("r-0", delivery="d-0", createdAt="2026-11-26T19:00:00.000Z")
    before.first["createdAt"] = before.last["createdAt"]
    again = record(description="")
    first = claim(id="1.app", delivery="d-0", backend_id="r-0")

    def told(commit: str | None) -> list[str]:
        mine = claim(action="redeploy", deployed_commit=commit)
        return differences(
            Wanted({"d-0": {"done"}, "d-1": {"done"}}), Outcome([first, mine], [before, again])
        )

    assert told(SHA) == []
    assert [one.partition(" ≠")[0] for one in told(OTHER)] == [
        f"done {SHA[:7]}: deployed_commit {OTHER}"
    ]


@pytest.mark.parametrize(
    ("claims", "records", "words"),
    [
        ([claim(state="running")], [record()], "it has not been told"),
        ([claim(deployed_commit=OTHER)], [record()], "deployed_commit"),
        ([claim(backend_id="r-2")], [record()], "backend_id"),
        ([claim(backend_id=None)], [record()], "backend_id"),
        ([claim(finished_at=STARTED)], [record()], "finished_at"),
        ([claim(started_at=None)], [record()], "started_at"),
        ([claim(asked_at="2026-11-26T20:00:09.000Z")], [record()], "is before asked_at"),
        ([claim()], [], "0 records of it that are done"),
        ([claim()], [record(status="error")], "0 records of it that are done"),
        ([claim()], [record(), record("r-2")], "2 records of it that are done"),
        ([claim()], [record(), record("r-2", status="error")], "and no restart ended it"),
        ([claim(), claim()], [record()], "made 2 deployments"),
        ([claim(), claim(id="9.app", delivery="d-2")], [record()], "an unwanted deployment"),
        ([claim()], [record(), record("r-2", delivery="d-9")], "is nobody's"),
        ([claim(state="failed", note="x", **NOT_DEPLOYED)], [record()], "record says done"),
        ([claim(state="cancelled", **NOT_DEPLOYED)], [record()], "of it is done"),
        ([claim(state="superseded")], [record()], "of it is done"),
        ([claim(state="unknown", **NOT_DEPLOYED)], [record()], "Dokploy can tell"),
    ],
)
def test_each_lie_is_found(claims: Any, records: Any, words: str) -> None:
    state = claims[0]["state"]

    assert any(words in one for one in compare(claims, records, {state}))


def test_an_honest_word_that_was_not_wanted_is_a_difference() -> None:
    found = compare([claim(state="unknown", **NOT_DEPLOYED)], [])

    assert found == ["unknown aaaaaaa: wanted done; Dokploy's records of it: none; note: "]


def test_what_the_database_cant_tell_may_be_unknown_and_nothing_else_may() -> None:
    stuck: dict[str, Any] = {"stuck": frozenset({"r-1"})}
    open_ = record(status="running", finishedAt=None, description="")
    unknown = claim(state="unknown", **NOT_DEPLOYED)

    assert compare([unknown], [open_], {"done", "unknown"}, **stuck) == []
    assert compare([unknown], [record(status="running", finishedAt=None)], {"unknown"}) != []


def test_what_had_ended_before_a_restart_is_not_built_again() -> None:
    ended, again = record("r-1", **CUT_OFF), record("r-2")
    stuck: dict[str, Any] = {"stuck": frozenset({"r-1"})}
    unknown, done = claim(state="unknown", **NOT_DEPLOYED), claim(backend_id="r-2")

    assert compare([unknown], [ended], {"unknown"}, **stuck) == []
    assert compare([done], [ended, again]) == []
    assert compare([done], [ended, again], **stuck) != []


def test_where_it_cant_be_told_who_has_built_the_commit_that_is_said_after_a_fault_alone() -> None:
    note = "the backend does not say whether this deployment or another one built it"
    doubtful = claim(backend_id=None, started_at=None, note=note)
    persons = record("r-2", title="Manual", description=f"Commit: {SHA}")
    lost = record("r-1", **CUT_OFF)
    told: dict[str, Any] = {"told_at": {doubtful["id"]: 1.0}, "harm_over_at": 1.0}

    assert compare([doubtful], [lost, persons], **told) == []
    assert "nothing went wrong" in compare([doubtful], [record()])[0]
    assert "nobody has built" in compare([doubtful], [lost], **told)[0]
    assert (
        "nobody has built" in compare([doubtful | {"deployed_commit": OTHER}], [persons], **told)[0]
    )


def test_the_closing_line_of_a_log_is_no_reason() -> None:
    closing = claim(state="failed", note="Error occurred, check the logs for details.")
    other = claim(state="failed", note="something else")
    error = [record(status="error")]

    for one in (closing, other):
        said = compare([one | NOT_DEPLOYED], error, {"failed"}, reasons={"d-1": "no space"})
        assert any("reason" in line for line in said)


def test_a_persons_record_may_not_be_claimed() -> None:
    theirs = record("r-9")
    theirs.first["title"], theirs.first["description"] = "by hand", ""

    assert compare([claim()], [theirs, record()], persons={"by hand"}) == []
    assert compare([claim(backend_id="r-9")], [theirs, record()], persons={"by hand"}) != []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            lambda: compare([claim()], [record()], told_at={claim()["id"]: 62.0}, harm_over_at=1.0),
            "told",
        ),
        (lambda: compare([claim()], [record(seen_at=80)], harm_over_at=1.0), "asked for again"),
        (lambda: compare([claim()], [record()], live=OTHER), "live is"),
    ],
)
def test_what_comes_late_or_is_not_live_is_a_difference(
    found: Callable[[], list[str]], words: str
) -> None:
    assert any(words in one for one in found())


def test_a_token_that_is_used_twice_is_found() -> None:
    again = record("r-2", delivery="d-1", **CUT_OFF)
    again.first["title"] = record().first["title"]
    again.first["description"] = record().first["description"]

    assert any("the same token" in one for one in compare([claim()], [again, record()]))
