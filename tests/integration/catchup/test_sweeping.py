"""What no webhook has brought is fetched from the host's own list."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.apps import Source, SourceType
from bridge.core.errors import Unreachable
from bridge.core.events import FOUND_EVENT
from bridge.pipeline.deciding.catchup import hook_troubles
from bridge.pipeline.deciding.reconcile import Budget
from bridge.pipeline.housekeeping import ALIVE, notice_absence, stay
from bridge.ports.githosts import Hook, Payload, Sending
from tests.fakes.journey import ManualClock, app, delivery
from tests.worlds.catchup import A, B, Scene

HOOK = Hook("repos/my-org/mono", "1", "https://bridge.example.com/hooks/github")


def payload(guid: str) -> Payload:
    headers = {
        "x-github-delivery": guid,
        "x-github-event": "push",
        "content-type": "application/json",
    }
    return Payload(headers, b'{"ref": "refs/heads/main"}')


def missed(scene: Scene, guid: str, *answers: bool, age: float = 3600.0) -> None:
    for number, answered in enumerate(answers):
        id_ = f"{guid}-{number}"
        at = scene.clock.now - age + number
        scene.api.tries.append(Sending(id_, guid, "push", at, answered))
        scene.api.payloads[id_] = payload(guid)


async def test_what_never_arrived_is_kept_as_if_it_had_the_oldest_first(scene: Scene) -> None:
    """What we have, what is none of ours, and what claims to speak for any host is not fetched."""
    scene.api.listed = [HOOK]
    missed(scene, "guid-2", False, age=1800)
    missed(scene, "guid-1", False, False)
    missed(scene, "answered-at-last", False, True)
    missed(scene, "young", False, age=10)
    missed(scene, "timed-out", False)
    await scene.inbox.keep(delivery("timed-out"))
    scene.api.tries.append(Sending("1", "g", "pull_request", scene.clock.now - 3600, False))
    missed(scene, "forged", False)
    found = {"x-github-delivery": "forged", "x-github-event": FOUND_EVENT}
    scene.api.payloads["forged-0"] = replace(payload("forged"), headers=found)

    assert await scene.sweeper.round([app()]) == 2

    kept = [one for one in await scene.kept() if one.id != "timed-out"]
    assert [one.id for one in kept] == ["guid-1", "guid-2"]
    assert (kept[0].event, kept[0].headers) == ("push", {"content-type": "application/json"})
    assert kept[0].body == b'{"ref": "refs/heads/main"}'
    assert "payload timed-out-0" not in scene.api.asked
    assert await scene.sweeper.round([app()]) == 0


PUSH = {
    "ref": "refs/heads/main",
    "before": A,
    "after": B,
    "repository": {"id": 4711, "name": "mono", "full_name": "my-org/Mono"},
}


@pytest.mark.parametrize(
    ("says", "kept"),
    [
        ({}, 1),
        ({"id": 4712}, 0),
        ({"full_name": "my-org/other"}, 0),
        ({"clone_url": "file:///srv/git/my-org/other"}, 0),
    ],
)
async def test_where_people_shape_payloads_they_speak_of_their_repository_alone(
    scene: Scene, says: dict[str, Any], kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Who may keep a webhook of one repository need not know our secret: nobody has signed it."""
    scene.api.listed = [replace(HOOK, speaks_for="my-org/mono")]
    missed(scene, "guid-1", False)
    told = PUSH | {"repository": {**PUSH["repository"], **says}}  # type: ignore[dict-item]  # one has fields
    made = replace(payload("guid-1"), body=json.dumps(told).encode())
    scene.api.payloads["guid-1-0"] = made

    assert [await scene.sweeper.round([app()]) for _ in range(3)] == [kept, 0, 0]

    assert len(await scene.kept()) == kept
    assert caplog.text.count("names another repository") == 1 - kept
    assert scene.api.asked.count("payload guid-1-0") == 1


@pytest.mark.parametrize("refuses", [False, True])
async def test_what_is_listed_without_its_payload_is_sent_again_once(
    scene: Scene, refuses: bool, caplog: pytest.LogCaptureFixture
) -> None:
    scene.api.listed, scene.api.refuses = [HOOK], refuses
    missed(scene, "guid-1", False)
    scene.api.payloads["guid-1-0"] = None

    assert [await scene.sweeper.round([app()]) for _ in range(3)] == [0, 0, 0]

    assert scene.api.asked.count("redeliver guid-1-0") == 1
    assert await scene.kept() == []
    assert ("nor sent again" in caplog.text) is refuses
    assert caplog.text.count("a missed delivery") == 1


async def test_only_webhooks_that_lead_here_are_swept_and_each_once(scene: Scene) -> None:
    scene.api.listed = [HOOK, Hook("repos/my-org/mono", "2", "https://ci.example.com/hook")]
    other = app("app-two", source=Source(SourceType.GITHUB, repository="my-org/two", branch="x"))

    await scene.sweeper.round([app(), other])

    assert scene.api.asked.count("sendings 1") == 1
    assert "sendings 2" not in scene.api.asked


async def troubles(scene: Scene) -> list[tuple[str, float]]:
    """Why webhooks don't arrive, as any process can read it, and how long ago that was."""
    found = await hook_troubles(scene.journal, scene.clock.now)
    return [(one.why, scene.clock.now - one.at) for one in found]


async def test_a_webhook_that_its_host_has_switched_off_is_noticed(scene: Scene) -> None:
    scene.api.listed = [replace(HOOK, trouble="disabled until tomorrow")]
    await scene.sweeper.round([app()])
    scene.clock.now += 600
    assert await troubles(scene) == [("disabled until tomorrow", 600)]

    scene.api.away = True
    await scene.sweeper_anew().round([app()])
    assert await troubles(scene) == [("disabled until tomorrow", 600)]

    scene.api.away = False
    scene.api.listed = [HOOK]
    await scene.sweeper_anew().round([app()])
    assert await troubles(scene) == []

    scene.api.listed = [replace(HOOK, trouble="disabled until tomorrow")]
    await scene.sweeper_anew().round([app()])
    scene.clock.now += 86_400  # what a host said a day ago is not claimed any more
    assert await troubles(scene) == []


async def test_a_webhook_whose_last_delivery_failed_is_noticed_until_one_arrives(
    scene: Scene,
) -> None:
    scene.api.listed = [HOOK]
    missed(scene, "guid-1", True, age=7200)
    missed(scene, "guid-2", False)
    missed(scene, "young", False, age=10)
    refused = "its last delivery was not accepted: no answer"
    for _ in range(2):  # at the second look the host lists nothing new
        await scene.sweeper_anew().round([app()])
        assert await troubles(scene) == [(refused, 3600)]

    missed(scene, "guid-3", True, age=60)
    await scene.sweeper_anew().round([app()])
    assert await troubles(scene) == []


async def test_webhooks_of_another_bridge_are_none_of_ours(scene: Scene) -> None:
    scene.api.listed = [replace(HOOK, trouble="it is switched off")]

    await scene.sweeper_anew("https://staging.example.com").round([app()])
    assert await troubles(scene) == []

    await scene.sweeper_anew("https://bridge.example.com").round([app()])
    assert await troubles(scene) == [("it is switched off", 0)]


async def test_a_clock_that_was_set_back_since_the_last_sweep_hides_nothing(scene: Scene) -> None:
    scene.api.listed = [HOOK]
    scene.clock.now += 30 * 86_400  # as a machine has it that starts with a wrong clock
    await scene.sweeper.round([app()])
    scene.clock.now -= 30 * 86_400
    missed(scene, "guid-1", False, age=7200)
    scene.api.payloads = {"guid-1-0": payload("guid-1")}

    assert await scene.sweeper_anew().round([app()]) == 1


async def test_a_budget_lets_the_first_through_at_once_and_spreads_the_rest() -> None:
    clock = ManualClock()
    budget = Budget(clock, hourly=3600, burst=2, sleep=clock.sleep)
    start = clock.now

    for _ in range(5):
        await budget.spend()

    assert clock.now - start == pytest.approx(3.0, abs=0.5)


# ── after an absence ─────────────────────────────────────────────────────────


async def away(scene: Scene, seconds: float) -> None:
    """The bridge is started so long after its data was written for the last time."""
    await scene.journal.note(ALIVE, str(scene.clock.now))
    scene.clock.now += seconds
    await notice_absence(scene.journal, scene.inbox, scene.clock)


async def test_what_was_answered_in_an_absence_is_fetched_if_it_is_not_kept(scene: Scene) -> None:
    """Who had answered it was this bridge, before its data was restored from an older copy."""
    scene.api.listed = [HOOK]
    assert await scene.sweeper.round([app()]) == 0
    await away(scene, 7200)
    missed(scene, "kept", True, age=1000)
    await scene.inbox.keep(delivery("kept"))
    missed(scene, "lost", True, age=1000)
    missed(scene, "before the copy", True, age=8000)

    assert await scene.sweeper.round([app()]) == 1

    assert (await scene.kept())[-1].id == "lost"
    scene.clock.now += 300
    assert await scene.sweeper_anew().round([app()]) == 0


async def test_an_absence_that_nobody_came_to_asking_about_is_not_forgotten_by_the_next_start(
    scene: Scene,
) -> None:
    scene.api.listed = [HOOK]
    await away(scene, 7200)
    missed(scene, "lost", True, age=3600)
    scene.api.away = True
    assert await scene.sweeper.round([app()]) == 0
    await away(scene, 600)
    scene.api.away = False

    assert await scene.sweeper_anew().round([app()]) == 1


async def test_a_copy_by_a_release_that_left_no_marks_counts_from_its_newest_delivery(
    scene: Scene,
) -> None:
    assert await notice_absence(scene.journal, scene.inbox, scene.clock) is None
    scene.api.listed = [HOOK]
    await scene.inbox.keep(delivery("newest", received_at=scene.clock.now))
    scene.clock.now += 7200
    missed(scene, "lost", True, age=3600)
    await notice_absence(scene.journal, scene.inbox, scene.clock)

    assert await scene.sweeper.round([app()]) == 1


async def test_the_mark_is_renewed_whatever_becomes_of_one(scene: Scene) -> None:
    class Enough(Exception):
        pass

    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        scene.clock.now += seconds
        if len(slept) == 3:
            raise Enough

    async def fails(_key: str, _value: str) -> None:
        raise Unreachable("the journal", "away")

    note, scene.journal.note = scene.journal.note, fails
    with pytest.raises(Enough):
        await stay(scene.journal, scene.clock, sleep=sleep)
    scene.journal.note = note
    slept.clear()
    with pytest.raises(Enough):
        await stay(scene.journal, scene.clock, sleep=sleep)

    assert await scene.journal.recall(ALIVE) == str(scene.clock.now - slept[-1])
