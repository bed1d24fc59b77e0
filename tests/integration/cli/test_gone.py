"""What a deleted app did stays reachable by its name, and is said to be the past."""

import pytest

from bridge.core.apps import App
from bridge.core.lifecycle import State
from tests.worlds.cli import DOCS, WEB, Cli

DEPLOYMENT = "0000000000000001.app_web"
TAIL = "#4 [3/3] RUN make\n  make: *** no rule to make target"


@pytest.fixture
def deleted(filled: Cli) -> Cli:
    """With shop/web deleted at its backend after a build of it has failed."""

    async def fail_and_go(stores):
        facts = {"backend_id": "dep_1", "log_tail": TAIL}
        await stores.journal.move(DEPLOYMENT, State.FAILED, "no rule to make target", **facts)
        await stores.journal.save_apps("dokploy", [DOCS])

    filled.with_stores(fail_and_go)
    return filled


@pytest.mark.parametrize("name", ["shop/web", "web", "app_web"])
def test_the_deployments_of_a_deleted_app_are_listed(deleted: Cli, name: str) -> None:
    told = deleted("deployments", "--app", name)

    assert (
        told.stdout
        == f"2026-01-01T00:00:00.250Z {DEPLOYMENT} shop/web failed: no rule to make target\n"
    )
    assert "shop/web (app_web) is gone from the backends; this is its history" in told.stderr


def test_why_tells_what_was_decided_for_a_deleted_app(deleted: Cli) -> None:
    told = deleted("why", "shop/web")

    assert "deploy shop/web: path_hit" in told.stdout
    assert told.stdout.endswith(" → failed #1: no rule to make target\n")
    assert "now shop/web" not in told.stderr
    assert deleted.json("why", "shop/web")[0]["now"] is None


def test_a_single_deployment_of_a_deleted_app_is_shown_with_that_remark(deleted: Cli) -> None:
    told = deleted("deployments", "show", DEPLOYMENT)

    assert "backend: dep_1\n" in told.stdout
    assert told.stderr == "shop/web (app_web) is gone from the backends\n"


def test_the_log_of_a_deleted_app_is_what_was_kept_of_it(deleted: Cli) -> None:
    told = deleted("logs", "shop/web")

    assert told.stdout == f"{TAIL}\n"
    assert "its logs with it; the end of the log of deployment 1 was kept:" in told.stderr
    assert deleted.json("logs", "shop/web")["log"] == TAIL.split("\n")


def test_what_an_unhealthy_one_answered_is_no_log(filled: Cli) -> None:
    async def verify_and_go(stores):
        await stores.journal.move(DEPLOYMENT, State.VERIFYING, "commit 5d6e7f8 is live")
        await stores.journal.move(DEPLOYMENT, State.UNHEALTHY, "but GET: 502", log_tail="no page")
        await stores.journal.save_apps("dokploy", [DOCS])

    filled.with_stores(verify_and_go)

    assert "no page" not in filled("logs", "shop/web", code=4).stderr


def test_where_no_log_was_kept_that_is_said(deleted: Cli) -> None:
    async def go(stores):
        await stores.journal.save_apps("dokploy", [])

    deleted.with_stores(go)

    assert "shop/docs is gone from the backend" in deleted("logs", "shop/docs", code=4).stderr


def test_a_deleted_app_is_not_deployed(deleted: Cli) -> None:
    told = deleted("deploy", "web", code=4).stderr

    assert "shop/web is gone from the backend" in told
    assert "dokploy-bridge deployments --app app_web" in told


def test_apps_lists_those_that_are_there_and_with_gone_the_others(deleted: Cli) -> None:
    assert [one["id"] for one in deleted.json("apps")] == [DOCS.id]
    assert [one["id"] for one in deleted.json("apps", "--gone")] == [WEB.id]
    assert deleted("apps", "--gone").stdout == "shop/web: app_web of dokploy, gone; last failed\n"


def test_a_name_means_the_app_that_is_there_and_the_other_is_mentioned(deleted: Cli) -> None:
    async def make_again(stores):
        await stores.journal.save_apps("dokploy", [DOCS, App("app_new", "web", "shop")])

    deleted.with_stores(make_again)
    told = deleted("deployments", "--app", "shop/web")

    assert told.stdout == ""
    assert "an earlier shop/web is gone; its history is under its id, app_web" in told.stderr
    assert DEPLOYMENT in deleted("deployments", "--app", "app_web").stdout
