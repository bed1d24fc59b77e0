"""Dokploy builds only branches, and a repository's pipelines run what its branches lead to."""

from dataclasses import replace

import pytest

from bridge.core.errors import Rejected
from bridge.core.people import Actor
from bridge.core.previews.preview import PreviewState
from bridge.core.previews.verdict import Act, Why, possible
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.gates.commands import Requester
from bridge.pipeline.previews.commands import PreviewCommands
from tests.worlds.preview_keeper import POLICY, KeeperWorld

ADA = Requester("cli:ada", Actor("cli", "ada"))


@pytest.mark.parametrize("parts", [{"policy": replace(POLICY, ci_secrets_for_forks=False)}])
async def test_a_forks_commit_gets_no_branch_of_ours_unless_the_rule_says_so(
    world: KeeperWorld,
) -> None:
    pull = await world.tell(1, own=False)
    await world.settle()

    held = await world.row()
    assert (held.state, held.reason) == (PreviewState.HELD, Why.CANNOT_BUILD)
    assert "with the secrets of my-org/mono" in held.note
    assert "`ci_secrets_for_forks: true`" in held.note
    assert Act.APPROVE not in possible(held)
    with pytest.raises(Rejected, match=r"nothing to approve: .*can't be built"):
        await PreviewCommands(world.journal, world.clock).approve(ADA, held, pull.head_sha)
    assert world.api.branches == {}


async def test_where_the_rule_accepts_it_approvers_are_told(world: KeeperWorld) -> None:
    pull = await world.tell(1, own=False)
    await world.settle()

    held = await world.row()
    assert (held.state, held.reason) == (PreviewState.HELD, Why.APPROVAL)
    assert "with the secrets of my-org/mono" in held.note

    await PreviewCommands(world.journal, world.clock).approve(ADA, held, pull.head_sha)
    await world.settle()
    assert [*world.api.branches.values()] == [pull.head_sha]


@pytest.mark.parametrize("parts", [{"policy": replace(POLICY, mirror_for_forks="my-org/forks")}])
async def test_a_mirror_gets_the_branch_instead_until_the_preview_ends(world: KeeperWorld) -> None:
    account = {"sourceType": "github", "owner": "my-org", "repository": "mono", "branch": "main"}
    world.making.server.rows[world.model.id] |= account
    await world.catalog.refresh()
    pull = await world.tell(1, own=False)
    await world.settle()
    held = await world.row()
    assert (held.reason, "secrets" in held.note) == (Why.APPROVAL, False)

    await PreviewCommands(world.journal, world.clock).approve(ADA, held, pull.head_sha)
    await world.settle()
    (made,) = [one for one in await world.journal.apps() if one.marker]
    await Pins({"github": world.api}).place(made, pull.head_sha)

    await world.tell(1, open=False)
    await world.settle()
    moves = [call for call in world.api.calls if call[0] in ("move_branch", "delete_branch")]
    assert [call[:2] for call in moves] == [
        ("move_branch", "my-org/forks"),
        ("delete_branch", "my-org/forks"),
    ]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"policy": replace(POLICY, mirror_for_forks="My-Org/mono")}, "names my-org/mono itself"),
        (
            {"policy": replace(POLICY, mirror_for_forks="my-org/forks")},
            "only forks at github share",
        ),
    ],
)
async def test_a_mirror_that_is_of_no_use_is_said(world: KeeperWorld, why: str) -> None:
    await world.tell(1, own=False)
    await world.settle()

    held = await world.row()
    assert (held.reason, why in held.note) == (Why.CANNOT_BUILD, True)
