"""A refused key is judged by evidence, not by its one answer."""

import pytest

from bridge.backends.dokploy.key_check import (
    ALONE,
    STEADY,
    DatabaseAway,
    DatabaseState,
    KeyHistory,
    Verdict,
    error_of,
    state_in,
)
from bridge.core.errors import KeyRefused, Refused, Unreachable
from tests.worlds.rows import each_row

WELL = b'{"result":{"data":{"json":{"status":"ok"}}}}'
GONE = (
    b'{"error":{"json":{"message":"Failed query: SELECT 1\\nparams: ","code":-32603,'
    b'"data":{"code":"INTERNAL_SERVER_ERROR","httpStatus":500,"path":"settings.health"}}}}'
)


@each_row(
    ("status", "body", "state"),
    [
        (200, WELL, DatabaseState.WELL),
        (500, GONE, DatabaseState.AWAY),
        (502, b"<html>Bad gateway</html>", DatabaseState.AWAY),
        (404, b'{"error":{"json":{"message":"No procedure found"}}}', DatabaseState.NONE),
        (401, b'{"message":"Unauthorized"}', DatabaseState.NONE),
        (200, b"<html>Dokploy</html>", DatabaseState.NONE),
        (200, b'"result"', DatabaseState.NONE),
    ],
)
def test_the_answer_tells_the_state_of_the_database(
    status: int, body: bytes, state: DatabaseState
) -> None:
    assert state_in(status, body) is state


@pytest.mark.parametrize("worked", [True, False])
def test_while_the_database_is_away_no_key_is_at_fault(worked: bool) -> None:
    key = KeyHistory(worked=worked)

    verdicts = {key.refused(at, at + 0.1, DatabaseState.AWAY) for at in range(0, 10_000, 100)}

    assert verdicts == {Verdict.DATABASE}


def test_a_key_that_worked_is_at_fault_only_after_a_while() -> None:
    key = KeyHistory(worked=True)

    assert key.refused(0, 0.1, DatabaseState.WELL) is Verdict.RECENT
    assert key.refused(STEADY - 1, STEADY - 0.9, DatabaseState.WELL) is Verdict.RECENT
    assert key.refused(STEADY + 1, STEADY + 1.1, DatabaseState.WELL) is Verdict.KEY


def test_a_key_that_never_worked_is_at_fault_once_refused_between_two_good_words() -> None:
    key = KeyHistory()

    # The database may have come back between the refusal and the witness.
    assert key.refused(0, 0.1, DatabaseState.WELL) is Verdict.RECENT
    assert key.refused(0.05, 0.2, DatabaseState.WELL) is Verdict.RECENT
    assert key.refused(0.3, 0.4, DatabaseState.WELL) is Verdict.KEY


@pytest.mark.parametrize("other", [DatabaseState.AWAY, DatabaseState.SILENT, DatabaseState.NONE])
def test_every_other_word_of_the_witness_begins_the_time_anew(other: DatabaseState) -> None:
    key = KeyHistory(worked=True)
    key.refused(0, 0.1, DatabaseState.WELL)
    key.refused(STEADY, STEADY + 0.1, other)

    assert key.refused(STEADY + 1, STEADY + 1.1, DatabaseState.WELL) is Verdict.RECENT
    assert key.refused(2 * STEADY + 2, 2 * STEADY + 2.1, DatabaseState.WELL) is Verdict.KEY


def test_a_witness_that_falls_silent_has_not_taken_back_its_word() -> None:
    """While the database is away that question may be left without an answer, too."""
    key = KeyHistory()

    assert key.heard(DatabaseState.SILENT) is DatabaseState.SILENT
    assert key.heard(DatabaseState.AWAY) is DatabaseState.AWAY
    assert key.heard(DatabaseState.SILENT) is DatabaseState.AWAY
    key.accepted()
    assert key.heard(DatabaseState.SILENT) is DatabaseState.SILENT


def test_one_yes_forgets_all_refusals() -> None:
    key = KeyHistory(worked=True)
    key.refused(0, 0.1, DatabaseState.WELL)
    key.accepted()

    assert key.refused(STEADY + 1, STEADY + 1.1, DatabaseState.WELL) is Verdict.RECENT


def test_without_a_witness_only_time_tells() -> None:
    key = KeyHistory()

    assert key.refused(0, 0.1, DatabaseState.NONE) is Verdict.DOUBT
    assert key.refused(ALONE - 1, ALONE - 0.9, DatabaseState.NONE) is Verdict.DOUBT
    assert key.refused(ALONE, ALONE + 0.1, DatabaseState.NONE) is Verdict.KEY


@each_row("verdict", Verdict)
@each_row("worked", [True, False])
def test_no_verdict_is_a_no_so_that_what_waits_goes_on_waiting(
    verdict: Verdict, worked: bool
) -> None:
    error = error_of(verdict, "dokploy", worked=worked, auth="api-key")

    assert isinstance(error, Unreachable)
    assert not isinstance(error, Refused)


def test_each_verdict_says_what_is_wrong_and_what_to_do() -> None:
    away = error_of(Verdict.DATABASE, "dokploy", worked=True, auth="api-key")
    assert isinstance(away, DatabaseAway)
    assert "its own database is away" in str(away)

    doubt = error_of(Verdict.DOUBT, "dokploy", worked=True, auth="api-key")
    assert "the API key, which worked before, or its database is away" in str(doubt)

    recent = error_of(Verdict.RECENT, "dokploy", worked=True, auth="api-key")
    assert "though its database is well" in str(recent)
    assert not isinstance(recent, KeyRefused)

    exhausted = error_of(Verdict.KEY, "dokploy", worked=True, auth="api-key")
    assert isinstance(exhausted, KeyRefused)
    assert "exhausted" in str(exhausted)
    assert "rateLimitEnabled: false" in str(exhausted)
    assert "BRIDGE_DOKPLOY_API_KEY" in str(exhausted)

    wrong = error_of(Verdict.KEY, "prod", worked=False, auth="api-key")
    assert "wrong, disabled, expired or exhausted" in str(wrong)
    assert "backends.prod.api_key" in str(wrong)

    bearer = error_of(Verdict.KEY, "dokploy", worked=False, auth="bearer")
    assert "auth: api-key" in str(bearer)
