"""`adopt`: the backend's own deploys are switched off for the apps that the bridge deploys."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from typer.testing import Result

from tests.scenes.dokploy import KEY, KINDS, STACKS, Recorded, adoptable
from tests.worlds.cli import Cli

pytestmark = pytest.mark.journey


class Server:
    """The server, and how its apps are."""

    def __init__(self, url: str, handler: type[Recorded]) -> None:
        self.url, self.handler = url, handler
        self.environment = {
            "BRIDGE_DOKPLOY_URL": url,
            "BRIDGE_DOKPLOY_API_KEY": KEY,
            "BRIDGE_GITHUB_WEBHOOK_SECRETS": "a-secret-of-the-tests-0123456789",
            "BRIDGE_GITLAB_WEBHOOK_TOKENS": "another-of-the-tests-0123456789",
            "BRIDGE_GITEA_URL": "https://git.example.com",
            "BRIDGE_GITEA_WEBHOOK_SECRETS": "a-third-of-the-tests-0123456789",
        }

    def apps(self) -> dict[str, Any]:
        """Return everything that it says of each app."""
        with httpx.Client(base_url=self.url, headers={"x-api-key": KEY}, trust_env=False) as http:
            return {
                id_: http.get(f"/api/{kind}.one", params={f"{kind}Id": id_}).json()
                for id_, kind in KINDS.items()
            }


@contextmanager
def recorded(on: set[str]) -> Iterator[Server]:
    with adoptable(on) as (url, handler):
        yield Server(url, handler)


ON = set(KINDS) - {"app_half"}
PUSHED = {"github", "gitlab", "gitea", "git", "bitbucket"}


def pushed(apps: dict[str, Any]) -> set[str]:
    return {id_ for id_, one in apps.items() if one["sourceType"] in PUSHED}


def call(cli: Cli, server: Server, *words: str, code: int = 0) -> Result:
    return cli(*words, code=code, **server.environment)


@pytest.fixture
def server() -> Iterator[Server]:
    with recorded(on=ON) as found:
        yield found


def test_it_switches_auto_deploy_off_and_nothing_else_and_undo_puts_all_back(
    cli: Cli, server: Server
) -> None:
    before = server.apps()
    expected = {id_ for id_ in pushed(before) if before[id_]["autoDeploy"]}
    assert expected == {"app_web", "app_worker", "app_odd"} | set(STACKS) & pushed(before)

    told = call(cli, server, "adopt", "--all", "--yes").stdout

    assert f"Auto Deploy switched off for {len(expected)}" in told
    after = server.apps()
    for id_, one in before.items():
        assert after[id_] == one | ({"autoDeploy": False} if id_ in expected else {}), id_
    assert {id_ for _, body in server.handler.updates for id_ in body.values()} - {False} == (
        expected
    )
    notes = cli.json("audit", **server.environment)
    assert {one["action"] for one in notes} == {"adopt"}
    assert {one["outcome"] for one in notes} == {"done"}

    call(cli, server, "adopt", "--all", "--undo", "--yes")

    assert server.apps() == before
    again = call(cli, server, "adopt", "--all", "--undo", "--yes")
    assert "no app was adopted" in again.stderr


def test_it_asks_first(cli: Cli, server: Server) -> None:
    told = call(cli, server, "adopt", "--all", code=2)

    assert "Auto Deploy off: shop/web (dokploy)" in told.stdout
    assert "give --yes" in told.stderr
    assert server.handler.updates == []
    for words in (["adopt"], ["adopt", "shop/web", "--all"]):
        assert "name apps, or use --all" in call(cli, server, *words, code=2).stderr


def test_what_does_not_change_is_told(cli: Cli, server: Server) -> None:
    server.handler.silent.add("app_web")

    told = call(cli, server, "adopt", "shop/web", "--yes", code=1)

    assert "Auto Deploy of shop/web is still as it was" in told.stderr
    (note,) = cli.json("audit", **server.environment)
    assert note["outcome"].startswith("Refused: ")


@pytest.mark.parametrize("undo", [False, True])
def test_an_app_that_can_not_be_read_is_named_and_holds_up_no_other(
    cli: Cli, server: Server, undo: bool
) -> None:
    before = server.apps()
    words = ["adopt", "--all", "--yes", *(["--undo"] if undo else [])]
    if undo:
        call(cli, server, "adopt", "--all", "--yes")
    server.handler.written["app_worker"]["watchPaths"] = {"a": 1}

    told = call(cli, server, *words, code=1)

    assert "error: shop/worker-that-sends-the-newsletters: dokploy" in told.stderr
    after = server.apps()
    for id_ in pushed(before) - {"app_half", "app_worker"}:
        assert after[id_]["autoDeploy"] is undo, id_
    assert after["app_worker"]["autoDeploy"] is not undo
    again = call(cli, server, *words, code=1)
    assert "shop/worker-that-sends-the-newsletters" in again.stderr


def test_what_the_bridge_does_not_hear_of_stays_on(cli: Cli, server: Server) -> None:
    """Else nothing would deploy its pushes any more."""
    server.environment["BRIDGE_GITLAB_WEBHOOK_TOKENS"] = ""

    told = call(cli, server, "adopt", "--all", "--yes")
    named = call(cli, server, "adopt", "worker-that", "--yes", code=1)

    why = "shop/worker-that-sends-the-newsletters stays on: its Git host is not served"
    assert why in told.stderr
    assert f"error: {why}" in named.stderr
    after = server.apps()
    assert after["app_worker"]["autoDeploy"] is True
    assert after["app_web"]["autoDeploy"] is False
