"""Repositories that say nothing: named once, and only where a push could come."""

from bridge.chats.slack.quiet_repositories import DAY, silent
from bridge.core.apps import App, Source, SourceType
from bridge.githosts import HOSTS
from tests.fakes.journey import app
from tests.worlds.rows import each_row

NOW = 1_780_000_000.0


def of(source: SourceType, id_: str = "app-web", **place: str) -> App:
    return app(id_, source=Source(source, branch="main", **place))


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


@each_row(
    "quiet",
    [
        of(SourceType.DOCKER, image="nginx"),
        of(SourceType.GIT, url="file:/srv/repo"),
        of(SourceType.GIT),
        app(source=None),
    ],
)
def test_where_no_push_can_come_nothing_is_missed(quiet: App) -> None:
    assert silent([quiet], {}, NOW, HOSTS) == []
