"""Of many refused webhooks, the one that somebody misses is told first."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.core.apps import Source, SourceType
from bridge.core.refused import WRONG_PATH, Cause, Missed, RefusedWebhooks, causes, missed_by
from bridge.githosts import HOSTS
from tests.worlds.rows import each_row

NOW, MINUTE, HOUR, DAY = 1_700_000_000.0, 60.0, 3_600.0, 86_400.0
NAMES = {"github 4711": "my-org/mono", "github 1": "my-org/other", "gitlab 4711": "my-org/mono"}
OURS = Missed("github", frozenset({"4711"}))

SECRET = RefusedWebhooks(
    minute=NOW,
    host="github",
    reason="unauthorized",
    path="/hooks/github",
    network="192.0.2.0/24",
    repository="4711",
    why="the signature does not fit",
    last=NOW - 2 * DAY,
)
ASTRAY = replace(SECRET, reason=WRONG_PATH, path="/webhook", repository="", why="nothing there")
NOISE = replace(ASTRAY, host="", path="/wp-hook", why="nothing at /wp-hook", last=NOW)
OF_ANOTHER = replace(SECRET, repository="1", why="of another", last=NOW)


def order(*refused: RefusedWebhooks, missed: Missed = OURS) -> list[str]:
    return [one.newest.why for one in causes(refused, missed, NAMES, NOW, HOSTS)]


def test_what_names_the_repository_comes_before_what_is_newer() -> None:
    newer = replace(ASTRAY, last=NOW)

    assert order(NOISE, OF_ANOTHER, newer, SECRET) == [
        *("the signature does not fit", "nothing there", "nothing at /wp-hook", "of another")
    ]


def test_recent_ones_come_before_old_ones_and_a_wrong_secret_before_other_reasons() -> None:
    large = replace(SECRET, reason="too_large", why="too large", last=NOW)
    secret = replace(SECRET, why="secret", last=NOW - 30 * MINUTE)
    old = replace(SECRET, why="old", last=NOW - 3 * HOUR)

    assert order(old, large, secret) == ["secret", "too large", "old"]


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


@each_row(
    ("kind", "place", "missed"),
    [
        (SourceType.GITHUB, {"repository": "My-Org/mono"}, OURS),
        (SourceType.GITLAB, {"repository": "a/b"}, Missed("gitlab")),
        (
            SourceType.GITLAB,
            {"repository": "a/b", "repository_id": "9"},
            Missed("gitlab", frozenset({"9"})),
        ),
        (SourceType.GIT, {"url": "github.com/my-org/mono"}, OURS),
        (
            SourceType.GIT,
            {"url": "gitlab.example.com/my-org/mono"},
            Missed("gitlab", frozenset({"4711"})),
        ),
        (SourceType.GIT, {"url": "git.example.com/github/mono"}, Missed()),
        (SourceType.BITBUCKET, {"repository": "my-org/mono"}, Missed()),
        (SourceType.DOCKER, {"image": "web:1"}, Missed()),
    ],
)
def test_what_an_app_misses_follows_from_its_source(
    kind: SourceType, place: dict[str, str], missed: Missed
) -> None:
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
