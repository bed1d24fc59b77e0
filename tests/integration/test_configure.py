"""Changing how an app is configured: what was shown is written, or nothing is."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.apps import App, Rules, SourceType, Trigger
from bridge.core.configuration.configuration import (
    Environment,
    GithubSource,
    GitSource,
)
from bridge.core.configuration.difference import Changed
from bridge.core.configuration.merge import WantedSource, WantedVariables
from bridge.core.configuration.plan import HalfMade, NotKept, Overtaken
from bridge.core.errors import Refused, Rejected, Unanswered, Unreachable
from bridge.core.people import Actor
from bridge.pipeline.deploying.configure import Configurer, check_nothing_open
from bridge.ports.backends import BackendDeployment, Progress, QueuedJob
from bridge.ports.outcomes import Audited, Outcome, Subscription, about_change
from bridge.storage.journal import SqlJournal
from bridge.storage.seal import FernetSeal
from tests.fakes.journey import ManualClock, deployment
from tests.worlds.embedded import Maker
from tests.worlds.meddled import Meddled, failing

BY = Actor("cli", "ada")
GIT = GitSource(url="https://example.com/a.git", branch="main", watch_paths=("web/**",))
DEV = WantedSource(None, {"branch": "dev"})


@pytest.fixture
def backend(maker: Maker) -> Meddled:
    return Meddled(maker)


@pytest.fixture
async def app(backend: Meddled) -> App:
    return await backend.inner.create_app("web", project="shop", source=GIT)


@pytest.fixture
def configurer(backend: Meddled, journal: SqlJournal, clock: ManualClock) -> Configurer:
    return Configurer(backend, journal, clock, sleep=clock.sleep)


async def test_what_was_shown_is_written_noted_and_known_to_every_process(
    configurer: Configurer, backend: Meddled, journal: SqlJournal, app: App
) -> None:
    other = App("other", "other", "shop", backend="embedded")
    await journal.save_apps("embedded", [*await backend.inner.apps(), other])
    version = await journal.apps_version()
    plan = await configurer.plan(app, DEV)
    assert plan.difference == (Changed("branch", "main", "dev"),)
    assert (await backend.inner.saved(app)).provider == GIT  # planning writes nothing

    found = await configurer.apply(plan, by=BY)
    nothing_more = await configurer.plan(app, DEV)
    await configurer.apply(nothing_more, by=BY)

    assert nothing_more.empty
    assert found.saved.provider == GIT.model_copy(update={"branch": "dev"})
    assert backend.writes == ["write_source"]
    (note,) = await journal.audited(limit=9)
    assert (note.by, note.what, note.app_id, note.app) == (BY, "provider set", app.id, "shop/web")
    assert (note.difference, note.outcome) == (plan.difference, "done")
    (now,) = await backend.inner.apps()
    assert {one.id: one for one in await journal.apps()} == {app.id: now, "other": other}
    assert await journal.apps_version() > version


async def test_where_it_is_told_is_kept_before_it_is_made(
    backend: Meddled, journal: SqlJournal, app: App
) -> None:
    def told(note: Audited) -> list[Subscription]:
        return [Subscription(f"card {note.app}", "card", "lane", (about_change(note.number),), {})]

    configurer = Configurer(backend, journal, ManualClock(), shown=told)
    plan = await configurer.plan(app, DEV)
    backend.before["write_source"] = failing(Refused("dokploy", "no"))
    with pytest.raises(Refused):
        await configurer.apply(plan, by=BY)

    (pending,) = await journal.pending(ManualClock().now + 1, 9)
    assert pending.subscription.id == "card shop/web"
    assert pending.wanted == 2  # wanted, then raised by what became of it


async def test_a_change_in_between_is_refused_with_what_it_was(
    configurer: Configurer, backend: Meddled, journal: SqlJournal, app: App
) -> None:
    theirs = GIT.model_copy(update={"branch": "theirs"})
    variables = Environment(env=SecretStr("KEY=hunter2"))
    dev = WantedSource(None, {"branch": "dev", "submodules": True})
    for meanwhile, changed in (
        (lambda: backend.inner.save_provider(app, theirs), Changed("branch", "main", "theirs")),
        (
            lambda: backend.inner.save_environment(app, variables),
            Changed("env.KEY", None, "set"),
        ),
        (
            lambda: journal.save_rules(app.id, Rules(tags="v*"), by="cli: bob"),
            Changed("rules.tags", None, "v*"),
        ),
    ):
        plan = await configurer.plan(app, dev)
        await meanwhile()
        with pytest.raises(Overtaken, match="nothing was written") as caught:
            await configurer.apply(plan, by=BY)
        assert caught.value.changed == (changed,)
        assert changed.field in str(caught.value)
    assert backend.writes == []


async def test_what_reads_back_differently_is_told(
    configurer: Configurer, backend: Meddled, journal: SqlJournal, app: App
) -> None:
    plan = await configurer.plan(app, DEV)
    other = GIT.model_copy(update={"branch": "other"})
    backend.after["write_source"] = lambda: backend.inner.save_provider(app, other)

    with pytest.raises(NotKept, match=r"reads back differently \(branch\)") as caught:
        await configurer.apply(plan, by=BY)

    assert caught.value.changed == (Changed("branch", "dev", "other"),)
    (note,) = await journal.audited(limit=9)
    assert note.outcome.startswith("NotKept: shop/web was written")


async def test_without_an_answer_it_looks_and_asks_again_only_for_what_is_missing(
    configurer: Configurer, backend: Meddled, journal: SqlJournal, app: App
) -> None:
    plan = await configurer.plan(app, DEV)
    backend.after["write_source"] = failing(Unanswered("embedded", "ReadTimeout"))
    await configurer.apply(plan, by=BY)  # it had arrived
    assert backend.writes == ["write_source"]

    back = await configurer.plan(app, WantedSource(None, {"branch": "main"}))
    backend.before["apps"] = failing(Unreachable("dokploy", "ConnectError"))  # for the journal
    backend.before["write_source"] = failing(Unanswered("embedded", "ReadTimeout"))
    await configurer.apply(back, by=BY)  # it had not

    assert backend.writes == ["write_source"] * 3
    assert [note.outcome for note in await journal.audited(limit=9)] == ["done", "done"]


async def test_what_somebody_else_writes_after_a_loss_is_not_overwritten(
    configurer: Configurer, backend: Meddled, app: App
) -> None:
    plan = await configurer.plan(app, DEV)
    theirs = GIT.model_copy(update={"branch": "theirs"})
    variables = Environment(env=SecretStr("THEIRS=1"))

    async def lost() -> None:
        await backend.inner.save_provider(app, theirs)
        await backend.inner.save_environment(app, variables)
        raise Unanswered("embedded", "ReadTimeout")

    backend.before["write_source"] = lost
    with pytest.raises(NotKept, match="may have been written") as caught:
        await configurer.apply(plan, by=BY)

    assert caught.value.changed == (Changed("branch", "dev", "theirs"),)  # variables are no fault
    assert backend.writes == ["write_source"]
    assert (await backend.inner.saved(app)).environment.env == variables.env


async def test_half_of_a_change_is_told_as_such_and_taken_back(
    backend: Meddled, journal: SqlJournal, clock: ManualClock, app: App
) -> None:
    """The source is written, and the bridge's own rules can't be kept."""

    class NoRules:
        def __getattr__(self, name: str) -> Any:
            return getattr(journal, name)

        async def save_rules(self, *_: object, **__: object) -> None:
            raise Unreachable("the journal", "disk full")

    seal = FernetSeal(lambda: ["a key"])
    configurer = Configurer(backend, NoRules(), clock, seal=seal, sleep=clock.sleep)
    await journal.save_apps("embedded", [app])
    plan = await configurer.plan(app, WantedSource(None, {"branch": "dev", "tags": "v*"}))

    with pytest.raises(HalfMade, match=r"was made: branch; not made: rules.tags \(the journal can"):
        await configurer.apply(plan, by=BY)

    assert backend.writes == ["write_source"]
    assert [one.source and one.source.branch for one in await journal.apps()] == ["dev"]
    (note,) = await journal.audited(limit=9)
    assert note.outcome.startswith("HalfMade: only a part of the change of shop/web")
    undo = await configurer.plan_undo(app)
    assert undo.difference == (Changed("branch", "dev", "main"),)
    assert undo.remarks == ("change 1 was never confirmed; this takes back the part that is there",)


async def test_what_can_not_be_read_back_is_unanswered(
    configurer: Configurer, backend: Meddled, app: App
) -> None:
    plan = await configurer.plan(app, DEV)

    async def next_reading_fails() -> None:
        async def again() -> None:
            backend.before["saved"] = again
            raise Unreachable("embedded", "ConnectError")

        backend.before["saved"] = again

    backend.after["write_source"] = next_reading_fails
    with pytest.raises(Unanswered, match="was accepted, but it can't be read back"):
        await configurer.apply(plan, by=BY)


async def test_rules_go_where_they_can_be_held(
    configurer: Configurer, backend: Meddled, journal: SqlJournal, app: App
) -> None:
    plan = await configurer.plan(app, WantedSource(None, {"trigger": "tag", "tags": "v*"}))
    await configurer.apply(plan, by=BY)

    assert backend.writes == []
    assert await journal.rules(app.id) == Rules(trigger=Trigger.TAG, tags="v*")

    fields = {"owner": "o", "repository": "r", "branch": "main", "provider_id": None}
    plan = await configurer.plan(app, WantedSource(SourceType.GITHUB, {**fields, "trigger": "tag"}))
    found = await configurer.apply(plan, by=BY)

    assert isinstance(found.saved.provider, GithubSource)
    assert found.saved.provider.trigger is Trigger.TAG
    assert found.saved.provider.watch_paths == GIT.watch_paths
    assert await journal.rules(app.id) == Rules(tags="v*")


async def test_doubtful_watch_paths_and_overruled_rules_are_told(
    backend: Meddled, journal: SqlJournal, app: App
) -> None:
    book = [("shop/*", Rules(tags="release-*", watch_paths=("a/**",), trigger=Trigger.TAG))]
    configurer = Configurer(backend, journal, ManualClock(), book=book)

    asked = {"watch_paths": ("/web/**",), "tags": "v*", "trigger": "tag"}
    plan = await configurer.plan(app, WantedSource(None, asked))

    assert [one.code for one in plan.findings] == ["leading_slash"]
    assert plan.remarks == (
        "bridge.yaml says watch_paths: a/** for shop/web, and wins",
        "bridge.yaml says trigger: tag for shop/web, and wins",
        "bridge.yaml says tags: release-* for shop/web, and wins",
    )
    assert (await configurer.plan(app, DEV)).findings == ()


async def test_names_that_no_shell_takes_are_told_once_they_are_set(
    configurer: Configurer, app: App
) -> None:
    names = ("A-B", "1C", "FINE")
    env = WantedVariables({"env": {name: f"{name}=1" for name in names}})
    plan = await configurer.plan(app, env)
    assert plan.remarks[0].startswith("A-B, 1C are names that no shell accepts ($NAME has letters,")
    assert plan.remarks[0].endswith("programs can read them, scripts can't")

    await configurer.apply(plan, by=BY)
    gone = WantedVariables({"env": {"A-B": None, "FINE": "FINE=2"}})
    assert not [one for one in (await configurer.plan(app, gone)).remarks if "shell" in one]


JOB = QueuedJob("app_1", "t", "d", active=False)
RECORD = BackendDeployment("dep_1", "t", "d", Progress.RUNNING, 0.0)
WEB = App("app_1", "web", "shop")


@pytest.mark.parametrize(
    ("records", "queue", "why"),
    [
        ([RECORD], [replace(JOB, active=True)], "is being built"),
        ([], [replace(JOB, active=True)], "is being built"),
        ([RECORD], None, "is being built"),
        ([], [JOB], "waits in the backend's queue"),
    ],
)
def test_clearing_is_refused_while_the_backend_has_one_open(
    records: list[BackendDeployment], queue: list[QueuedJob] | None, why: str
) -> None:
    with pytest.raises(Rejected, match=why) as caught:
        check_nothing_open(WEB, [], records, queue)

    assert "whole log folder" in str(caught.value)
    ended = [replace(RECORD, status=Progress.ERROR)]
    check_nothing_open(WEB, [], ended, [replace(JOB, app="app_2", active=True)])
    check_nothing_open(WEB, [], [RECORD], [replace(JOB, app="app_2")])  # it was never closed


async def test_clearing_is_refused_while_one_waits_here_and_deletes_nothing(
    configurer: Configurer, backend: Meddled, journal: SqlJournal, app: App
) -> None:
    waits = deployment(1, app.id)
    await journal.record([Outcome(1, "delivery-1", (), (waits,))], window=0)

    with pytest.raises(Rejected, match="is waiting here") as caught:
        await configurer.clear(app, by=BY)

    assert "cancel shop/web" in str(caught.value)
    assert backend.writes == []
    assert await journal.audited(limit=9) == []
