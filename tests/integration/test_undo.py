"""Undoing a change: what was before comes back, or it is said why not."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.core.apps import App, Rules, SourceType
from bridge.core.configuration.configuration import DockerSource, Environment
from bridge.core.configuration.difference import Changed, read_undoing, written
from bridge.core.configuration.merge import (
    NoSource,
    Wanted,
    WantedBuild,
    WantedSource,
    WantedVariables,
)
from bridge.core.configuration.plan import Overtaken
from bridge.core.errors import NotFound, Rejected
from bridge.core.people import Actor
from bridge.pipeline.deploying.configure import Configurer
from bridge.ports.outcomes import Result
from bridge.storage.journal import SqlJournal
from bridge.storage.seal import FernetSeal, NoSeal, key_in
from tests.fakes.journey import ManualClock
from tests.worlds.embedded import Maker

BY = Actor("cli", "ada")
SECRET = "hunter2 of the tests"
DOCKER = DockerSource(image="web:1", username="me", password=SecretStr(SECRET))


@pytest.fixture
async def app(maker: Maker) -> App:
    environment = Environment(env=SecretStr(f"KEY={SECRET}"))
    return await maker.create_app("web", project="shop", source=DOCKER, environment=environment)


@pytest.fixture
def configurer(maker: Maker, journal: SqlJournal) -> Configurer:
    return Configurer(maker, journal, ManualClock(), seal=FernetSeal(lambda: ["a key"]))


@pytest.mark.parametrize(
    "wanted",
    [
        NoSource(),
        WantedSource(None, {"password": SecretStr("another")}),
        WantedBuild({"build_type": "static", "publish_directory": "dist"}),
        WantedVariables({"env": {"KEY": None, "OTHER": "OTHER=1"}}),
    ],
)
async def test_what_was_before_comes_back_with_its_secrets(
    configurer: Configurer, journal: SqlJournal, app: App, wanted: object
) -> None:
    before = await configurer.now(app)
    made = await configurer.plan(app, wanted)  # type: ignore[arg-type]  # one of `Wanted`
    assert SECRET not in repr(made)
    changed = await configurer.apply(made, by=BY)

    plan = await configurer.plan_undo(app)
    assert {one.field for one in plan.difference} == {one.field for one in made.difference}
    assert await configurer.apply(plan, by=BY) == before
    again = await configurer.plan_undo(app)

    assert await configurer.apply(again, by=BY) == changed  # an undo can be undone
    notes = await journal.audited(limit=9)
    assert [note.undoes for note in notes] == [2, 1, None]
    assert [note.what.rpartition(" ")[2] for note in notes[:2]] == ["undo", "undo"]
    assert SECRET not in repr(notes) + "".join(note.undoing for note in notes)


async def test_what_can_not_be_undone_is_said_also_before(
    configurer: Configurer, maker: Maker, journal: SqlJournal, app: App
) -> None:
    with pytest.raises(NotFound, match="no change of shop/web to undo"):
        await configurer.plan_undo(app)
    await configurer.apply(await configurer.plan(app, NoSource()), by=BY)

    other = Configurer(maker, journal, ManualClock(), seal=FernetSeal(lambda: ["another key"]))
    with pytest.raises(Rejected, match="add the previous key to BRIDGE_SECRET_KEY"):
        await other.plan_undo(app)
    for seal in (None, NoSeal()):
        bare = Configurer(maker, journal, ManualClock(), seal=seal)
        await bare.apply(
            await bare.plan(app, WantedSource(SourceType.DOCKER, {"image": f"a:{seal and 1}"})),
            by=BY,
        )
        with pytest.raises(Rejected, match="was kept without what was before"):
            await bare.plan_undo(app)
    with pytest.raises(NotFound):
        await configurer.plan_undo(replace(app, id="another"), 1)

    image = WantedSource(None, {"image": "web:2"})
    (remark,) = (await bare.plan(app, image)).remarks
    assert remark.startswith("this can't be undone")
    assert "BRIDGE_SECRET_KEY" in remark
    assert (await configurer.plan(app, image)).remarks == ()
    assert (await bare.plan(app, WantedSource())).remarks == ()


BITBUCKET = {
    "source": "bitbucket",
    "bitbucket.owner": "grp",
    "bitbucket.repository": "Web",
    "bitbucket.slug": "web",
    "bitbucket.branch": "main",
    "bitbucket.build_path": "/deep",
    "watch_paths": ("web/**",),
}


STORED = {
    "git.url": "https://example.com/old.git",
    "git.branch": "old",
    "git.ssh_key_id": None,
    "git.build_path": "/old",
    "gitlab.owner": "grp",
    "gitlab.project_id": 7,
    "gitlab.build_path": "",
    "github.branch": "stored",
    "trigger": "tag",
    "watch_paths": (),
    "submodules": True,
}


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (STORED, NoSource()),
        (
            STORED,
            WantedSource(SourceType.GIT, {"url": "https://example.com/a.git", "branch": "main"}),
        ),
        (
            STORED,
            WantedSource(
                SourceType.GITHUB,
                {"owner": "o", "repository": "r", "branch": "b", "provider_id": None},
            ),
        ),
        (BITBUCKET, WantedSource(SourceType.DOCKER, {"image": "a"})),
    ],
)
async def test_every_stored_field_comes_back_also_those_that_only_the_backend_can_set(
    configurer: Configurer,
    maker: Maker,
    app: App,
    stored: dict[str, Any],
    wanted: NoSource | WantedSource,
) -> None:
    await maker.write_source(app, stored)
    before = await configurer.now(app)
    made = await configurer.plan(app, wanted)
    await configurer.apply(made, by=BY)

    found = await configurer.apply(await configurer.plan_undo(app), by=BY)

    assert found.saved.row == before.saved.row  # null stays null, and "" stays ""
    assert found == before


async def test_what_an_earlier_release_kept_of_a_change_is_undone_as_it_was(
    configurer: Configurer, maker: Maker, journal: SqlJournal, app: App
) -> None:
    plan = await configurer.plan(app, WantedSource(None, {"image": "web:2"}))
    await configurer.apply(plan, by=BY)
    form = written(plan.undoing)
    for side in ("before", "after"):
        del form[side]["saved"]["row"]
    sealed = FernetSeal(lambda: ["a key"]).close(json.dumps(form))
    await journal.audit(replace((await journal.audited(limit=1))[0], undoing=sealed, number=0))

    found = await configurer.apply(await configurer.plan_undo(app), by=BY)

    assert found.saved.provider == DOCKER


async def test_disconnecting_is_carried_out_with_the_rules(
    configurer: Configurer, journal: SqlJournal, app: App
) -> None:
    await journal.save_rules(app.id, Rules(tags="v*"), by=str(BY))
    undoing = (await configurer.plan(app, NoSource())).undoing

    for _ in range(2):
        found = await configurer.carry_out(app, undoing, by=BY)
        assert (found.saved.provider, found.rules) == (None, Rules())


def test_what_another_release_kept_is_refused_without_repeating_it() -> None:
    with pytest.raises(Rejected, match="this release can't read the record") as caught:
        read_undoing({"part": "moon", "secret": SECRET})

    assert SECRET not in repr(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


# ── changes of which it is not known whether they were made ──────────────────


class Killed(BaseException):
    """The process ends in the middle of a change."""


async def unconfirmed(
    configurer: Configurer, maker: Maker, wanted: Wanted, app: App, *, made: bool
) -> None:
    """Begin a change whose outcome is never recorded."""
    write = maker.save_environment

    async def killed(*asked: Any) -> None:
        if made:
            await write(*asked)
        raise Killed

    plan = await configurer.plan(app, wanted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maker, "save_environment", killed)
        with pytest.raises(Killed):
            await configurer.apply(plan, by=BY)


IMAGE = WantedSource(None, {"image": "web:2"})
VARIABLES = WantedVariables({"env": {"KEY": None, "OTHER": "OTHER=1"}})


async def test_the_row_says_whether_an_interrupted_change_was_made_and_changed_since(
    configurer: Configurer, maker: Maker, app: App
) -> None:
    before = await configurer.now(app)
    await configurer.apply(await configurer.plan(app, IMAGE), by=BY)
    await unconfirmed(configurer, maker, VARIABLES, app, made=True)

    plan = await configurer.plan_undo(app)

    assert {one.field for one in plan.difference} == {"env.KEY", "env.OTHER"}
    assert plan.undoes == 2
    assert plan.remarks == ("change 2 was never confirmed; this takes back the part that is there",)
    made = (await configurer.now(app)).saved.environment
    await maker.save_environment(app, Environment(env=SecretStr("OTHER=theirs")))
    with pytest.raises(Overtaken, match=r"env\.OTHER"):
        await configurer.plan_undo(app)
    await maker.save_environment(app, made)
    found = await configurer.apply(plan, by=BY)
    assert found.saved.environment == before.saved.environment
    assert found.saved.provider == DOCKER.model_copy(update={"image": "web:2"})


async def test_an_interrupted_change_that_was_not_made_is_passed_over(
    configurer: Configurer, maker: Maker, app: App
) -> None:
    await configurer.apply(await configurer.plan(app, IMAGE), by=BY)
    await unconfirmed(configurer, maker, VARIABLES, app, made=False)

    plan = await configurer.plan_undo(app)

    assert (plan.undoes, plan.remarks) == (1, ())
    assert plan.difference == (Changed("image", "web:2", "web:1"),)
    with pytest.raises(Rejected, match="the change 2 of shop/web was never made"):
        await configurer.plan_undo(app, 2)


async def test_a_change_that_was_never_begun_hides_none_before_it(
    configurer: Configurer, journal: SqlJournal, app: App
) -> None:
    await configurer.apply(await configurer.plan(app, IMAGE), by=BY)
    (made,) = await journal.audited(limit=9)
    outcomes = ["Overtaken: no", "Refused: no", "Unreachable: no", "Rejected: no", "kept as 7"]
    for what, outcome in product(("provider set", "clear"), outcomes):
        await journal.audit(
            replace(made, number=0, what=what, result=Result.read(outcome), undoing="")
        )
    waits = "waits for the backend: dokploy can't be reached"
    await journal.audit(replace(made, number=0, result=Result.read(waits), undoing="", seq=7))
    await journal.audit(replace(made, number=0, what="clear", result=Result.read("Unanswered: no")))

    assert (await configurer.plan_undo(app)).undoes == 1


# ── the seal ─────────────────────────────────────────────────────────────────


def test_any_of_the_keys_opens_and_the_first_one_seals() -> None:
    old, both, new = (FernetSeal(lambda keys=keys: keys) for keys in (["a"], ["b", "a"], ["b"]))  # type: ignore[misc]

    assert both.open(old.close(SECRET)) == SECRET
    assert new.open(both.close(SECRET)) == SECRET
    assert SECRET not in old.close(SECRET)
    with pytest.raises(Rejected, match="its key is gone"):
        new.open(old.close(SECRET))
    with pytest.raises(Rejected, match="its key is gone"):
        new.open("no seal at all")
    for work in (NoSeal().close, NoSeal().open):
        with pytest.raises(Rejected, match="BRIDGE_SECRET_KEY, the same for all processes"):
            work("a text")


def test_the_key_file_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "data" / "secret.key"

    key = key_in(file)

    assert key_in(file) == key
    assert len(key) > 40
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in file.parent.iterdir()] == ["secret.key"]
    (tmp_path / "plain").write_text("")
    with pytest.raises(Rejected, match="set BRIDGE_SECRET_KEY instead"):
        key_in(tmp_path / "plain" / "secret.key")
