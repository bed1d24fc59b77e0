"""Finding the backend's record of a deployment that we asked for."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.events import Action
from bridge.core.failure import failure_in
from bridge.core.people import Origin
from bridge.core.tracking import (
    CLOCKS_DIFFER,
    CLOSING,
    Match,
    Seen,
    description_of,
    end_in,
    marked,
    match,
    title_of,
    token_for,
    within,
)
from tests.fakes.journey import HEAD, deployment
from tests.worlds.rows import each_row

OURS = deployment(known_before=("old-1", "old-2"))
TOKEN = OURS.token
OTHERS = token_for("another bridge", OURS.id)


def record(id_: str = "new", **others: Any) -> Seen:
    """A record that has ended and whose title was overwritten."""
    seen = Seen(id_, f"feat: a commit Commit: {HEAD}", running=False, commit=HEAD, created_at=1.0)
    return replace(seen, **others)


def running(id_: str = "new", text: str = f"Deploy main {TOKEN}", **others: Any) -> Seen:
    return record(id_, text=text, running=True, commit=None, **others)


OLD = [record("old-2", created_at=0.5), record("old-1", created_at=0.1)]


@each_row(
    ("point", "records", "found"),
    [
        ("nothing is there", [], None),
        ("our token while it runs", [running(), *OLD], "new"),
        ("our token in the description", [running(text=f"x; {TOKEN} y")], "new"),
        ("our token on a failed clone", [record(text=TOKEN, commit=None), record("b")], "new"),
        ("an overwritten title with our commit", [record(), *OLD], "new"),
        ("an ended one that was never overwritten", [record(commit=None), *OLD], None),
        ("what runs under another title", [running(text="by hand"), *OLD], None),
        ("what runs for another bridge", [running(text=f"Deploy {OTHERS}")], None),
        ("what another bridge asked for and has ended", [record(text=OTHERS)], None),
        ("what began long before we asked", [record(created_at=-60.0)], None),
        ("what another deployment of ours is known by", [record("pinned")], None),
        ("ours beside a foreign one that runs", [running("a", text="by hand"), record()], "new"),
        ("our token though it was known before", [record("old-1", text=TOKEN)], "old-1"),
        ("our token though it began before", [record(text=TOKEN, created_at=0.1)], "new"),
    ],
)
def test_ours_is_found_by(point: str, records: list[Seen], found: str | None) -> None:
    seen = match(OURS, records, intended=1.0, pinned={"pinned"})

    assert (seen.ours and seen.ours.id, seen.doubtful) == (found, ()), point


@each_row(
    ("point", "records", "doubtful"),
    [
        ("one that began before we asked by another clock", [record(created_at=0.9)], ["new"]),
        ("another beside it", [record("a", created_at=2.0), record(created_at=0.9)], ["a", "new"]),
        (
            "several, the newest first",
            [record("a", created_at=2.0), record("b", commit="d" * 40, created_at=3.0)],
            ["b", "a"],
        ),
    ],
)
def test_what_may_be_ours_or_not_is_told_as_such(
    point: str, records: list[Seen], doubtful: list[str]
) -> None:
    seen = match(OURS, records, intended=1.0)

    assert (seen.ours, [one.id for one in seen.doubtful]) == (None, doubtful), point


@each_row(
    ("point", "began", "found", "untimely"),
    [
        ("none began meanwhile", [1.0, 9.0], None, True),
        ("one began meanwhile", [1.0, 5.0, 9.0], 5.0, False),
        ("two began meanwhile", [1.0, 5.0, 6.0], None, False),
    ],
)
def test_ours_began_when_the_queue_shows_it(
    point: str, began: list[float], found: float | None, untimely: bool
) -> None:
    records = [record(str(at), created_at=at) for at in began]

    seen = match(OURS, records, intended=0.0, window=(4.0, 7.0))

    assert seen.ours == (None if found is None else record(str(found), created_at=found)), point
    assert len(seen.doubtful) == (len(began) if found is None else 0)
    assert seen.untimely is untimely


def test_only_a_pinned_one_is_found_whatever_its_title_says_and_no_other_stands_in_for_it() -> None:
    pinned, mine = replace(OURS, backend_id="mine"), record("mine", commit="d" * 40)

    assert match(pinned, [record("other"), mine], intended=0.0) == Match(mine)
    assert match(pinned, [record("other")], intended=0.0) == Match()
    assert match(replace(OURS, action=Action.REDEPLOY), [record()], intended=0.0) == Match()


def test_without_a_token_nothing_is_ours_for_sure() -> None:
    assert not marked(replace(OURS, token=""), record())
    assert not marked(OURS, record())
    assert marked(OURS, running())
    assert marked(replace(OURS, backend_id="new"), record())


ids = st.sampled_from(["old-1", "old-2", "a", "b", "c", "d"])
texts = st.sampled_from(
    ["", "by hand", f"Deploy {OTHERS}", f"Commit: {HEAD}", "[br-", "[br-xyz]"]
) | st.text(max_size=20)
seen = st.builds(
    Seen, ids, texts, st.booleans(), st.sampled_from([None, HEAD, "d" * 40]), st.floats(0, 100)
)
listings = st.lists(seen, max_size=6, unique_by=lambda one: one.id)
enough = settings(max_examples=50)


@enough
@given(listings, st.floats(0, 100))
def test_what_was_there_before_or_runs_unmarked_or_is_anothers_is_never_ours(
    records: list[Seen], intended: float
) -> None:
    found = match(OURS, records, intended=intended)

    for one in [*found.doubtful, *([] if found.ours is None else [found.ours])]:
        assert one in records
        assert one.id not in OURS.known_before
        assert not one.running
        assert OTHERS not in one.text
        assert one.created_at >= intended - CLOCKS_DIFFER
    if found.ours is not None and not marked(OURS, found.ours):
        assert found.ours.created_at >= intended
    distinct = list({one.created_at: one for one in records}.values())  # in whatever order
    assert match(OURS, distinct, intended=0.0) == match(OURS, distinct[::-1], intended=0.0)


@given(st.text(), st.text(), st.text(), st.text())
def test_a_token_is_the_same_at_every_try_and_no_one_elses(
    bridge: str, other: str, one: str, two: str
) -> None:
    token = token_for(bridge, one)

    assert token == token_for(bridge, one)
    assert token.isascii()
    assert (token == token_for(other, one)) == (bridge == other)
    assert (token == token_for(bridge, two)) == (one == two)


@given(ref=st.none() | st.text(max_size=300), commit=st.none() | st.just(HEAD))
def test_title_and_description_always_hold_the_token(ref: str | None, commit: str | None) -> None:
    asked = replace(OURS, ref=ref, commit=commit)

    assert title_of(asked).endswith(TOKEN)
    assert description_of(asked).endswith(TOKEN)
    assert len(title_of(asked)) < 250


def test_title_and_description_tell_people_what_it_is() -> None:
    ada = Origin.read("cli: ada")
    tagged = replace(OURS, ref="refs/tags/v1", action=Action.REDEPLOY, origin=ada)

    assert title_of(OURS) == f"Deploy main@ccccccc {TOKEN}"
    assert title_of(tagged) == f"Rebuild v1@ccccccc {TOKEN}"
    assert description_of(tagged) == f"commit {HEAD}; by cli: ada; delivery delivery-1; {TOKEN}"


lines = st.lists(st.text(st.characters(exclude_characters="\n"), max_size=20), max_size=5)
QUERY = 'Failed query: update "deployment" set "status" = $1\nparams: done,2026-11-26T20:10:00.000Z'


@enough
@given(lines, lines, st.sampled_from(["#12 RUN make", "echo 'Error occurred'", "x"]))
def test_a_log_tells_of_its_end_only_where_it_says_so(
    before: list[str], after: list[str], last: str
) -> None:
    closed = f"{CLOSING}, check the logs for details."
    for ends, more in (
        (True, [closed, ""]),
        (True, [QUERY, *after]),  # that the build was done was to be kept
        (True, [QUERY, *after, closed, ""]),
        (False, [CLOSING, last]),
    ):
        log = "\n".join([*before, *more])
        assert end_in(log, failure_in(log)).ended is ends


@given(st.floats(-1e10, 1e10), st.floats(0, 1e9), st.floats(0, 1e9))
def test_no_time_of_a_backend_is_before_what_came_before_or_after_now(
    told: float, asked: float, more: float
) -> None:
    assert asked <= within(told, asked, asked + more) <= asked + more
