"""Locks: whose turn to be reminded it is, and the pull requests that people name."""

from dataclasses import replace

from bridge.core.chat.calls import Call
from bridge.core.chat.grammar import written
from bridge.core.chat.when import merge_in
from bridge.core.gates.locks import DAY, Lock, PullName, next_reminder, pull_named
from bridge.operations.words import parse
from tests.worlds.rows import each_row

LOCK = Lock("app/1", "shop/web", "slack:U1", "Ada", "a release", 1000.0)


@each_row(
    ("until", "after", "at"),
    [
        (None, 0.0, DAY),
        (None, 0.5 * DAY, DAY),
        (None, DAY, 2 * DAY),  # at the time of a reminder, the next one counts
        (None, 9.1 * DAY, 10 * DAY),
        (None, -9 * DAY, DAY),  # the clock was set back
        (2 * 3600.0, 0.0, None),
        (DAY, 0.0, None),
        (2 * DAY, 0.0, None),  # it ends within the day
        (2 * DAY + 1, 0.0, DAY),
        (3 * DAY, DAY, None),
        (90 * DAY, 0.0, DAY),
    ],
)
def test_an_owner_is_reminded_daily_at_the_same_time_unless_it_ends_by_then(
    until: float | None, after: float, at: float | None
) -> None:
    lock = replace(LOCK, until=None if until is None else LOCK.at + until)

    found = next_reminder(lock, LOCK.at + after)

    assert found == (None if at is None else LOCK.at + at)


@each_row(
    ("text", "found"),
    [
        ("12", PullName(12)),
        ("#12", PullName(12)),
        ("!12", PullName(12)),
        ("acme/shop#12", PullName(12, "acme/shop")),
        ("acme/sub/shop!12", PullName(12, "acme/sub/shop")),
        ("https://github.com/acme/shop/pull/12", PullName(12, url="https://github.com/acme/shop")),
        ("github.com/acme/shop/pull/12/files#r1", PullName(12, url="github.com/acme/shop")),
        ("https://gl.example/a/b/-/merge_requests/3", PullName(3, url="https://gl.example/a/b")),
        ("https://codeberg.org/a/b/pulls/7", PullName(7, url="https://codeberg.org/a/b")),
        ("acme/shop", None),
        ("acme/shop12", None),
        ("shop#12", None),
        ("#", None),
        ("#1x", None),
        ("main", None),
        ("", None),
        ("9" * 40, None),
    ],
)
def test_a_pull_request_is_named_as_people_do(text: str, found: PullName | None) -> None:
    assert pull_named(text) == found


@each_row(
    ("typed", "when", "rest"),
    [
        ("lock web until merge of #12 a risky one", "until merge of #12", "a risky one"),
        ("lock web until merge of acme/shop#12, a risky one", None, "a risky one"),
        ("lock web until #12 is merged a risky one", "until merge of #12", "a risky one"),
        ("lock web till merge !12 a risky one", "until merge of !12", "a risky one"),
        ("steal web until merge of #12 mine", "until merge of #12", "mine"),
        (
            "lock web until merge of <https://github.com/acme/shop/pull/12> a risky one",
            "until merge of github.com/acme/shop/pull/12",
            "a risky one",
        ),
    ],
)
def test_a_lock_until_a_merge_is_typed(typed: str, when: str | None, rest: str) -> None:
    found = parse(typed)

    assert isinstance(found, Call)
    assert found.given["until_merge"] == (when or "until merge of acme/shop#12")
    assert found.given["reason"] == rest
    assert merge_in(found.given["until_merge"]) is not None
    assert parse(written(found)) == found


@each_row(
    "reason", ["until merge of the branch", "until merge", "until the merge of #12", "until #12"]
)
def test_a_reason_may_speak_of_a_merge(reason: str) -> None:
    typed = f"lock web {reason}"

    assert parse(typed) == Call("lock", {"scope": "web", "reason": reason}, typed)
