"""What a backend's records and the looks at it say of a deployment that we asked for."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.events import Action
from bridge.core.failure import failure_in
from bridge.core.lifecycle import LOSABLE, Deployment, State
from bridge.core.people import Origin
from bridge.core.tracking import (
    CLOCKS_DIFFER,
    CLOSING,
    Match,
    Seen,
    Shown,
    Sight,
    Timing,
    Verdict,
    description_of,
    end_in,
    marked,
    match,
    title_of,
    token_for,
    verdict,
    within,
)
from tests.fakes.journey import HEAD, deployment
from tests.worlds.rows import each_row

# ── finding the backend's record ─────────────────────────────────────────────

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
        # what may be ours or not is told as such
        ("before we asked, by another clock", [record(created_at=0.9)], ["new"]),
        ("another beside it", [record("a", created_at=2.0), record(created_at=0.9)], ["a", "new"]),
        (
            "the newest first",
            [record("a", created_at=2.0), record("b", created_at=3.0)],
            ["b", "a"],
        ),
    ],
)
def test_ours_is_found_by(point: str, records: list[Seen], found: str | list[str] | None) -> None:
    seen = match(OURS, records, intended=1.0, pinned={"pinned"})

    expected = (None, found) if isinstance(found, list) else (found, [])
    assert (seen.ours and seen.ours.id, [one.id for one in seen.doubtful]) == expected, point


def test_ours_began_when_the_queue_shows_it() -> None:
    for began, found, untimely in (
        ([1.0, 9.0], None, True),  # none began meanwhile
        ([1.0, 5.0, 9.0], 5.0, False),
        ([1.0, 5.0, 6.0], None, False),  # two did
    ):
        records = [record(str(at), created_at=at) for at in began]
        seen = match(OURS, records, intended=0.0, window=(4.0, 7.0))

        assert seen.ours == (record(str(found), created_at=found) if found else None)
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
def test_a_token_is_the_same_at_every_try_and_no_one_elses(bridge, other, one, two) -> None:
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
def test_a_log_tells_of_its_end_only_where_it_says_so(before, after, last) -> None:
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
def test_no_time_of_a_backend_is_before_what_came_before_or_after_now(told, asked, more) -> None:
    assert asked <= within(told, asked, asked + more) <= asked + more


# ── what the looks say of one that does not move on ──────────────────────────

TIMING = Timing(lost=10.0, untold=120.0, unclosed=30.0)
GONE = Shown(present=False, open=False, idle=True)
JOB = Shown(present=True, open=False, idle=False)
BUILDS = Shown(present=True, open=True, idle=False)
UNTOLD = Shown(present=False, open=False, idle=None)
BLOCKED = Shown(present=False, open=False, idle=False, blocked=True)
UNWATCHED = {"watched_since": 80.0, "state": State.QUEUED}
TURN = {"shown": BLOCKED}
UNCLOSED = Shown(present=True, open=True, idle=True)


@each_row(
    ("point", "sight", "facts", "expected"),
    [
        ("too early", Sight(95.0), {}, "wait"),
        ("never shown, and nothing explains it", Sight(0.0), {}, "wait"),
        ("never shown for long", Sight(-30.0), {}, "lost"),
        ("never shown, and looks have failed", Sight(80.0), {"watched_since": 80.0}, "lost"),
        ("gone from a queue that was watched", Sight(80.0, 80.0), {}, "dropped"),
        ("gone, and looks have failed", Sight(85.0, 80.0), {"watched_since": 85.0}, "lost"),
        ("gone, but its record was known", Sight(80.0, 80.0), {"backend_id": "dep-1"}, "untold"),
        ("no queue is told", Sight(0.0, 0.0), {"shown": UNTOLD}, "wait"),
        ("no queue is told for long", Sight(-30.0), {"shown": UNTOLD}, "untold"),
        ("gone from a queue that nobody has watched", Sight(80.0), UNWATCHED, "lost"),
        ("gone before its turn can have come", Sight(80.0), UNWATCHED | TURN, "dropped"),
        ("never seen before its turn", Sight(80.0), {"watched_since": 80.0} | TURN, "wait"),
        ("open without a job", Sight(100.0, 100.0, idle_since=80.0), {}, "wait"),
        ("open without a job for long", Sight(100.0, 100.0, idle_since=60.0), {}, "unclosed"),
    ],
)
def test_a_deployment_is_judged_by_the_evidence(point, sight, facts, expected) -> None:
    known = {"state": State.ASKED, "backend_id": None} | facts
    asked = deployment(asked_at=-40.0, state=known.pop("state"), backend_id=known.pop("backend_id"))
    more = {"watched_since": -50.0, "shown": GONE} | known

    found = verdict(asked, sight, now=100.0, timing=TIMING, **more)

    assert found is Verdict(expected), point


def test_a_failed_look_proves_nothing_and_what_is_shown_starts_the_waiting_anew() -> None:
    shown = Sight(0.0).after(GONE, 5.0).after(JOB, 6.0).after(GONE, 7.0)
    blind = Sight(0.0).after(UNCLOSED, 1.0).after(UNCLOSED, 2.0).blinded(3.0)
    idle = Sight(0.0).after(UNCLOSED, 1.0).after(BUILDS, 2.0).after(UNCLOSED, 3.0)
    at_work = Sight(0.0).after(Shown(present=True, open=False, idle=False, at_work=True), 1.0)

    assert (shown.since, shown.seen_at) == (6.0, 6.0)
    assert (blind.since, blind.seen_at, blind.idle_since) == (3.0, 2.0, None)
    assert idle.after(UNCLOSED, 4.0).idle_since == 3.0  # since the first of an unbroken run
    assert idle.after(Shown(present=True, open=True, idle=None), 4.0).idle_since is None
    assert at_work.after(GONE, 2.0).began
    assert not at_work.blinded(2.0).after(GONE, 3.0).began


FAILED_LOOK = None
SHOWN = st.sampled_from([FAILED_LOOK, GONE, GONE, GONE, JOB, BUILDS, UNTOLD, BLOCKED, UNCLOSED])
LOOKS = st.lists(st.tuples(st.sampled_from([0.5, 2.0, 5.0, 40.0]), SHOWN), min_size=1, max_size=40)


@dataclass(frozen=True)
class Judged:
    """A deployment after some looks, and what is true of them."""

    verdict: Verdict
    asked: Deployment
    shown: Shown
    quiet: float
    was_there: bool
    unbroken: bool


@st.composite
def judged(draw: st.DrawFn) -> Judged:
    """Looks of one process at a deployment that it, or one before it, has asked for."""
    asked = deployment(
        asked_at=draw(st.sampled_from([-100.0, 0.0, 50.0])),
        state=draw(st.sampled_from(sorted(LOSABLE))),
        backend_id=draw(st.sampled_from([None, None, "dep-1"])),
    )
    now, sight, last, seen_at = 0.0, Sight(0.0), 0.0, None
    watched_since = trouble_at = draw(st.sampled_from([-100.0, 0.0]))
    shown: Shown | None = GONE
    for pause, shown in [*draw(LOOKS), (1.0, draw(SHOWN.filter(bool)))]:
        now += pause
        if shown is FAILED_LOOK:
            sight, last, trouble_at = sight.blinded(now), now, now
            watched_since = now + 0.1
            continue
        sight = sight.after(shown, now)
        if shown.present:
            last, seen_at = now, now
    assert shown is not None
    found = verdict(asked, sight, now=now, watched_since=watched_since, shown=shown, timing=TIMING)
    there_at = asked.asked_at if seen_at is None else seen_at
    assert there_at is not None
    was_there = seen_at is not None or asked.state is State.QUEUED
    return Judged(found, asked, shown, now - last, was_there, trouble_at <= there_at <= now)


@settings(max_examples=2 * settings().max_examples)
@given(judged())
def test_nothing_is_claimed_or_asked_for_again_but_by_the_evidence(one: Judged) -> None:
    verdict, shown = one.verdict, one.shown
    if verdict is Verdict.DROPPED:  # a person is named only where nothing else can have taken it
        assert one.was_there
        assert one.asked.backend_id is None
        assert one.unbroken or shown.blocked
    if verdict is Verdict.LOST:  # nothing is asked for again that may have been built
        assert not shown.present
        assert shown.idle is not None
        assert one.asked.backend_id is None
        assert not (shown.blocked and one.was_there)
    if verdict in (Verdict.LOST, Verdict.DROPPED, Verdict.UNTOLD):
        assert one.quiet > TIMING.lost
        assert not shown.present
