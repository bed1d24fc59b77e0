"""Refused webhooks: what is counted of them, and that nothing of it grows without bound."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bridge.core.errors import Unreachable
from bridge.core.refused import (
    MOST_A_MINUTE,
    OTHERS,
    WRONG_PATH,
    RefusedCounts,
    RefusedWebhooks,
    network_of,
    refused_webhook,
)
from bridge.githosts import HOSTS
from bridge.pipeline.deciding.ingest import RefusalLog
from bridge.web.hooks import means_a_webhook
from tests.fakes.journey import ManualClock
from tests.worlds.rows import each_row

NOW = 1_700_000_000.0


def one(path: str = "/hooks/github", now: float = NOW, peer: str = "192.0.2.7", **headers: str):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return refused_webhook(HOSTS, "unauthorized", "wrong", path, names, peer, now)


def test_of_very_many_in_a_minute_few_are_told_apart_and_none_of_another_reason_is_hidden() -> None:
    counts = RefusedCounts()
    for number in range(10_000):
        counts.add(replace(one(f"/hook/{number}"), reason=WRONG_PATH))
    counts.add(one("/hooks/github"))

    taken = counts.take()
    assert len(taken) == MOST_A_MINUTE + 2
    assert sum(each.count for each in taken) == 10_001
    assert taken[-1].path == "/hooks/github"
    assert taken[-2].path == taken[-2].network == OTHERS
    counts.add(replace(one("/hook/again"), reason=WRONG_PATH))  # still the same minute
    assert [each.path for each in counts.take()] == [OTHERS]
    counts.add(one("/hook/again", NOW + 60))
    assert [each.path for each in counts.take()] == ["/hook/again"]


def test_another_cause_is_counted_apart_and_another_number_is_not() -> None:
    counts = RefusedCounts()
    for why in ("no signature", "the body has 27 bytes", "the body has 9 bytes", "no signature"):
        counts.add(refused_webhook(HOSTS, "unauthorized", why, "/hooks", {}, "192.0.2.7", NOW))

    found = {each.why: each.count for each in counts.take()}
    assert found == {"no signature": 2, "the body has 9 bytes": 2}


def test_what_could_not_be_kept_is_counted_with_what_comes_and_stays_bounded() -> None:
    counts = RefusedCounts()
    counts.add(one())
    taken = counts.take()
    counts.add(one())
    counts.give_back(taken)
    assert [each.count for each in counts.take()] == [2]

    counts.give_back([one(f"/{number}") for number in range(100)])
    assert len(counts.take()) == MOST_A_MINUTE


@each_row(
    ("peer", "forwarded", "network"),
    [
        ("192.0.2.7", "", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "", "2001:db8:1::/48"),
        ("10.0.0.3", "203.0.113.9, 198.51.100.4", "198.51.100.0/24"),  # what our own proxy added
        ("8.8.8.8", "198.51.100.4", "8.8.8.0/24"),  # a stranger says what it likes
        ("127.0.0.1", "nonsense\x1b[0m", "unknown"),
        ("", "", "unknown"),
    ],
)
def test_senders_are_known_by_their_network(peer: str, forwarded: str, network: str) -> None:
    assert one(peer=peer, X_Forwarded_For=forwarded).network == network
    assert network_of("x" * 10_000) == "unknown"


def test_what_a_stranger_sends_is_short_and_harmless() -> None:
    odd = one(
        "/\x1b[2J\u202e" + "x" * 5000,
        X_GitHub_Event="push",
        X_GitHub_Hook_Installation_Target_Type="repository",
        X_GitHub_Hook_Installation_Target_ID="9" * 5000,
    )

    assert odd.path.isprintable()
    assert len(odd.path) == 100
    assert odd.repository == ""
    assert odd.host == "github"


@each_row(
    ("method", "path", "headers", "wanted"),
    [
        ("POST", "/webhook", {}, True),
        ("GET", "/", {"X-Gitlab-Event": "Push Hook"}, True),
        ("GET", "/hooks", {}, False),
        ("POST", "/xmlrpc.php", {}, False),
    ],
)
def test_only_what_may_be_a_webhook_counts(method, path, headers, wanted) -> None:
    assert means_a_webhook(method, path, headers, HOSTS) is wanted


class Kept:
    """A journal that is away for a while."""

    def __init__(self, away: int) -> None:
        self.away = away
        self.rows: list[RefusedWebhooks] = []
        self.done = asyncio.Event()

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        self.away -= 1
        if self.away >= 0:
            raise Unreachable("the journal", "away")
        self.rows += those
        self.done.set()


async def test_they_are_written_together_and_again_where_the_journal_was_away(caplog) -> None:
    clock, kept = ManualClock(NOW), Kept(away=3)
    log = RefusalLog(kept, HOSTS, clock, clock.sleep)
    for _ in range(5):
        log.note("unauthorized", "wrong", "/hooks/github", {}, "192.0.2.7")
    task = asyncio.create_task(log.run())
    async with asyncio.timeout(5):
        await kept.done.wait()
    task.cancel()

    assert [each.count for each in kept.rows] == [5]
    assert len(caplog.messages) == 1
