"""What the backend calls done is looked at: the address, the containers, and for how long."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bridge.core.apps import Rules
from bridge.core.errors import Refused, Unreachable
from bridge.core.health.containers import Container
from bridge.core.health.verdict import ANSWER_LINES, PRINTED
from bridge.core.lifecycle import State
from bridge.core.policies import VerifyPolicy
from bridge.ports.probes import Answer, Silent, Unprobed
from tests.fakes.journey import HEAD, KeptSteps
from tests.worlds.deployer import Stage

POLICY = VerifyPolicy(within=20.0, every=2.0, consecutive=2)
YOUNG = Container("web.1.abc", "running", "Up 2 seconds")
OLD = Container("web.1.old", "running", "Up 3 days")


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
    assert stage.site.asked == ["https://web.test/", "https://web.test/"]
    assert await stage.states(done) == [
        "waiting",
        "asked",
        "queued",
        "running",
        "verifying",
        "done",
    ]
    assert done.live_at is not None
    assert done.finished_at is not None
    assert done.live_at < done.finished_at


async def test_without_a_rule_nothing_is_looked_at(stage: Stage) -> None:
    stage.app = replace(stage.app, url="https://web.test")

    done = await stage.run()

    assert (done.state, stage.site.asked) == (State.DONE, [])
    assert done.live_at == done.finished_at
    assert stage.backend.count("containers") == 0


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


async def test_of_a_page_the_evidence_is_what_people_read(stage: Stage) -> None:
    verifying(stage)
    head = "<html><head><title>nginx</title><style>p { margin: 0 }</style></head>"
    page = f"{head}\n<body><h1>It works</h1>\n<p>of a < b</p><script>let a</script></body></html>"
    stage.site.answers = saying(404, "Not Found", page)

    ended = await stage.run()

    asked = "GET https://web.test/: 404 Not Found, expected 2xx"
    assert (ended.log_tail or "").split("\n")[:3] == [asked, "It works", "of a < b"]


async def test_a_start_may_take_its_time(stage: Stage) -> None:
    verifying(stage)
    ready_at = stage.clock.now + 20

    def answers(url: str) -> Answer:
        if stage.clock.now < ready_at:
            raise Silent("connection refused")
        return Answer(url, 204, "No Content")

    stage.site.answers = answers

    assert (await stage.run()).state is State.DONE


async def test_answers_now_and_then_are_unhealthy(stage: Stage) -> None:
    verifying(stage)
    stage.site.answers = lambda url: Answer(url, 200 if len(stage.site.asked) % 2 else 500, "")

    ended = await stage.run()

    assert ended.state is State.UNHEALTHY
    assert "500" in ended.note


@pytest.mark.parametrize(
    ("body", "state"),
    [(f"version {HEAD[:7]}", State.DONE), ("version 1234567", State.UNHEALTHY)],
)
async def test_the_old_version_does_not_count_where_the_page_names_its_commit(
    stage: Stage, body: str, state: State
) -> None:
    verifying(stage, replace(POLICY, contains="version {short}"))
    stage.site.answers = saying(200, "OK", body)

    assert (await stage.run()).state is state


async def test_a_redirect_elsewhere_says_where_it_leads(stage: Stage) -> None:
    verifying(stage)
    stage.site.answers = lambda url: Answer(url, 301, "Moved", leads_to="www.web.test")

    ended = await stage.run()

    assert ended.state is State.UNHEALTHY
    assert ended.note.endswith(
        "GET https://web.test/: 301 Moved, expected 2xx; it redirects to www.web.test, and"
        " redirects to other hosts are not followed"
    )


async def test_a_text_that_may_come_later_than_what_was_read_is_not_called_missing(
    stage: Stage,
) -> None:
    verifying(stage, replace(POLICY, contains="works"))
    stage.site.answers = lambda url: Answer(url, 200, "OK", "the beginning", cut=True)

    ended = await stage.run()

    assert ended.state is State.DONE
    assert ended.note.endswith(
        "; not verified: GET https://web.test/: 200 OK, without the text 'works' at its beginning,"
        " and more of it is not read"
    )


async def test_what_must_not_be_asked_is_not_called_unhealthy(stage: Stage) -> None:
    verifying(stage)

    def answers(url: str) -> Answer:
        raise Unprobed("10.0.0.7 is in a private network")

    stage.site.answers = answers

    ended = await stage.run()

    assert ended.state is State.DONE
    assert ended.note.endswith(
        "; not verified: GET https://web.test/: 10.0.0.7 is in a private network"
    )


@pytest.mark.parametrize("public", [None, "https://web.test"])
async def test_where_people_have_no_address_it_asks_where_it_reaches_the_app_itself(
    stage: Stage, public: str | None
) -> None:
    verifying(stage, url=public)
    stage.backend.reached_at = "http://127.0.0.1:8091/apps/web"

    ended = await stage.run()

    assert ended.note.endswith("; verified")
    wanted = f"{public}/" if public else "http://127.0.0.1:8091/apps/web/"
    assert stage.site.asked == [wanted] * 2


async def test_an_address_that_cannot_be_read_is_no_unhealthy_app(stage: Stage) -> None:
    verifying(stage, url=None)
    for _ in range(20):
        stage.backend.next("local_url", Unreachable("embedded", "it is away"))

    ended = await stage.run()

    assert ended.state is State.DONE
    assert "; not verified: its address can't be read: embedded" in ended.note


async def test_without_anything_to_look_at_it_is_said(stage: Stage) -> None:
    verifying(stage, url=None)

    ended = await stage.run()

    assert ended.state is State.DONE
    assert "; not verified: there is nothing to look at" in ended.note


async def test_a_rollback_of_swarm_is_noticed(stage: Stage) -> None:
    """The page answers, but what answers has run since before the deployment."""
    verifying(stage)
    stage.backend.shown = [OLD, Container("web.1.new", "exited", "Exited (1) 3 seconds ago")]

    ended = await stage.run()

    assert ended.state is State.UNHEALTHY
    assert "the old version was kept or restored" in ended.note


async def test_containers_alone_can_verify_it(stage: Stage) -> None:
    verifying(stage, url=None)
    stage.backend.shown = [YOUNG]

    ended = await stage.run()

    assert (ended.state, ended.note.rpartition("; ")[2]) == (State.DONE, "verified")


async def test_containers_that_cannot_be_read_do_not_matter_beside_the_page(stage: Stage) -> None:
    verifying(stage)
    for _ in range(5):
        stage.backend.next("containers", Refused("dokploy", "no docker", status=500))

    assert (await stage.run()).state is State.DONE


@pytest.mark.parametrize("shown", [[], [Container("web.1.x", "exited", "Exited (1) 1 second ago")]])
async def test_a_page_that_answers_shows_that_it_runs_on_another_node(
    stage: Stage, shown: list[Container]
) -> None:
    verifying(stage)
    stage.backend.shown = shown

    assert (await stage.run()).note.endswith("; verified")


async def test_without_a_page_no_container_at_all_shows_nothing(stage: Stage) -> None:
    """The list is empty, too, if the backend could not ask Docker."""
    verifying(stage, url=None)
    stage.backend.shown = []

    done = await stage.run()

    assert done.state is State.DONE
    assert "; not verified: the backend shows no container of it that runs" in done.note


async def test_a_secret_in_the_address_is_not_shown(stage: Stage) -> None:
    verifying(stage, replace(POLICY, url="https://me:hunter2@web.test/healthz?token=hunter3"))
    stage.site.answers = saying(500, "Oh")

    ended = await stage.run()

    assert "GET https://web.test/healthz: 500" in ended.note
    assert "hunter" not in ended.note


async def test_after_a_restart_it_is_verified_anew(stage: Stage) -> None:
    """What was missed while no process ran says nothing of the site."""
    verifying(stage)
    new = await stage.wish()
    steps = KeptSteps()
    deployer = stage.deployer()
    await deployer.ask(new.id)
    await deployer.follow(new.id)
    assert (await stage.now(new)).state is State.VERIFYING
    stage.clock.now += 3600

    deployer = stage.deployer()
    await deployer.run(steps, new.id)
    await stage.watching(deployer.ending).watch(new.id)

    assert (await stage.now(new)).state is State.DONE
    assert len(stage.site.asked) == POLICY.consecutive


async def test_the_change_set_of_the_next_push_begins_at_an_unhealthy_commit(stage: Stage) -> None:
    verifying(stage)
    stage.site.answers = saying(500, "Oh")
    await stage.run()

    live = (await stage.journal.live([stage.app.id]))[stage.app.id]

    assert (live.commit, live.certain, live.failed) == (HEAD, True, False)


async def test_while_it_is_verified_what_runs_is_not_certain(stage: Stage) -> None:
    await stage.run(await stage.wish(1, commit=HEAD))
    verifying(stage)
    new = await stage.wish(2)
    deployer = stage.deployer()
    await deployer.ask(new.id)
    await deployer.follow(new.id)

    assert not (await stage.journal.live([stage.app.id]))[stage.app.id].certain
