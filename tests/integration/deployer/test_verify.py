"""What the backend calls done is looked at: the address, the containers, and for how long."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import Rules
from bridge.core.errors import Refused, Unreachable
from bridge.core.health.containers import Container
from bridge.core.health.verdict import ANSWER_LINES, PRINTED
from bridge.core.lifecycle import State
from bridge.core.policies import VerifyPolicy
from bridge.ports.probes import Answer
from tests.fakes.journey import HEAD
from tests.worlds.deployer import Stage

POLICY = VerifyPolicy(within=20.0, every=2.0, consecutive=2)
YOUNG = Container("web.1.abc", "running", "Up 2 seconds")


def verifying(
    stage: Stage, policy: VerifyPolicy = POLICY, url: str | None = "https://web.test"
) -> None:
    stage.app = replace(stage.app, url=url)
    stage.rules = Rules(verify=policy)


def saying(status: int, reason: str, body: str = "") -> Callable[[str], Answer]:
    return lambda url: Answer(url, status, reason, body)


async def test_a_healthy_deployment_is_done_after_some_looks(stage: Stage) -> None:
    verifying(stage)

    done = await stage.run()

    assert done.state is State.DONE
    assert done.note == f"commit {HEAD[:7]} is live; verified"
    assert done.answer is not None
    assert done.answer.endswith(": 200 OK, 2 times in a row")
    assert stage.site.asked == ["https://web.test/", "https://web.test/"]
    states = ["waiting", "asked", "queued", "running", "verifying", "done"]
    assert await stage.states(done) == states
    assert done.live_at is not None
    assert done.finished_at is not None
    assert done.live_at < done.finished_at


async def test_a_later_rule_switches_it_off(stage: Stage) -> None:
    verifying(stage, VerifyPolicy(on=False))

    assert (await stage.run()).state is State.DONE
    assert stage.site.asked == []


async def test_what_never_answers_well_is_unhealthy_with_the_evidence(stage: Stage) -> None:
    verifying(stage, replace(POLICY, url="/healthz"))
    said = "no database at postgres://me:hunter2@db/web\n\ntoken=hunter2\n"
    stage.site.answers = saying(502, "Bad Gateway", said + "again\n" * 20)
    stage.backend.printed = (
        "starting\nDATABASE_URL=postgres://me:hunter2@db/web\nError: no database\n"
    )

    ended = await stage.run()

    assert ended.state is State.UNHEALTHY
    assert ended.note.endswith(", but GET https://web.test/healthz: 502 Bad Gateway, expected 2xx")
    assert (ended.log_tail or "").split("\n") == [
        "GET https://web.test/healthz: 502 Bad Gateway, expected 2xx",
        "no database at postgres://***@db/web",
        "token=***",
        *["again"] * (ANSWER_LINES - 2),
        PRINTED,
        "starting",
        "DATABASE_URL=postgres://***@db/web",
        "Error: no database",
    ]
    assert ended.deployed_commit == HEAD
    live = (await stage.journal.live([stage.app.id]))[stage.app.id]
    assert (live.commit, live.certain, live.failed) == (HEAD, True, False)


async def test_of_a_page_the_evidence_is_what_people_read(stage: Stage) -> None:
    verifying(stage)
    head = "<html><head><title>nginx</title><style>p { margin: 0 }</style></head>"
    page = f"{head}\n<body><h1>It works</h1>\n<p>of a < b</p><script>let a</script></body></html>"
    stage.site.answers = saying(404, "Not Found", page)

    ended = await stage.run()

    asked = "GET https://web.test/: 404 Not Found, expected 2xx"
    assert (ended.log_tail or "").split("\n")[:3] == [asked, "It works", "of a < b"]


SHORT = {"contains": "version {short}"}
SECRET = {"url": "https://me:hunter2@web.test/healthz?token=hunter3"}
REDIRECT = (
    "GET https://web.test/: 301 Moved, expected 2xx; it redirects to www.web.test, and redirects"
    " to other hosts are not followed"
)
CUT = (
    "; not verified: GET https://web.test/: 200 OK, without the text 'works' at its beginning, and"
    " more of it is not read"
)


@pytest.mark.parametrize(
    ("policy", "answer", "state", "says"),
    [
        (SHORT, Answer("", 200, "OK", f"version {HEAD[:7]}"), State.DONE, "; verified"),
        (SHORT, Answer("", 200, "OK", "version 1234567"), State.UNHEALTHY, ""),
        ({}, Answer("", 301, "Moved", leads_to="www.web.test"), State.UNHEALTHY, REDIRECT),
        ({"contains": "works"}, Answer("", 200, "OK", "the be", cut=True), State.DONE, CUT),
        (SECRET, Answer("", 500, "Oh"), State.UNHEALTHY, "healthz: 500 Oh, expected 2xx"),
    ],
    ids=["the new version", "the old one", "a redirect", "a text that is cut", "a secret"],
)
async def test_what_the_address_answers_decides(
    stage: Stage, policy: dict[str, Any], answer: Answer, state: State, says: str
) -> None:
    """What was not read is not called missing, and no secret of the address is shown."""
    verifying(stage, replace(POLICY, **policy))
    stage.site.answers = lambda url: replace(answer, url=url)

    ended = await stage.run()

    assert ended.state is state
    assert ended.note.endswith(says)
    assert "hunter" not in ended.note


async def test_answers_now_and_then_are_unhealthy(stage: Stage) -> None:
    verifying(stage)
    stage.site.answers = lambda url: Answer(url, 200 if len(stage.site.asked) % 2 else 500, "")

    ended = await stage.run()

    assert (ended.state, "500" in ended.note) == (State.UNHEALTHY, True)


async def test_an_address_that_cannot_be_read_is_no_unhealthy_app(stage: Stage) -> None:
    verifying(stage, url=None)
    for _ in range(20):
        stage.backend.next("local_url", Unreachable("embedded", "it is away"))

    ended = await stage.run()

    assert ended.state is State.DONE
    assert "; not verified: its address can't be read: embedded" in ended.note


async def test_containers_alone_can_verify_it(stage: Stage) -> None:
    verifying(stage, url=None)
    stage.backend.shown = [YOUNG]

    ended = await stage.run()

    assert (ended.state, ended.note.rpartition("; ")[2]) == (State.DONE, "verified")


@pytest.mark.parametrize(
    "shown", [[], [Container("web.1.x", "exited", "Exited (1) 1 second ago")], None]
)
async def test_a_page_that_answers_shows_that_it_runs_on_another_node_or_unseen(
    stage: Stage, shown: list[Container] | None
) -> None:
    verifying(stage)
    if shown is None:
        for _ in range(5):
            stage.backend.next("containers", Refused("dokploy", "no docker", status=500))
    else:
        stage.backend.shown = shown

    ended = await stage.run()

    assert ended.state is State.DONE
    assert ended.note.endswith("; verified") or shown is None
