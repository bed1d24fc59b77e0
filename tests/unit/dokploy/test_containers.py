"""The images that an app's containers were made from, of an answer that is full of secrets."""

import logging
from dataclasses import replace
from typing import Any

import httpx
import pytest

from bridge.backends.dokploy.client import Dokploy
from bridge.core.apps import App
from bridge.core.errors import Unreachable
from bridge.ports.backends import TellsStopped
from tests.unit.dokploy.conftest import Reply, Table, empty, ok, trpc

LIST, INSPECT = "docker.getContainersByAppNameMatch", "docker.getConfig"
ALL = "docker.getContainers"
TASKS = "docker.getServiceContainersByAppName"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
FORBIDDEN = trpc(401, 'unauthorized to access resource "docker"', "UNAUTHORIZED", INSPECT)
CRASHING = ok(
    [
        {"name": "web-x1y2z3.1", "currentState": "Starting 1 second ago"},
        {"name": "web-x1y2z3.1", "currentState": "Failed 6 seconds ago"},
    ]
)


def container(id_: str, state: str = "running", name: str = "web-x1y2z3") -> dict[str, str]:
    return {"containerId": id_, "name": f"{name}.1.{id_}", "state": state, "status": "Up 2 minutes"}


def runs(*containers: dict[str, str]) -> httpx.Response:
    return ok(list(containers))


def inspected(**images: Any) -> Reply:
    """Answer what `docker inspect` prints of each container, variables and all."""

    def answer(request: httpx.Request) -> httpx.Response:
        id_ = request.url.params["containerId"]
        if id_ not in images:
            return empty()
        config = {"Env": ["TOKEN=t0p-secret"], "Image": "web-x1y2z3:latest"}
        return ok({"Id": id_, "Image": images[id_], "Config": config})

    return answer


@pytest.fixture(autouse=True)
def _named(table: Table) -> None:
    table.replies["application.one"] = ok({"appName": "web-x1y2z3", "serverId": "s1"})


async def test_a_container_is_asked_about_once(dokploy: Dokploy, table: Table, web: App) -> None:
    table.replies[LIST] = [runs(container("c1")), runs(container("c1"), container("c2"))]
    table.replies[INSPECT] = inspected(c1=OLD, c2=NEW)

    assert await dokploy.images(web) == (OLD,)
    assert await dokploy.images(web) == (OLD, NEW)
    assert table.paths.count(INSPECT) == 2


async def test_a_key_without_the_right_proves_nothing(
    dokploy: Dokploy, table: Table, web: App
) -> None:
    table.replies[LIST] = runs(container("c1"))
    table.replies[INSPECT] = FORBIDDEN

    assert await dokploy.images(web) is None


@pytest.mark.parametrize("image", [None, ""])
async def test_a_container_of_an_unknown_image_proves_nothing(
    dokploy: Dokploy, table: Table, web: App, image: str | None
) -> None:
    table.replies[LIST] = runs(container("c1"), container("c2"))
    table.replies[INSPECT] = inspected(c1=OLD, c2=image)

    assert await dokploy.images(web) is None


@pytest.mark.parametrize(
    ("tasks", "images"),
    [
        (ok([]), ()),
        (ok([{"name": "web-x1y2z3.1", "currentState": "Shutdown 2 minutes ago"}]), ()),
        (ok([{"name": "web-x1y2z3.1", "currentState": "Running 2 minutes ago"}]), None),
        (CRASHING, None),
        (FORBIDDEN, None),
    ],
    ids=["nowhere", "ended", "on another node", "starts again", "untold"],
)
async def test_that_nothing_runs_is_said_only_if_no_node_runs_it(
    dokploy: Dokploy, table: Table, web: App, tasks: Reply, images: tuple[str, ...] | None
) -> None:
    table.replies[LIST] = runs(container("c1", "exited"))
    table.replies[TASKS] = tasks

    assert await dokploy.images(web) == images


@pytest.mark.parametrize(
    ("status", "containers", "tasks", "stopped"),
    [
        ("idle", runs(), ok([]), True),
        ("idle", runs(container("c1")), ok([]), False),
        ("idle", runs(container("c1", "exited")), CRASHING, None),
        ("idle", FORBIDDEN, ok([]), None),
        ("error", runs(), ok([]), False),
        ("done", runs(container("c1", "exited")), ok([]), False),
    ],
    ids=["stopped", "source saved", "source saved, crashes", "untold", "build failed", "crashed"],
)
async def test_an_app_is_stopped_if_it_is_idle_and_nothing_of_it_runs_or_starts(
    dokploy: Dokploy, table: Table, web: App,
    status: str, containers: Reply, tasks: Reply, stopped: bool | None,
) -> None:  # fmt: skip
    table.replies["application.one"] = ok({"appName": "web-x1y2z3", "applicationStatus": status})
    table.replies |= {LIST: containers, TASKS: tasks, INSPECT: inspected(c1=NEW)}

    assert isinstance(dokploy, TellsStopped)
    assert await dokploy.stopped(web) is stopped


async def test_what_runs_of_all_apps_is_told_by_one_request_for_each_server(
    dokploy: Dokploy, table: Table, web: App, stack: App
) -> None:
    here, there = replace(web, id="1", service="web-x1y2z3"), replace(web, service="web-x1y2z3@s1")
    none, silent = replace(web, id="2", service="api-x@s1"), replace(web, id="3", service="x@s2")
    ended, other = container("c4", "exited"), container("c5", name="web-x1y2z3-other")
    servers = {
        None: runs(container("c2"), container("c1"), ended, other),
        "s1": runs(container("c3")),
        "s2": runs(),  # its Docker does not answer
    }
    table.replies[ALL] = lambda request: servers[request.url.params.get("serverId")]
    raw = replace(stack, service="raw")

    told = await dokploy.fingerprints([here, there, none, silent, raw, web])

    assert told == {"1": "c1 c2", "2": "", web.id: "c3"}
    params = sorted(str(one.url.params) for one in table.requests)
    assert params == ["", "serverId=s1", "serverId=s2"]


async def test_a_stack_is_not_asked_about(dokploy: Dokploy, table: Table, stack: App) -> None:
    assert await dokploy.images(stack) is None
    assert table.requests == []


@pytest.mark.parametrize("told", [{"Image": 7}, {"Image": {"TOKEN": "t0p-secret"}}, ["t0p-secret"]])
async def test_an_answer_of_another_form_is_refused_without_its_secrets(
    dokploy: Dokploy, table: Table, web: App, told: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    table.replies[LIST] = runs(container("c1"))
    if isinstance(told, dict):
        told |= {"Config": {"Env": ["TOKEN=t0p-secret"]}}
    table.replies[INSPECT] = ok(told)

    with pytest.raises(Unreachable) as caught:
        await dokploy.images(web)

    assert "t0p-secret" not in str(caught.value) + repr(caught.value) + caplog.text
    assert "t0p-secret" not in repr(vars(dokploy))
