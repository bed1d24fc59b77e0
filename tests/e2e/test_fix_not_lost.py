"""A fix that was pushed before its predecessor was found broken is never lost to the way back."""

from pathlib import Path

from bridge.app.wiring import NO_PUBLISHERS
from bridge.core.lifecycle import Deployment
from tests.chaos.cluster import free_port
from tests.fakes.github import FakeGithub
from tests.fakes.host import Spoil
from tests.worlds.bridge import Origin, World, running_world
from tests.worlds.embedded import Repository, git_server, until
from tests.worlds.feedback import make_app

NAME = "my-org/mono"
RULES = """
- apps: "*"
  verify: {contains: works, within: 5s, every: 0.2s, rollback: true}
"""


async def newest(world: World, count: int, *states: str) -> Deployment:
    found = await until(
        world.deployments, lambda those: len(those) == count and those[-1].state in states
    )
    return found[-1]


async def test_a_fix_whose_files_the_host_is_asked_for_outlives_the_way_back(
    tmp_path: Path,
) -> None:
    root = tmp_path / "served"
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "it works: 1"})
    async with git_server(root) as server, FakeGithub() as github:
        origin = Origin(repository, "github", NAME, 4711, f"{server.url}/{NAME}.git")
        settings = github.settings | {
            "BRIDGE_GITHUB_WEB_URL": server.url,
            "BRIDGE_RULES": RULES,
            "BRIDGE_EMBEDDED_SITES_PORT": str(free_port()),
        }
        async with running_world(tmp_path / "bridge", NO_PUBLISHERS, **settings) as world:
            await make_app(world, origin, watch=["web/**"])
            github.repository(NAME, id=4711, git=repository.path)
            await world.commit(origin, "feat: two", {"web/index.html": "it works: 2"})
            assert (await newest(world, 1, "done")).note.endswith("; verified")
            await world.commit(origin, "feat: three", {"web/index.html": "it broke"})
            await until(world.deployments, lambda those: those[-1].seq > 1 and those[-1].live_at)

            github.spoil(Spoil(hang=True), path="/compare/", times=1000)
            before = origin.head("main")
            fix = repository.commit("fix: three", {"web/index.html": "it works: 3"})
            said = origin.payload("refs/heads/main", before, fix) | {"forced": True}
            assert (await world.hook("github", said)).status_code == 202

            own = await newest(world, 3, "done")
            assert own.back_from == (await world.deployments())[1].id
            github.mend()
            held = await until(
                world.deployments, lambda those: any(one.state == "held" for one in those)
            )
            assert [one.commit for one in held if one.state == "held"] == [fix]
            await world.stores.journal.release_lock(f"app/{own.app_id}", None)
            ended = await world.ended(4)

    (deployed,) = [one for one in ended if one.commit == fix]
    assert (deployed.state, deployed.deployed_commit) == ("done", fix), deployed.note
