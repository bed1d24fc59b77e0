"""What is served, told by containers, records and logs; and each lie about it is found."""

from dataclasses import replace
from typing import Any

import pytest

from tests.trial.database import Record
from tests.trial.serving import Container, Served, served, unlike
from tests.trial.test_comparing import OTHER, SHA, record

IMAGE, NEWER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
REFUSED = 'Failed query: update "deployment" set "status" = $1\nparams: done,r-2\n'
LATER = "2026-11-24T23:00:00.000Z"
BOTH = [record("r-1"), record("r-2", description=f"Commit: {OTHER}")]


def logs(*texts: str) -> dict[str, str]:
    return {f"r-{n}": text for n, text in enumerate(texts, 1)}


def built(image: str) -> str:
    return f"#9 writing image {image} done\n"


def test_the_running_container_tells_which_build_is_served() -> None:
    both = logs(built(IMAGE), built(NEWER))

    assert served(BOTH, both, Container(NEWER, "web:latest"), set()) == Served(frozenset({OTHER}))
    assert served(BOTH, both, Container(IMAGE, "web:latest"), set()) == Served(frozenset({SHA}))
    assert served(BOTH, both, Container("sha256:0", "x"), set()) == Served(frozenset())


def test_an_image_that_was_not_built_is_its_own_version() -> None:
    image = record("r-1", description="by cli: ann")
    image.first["description"] = "by cli: ann"
    runs = Container(IMAGE, "busybox:2")

    assert served([image], logs("Pulling"), runs, set()) == Served(frozenset({"busybox:2"}))
    assert served(BOTH, logs("cleared", ""), runs, set()) == Served(frozenset({OTHER}))


def test_where_no_log_names_an_image_a_container_serves_nothing_that_came_after_it() -> None:
    both = [replaced(BOTH[0], "2026-11-24T22:00:00.000Z"), replaced(BOTH[1], LATER)]
    old = Container(IMAGE, "web:latest", "2026-11-24T22:00:05.000000000Z")
    new = Container(IMAGE, "web:latest", "2026-11-24T23:00:05.000000000Z")

    assert served(both, logs("", ""), old, set()) == Served(frozenset({SHA}))
    assert served(both, logs("", ""), new, set()) == Served(frozenset({OTHER}))


def replaced(one: Record, started_at: str) -> Record:
    return replace(one, last=one.last | {"startedAt": started_at})


def test_without_containers_the_newest_record_that_was_carried_out_tells() -> None:
    failed = [record("r-1"), record("r-2", status="error", description=f"Commit: {OTHER}")]

    assert served(failed, logs("", "no space"), None, set()) == Served(frozenset({SHA}))
    assert served(failed, logs("", REFUSED), None, set()) == Served(frozenset({OTHER}))
    assert served([], {}, None, set()) is None


def test_a_stuck_record_leaves_it_open_and_a_persons_is_told() -> None:
    stuck = [record("r-1"), record("r-2", status="running", description="")]
    theirs = record("r-1", title="by hand")
    theirs.first["title"] = "by hand"

    assert served(stuck, logs("", ""), None, set()) == Served(frozenset({SHA}), sure=False)
    assert served([theirs], logs(""), None, {"by hand"}) == Served(frozenset({SHA}), by_hand=True)


def live(**changes: Any) -> dict[str, Any]:
    made = {"known": True, "commit": SHA, "image": None, "health": "not verified"}
    return made | {"behind": {"pushes": 0, "concerning": 0}} | changes


HERE = Served(frozenset({SHA}))


def test_what_is_true_of_it_is_no_difference() -> None:
    assert unlike(live(), HERE, SHA) == []
    assert unlike(None, None, SHA) == []
    assert unlike(live(known=False), Served(sure=False), SHA) == []
    assert unlike(live(behind={"pushes": 1, "concerning": 1}), HERE, OTHER) == []
    assert unlike(live(health="stopped"), replace(HERE, stopped=True), SHA) == []


@pytest.mark.parametrize(
    ("said", "real", "head", "words"),
    [
        (live(), Served(frozenset({OTHER})), SHA, "says that aaaaaaaaaaaa is live"),
        (live(), None, SHA, "and nothing is"),
        (live(known=False), HERE, SHA, "does not say what is live"),
        (None, HERE, SHA, "does not say what is live"),
        (live(health="verified"), Served(HERE.versions, by_hand=True), SHA, "is verified"),
        (live(), HERE, OTHER, "up to date"),
        (live(), replace(HERE, stopped=True), SHA, "it is stopped in Dokploy"),
        (live(health="stopped"), HERE, SHA, "it is running"),
    ],
)
def test_each_lie_about_it_is_found(said: Any, real: Any, head: str, words: str) -> None:
    assert any(words in one for one in unlike(said, real, head))


def test_a_commit_that_no_record_tells_need_not_be_told() -> None:
    asked_for = Served(frozenset({SHA}), told=False)

    assert unlike(live(commit=None), asked_for, SHA) == []
    assert unlike(live(commit=OTHER), asked_for, SHA) != []
