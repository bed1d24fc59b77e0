"""Where a push's own list of files is not enough: what is asked, and what is decided then."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge.core.changes import Live, Question, question
from bridge.core.decision import Decision, Reason
from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.core.events import Ignored, RefKind, RefPushed
from bridge.core.lifecycle import Deployment, State
from bridge.pipeline.deciding.changes import CROWDED, HIDDEN_HOLDS, Changes, ViewFinder
from bridge.pipeline.deciding.deliveries import Deliveries
from bridge.pipeline.deciding.interpret import Reading
from bridge.ports.githosts import ChangeSet
from bridge.ports.inbox import DeliveryState
from bridge.ports.outcomes import Outcome
from tests.fakes.git_api import FakeHostApi
from tests.fakes.journey import app, deployment, push
from tests.worlds.deliveries import PATIENCE, Desk, desk, empty

__all__ = ["desk", "empty"]  # fixtures of this file, too

BEFORE, AFTER, LIVE = "a" * 40, "b" * 40, "1" * 40
ZERO = "0" * 40
NONE, DOCS, WEB = ChangeSet(()), ChangeSet(("docs/a.md",)), ChangeSet(("web/index.html",))


def unknown(note: str, **others: Any) -> RefPushed:
    return push(paths=None, paths_note=note, **others)


class Office:
    """A desk whose deliveries ask a host's API."""

    def __init__(self, desk: Desk, **others: Any) -> None:
        self.desk = desk
        self.api = FakeHostApi(**others)
        self.asks(Changes({self.api.name: self.api}, desk.clock, sleep=desk.clock.sleep))

    def asks(self, changes: Changes) -> None:
        """Have its deliveries decided with what these can find out."""
        at, self.changes = self.desk, changes
        self.deliveries = Deliveries(
            at.inbox, at.journal, at.flows, at.catalog, Reading(at.inbox, {self.api.name: at.host}),
            at.clock, PATIENCE, views=ViewFinder(changes, at.journal),
        )  # fmt: skip

    async def watching(self, *apps: Any) -> None:
        self.desk.backend.found = list(apps) or [app(watch_paths=("web/**",))]
        await self.desk.catalog.refresh()
        self.desk.clock.now += 10

    async def deployed(self, *those: Deployment) -> None:
        for at, new in enumerate(those):
            one = replace(
                new,
                finished_at=new.created_at + at if new.final else None,
                live_at=new.created_at + at if new.served else None,
            )
            await self.desk.keep(f"old-{one.seq}", Ignored("its turn is over"), host=self.api.name)
            outcome = Outcome(one.seq, one.delivery, (), (one,))
            await self.desk.journal.record([outcome], window=0)

    async def decide(self, meaning: RefPushed, id_: str = "one", **others: Any) -> int:
        """Keep a delivery and drain until it is decided."""
        seq = await self.desk.keep(id_, meaning, host=meaning.repository.host, **others)
        for _ in range(50):
            await self.deliveries.drain()
            if (await self.desk.one(seq)).state is not DeliveryState.KEPT:
                return seq
            await self.changes.settled()
            self.desk.clock.now += 2.0
        raise AssertionError("it is never decided")

    async def why(self, seq: int) -> tuple[str, str]:
        (decision,) = (await self.desk.journal.decisions([seq]))[seq]
        return str(decision.reason), decision.evidence


@pytest.fixture
async def office(desk: Desk) -> Any:
    made = Office(desk)
    await made.watching()
    yield made
    await made.changes.close()


CUT_SHORT = {
    "GitHub's most commits": "GitHub lists no more than 2048 commits",
    "GitHub's most files": "GitHub lists no more than 3000 files of a commit",
    "an empty list": "GitHub listed no files for commit bbbbbbb; it may be too large",
    "no commits": "GitHub listed no commits although the branch moved",
    "GitLab's most commits": "GitLab listed 20 of 31 commits",
    "a system hook": "a system hook lists no files",
    "a forced push": "a forced push does not list the files that it took back",
}


@pytest.mark.parametrize("note", CUT_SHORT.values(), ids=CUT_SHORT)
@pytest.mark.parametrize(
    ("found", "decision"),
    [
        (WEB, ("path_hit", "web/index.html matches web/** (compare {}: 1 file)")),
        (DOCS, ("no_path_hit", "1 file changed, none matches web/** (compare {}: 1 file)")),
        (NONE, ("no_path_hit", "0 files changed, none matches web/** (compare {}: 0 files)")),
    ],
    ids=["a hit", "no hit", "nothing"],
)
async def test_a_list_that_is_cut_short_is_asked_for_and_deploys_only_what_it_hits(
    office: Office, note: str, found: ChangeSet, decision: tuple[str, str]
) -> None:
    office.api.differing[BEFORE, AFTER] = found
    reason, evidence = decision

    seq = await office.decide(unknown(note, forced="forced" in note))

    assert await office.why(seq) == (reason, evidence.format("aaaaaaa..bbbbbbb"))
    assert len(await office.desk.journal.deployments(limit=5)) == (found is WEB)
    assert office.api.calls == [("compare", "my-org/mono", BEFORE, AFTER)]


async def test_a_new_branch_of_an_app_that_was_never_deployed_deploys(office: Office) -> None:
    seq = await office.decide(unknown("a new branch has nothing to compare with", before=ZERO))

    assert await office.why(seq) == (
        "paths_unknown", "a new branch has nothing to compare with, so it deploys",
    )  # fmt: skip
    assert office.api.calls == []


async def test_back_to_the_commit_that_is_live_nothing_has_changed(office: Office) -> None:
    await office.deployed(deployment(1, state=State.DONE, deployed_commit=AFTER))

    seq = await office.decide(unknown("a forced push …", forced=True))

    assert (await office.why(seq))[0] == "no_path_hit"
    assert office.api.calls == []


@pytest.mark.parametrize("state", [State.RUNNING, State.ASKED, State.WAITING, State.UNKNOWN])
async def test_back_to_the_live_commit_while_another_may_be_on_its_way_deploys(
    office: Office, state: State
) -> None:
    """Live is B, the branch went on to A, and is forced back to B before A has ended."""
    await office.deployed(
        deployment(1, state=State.DONE, deployed_commit=AFTER), deployment(2, state=state)
    )
    office.api.differing[BEFORE, AFTER] = WEB

    seq = await office.decide(unknown("a forced push …", forced=True), "three", body=b"3")

    assert await office.why(seq) == (
        "path_hit", "web/index.html matches web/** (compare bbbbbbb and aaaaaaa..bbbbbbb: 1 file)",
    )  # fmt: skip


@pytest.mark.parametrize(("failed", "reason"), [(2, "path_hit"), (90, "no_path_hit")])
async def test_what_a_failed_deployment_brought_is_not_forgotten_nor_what_a_newer_one_failed_to(
    office: Office, failed: int, reason: str
) -> None:
    """Decide a push, which changes nothing of the app, after one that is older or newer."""
    await office.deployed(
        deployment(1, state=State.DONE, deployed_commit=LIVE),
        deployment(failed, state=State.FAILED),
    )
    office.api.differing[LIVE, AFTER] = ChangeSet(("docs/b.md", "web/broken.html"))

    seq = await office.decide(push(paths=("docs/b.md",)), "three")

    found, evidence = await office.why(seq)
    assert (found, "web/broken.html matches web/**" in evidence) == (reason, failed == 2)


async def test_apps_that_run_different_commits_see_different_changes(office: Office) -> None:
    await office.watching(
        app("app-web", watch_paths=("web/**",)), app("app-api", watch_paths=("api/**",)),
        app("app-all"),
    )  # fmt: skip
    await office.deployed(
        deployment(1, "app-web", state=State.DONE, deployed_commit=LIVE),
        deployment(2, "app-api", state=State.DONE, deployed_commit="2" * 40),
    )
    office.api.differing[LIVE, AFTER] = ChangeSet(("api/x.py",))
    office.api.differing["2" * 40, AFTER] = ChangeSet(("api/x.py", "web/y.html"))

    seq = await office.decide(unknown("GitHub lists no more than 2048 commits"), "three")

    assert await office.desk.reasons(seq) == {
        "app-web": "no_path_hit", "app-api": "path_hit", "app-all": "no_watch_paths",
    }  # fmt: skip


# ── what the API does not know yet, or never tells ───────────────────────────


async def test_a_repository_that_was_hidden_is_asked_for_again_after_some_minutes(
    office: Office,
) -> None:
    office.api.hidden.add("my-org/mono")
    listed = push(paths=("docs/a.md",), forced=None)
    await office.decide(listed)
    office.api.hidden.clear()
    office.api.differing["c" * 40, AFTER] = WEB
    office.desk.clock.now += HIDDEN_HOLDS

    seq = await office.decide(replace(listed, before="c" * 40), "later")

    assert (await office.why(seq))[0] == "path_hit"


async def test_a_repository_that_becomes_hidden_is_noticed_within_seconds(office: Office) -> None:
    office.desk.clock.after(2, lambda: office.api.differing.update({(BEFORE, AFTER): DOCS}))
    await office.decide(unknown("GitLab listed 20 of 31 commits"))
    office.api.hidden.add("my-org/mono")
    began = office.desk.clock.now

    seq = await office.decide(unknown("GitLab listed 20 of 31 commits", before="c" * 40), "later")

    assert "can't see my-org/mono" in (await office.why(seq))[1]
    assert office.desk.clock.now - began < 5


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NotFound("github has no bbbbbbb"), "github has no bbbbbbb"),
        (Unreachable("github", "ConnectError"), "github can't be reached: ConnectError"),
        (Unreachable("github", "rate limit", retry_after=900), "github can't be reached: rate"),
        (Refused("github", "Bad credentials", status=401), "github: Bad credentials"),
    ],
)
async def test_what_it_never_tells_deploys_after_some_seconds_with_the_reason(
    office: Office, error: Any, words: str
) -> None:
    for _ in range(20):
        office.api.next("compare", error)
    began = office.desk.clock.now

    seq = await office.decide(unknown("GitLab listed 20 of 31 commits"))

    reason, evidence = await office.why(seq)
    assert reason == "paths_unknown"
    assert evidence.startswith(f"GitLab listed 20 of 31 commits; {words}")
    assert office.desk.clock.now - began < 20


async def test_a_push_that_waits_for_its_host_holds_up_no_other(office: Office) -> None:
    office.api.hangs = asyncio.Event()
    slow = await office.desk.keep("slow", unknown("GitHub lists no more than 2048 commits"))
    quick = await office.desk.keep("quick", push(before="c" * 40))

    await office.deliveries.drain()

    waits = await office.desk.one(slow)
    assert (waits.state, waits.error) == (
        DeliveryState.KEPT, "asking github which files have changed",
    )  # fmt: skip
    assert (await office.desk.one(quick)).state is DeliveryState.DECIDED


async def test_a_host_that_never_answers_is_silent_after_some_seconds(office: Office) -> None:
    office.api.hangs = asyncio.Event()
    office.asks(Changes({"github": office.api}, office.desk.clock, patience=0.0, pause=0.01))

    seq = await office.decide(unknown("GitHub lists no more than 2048 commits"))

    assert await office.why(seq) == (
        "paths_unknown",
        "GitHub lists no more than 2048 commits; github did not answer in 0 s, so it deploys",
    )


async def test_of_very_many_lists_that_may_be_right_some_are_taken_as_they_are(
    office: Office,
) -> None:
    office.api.hangs = asyncio.Event()
    asked = Question(((BEFORE,),), firm=False, why="it may have been forced")
    pushes = [push(before=f"{n:040x}") for n in range(CROWDED + 1)]

    seen = [office.changes.seen(one, replace(asked, bases=((one.before,),))) for one in pushes]

    assert seen == [None] * CROWDED + pushes[-1:]


async def test_an_answer_that_never_came_is_asked_for_anew_a_minute_later(office: Office) -> None:
    office.api.next("compare", Refused("github", "Bad credentials", status=401))
    meaning = unknown("a forced push …", forced=True)
    assert (await office.why(await office.decide(meaning)))[0] == "paths_unknown"
    office.desk.clock.now += 61
    office.api.differing[BEFORE, AFTER] = DOCS

    seq = await office.decide(meaning, "later")

    assert (await office.why(seq))[0] == "no_path_hit"


async def test_without_a_credential_nothing_is_asked(office: Office) -> None:
    office.asks(Changes({}, office.desk.clock))

    seq = await office.decide(unknown("a forced push …", forced=True))

    assert await office.why(seq) == ("paths_unknown", "a forced push …, so it deploys")


# ── which questions ──────────────────────────────────────────────────────────


def decided(reason: Reason) -> Decision:
    return Decision("app-web", "shop/web", reason, "")


@pytest.mark.parametrize(
    "reason", [one for one in Reason if one not in ("paths_unknown", "no_path_hit")]
)
def test_what_is_decided_without_files_asks_nothing(reason: Reason) -> None:
    assert question(push(paths=None), decided(reason), Live(LIVE, failed=1)) is None


def test_a_tag_and_a_deleted_branch_ask_nothing() -> None:
    for one in (push("v1", kind=RefKind.TAG, paths=None), push(deleted=True, paths=None)):
        assert question(one, decided(Reason.PATHS_UNKNOWN), None) is None
