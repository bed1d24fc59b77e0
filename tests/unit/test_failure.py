"""Why a build failed: from the end of its log to one line, and to the lines worth showing."""

import json
from pathlib import Path
from time import process_time

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.failing_line import bare
from bridge.core.failure import EXCERPT_LINES, LONGEST_LINE, LONGEST_REASON, failure_in
from bridge.core.masking import Mask
from tests.worlds.rows import each_row

LOGS = Path(__file__).parents[1] / "fixtures" / "build_logs"
REASONS: dict[str, str] = json.loads((LOGS / "reasons.json").read_text())
CLOSING = "Error occurred ❌, check the logs for details."


def log_of(name: str) -> str:
    return (LOGS / f"{name}.log").read_bytes().decode()


@each_row("name", REASONS)
def test_the_reason_is_the_line_that_says_it_and_stands_in_the_excerpt(name: str) -> None:
    failure = failure_in(log_of(name))
    lines = failure.excerpt.split("\n")

    assert failure.reason == REASONS[name]
    assert failure_in(failure.excerpt).excerpt == failure.excerpt
    assert len(lines) <= EXCERPT_LINES
    assert "❌ Docker" not in failure.excerpt
    assert CLOSING not in failure.excerpt
    assert "params" not in failure.excerpt  # of the backend's own SQL
    assert not any("\x1b" in line or "\r" in line for line in lines)
    if "the log gives no reason" not in failure.reason and "database" not in failure.reason:
        told = [" ".join(bare(line).split()) for line in lines]
        assert not failure.excerpt or any(line[:60] in failure.reason for line in told if line)
    logs = {str(path.relative_to(LOGS).with_suffix("")) for path in LOGS.glob("*/*.log")}
    assert logs == REASONS.keys()


def test_an_error_far_above_the_end_is_in_the_excerpt_as_well() -> None:
    advice = "".join(f"  advice {number}\n" for number in range(40))
    log = f"Error: no plan for this app.\n{advice}❌ Nixpacks build failed\n\n{CLOSING}\n"

    failure = failure_in(log)

    assert failure.reason == "Error: no plan for this app."
    assert failure.excerpt.startswith("Error: no plan for this app.\n  advice 0\n")
    assert failure.excerpt.endswith("…\n  advice 39")


def test_a_log_that_says_nothing_claims_no_reason_and_a_long_one_is_cut_in_its_middle() -> None:
    empty = "the build failed; its log is empty: it was cleared, or nothing was written"
    open_end = "the log gives no reason; it stops after: #2 [1] FROM scratch"
    verdict = "❌ Docker build failed"

    assert {failure_in(log).reason for log in ("", "\n", f"\n{CLOSING}\n")} == {empty}
    assert failure_in("Initializing deployment\n#2 [1] FROM scratch\n").reason == open_end
    assert failure_in(f"{verdict}\n\n{CLOSING}\n").reason == verdict
    reason = failure_in(f"ERROR: {'x' * 2000} exit code: 7\n\n{CLOSING}\n").reason

    assert len(reason) <= LONGEST_REASON
    assert reason.startswith("ERROR: x")
    assert reason.endswith("exit code: 7")


def test_the_records_own_error_is_the_reason() -> None:
    log = f"#1 well\nports are taken\n{CLOSING}\n"

    assert failure_in(log, "npm ci: lock file missing").reason == "npm ci: lock file missing"
    assert failure_in(log, "API_TOKEN=t0ps3cret is refused").reason == "API_TOKEN=*** is refused"
    assert failure_in(log, "ports are taken").reason == "ports are taken"


def test_an_error_that_only_points_to_the_log_is_no_reason() -> None:
    log = log_of("written/embedded_branch_missing")

    pointing = "git clone did not work; its own words are in the log"
    gone = "fatal: Remote branch gone not found in upstream origin"

    assert failure_in(log, pointing).reason == gone
    moved = f"{pointing}. If they name error 301, the repository has moved"
    assert failure_in(log.replace(pointing, moved), moved).reason == gone


def test_secrets_are_hidden_also_where_colours_cut_them_up() -> None:
    log = "\x1b[31merror: NPM_\x1b[0mTOKEN=npm_0123456789abcdefghijABCDEFGHIJ012345 is refused\n"

    failure = failure_in(log)

    assert failure.reason == "error: NPM_TOKEN=*** is refused"
    assert "npm_0" not in failure.excerpt


BEGIN = "-----BEGIN PRIVATE KEY-----"
PIECE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDC7u3b4oXk0aZ9"


ACCESS_DENIED = "SQLSTATE[HY000] [1045] Access denied for user 'root'@'db' (using password: NO)"
GCC = "error: command '/usr/bin/gcc -pthread -I/usr/include/mysql -pipe -c x.c' failed"


@each_row(
    ("log", "reason"),
    [
        (ACCESS_DENIED, ACCESS_DENIED),
        (GCC, GCC),
        ("Error: STRIPE_SECRET_KEY: missing", "Error: STRIPE_SECRET_KEY: missing"),
        ("cannot reach the blue whale of 9\nall else is well", "*** of 9"),
        ("$ run the blue whale\nmissing: the blue whale\nthat is all", "missing: ***"),
        (f'ValueError: no start "{BEGIN}" found\nend', f'ValueError: no start "{BEGIN}" found'),
        (f"{BEGIN}\n{PIECE}\nfailedQ5A=", "***"),
        ("PASSWORD:\n  failed-by-7", "***"),
        ("RUN SECRET_KEY=build x.py\nerror: no script build", "error: no script build"),
        ("error: no\nCaused by:\n  0: no token\n  1: the blue whale is no", "error: no: *** is no"),
    ],
)
def test_the_reason_is_chosen_before_anything_is_hidden(log: str, reason: str) -> None:
    mask = Mask([("DB_PASSWORD", "cannot reach the blue whale"), ("A_SECRET", "the blue whale")])

    failure = failure_in(f"step 1\n{log}\n\n{CLOSING}\n", mask=mask)

    assert failure.reason == reason
    shown = failure.reason + failure.excerpt
    assert not [one for one in ("blue", PIECE, "Q5A", "by-7") if one in shown]
    assert "***\n***" not in failure.excerpt


LINES = st.lists(st.text(max_size=40) | st.sampled_from(["", "------", "Traceback", CLOSING]))


@given(LINES.map("\n".join), st.none() | st.text(max_size=50))
def test_any_log_has_a_reason_of_one_line_within_its_limits(log: str, error: str | None) -> None:
    failure = failure_in(log, error)

    assert failure.reason or error
    assert len(failure.reason) <= LONGEST_REASON
    assert len(failure.reason.splitlines()) <= 1
    lines = failure.excerpt.split("\n")
    assert len(lines) <= EXCERPT_LINES
    assert all(len(line) <= LONGEST_LINE for line in lines)


@each_row(
    "line",
    [
        *("error " * 9000, 'process "' * 6000, "a." * 25_000, "x" * 50_000, "\x1b[" * 25_000),
        *("Dockerfile:1\n--------------------\n" * 1400, "❌ " + "a " * 25_000),
    ],
)
def test_no_log_takes_long(line: str) -> None:
    began = process_time()

    failure_in(f"{line}\n{CLOSING}\n")

    assert process_time() - began < 1.0
