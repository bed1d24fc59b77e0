"""*Replay as it was*, over HTTP: the version of then is deployed, or the page says why not."""

from pathlib import Path

from bridge.core.events import Action
from bridge.core.lifecycle import State
from tests.worlds.bridge import Origin
from tests.worlds.console import console_world, replayed


async def test_an_older_push_comes_back_as_it_was_built(tmp_path: Path, origin: Origin) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin, ["feat: one", "feat: two"])
        first, second = await console.world.deployments()
        one, two = (str(it.deployed_commit)[:7] for it in (first, second))

        shown = await replayed(web, first.seq)

        assert f"go back from {two} to {one}: serve again what was built then" in shown.text
        assert "afterwards shop/web is locked" in shown.text
        back = (await console.world.ended(3))[-1]
        assert (back.action, back.state, back.target) == (Action.ROLLBACK, State.DONE, first.id)
        assert back.deployed_commit == first.deployed_commit


async def test_the_newest_push_is_built_again(tmp_path: Path, origin: Origin) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin, ["feat: one", "feat: two"])
        _, second = await console.world.deployments()

        shown = await replayed(web, second.seq)

        head = str(second.commit)[:7]
        assert f"shop/web: build the head of main, which is {head}" in shown.text
        again = (await console.world.ended(3))[-1]
        assert (again.action, again.deployed_commit) == (Action.DEPLOY, second.commit)


async def test_where_that_commit_can_not_be_built_nothing_else_is(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        await console.deployed(origin)
        before = origin.head()
        origin.repository.git("mv", "web", "elsewhere")
        broken = origin.repository.commit("fix: break it")
        await console.world.push(origin, "refs/heads/main", before, broken)
        failed = (await console.world.ended(2))[-1]
        assert failed.state is State.FAILED
        origin.repository.git("mv", "elsewhere", "web")
        fixed = origin.repository.commit("fix: mend it")
        await console.world.push(origin, "refs/heads/main", broken, fixed)
        await console.world.ended(3)

        refused = await replayed(web, failed.seq)

        assert refused.status_code == 400
        says = f"embedded builds the head of main, which is {fixed[:7]} now, not {broken[:7]}"
        assert f"shop/web can&#39;t be deployed as it was: {says}" in refused.text
        assert "`dokploy-bridge pin shop/web`" in refused.text
        assert len(await console.world.deployments()) == 3
