"""Checks have permanent names, which the docs explain."""

import re
from pathlib import Path

import bridge
from bridge.app.doctor.apps import of_apps
from bridge.core.apps import App, Source, SourceType
from bridge.ports.checks import NAMES, SOON, Level, ahead_in, clock_finding, expiry_finding
from bridge.settings import read_settings
from tests.worlds.rows import each_row

PACKAGE = Path(bridge.__file__).parent
_NAME = re.compile(r'"((?:backend|host|chat|bridge|app|console)\.[a-z_]+(?:\.[a-z_]+)?)"')


def test_every_check_that_the_code_names_is_a_known_one_and_explained() -> None:
    files = [*PACKAGE.rglob("checks.py"), *(PACKAGE / "app" / "doctor").glob("*.py")]
    named = {name for file in files for name in _NAME.findall(file.read_text())}
    page = (PACKAGE.parent / "docs" / "troubleshooting.md").read_text()

    assert len(named) > 40
    assert named - NAMES.keys() == set()
    assert [name for name in NAMES if f"| `{name}` |" not in page] == []


def test_a_clock_that_is_wrong_is_found_and_an_unknown_one_is_not_judged() -> None:
    for ahead, level, says in (
        (-30.0, Level.OK, "agree"),
        (31.0, Level.WARNING, "31 s behind its clock"),
        (-299.0, Level.WARNING, "299 s ahead of its clock"),
        (-300.0, Level.ERROR, "requests are refused from 300 s on"),
    ):
        (found,) = clock_finding("chat.clock", "slack", ahead, refused_at=300.0)
        assert found.level is level
        assert says in found.says
    for headers in ({}, {"date": "yesterday"}, {"date": ""}):
        assert ahead_in(headers, 0.0) is None
    assert list(clock_finding("chat.clock", "slack", None)) == []


@each_row(
    ("left", "level", "says"),
    [
        (-1.0, Level.ERROR, "the token has expired"),
        (7200.0, Level.WARNING, "the token expires in 2 hours"),
        (SOON - 1, Level.WARNING, "the token expires in 14 days"),
        (SOON, Level.OK, "the token expires in 14 days"),
    ],
)
def test_the_end_of_a_credential_is_found_in_time(left: float, level: Level, says: str) -> None:
    found = expiry_finding("host.token.expiry", "github", "the token", 1e9 + left, 1e9, "renew it")

    assert (found.level, found.says) == (level, says)
    assert bool(found.remedy) is (level is not Level.OK)


def test_a_host_is_served_where_the_bridge_has_made_the_webhooks() -> None:
    settings = read_settings(None, {"BRIDGE_GITHUB_TOKEN": "ghp_of_the_tests"})
    source = Source(SourceType.GITHUB, repository="my-org/mono", branch="main")
    app = App("app-web", "web", "shop", source=source)

    assert [one.check for one in of_apps(settings, [app], {})] == ["bridge.hosts"]
    assert list(of_apps(settings, [app], {}, {"github"})) == []
