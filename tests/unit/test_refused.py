"""Webhooks that were refused, or never came: counted within bounds, and told where missed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bridge.chats.slack.quiet_repositories import silent
from bridge.core.apps import App, Source, SourceType
from bridge.core.errors import Unreachable
from bridge.core.refused import (
    MOST_A_MINUTE,
    OTHERS,
    WRONG_PATH,
    Cause,
    Missed,
    RefusedCounts,
    RefusedWebhooks,
    causes,
    missed_by,
    network_of,
    refused_webhook,
)
from bridge.githosts import HOSTS
from bridge.pipeline.deciding.ingest import RefusalLog
from bridge.web.hooks import means_a_webhook
from tests.fakes.journey import ManualClock, app
from tests.worlds.rows import each_row

# ── what is counted, and that nothing of it grows without bound ───────────────────

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


def test_only_what_may_be_a_webhook_counts() -> None:
    assert means_a_webhook("POST", "/webhook", {}, HOSTS)
    assert means_a_webhook("GET", "/", {"X-Gitlab-Event": "Push Hook"}, HOSTS)
    assert not means_a_webhook("GET", "/hooks", {}, HOSTS)
    assert not means_a_webhook("POST", "/xmlrpc.php", {}, HOSTS)


@dataclass
class Kept:
    """A journal that is away for a while."""

    away: int
    rows: list[RefusedWebhooks] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep_refused(self, those: Sequence[RefusedWebhooks]) -> None:
        self.away -= 1
        if self.away >= 0:
            raise Unreachable("the journal", "away")
        self.rows += those
        self.done.set()


async def test_they_are_written_together_and_again_where_the_journal_was_away(caplog) -> None:
    clock, kept = ManualClock(NOW), Kept(away=3)
    journal: Any = kept
    log = RefusalLog(journal, HOSTS, clock, clock.sleep)
    for _ in range(5):
        log.note("unauthorized", "wrong", "/hooks/github", {}, "192.0.2.7")
    task = asyncio.create_task(log.run())
    async with asyncio.timeout(5):
        await kept.done.wait()
    task.cancel()

    assert [each.count for each in kept.rows] == [5]
    assert len(caplog.messages) == 1


# ── the one that somebody misses is told first ────────────────────────────────────

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
NAMES = {"github 4711": "my-org/mono", "github 1": "my-org/other", "gitlab 4711": "my-org/mono"}
OURS = Missed("github", frozenset({"4711"}))

SECRET = RefusedWebhooks(
    NOW, "github", "unauthorized", "/hooks/github", "192.0.2.0/24",
    repository="4711", why="the signature does not fit", last=NOW - 2 * DAY,
)  # fmt: skip
ASTRAY = replace(SECRET, reason=WRONG_PATH, path="/webhook", repository="", why="nothing there")
NOISE = replace(ASTRAY, host="", path="/wp-hook", why="nothing at /wp-hook", last=NOW)
OF_ANOTHER = replace(SECRET, repository="1", why="of another", last=NOW)


def order(*refused: RefusedWebhooks, missed: Missed = OURS) -> list[str]:
    return [one.newest.why for one in causes(refused, missed, NAMES, NOW, HOSTS)]


def test_what_names_the_repository_comes_first_then_recent_ones_and_wrong_secrets() -> None:
    large = replace(SECRET, reason="too_large", why="too large", last=NOW)
    secret = replace(SECRET, why="secret", last=NOW - 30 * MINUTE)
    old = replace(SECRET, why="old", last=NOW - 3 * HOUR)

    assert order(old, large, secret) == ["secret", "too large", "old"]
    assert order(NOISE, OF_ANOTHER, replace(ASTRAY, last=NOW), SECRET) == [
        *("the signature does not fit", "nothing there", "nothing at /wp-hook", "of another")
    ]


def test_each_cause_is_told_once_with_the_newest_of_it_and_how_many_there_were() -> None:
    later = replace(SECRET, network="198.51.100.0/24", count=5, last=NOW - MINUTE)
    other = replace(SECRET, repository="1", count=99, last=NOW)  # does not count for ours
    seven, nine = (replace(NOISE, why=f"nothing at /wp-hook {number}") for number in (7, 9))

    assert causes([other, SECRET, later, seven, nine], OURS, NAMES, NOW, HOSTS) == [
        Cause(6, later),
        Cause(2, seven),
    ]


def test_an_unknown_repository_may_be_the_one_that_has_never_come_through() -> None:
    new = replace(SECRET, repository="99", why="of a new one")
    gitlab = replace(SECRET, host="gitlab", why="gitlab's")

    assert order(OF_ANOTHER, new, missed=Missed("github")) == ["of a new one", "of another"]
    assert order(gitlab) == []
    assert order(gitlab, missed=Missed()) == ["gitlab's"]


def on_gitlab(*ids: str) -> Missed:
    return Missed("gitlab", frozenset(ids))


@each_row(
    ("kind", "place", "missed"),
    [
        (SourceType.GITHUB, {"repository": "My-Org/mono"}, OURS),
        (SourceType.GITLAB, {"repository": "a/b"}, on_gitlab()),
        (SourceType.GITLAB, {"repository": "a/b", "repository_id": "9"}, on_gitlab("9")),
        (SourceType.GIT, {"url": "github.com/my-org/mono"}, OURS),
        (SourceType.GIT, {"url": "gitlab.example.com/my-org/mono"}, on_gitlab("4711")),
        (SourceType.GIT, {"url": "git.example.com/github/mono"}, Missed()),
        (SourceType.BITBUCKET, {"repository": "my-org/mono"}, Missed()),
        (SourceType.DOCKER, {"image": "web:1"}, Missed()),
    ],
)
def test_what_an_app_misses_follows_from_its_source(kind, place, missed) -> None:
    assert missed_by(Source(kind, **place), NAMES, HOSTS) == missed
    assert missed_by(None, NAMES, HOSTS) == Missed()


REFUSED = st.builds(
    replace,
    st.sampled_from([SECRET, ASTRAY, NOISE, OF_ANOTHER]),
    last=st.floats(NOW - 9 * DAY, NOW),
    count=st.integers(1, 9),
)


@given(st.lists(REFUSED), st.randoms())
def test_the_order_in_which_they_are_read_does_not_matter(refused, chance) -> None:
    again = list(refused)
    chance.shuffle(again)

    whys = [one.newest.why for one in causes(refused, OURS, NAMES, NOW, HOSTS)]
    assert [one.newest.why for one in causes(again, OURS, NAMES, NOW, HOSTS)] == whys
    assert len(set(whys)) == len(whys)
    if any(one.repository == "4711" for one in refused):
        assert whys[0] == SECRET.why


# ── repositories that say nothing ─────────────────────────────────────────────────


def of(source: SourceType, **place: str) -> App:
    return app(source=Source(source, branch="main", **place))


def test_a_repository_is_named_once_with_the_newest_push_of_all_its_apps() -> None:
    both = [app("app-web"), app("app-api")]

    assert silent(both, {}, NOW, HOSTS) == [
        "No push to my-org/mono has ever arrived: is its webhook set up?"
    ]
    long = {"app-web": NOW - 99 * DAY, "app-api": NOW - 40 * DAY}
    assert silent(both, long, NOW, HOSTS) == ["No push to my-org/mono has arrived for 40 days."]
    assert silent(both, long | {"app-web": NOW - DAY}, NOW, HOSTS) == []
    (said,) = silent([of(SourceType.GIT, url="git.example.com/o/r")], {}, NOW, HOSTS)
    assert said.startswith("No push to git.example.com/o/r has ever arrived")


def test_where_no_push_can_come_nothing_is_missed() -> None:
    image, local = of(SourceType.DOCKER, image="nginx"), of(SourceType.GIT, url="file:/srv/repo")

    assert silent([image, local, of(SourceType.GIT), app(source=None)], {}, NOW, HOSTS) == []
