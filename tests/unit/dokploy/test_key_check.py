"""A refused key is judged by evidence, not by its one answer; and what the server's clock says."""

from email.utils import formatdate

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.backends.dokploy.key_check import (
    ALONE,
    STEADY,
    DatabaseAway,
    DatabaseState,
    KeyHistory,
    ServerClock,
    Verdict,
    error_of,
    state_in,
)
from bridge.backends.dokploy.key_check import PATH as WITNESS
from bridge.core.errors import KeyRefused, Refused, Unreachable
from bridge.ports.clock import RATE
from tests.fakes.journey import ManualClock
from tests.unit.dokploy.conftest import GONE, WELL, ok, trpc
from tests.worlds.rows import each_row

SAYS_WELL = b'{"result":{"data":{"json":{"status":"ok"}}}}'
SAYS_GONE = (
    b'{"error":{"json":{"message":"Failed query: SELECT 1\\nparams: ","code":-32603,'
    b'"data":{"code":"INTERNAL_SERVER_ERROR","httpStatus":500,"path":"settings.health"}}}}'
)


@each_row(
    ("status", "body", "state"),
    [
        (200, SAYS_WELL, DatabaseState.WELL),
        (500, SAYS_GONE, DatabaseState.AWAY),
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


@each_row("other", [DatabaseState.AWAY, DatabaseState.SILENT, DatabaseState.NONE])
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


# ── a witness that needs no key ────────────────────────────────────────────────


UNAUTHORIZED = httpx.Response(401, json={"message": "Unauthorized"})


async def test_a_read_that_had_its_time_is_not_tried_again(dokploy, table, web) -> None:
    """An answer takes 6 to 25 s while the database is away: three of them are a minute."""
    table.replies["deployment.all"] = httpx.ReadTimeout("slow")

    with pytest.raises(Unreachable, match="did not answer in time"):
        await dokploy.deployments(web)
    assert table.paths == ["deployment.all", WITNESS]

    table.replies[WITNESS] = GONE
    table.now += 60
    with pytest.raises(DatabaseAway):
        await dokploy.deployments(web)


async def test_the_witness_is_asked_without_the_key_and_only_when_one_is_refused(
    dokploy, table, web
) -> None:
    table.replies["deployment.all"] = [ok([]), UNAUTHORIZED]
    table.replies[WITNESS] = GONE

    await dokploy.deployments(web)
    assert table.paths == ["deployment.all"]

    with pytest.raises(DatabaseAway):
        await dokploy.deployments(web)
    assert table.paths == ["deployment.all"] * 2 + [WITNESS]
    assert "x-api-key" not in table.requests[-1].headers


async def test_a_key_that_worked_is_refused_once_that_has_lasted(dokploy, table, web) -> None:
    table.replies["deployment.all"] = [ok([]), UNAUTHORIZED]
    table.replies[WITNESS] = WELL

    await dokploy.deployments(web)
    with pytest.raises(Unreachable, match="though its database is well") as caught:
        await dokploy.deployments(web)
    assert not isinstance(caught.value, KeyRefused)

    table.now += 31
    with pytest.raises(KeyRefused, match="rateLimitEnabled: false"):
        await dokploy.deployments(web)


async def test_a_no_of_dokploys_own_shows_that_the_key_works(dokploy, table, web) -> None:
    table.replies["application.deploy"] = [
        trpc(404, "Application not found", "NOT_FOUND"),
        UNAUTHORIZED,
    ]
    table.replies[WITNESS] = WELL

    with pytest.raises(Refused):
        await dokploy.deploy(web, title="", description="")
    for _ in range(2):  # one that never worked is refused by now
        with pytest.raises(Unreachable, match="that may pass"):
            await dokploy.deploy(web, title="", description="")


async def test_a_wrong_key_is_told_by_the_very_first_read(dokploy, table, web) -> None:
    """A read is tried again, so it is refused between two words that the database is well."""
    table.replies["deployment.all"] = UNAUTHORIZED
    table.replies[WITNESS] = WELL

    with pytest.raises(KeyRefused, match="wrong, disabled"):
        await dokploy.deployments(web)
    assert table.paths.count("deployment.all") == 2


# ── how far a server's clock is ahead of ours ──────────────────────────────────


drifts = st.lists(
    st.tuples(st.floats(0.05, 30.0), st.floats(-RATE, RATE), st.floats(0.0, 5.0)),
    min_size=1,
    max_size=60,
)
"""Of each answer: seconds since the one before, how our clock went meanwhile, how long it took."""


def ahead_of(server: ServerClock, moment: float) -> float:
    """How far it is ahead, which is known by now."""
    ahead = server.ahead(moment)
    assert ahead is not None
    return ahead


@given(ahead=st.floats(-1e6, 1e6), drifts=drifts)
def test_it_never_counts_as_more_ahead_than_it_was(
    ahead: float, drifts: list[tuple[float, float, float]]
) -> None:
    clock, theirs = ManualClock(), 1_800_000_000.0
    clock.now = theirs - ahead
    server, moments = ServerClock(clock), []
    for seconds, drift, took in drifts:
        sent = formatdate(theirs + seconds, usegmt=True)
        theirs += seconds + took
        clock.now += (seconds + took) * (1 + drift)
        server.note({"date": sent})
        moments.append((clock.now, theirs - clock.now))

    for moment, real in moments:
        assert ahead_of(server, moment) <= real + 1e-3


@each_row("by", [3600.0, -3600.0])
def test_a_clock_that_is_set_anew_is_believed_at_once(by: float) -> None:
    clock = ManualClock()
    server = ServerClock(clock)
    for _ in range(50):
        clock.now += 0.25
        server.note({"date": formatdate(clock.now, usegmt=True)})
    clock.now += 0.25
    server.note({"date": formatdate(clock.now + by, usegmt=True)})

    assert by - 1 <= ahead_of(server, clock.now) <= by


@each_row(
    "headers", [{}, {"date": "yesterday"}, {"date": formatdate(9e9, usegmt=True), "age": "60"}]
)
def test_what_tells_no_time_changes_nothing(headers: dict[str, str]) -> None:
    server = ServerClock(ManualClock())
    server.note(headers)

    assert server.ahead(0.0) is None
