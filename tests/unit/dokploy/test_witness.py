"""A refused key is judged by evidence, not by its one answer."""

import pytest

from bridge.backends.dokploy.witness import (
    ALONE,
    STEADY,
    DatabaseAway,
    KeyStanding,
    Verdict,
    Witness,
    error_of,
    witness_in,
)
from bridge.core.errors import KeyRefused, Refused, Unreachable

WELL = b'{"result":{"data":{"json":{"status":"ok"}}}}'
GONE = (
    b'{"error":{"json":{"message":"Failed query: SELECT 1\\nparams: ","code":-32603,'
    b'"data":{"code":"INTERNAL_SERVER_ERROR","httpStatus":500,"path":"settings.health"}}}}'
)


@pytest.mark.parametrize(
    ("status", "body", "witness"),
    [
        (200, WELL, Witness.WELL),
        (500, GONE, Witness.AWAY),
        (502, b"<html>Bad gateway</html>", Witness.AWAY),
        (404, b'{"error":{"json":{"message":"No procedure found"}}}', Witness.NONE),
        (401, b'{"message":"Unauthorized"}', Witness.NONE),
        (200, b"<html>Dokploy</html>", Witness.NONE),
        (200, b'"result"', Witness.NONE),
    ],
)
def test_the_witness_tells_how_the_database_is(status: int, body: bytes, witness: Witness) -> None:
    assert witness_in(status, body) is witness


@pytest.mark.parametrize("worked", [True, False])
def test_while_the_database_is_away_no_key_is_at_fault(worked: bool) -> None:
    key = KeyStanding(worked=worked)

    verdicts = {key.refused(at, at + 0.1, Witness.AWAY) for at in range(0, 10_000, 100)}

    assert verdicts == {Verdict.DATABASE}


def test_a_key_that_worked_is_at_fault_only_after_a_while() -> None:
    key = KeyStanding(worked=True)

    assert key.refused(0, 0.1, Witness.WELL) is Verdict.RECENT
    assert key.refused(STEADY - 1, STEADY - 0.9, Witness.WELL) is Verdict.RECENT
    assert key.refused(STEADY + 1, STEADY + 1.1, Witness.WELL) is Verdict.KEY


def test_a_key_that_never_worked_is_at_fault_once_refused_between_two_good_words() -> None:
    key = KeyStanding()

    # The database may have come back between the refusal and the witness.
    assert key.refused(0, 0.1, Witness.WELL) is Verdict.RECENT
    assert key.refused(0.05, 0.2, Witness.WELL) is Verdict.RECENT
    assert key.refused(0.3, 0.4, Witness.WELL) is Verdict.KEY


@pytest.mark.parametrize("other", [Witness.AWAY, Witness.SILENT, Witness.NONE])
def test_every_other_word_of_the_witness_begins_the_time_anew(other: Witness) -> None:
    key = KeyStanding(worked=True)
    key.refused(0, 0.1, Witness.WELL)
    key.refused(STEADY, STEADY + 0.1, other)

    assert key.refused(STEADY + 1, STEADY + 1.1, Witness.WELL) is Verdict.RECENT
    assert key.refused(2 * STEADY + 2, 2 * STEADY + 2.1, Witness.WELL) is Verdict.KEY


def test_a_witness_that_falls_silent_has_not_taken_back_its_word() -> None:
    """While the database is away that question may be left without an answer, too."""
    key = KeyStanding()

    assert key.heard(Witness.SILENT) is Witness.SILENT
    assert key.heard(Witness.AWAY) is Witness.AWAY
    assert key.heard(Witness.SILENT) is Witness.AWAY
    key.accepted()
    assert key.heard(Witness.SILENT) is Witness.SILENT


def test_one_yes_forgets_all_refusals() -> None:
    key = KeyStanding(worked=True)
    key.refused(0, 0.1, Witness.WELL)
    key.accepted()

    assert key.refused(STEADY + 1, STEADY + 1.1, Witness.WELL) is Verdict.RECENT


def test_without_a_witness_only_time_tells() -> None:
    key = KeyStanding()

    assert key.refused(0, 0.1, Witness.NONE) is Verdict.DOUBT
    assert key.refused(ALONE - 1, ALONE - 0.9, Witness.NONE) is Verdict.DOUBT
    assert key.refused(ALONE, ALONE + 0.1, Witness.NONE) is Verdict.KEY


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("worked", [True, False])
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
