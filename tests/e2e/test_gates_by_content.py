"""A monorepo with gates, on each Git host: a push of other files neither holds nor un-approves."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.core.lifecycle import Deployment, State
from bridge.core.people import Actor, Identities
from bridge.pipeline.gates.commands import GateCommands, Requester
from tests.fakes.gitea import FakeGitea
from tests.worlds.bridge import Origin
from tests.worlds.embedded import until
from tests.worlds.previews import FAKES, NAME, PreviewWorld, preview_world

ADA = Requester("slack:U0000001", Actor("slack", "Ada"), "ada@office.example")
GRACE = Requester("slack:U0000002", Actor("slack", "Grace"), "grace@office.example")
PEOPLE = {
    one: [mark, f"github:{one}", f"gitlab:{one}", f"gitea:{one}"]
    for one, mark in (
        ("lin", "slack:U0000001"),
        ("grace", "slack:U0000002"),
        ("eve", "slack:U0000003"),
    )
}
RULES = [{"apps": "shop/web", "after": ["shop/api"], "approvals": 2}]
"""`shop/api` is the stage before `shop/web`: both watch the same files."""


@pytest.fixture
async def mono(host: str, tmp_path: Path) -> AsyncIterator[PreviewWorld]:
    async with preview_world(tmp_path, host, RULES, BRIDGE_IDENTITIES=json.dumps(PEOPLE)) as world:
        for name in ("web", "api"):
            await world.app(name, ["web/**"])
        yield world


async def push(mono: PreviewWorld, files: dict[str, str]) -> str:
    """Push a commit to main, as the host tells it."""
    before = mono.git.git("rev-parse", "main")
    mono.commit("main", files)
    after = mono.git.git("rev-parse", "main")
    (hook,) = mono.theirs.hooks
    if isinstance(mono.fake, FakeGitea):
        await mono.fake.send(hook, "push", mono.fake.push_of(mono.theirs, "main", before))
        return after
    on_gitlab = mono.fake.name == "gitlab"
    said = Origin(mono.git, mono.fake.name, NAME, 4711, mono.clone_url).payload(
        "refs/heads/main", before, after
    )
    said["project" if on_gitlab else "repository"]["web_url" if on_gitlab else "html_url"] = (
        mono.clone_url.removesuffix(".git")
    )
    await mono.fake.send(hook, "Push Hook" if on_gitlab else "push", said)
    return after


async def newest(mono: PreviewWorld, name: str, says: str, state: State) -> Deployment:
    """Wait until the newest deployment of an app is in a state, and says this."""

    async def found() -> Deployment | None:
        those = await mono.world.stores.journal.deployments(limit=1, app_id=mono.apps[name])
        return those[0] if those else None

    one = await until(
        found, lambda one: one is not None and one.state is state and says in one.note
    )
    assert one is not None
    return one


async def approve(mono: PreviewWorld, by: Requester, held: Deployment) -> bool:
    journal = mono.world.stores.journal
    who = Identities({name: frozenset(marks) for name, marks in PEOPLE.items()})
    commands = GateCommands(journal, lambda: (), time.time, identities=who)
    return await commands.approve(by, held, held.head or "")


@pytest.mark.parametrize("host", FAKES)
async def test_a_push_of_other_files_neither_holds_nor_takes_an_approval_away(
    mono: PreviewWorld, host: str
) -> None:
    first = await push(mono, {"web/index.html": "second"})
    await newest(mono, "api", "is live", State.DONE)
    held = await newest(mono, "web", f"needs 2 approvals of {first[:7]}, has 0", State.HELD)
    assert await approve(mono, ADA, held)

    second = await push(mono, {"jobs/run.sh": "second"})

    says = f"needs 2 approvals of {second[:7]}, has 1; approved by Ada"
    held = await newest(mono, "web", says, State.HELD)
    assert not await approve(mono, ADA, held), "it counts for what is the same"
    assert await approve(mono, GRACE, held)
    done = await newest(mono, "web", "is live", State.DONE)
    assert done.deployed_commit == second
    staged = await newest(mono, "api", "is live", State.DONE)
    assert staged.deployed_commit == first, "the stage before was not deployed again"
