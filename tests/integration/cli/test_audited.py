"""Each operation that acts leaves one entry in the audit log, through each door.

The bridge is a whole one, with the embedded backend, a Git host and a Slack workspace beside it;
the doors are the real command line, Slack's commands, and the console's forms over HTTP.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from bridge.cli.backend import person
from bridge.console.visitors import BY_LINK
from bridge.core.configuration.fields import SOURCES
from bridge.core.events import COMMAND_HOST, CONSOLE_HOST, Action
from bridge.core.lifecycle import State
from bridge.operations.base import Door
from bridge.operations.every import OPERATIONS
from bridge.ports.inbox import DeliveryState
from bridge.ports.outcomes import Stage, Subscription
from tests.scenes.dokploy import KEY, adoptable
from tests.worlds.cli import Cli
from tests.worlds.console import fields_of
from tests.worlds.embedded import until
from tests.worlds.previewed import HEAD, held, up
from tests.worlds.three_doors import GRACE, NAME, Given, ThreeDoors, three_doors

BY = {
    Door.COMMAND_LINE: (COMMAND_HOST, person().name),
    Door.CHATS: ("slack", GRACE.name),
    Door.CONSOLE: (CONSOLE_HOST, BY_LINK.person.called),
}


# ── what each needs, so that it can be done ──────────────────────────────────

APP: Given = {"app": "shop/web"}
BRANCH: Given = APP | {"branch": "next"}
GATE: Given = {"scope": "shop/web", "reason": "a release"}
HOOK: Given = {"repositories": NAME}


def of(stage: ThreeDoors, given: Given) -> Given:
    """Return arguments about `shop/web` as they are about the app that they are at now."""
    return {
        name: value.replace("shop/web", stage.label) if isinstance(value, str) else value
        for name, value in given.items()
    }


async def nothing(_: ThreeDoors) -> Given:
    return {}


async def twice(stage: ThreeDoors) -> Given:
    """Have two versions deployed."""
    await stage.deployed()
    stage.origin.repository.commit("feat: more", {"web/index.html": "second"})
    await stage.deployed()
    return {}


async def once(stage: ThreeDoors) -> Given:
    await stage.deployed()
    return {}


async def waiting(stage: ThreeDoors) -> Given:
    """Have a gate hold a deployment."""
    await stage.both.world.ask(Action.DEPLOY, (await stage.app()).id)
    await until(stage.deployments, lambda those: [one.state for one in those] == [State.HELD])
    return {}


async def locked_out(stage: ThreeDoors) -> Given:
    """Have a lock hold a deployment."""
    await stage.command("lock", stage.label, "-m", "a release")
    return await waiting(stage)


def after(*words: str) -> Callable[[ThreeDoors], Awaitable[Given]]:
    """Return what calls a command before."""

    async def prepare(stage: ThreeDoors) -> Given:
        await stage.command(*(word.replace("shop/web", stage.label) for word in words))
        return {}

    return prepare


async def promotable(stage: ThreeDoors) -> Given:
    """Have a version in one app, and another app that is pinned and has none."""
    await stage.made("api")
    await stage.command("pin", stage.label, "--yes")
    await stage.deployed("shop/api")
    return {}


async def drafted(stage: ThreeDoors) -> Given:
    """Have a change shown, as the dialog does."""
    shown = await stage.web.post("/console/do/provider set git", data=of(stage, BRANCH))
    return dict(json.loads(fields_of(shown.text, 'name="call"')[1]["call"]))


async def failing(stage: ThreeDoors) -> Given:
    journal, card = stage.both.world.stores.journal, Subscription("x", "x", "x", ("x",), {})
    await journal.subscribe([card])
    await journal.mark_failed(card.id, 99, "not_in_channel", due_at=None)
    return {}


async def previewed(stage: ThreeDoors) -> Given:
    await up(stage.both.world.stores.journal, await stage.app(), 12)
    return {}


async def forked(stage: ThreeDoors) -> Given:
    await held(stage.both.world.stores.journal, await stage.app(), 12)
    return {}


async def pushed(stage: ThreeDoors) -> Given:
    """Have a push deploy, unless one has."""
    world = stage.both.world
    if not await world.deployments():
        await world.commit(stage.origin, "feat: more", {"web/index.html": "second"})
        await world.ended(1)
    return {"delivery": (await world.deployments())[0].delivery}


async def file(_: ThreeDoors) -> Given:
    Path(".env").write_text("LEVEL=debug\n")
    return {}


Prepare = Callable[[ThreeDoors], Awaitable[Given]]
PREVIEW: Given = {"preview": "shop/web#12"}
LOCKED, HOOKED = after("lock", "shop/web", "-m", "x"), after("hooks", "install", NAME, "--yes")
CASES: Mapping[str, tuple[Given, Prepare]] = {
    "replay": ({}, pushed),
    "deploy": (APP, nothing),
    "redeploy": (APP, nothing),
    "cancel": (APP, locked_out),
    "rollback": (APP, twice),
    "promote": (APP | {"source": "shop/api"}, promotable),
    "clear": (APP, once),
    "provider disconnect": (APP, nothing),
    "provider undo": (APP, after("provider", "set", "git", "shop/web", "--branch=x", "--yes")),
    "provider": (APP, drafted),
    "feedback retry": ({"every": True}, failing),
    "lock": (GATE, nothing),
    "unlock": ({"scope": "shop/web"}, LOCKED),
    "freeze": (GATE, nothing),
    "unfreeze": ({"scope": "shop/web"}, after("freeze", "shop/web", "-m", "x")),
    "approve": (APP, waiting),
    "override": (APP | {"reason": "it mends it"}, locked_out),
    "adopt": ({"apps": "shop/web"}, nothing),
    "pin": (APP, nothing),
    "unpin": (APP, after("pin", "shop/web", "--yes")),
    "previews stop": (PREVIEW, previewed),
    "previews extend": (PREVIEW, previewed),
    "previews approve": (PREVIEW | {"commit": HEAD[:12]}, forked),
    **{f"provider set {one}": (BRANCH, nothing) for one in ("git", "github", "gitlab", "gitea")},
    "provider set docker": (APP | {"image": "nginx:1.27"}, nothing),
    "build set": (APP | {"publish_directory": "public"}, nothing),
    "env set": (APP | {"variables": "LEVEL=debug"}, nothing),
    "env import": (APP | {"file": ".env"}, file),
    "hooks install": (HOOK, nothing),
    "hooks remove": (HOOK, HOOKED),
    "hooks rotate": (HOOK, HOOKED),
}
"""What is asked for, and what has to be there before."""

AT_DOKPLOY: Mapping[str, Given] = {
    "adopt": {},
    "provider set github": {},
    "provider set gitlab": {
        "sourceType": "gitlab",
        "gitlabId": "x",
        "gitlabProjectId": 7,
        "gitlabOwner": "my-org",
        "gitlabRepository": "mono",
        "gitlabPathNamespace": NAME,
        "gitlabBranch": "main",
    },
    "provider set gitea": {
        "sourceType": "gitea",
        "giteaId": "x",
        "giteaOwner": "my-org",
        "giteaRepository": "mono",
        "giteaBranch": "main",
    },
}
"""What the embedded backend has not, with the fields of the app that a Dokploy has instead."""

TOLD_AS = {
    "hooks install": "hooks create",
    "provider": "provider set",
    **{f"provider set {one}": "provider set" for one in SOURCES},
    "env import": "env set",
}
"""What the log calls what was done, where it has a name of its own at every door."""

AT_HOST = f"github {NAME}"
OF_NO_APP = {
    "feedback retry": "all that fail",
    "replay": "1",
    **dict.fromkeys(("hooks install", "hooks remove", "hooks rotate"), AT_HOST),
}
"""What the log says it was about, if no app; of a replay, the webhook's number."""


RULES = [{"apps": "shop/approve", "approvals": 1, "approvals_by": "anyone"}]


# ── the table ────────────────────────────────────────────────────────────────


def test_every_operation_that_acts_is_tried() -> None:
    assert sorted(CASES) == sorted(one.name for one in OPERATIONS.values() if one.acts)
    assert TOLD_AS.keys() | AT_DOKPLOY.keys() | OF_NO_APP.keys() <= CASES.keys()


async def check(stage: ThreeDoors, door: Door, name: str) -> None:
    """Ask for an operation at a door: one entry says who did what, and what came of it."""
    given, prepare = CASES[name]
    given = of(stage, given) | await prepare(stage)
    before = len(await stage.audited())

    await stage.asked(door, name, given)

    await until(stage.audited, lambda those: len(those) > before and those[0].over)
    await until(
        lambda: stage.both.world.stores.inbox.newest(9),
        lambda those: all(one.state is not DeliveryState.KEPT for one in those),
    )
    found = (await stage.audited())[: -before or None]
    about = OF_NO_APP.get(name, stage.label)
    id_ = "" if name in OF_NO_APP else (await stage.app()).id
    assert [(one.by.door, one.by.name, one.what, one.app, one.app_id) for one in found] == [
        (*BY[door], TOLD_AS.get(name, name), about, id_)
    ]
    assert found[0].result.stage in (Stage.DONE, Stage.TOLD), (name, found[0].outcome)


def at(door: Door, name: str) -> bool:
    return door not in OPERATIONS[name].not_at


@pytest.mark.parametrize("door", Door)
async def test_what_is_done_is_recorded_once(door: Door, tmp_path: Path, cli: Cli) -> None:
    """Each operation is about an app of its own."""
    names = [name for name in CASES if name not in {"replay", *AT_DOKPLOY} and at(door, name)]
    async with three_doors(tmp_path, cli, {"BRIDGE_RULES": json.dumps(RULES)}) as stage:
        await stage.made(*(name.replace(" ", "-") for name in names))
        for name in names:
            stage.label = f"shop/{name.replace(' ', '-')}"
            await check(stage, door, name)


async def test_a_replay_is_recorded_once(tmp_path: Path, cli: Cli) -> None:
    """Also apps that come soon after it would have their share of a push."""
    async with three_doors(tmp_path, cli, {}) as stage:
        for door in Door:
            await check(stage, door, "replay")


@pytest.mark.parametrize("name", AT_DOKPLOY)
async def test_what_is_done_at_a_dokploy_is_recorded_once(
    name: str, tmp_path: Path, cli: Cli
) -> None:
    with adoptable({"app_web"}) as (url, handler):
        as_it_was = handler.written["app_web"] | AT_DOKPLOY[name]
        settings = {"BRIDGE_DOKPLOY_URL": url, "BRIDGE_DOKPLOY_API_KEY": KEY}
        handler.written["app_web"] = dict(as_it_was)
        async with three_doors(tmp_path, cli, settings) as stage:
            for door in filter(lambda door: at(door, name), Door):
                handler.written["app_web"] = dict(as_it_was)
                await check(stage, door, name)
