"""Going back to the version of a deployment from its page, over HTTP."""

from pathlib import Path

from bridge.core.events import Action
from bridge.core.lifecycle import State
from bridge.embedded.storage.history import KEPT
from tests.worlds.bridge import Origin
from tests.worlds.console import console_world, sent


async def test_the_page_of_an_old_deployment_leads_back_to_that_very_one(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin, ["feat: one", "feat: two", "feat: three"])
        first, _, last = await console.world.deployments()
        assert first.deployed_commit
        assert last.deployed_commit
        page = await web.get(f"/console/deployments/{first.id}")

        shown = await sent(web, page, "Roll back to this…")

        went = f"go back from {last.deployed_commit[:7]} to {first.deployed_commit[:7]}"
        assert went in shown.text
        assert f'href="/console/deployments/{first.id}">Keep it as it is' in shown.text
        assert len(await console.world.deployments()) == 3  # it is only shown

        assert (await sent(web, shown, "Roll back</button>")).status_code == 303
        back = (await console.world.ended(4))[-1]
        assert (back.action, back.state, back.target) == (Action.ROLLBACK, State.DONE, first.id)
        assert back.deployed_commit == first.deployed_commit
        again = (await web.get(f"/console/deployments/{first.id}")).text
        assert "Roll back to this…" not in again
        assert "<dt>Roll back to this</dt><dd>not possible: it is what is live</dd>" in again


async def test_where_a_version_can_not_be_gone_back_to_the_page_says_why(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin, [f"feat: {number}" for number in range(KEPT + 1)])
        first, *_ = await console.world.deployments()
        before = origin.head()
        origin.repository.git("mv", "web", "elsewhere")
        await console.world.push(
            origin, "refs/heads/main", before, origin.repository.commit("fix: break it")
        )
        failed = (await console.world.ended(KEPT + 2))[-1]
        assert failed.state is State.FAILED

        page = await web.get(f"/console/deployments/{first.id}")
        refused = await sent(web, page, "Roll back to this…")
        of_failed = (await web.get(f"/console/deployments/{failed.id}")).text

        assert refused.status_code == 400
        assert "shop/web can&#39;t go back: the backend has kept newer builds" in refused.text
        assert "<dd>not possible: it brought no version (failed)</dd>" in of_failed
        assert "/rollback" not in of_failed
        assert len(await console.world.deployments()) == KEPT + 2
