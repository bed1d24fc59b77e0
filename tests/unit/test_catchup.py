"""What no webhook has brought: fetched from the host's list, or found where a ref has moved."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.core.apps import App, Rules, Source, SourceType, Trigger
from bridge.core.decision import Reason, decide
from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.events import FOUND_EVENT, Commit, Ref, RefKind, Repository, parse_found
from bridge.githosts.github.webhooks import GitHub
from bridge.pipeline.catchup import (
    ALIVE,
    CatchUpTiming,
    Sweeper,
    last_absence,
    notice_absence,
    stay,
)
from bridge.pipeline.reconcile import Budget, Reconciler, wanted_of
from bridge.ports.githosts import Hook, Payload, Sending, TagAt
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.storage.inbox.sqlite import SqliteInbox
from tests.fakes.journey import ManualClock, app, delivery, journal_in_memory

A, B, C = "a" * 40, "b" * 40, "c" * 40
MAIN = "github 4711 refs/heads/main"
TAGGED = app("app-tagged", trigger=Trigger.TAG)


@dataclass
class FakeApi:
    """A GitHub that shows what the test says."""

    heads: dict[str, str | None] = field(default_factory=dict)
    tagged: dict[str, str] = field(default_factory=dict)
    listed: list[Hook] = field(default_factory=list)
    tries: list[Sending] = field(default_factory=list)
    payloads: dict[str, Payload | None] = field(default_factory=dict)
    commits: dict[str, Commit] = field(default_factory=dict)
    refuses: bool = False
    asked: list[str] = field(default_factory=list)
    away: bool = False
    asks_to_wait: float | None = None

    async def repository(self, name: str) -> Repository:
        self._ask(f"repository {name}")
        return Repository("github", "4711", name)

    async def commit(self, repository: str, sha: str) -> Commit:
        self._ask(f"commit {sha}")
        if sha == C:
            raise NotFound("github: no such commit")
        return self.commits.get(sha, Commit(sha, "feat: something", "Ada"))

    async def head(self, repository: str, branch: str) -> str | None:
        self._ask(f"head {branch}")
        return self.heads.get(branch)

    async def tags(self, repository: str, limit: int) -> list[TagAt]:
        self._ask("tags")
        return [TagAt(name, commit) for name, commit in self.tagged.items()]

    async def hooks(self, repository: str) -> list[Hook]:
        self._ask("hooks")
        return self.listed

    async def sendings(self, hook: Hook, since: float) -> AsyncIterator[Sending]:
        self._ask(f"sendings {hook.id}")
        dated = [(one.at, one) for one in self.tries if one.at is not None]
        for at, sending in sorted(dated, key=lambda one: -one[0]):
            if at >= since:
                yield sending

    async def payload(self, hook: Hook, id_: str) -> Payload | None:
        self._ask(f"payload {id_}")
        return self.payloads[id_]

    async def redeliver(self, hook: Hook, id_: str) -> None:
        self._ask(f"redeliver {id_}")
        if self.refuses:
            raise Refused("github", "it needs Webhooks write", status=403)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise Unreachable("github", "connection refused", retry_after=self.asks_to_wait)


@dataclass
class Scene:
    """The parts that catch up, with everything around them."""

    api: FakeApi
    clock: ManualClock
    inbox: SqliteInbox
    journal: Any
    reconciler: Reconciler
    sweeper: Sweeper

    async def decided(self, ref_key: str, before: str, after: str) -> None:
        """A webhook has brought a push, and it was decided."""
        seq = int(self.clock.now)
        await self.journal.record(
            [Outcome(seq, f"d-{seq}", (), push=PushSeen(ref_key, before, after))], window=600
        )
        self.clock.now += 1

    def sweeper_anew(self) -> Sweeper:
        """As after another start."""
        apis: dict[str, Any] = {"github": self.api}
        return Sweeper(
            apis,
            {"github": GitHub(["secret"])},
            self.inbox,
            self.journal,
            self.clock,
            Budget(self.clock, hourly=3600, burst=1000, sleep=self.clock.sleep),
            CatchUpTiming(),
        )

    async def looks(self, *apps: App) -> int:
        """Look twice, with the time for a webhook in between."""
        first = await self.reconciler.round(apps)
        self.clock.now += 100
        return first + await self.reconciler.round(apps)

    async def kept(self) -> list[Any]:
        return [await self.inbox.get(one.seq) for one in await self.inbox.newest(100)][::-1]


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    clock, api = ManualClock(), FakeApi()
    inbox, journal = SqliteInbox(tmp_path / "inbox.sqlite"), journal_in_memory(clock)
    await inbox.start()
    budget = Budget(clock, hourly=3600, burst=1000, sleep=clock.sleep)
    apis: dict[str, Any] = {"github": api}
    hosts = {"github": GitHub(["secret"])}
    yield Scene(
        api,
        clock,
        inbox,
        journal,
        Reconciler(apis, inbox, journal, clock, budget),
        Sweeper(apis, hosts, inbox, journal, clock, budget, CatchUpTiming()),
    )
    await inbox.stop()
    await journal.stop()


# ── heads and tags ───────────────────────────────────────────────────────────


async def test_a_branch_that_is_seen_for_the_first_time_deploys_nothing(scene: Scene) -> None:
    scene.api.heads["main"] = A

    assert await scene.looks(app()) == 0
    assert await scene.kept() == []


async def test_a_head_that_no_webhook_has_told_of_is_kept_as_a_push(scene: Scene) -> None:
    scene.api.heads["main"] = A
    await scene.decided(MAIN, C, A)
    await scene.looks(app())
    scene.api.heads["main"] = B

    assert await scene.looks(app()) == 1

    (kept,) = await scene.kept()
    push = parse_found(kept.body)
    assert (kept.host, kept.event) == ("github", FOUND_EVENT)
    assert (push.repository, push.ref) == (
        Repository("github", "4711", "my-org/mono"),
        Ref(RefKind.BRANCH, "main"),
    )
    assert (push.before, push.after, push.commit) == (A, B, Commit(B, "feat: something", "Ada"))
    assert (push.paths, push.found) == (None, True)


@pytest.mark.parametrize(
    ("parents", "reason"),
    [
        ((A,), Reason.SKIP_DIRECTIVE),
        ((A, C), Reason.SKIP_DIRECTIVE),  # a merge
        ((C,), Reason.PATHS_UNKNOWN),  # somebody's push lies between
        ((C, A), Reason.PATHS_UNKNOWN),
        ((), Reason.PATHS_UNKNOWN),
    ],
)
async def test_a_head_that_asks_to_be_skipped_speaks_for_no_push_but_its_own(
    scene: Scene, parents: tuple[str, ...], reason: Reason
) -> None:
    waits = app(watch_paths=("web/**",))
    scene.api.heads["main"] = A
    await scene.decided(MAIN, C, A)
    scene.api.heads["main"] = B
    scene.api.commits[B] = Commit(B, "chore: notes [skip ci]", "Ada", parents=parents)

    await scene.looks(waits)

    (kept,) = await scene.kept()
    assert decide(parse_found(kept.body), waits).reason is reason


async def test_a_webhook_has_its_time_before_anything_is_found(scene: Scene) -> None:
    scene.api.heads["main"] = A
    await scene.decided(MAIN, C, A)
    scene.api.heads["main"] = B
    await scene.reconciler.round([app()])
    await scene.decided(MAIN, A, B)
    scene.clock.now += 100

    assert await scene.reconciler.round([app()]) == 0
    assert await scene.kept() == []


async def test_the_same_move_is_found_once_however_often_it_is_seen(scene: Scene) -> None:
    scene.api.heads["main"] = A
    await scene.decided(MAIN, C, A)
    scene.api.heads["main"] = B

    assert await scene.looks(app()) == 1
    assert await scene.looks(app()) == 0
    assert len(await scene.kept()) == 1


async def test_going_back_to_an_older_commit_is_found_too(scene: Scene) -> None:
    await scene.decided(MAIN, C, A)
    await scene.decided(MAIN, A, B)
    scene.api.heads["main"] = A

    assert await scene.looks(app()) == 1


async def test_a_branch_that_goes_forth_and_back_and_forth_again_is_found_each_time(
    scene: Scene,
) -> None:
    await scene.decided(MAIN, C, A)
    for before, after in ((A, B), (B, A), (A, B)):
        scene.api.heads["main"] = after
        assert await scene.looks(app()) == 1
        await scene.decided(MAIN, before, after)

    assert [parse_found(kept.body).after for kept in await scene.kept()] == [B, A, B]


async def test_a_webhook_has_its_time_each_time_that_a_branch_goes_the_same_way(
    scene: Scene,
) -> None:
    await scene.decided(MAIN, C, A)
    for before, after in ((A, B), (B, A)):
        scene.api.heads["main"] = after
        await scene.reconciler.round([app()])
        await scene.decided(MAIN, before, after)
        await scene.reconciler.round([app()])
        scene.clock.now += 1000
    scene.api.heads["main"] = B

    assert await scene.reconciler.round([app()]) == 0


async def test_a_branch_that_is_gone_is_no_push(scene: Scene) -> None:
    await scene.decided(MAIN, C, A)
    scene.api.heads["main"] = None

    assert await scene.looks(app()) == 0


async def test_tags_that_came_without_events_are_found_once_and_old_ones_never(
    scene: Scene,
) -> None:
    scene.api.tagged = {"v1": A}
    assert await scene.looks(TAGGED) == 0
    scene.api.tagged = {f"v{number}": B for number in range(1, 7)}
    await scene.decided("github 4711 refs/tags/v2", "0" * 40, B)

    assert await scene.looks(TAGGED) == 4
    assert await scene.looks(TAGGED) == 0

    names = [parse_found(kept.body).ref.name for kept in await scene.kept()]
    assert names == ["v3", "v4", "v5", "v6"]


async def test_a_commit_that_the_host_does_not_show_is_found_all_the_same(scene: Scene) -> None:
    await scene.decided(MAIN, B, A)
    scene.api.heads["main"] = C

    assert await scene.looks(app()) == 1
    assert parse_found((await scene.kept())[0].body).commit == Commit(C)


async def test_a_host_that_is_away_stops_nothing(scene: Scene) -> None:
    scene.api.away = True

    assert await scene.looks(app()) == 0


@pytest.mark.parametrize("part", ["reconciler", "sweeper"])
async def test_a_host_that_asks_to_wait_is_left_alone_for_the_round(
    scene: Scene, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    scene.api.away, scene.api.asks_to_wait = True, 600.0
    names = ["my-org/one", "my-org/two", "their-org/three"]
    apps = [
        app(f"app-{name}", source=Source(SourceType.GITHUB, repository=name, branch="main"))
        for name in names
    ]

    await getattr(scene, part).round(apps)

    # each owner's installation of a GitHub App has a limit of its own
    assert len(scene.api.asked) == len(caplog.messages) == 2
    await getattr(scene, part).round(apps)
    assert len(scene.api.asked) == 4


def test_what_is_looked_at_is_what_apps_wait_for() -> None:
    gitlab = Source(SourceType.GITLAB, repository="g/p", repository_id="7", branch="main")
    apps = [
        app(),
        app("app-other", rules=Rules(branch="stage")),
        app("app-glob", rules=Rules(branch="release/*")),
        TAGGED,
        app("app-gitlab", source=gitlab),
        app("app-docker", source=Source(SourceType.DOCKER, image="nginx")),
        app("app-none", source=None),
        app("app-key", source=Source(SourceType.GIT, url="git.example.com/g/q", branch="dev")),
        app("app-far", source=Source(SourceType.GIT, url="elsewhere.example/g/q", branch="dev")),
    ]

    found = {
        key: (sorted(one.branches), one.tags)
        for key, one in wanted_of(apps, {"git.example.com": "gitlab"}).items()
    }

    assert found == {
        ("github", "my-org/mono"): (["main", "stage"], True),
        ("gitlab", "g/p"): (["main"], False),
        ("gitlab", "g/q"): (["dev"], False),
    }


# ── a push that is found and brought ─────────────────────────────────────────


@pytest.mark.parametrize("ref_key", [MAIN, "github 4711 refs/tags/v1"])
@pytest.mark.parametrize("found_first", [True, False])
async def test_what_was_found_and_what_a_late_webhook_brings_is_one_push(
    scene: Scene, ref_key: str, found_first: bool
) -> None:
    from bridge.core.decision import Decision, Reason
    from tests.fakes.journey import deployment

    found = PushSeen(ref_key, A, C, found=True)
    brought = replace(found, before=B, found=False)
    pushes = [found, brought] if found_first else [brought, found]
    for seq, push in enumerate(pushes, 1):
        decision = Decision("app-web", "shop/web", Reason.NO_WATCH_PATHS, "all of them")
        outcome = Outcome(seq, f"d-{seq}", (decision,), (deployment(seq),), push)
        await scene.journal.record([outcome], window=600)
        scene.clock.now += 86_400

    decisions = await scene.journal.decisions([1, 2])
    assert [one.reason for seq in (1, 2) for one in decisions[seq]] == [
        Reason.NO_WATCH_PATHS,
        Reason.DUPLICATE_PUSH,
    ]


# ── sweeping ─────────────────────────────────────────────────────────────────

HOOK = Hook("repos/my-org/mono", "1", "https://bridge.example.com/hooks/github")


def payload(guid: str) -> Payload:
    headers: Mapping[str, str] = {
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
    scene.api.listed = [HOOK]
    missed(scene, "guid-2", False, age=1800)
    missed(scene, "guid-1", False, False)
    missed(scene, "answered-at-last", False, True)
    missed(scene, "young", False, age=10)

    assert await scene.sweeper.round([app()]) == 2

    kept = await scene.kept()
    assert [one.id for one in kept] == ["guid-1", "guid-2"]
    assert (kept[0].event, kept[0].headers) == ("push", {"content-type": "application/json"})
    assert kept[0].body == b'{"ref": "refs/heads/main"}'
    assert await scene.sweeper.round([app()]) == 0


async def test_what_we_kept_without_the_hosts_knowing_is_not_fetched(scene: Scene) -> None:
    scene.api.listed = [HOOK]
    missed(scene, "timed-out", False)
    await scene.inbox.keep(delivery("timed-out"))

    assert await scene.sweeper.round([app()]) == 0
    assert "payload timed-out-0" not in scene.api.asked


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
        ({"clone_url": "https://github.com/my-org/other.git"}, 0),
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
    assert caplog.text.count("speaks of another repository") == 1 - kept
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


async def test_what_claims_to_be_found_by_reconciliation_is_not_fetched(scene: Scene) -> None:
    """Such a body speaks for any repository of any host."""
    scene.api.listed = [HOOK]
    missed(scene, "forged", False)
    scene.api.payloads = {
        "forged-0": replace(
            payload("forged"),
            headers={"x-github-delivery": "forged", "x-github-event": FOUND_EVENT},
        )
    }

    assert await scene.sweeper.round([app()]) == 0
    assert await scene.kept() == []


async def test_events_that_are_none_of_ours_are_left_alone(scene: Scene) -> None:
    scene.api.listed = [HOOK]
    scene.api.tries = [Sending("1", "g", "pull_request", scene.clock.now - 3600, False)]

    assert await scene.sweeper.round([app()]) == 0


async def test_a_webhook_that_its_host_has_switched_off_is_noticed(scene: Scene) -> None:
    scene.api.listed = [replace(HOOK, trouble="disabled until tomorrow")]
    await scene.sweeper.round([app()])
    assert list(scene.sweeper.trouble.values()) == ["disabled until tomorrow"]

    scene.api.listed = [HOOK]
    await scene.sweeper.round([app()])
    assert scene.sweeper.trouble == {}


async def test_later_sweeps_look_back_only_to_the_last_one(scene: Scene) -> None:
    scene.api.listed = [HOOK]
    await scene.sweeper.round([app()])
    missed(scene, "older than the last sweep", False, age=7200)

    assert await scene.sweeper.round([app()]) == 0


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


async def test_a_sweep_after_an_absence_looks_back_to_the_copys_own_last_one(scene: Scene) -> None:
    scene.api.listed = [HOOK]
    await scene.sweeper.round([app()])
    await away(scene, 2 * 86_400)
    missed(scene, "just after the copy", True, age=2 * 86_400 - 60)

    assert await scene.sweeper.round([app()]) == 1


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


async def test_a_start_soon_after_a_stop_is_no_absence(scene: Scene) -> None:
    await away(scene, 60)
    assert await last_absence(scene.journal) is None

    scene.api.listed = [HOOK]
    missed(scene, "answered", True, age=30)
    assert await scene.sweeper.round([app()]) == 0


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
