"""From a model to a served app of the bridge's own, and back to nothing: the embedded backend."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bridge.ports.backends import Address, Build, Progress
from tests.worlds.embedded import GitServer, Repository, git_server, until
from tests.worlds.own_apps import EmbeddedMaking, embedded


@pytest.fixture
async def git(tmp_path: Path) -> AsyncIterator[GitServer]:
    async with git_server(tmp_path / "origins") as git:
        yield git


async def fetched(address: str) -> httpx.Response:
    """Ask as a browser does, for which every name below localhost is this machine."""
    host, _, port = address.partition(":")
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}/", headers={"Host": f"{host}:{port}"})


async def test_an_app_is_made_served_and_removed_in_mid_build(
    tmp_path: Path, git: GitServer
) -> None:
    repository = Repository.make(tmp_path / "origins" / "mono.git", {"index.html": "main"})
    repository.git("checkout", "-q", "-b", "feature/a")
    repository.commit("feat: more", {"index.html": "feature"})
    async with embedded(tmp_path) as world:
        assert isinstance(world, EmbeddedMaking)
        backend = world.backend
        source = {
            "customGitUrl": f"{git.url}/mono.git",
            "customGitBuildPath": "/",
            "enableSubmodules": False,
            "buildType": "static",
            "publishDirectory": None,
        }
        await world.ask("POST", "application.update", applicationId=world.model.id, **source)

        app = await backend.make("web-pr-7", "bridge:x#7:web", world.model, "previews")
        await backend.set_build(app, Build(world.model, "feature/a", "A=1", "", memory=2**28))
        suggested = await backend.suggest_host(app)
        assert suggested is not None
        host = backend.url_at(suggested, https=False).removeprefix("http://")
        own = f"pr-7.example.com:{host.partition(':')[2]}"
        await backend.set_addresses(app, [Address(host), Address(own)])
        await backend.deploy(app, title="first", description="")
        (first,) = await until(
            lambda: backend.deployments(app),
            lambda found: [one.status for one in found] == [Progress.DONE],
        )

        assert first.commit == repository.git("rev-parse", "HEAD")
        assert [(await fetched(one)).text for one in (host, own)] == ["feature", "feature"]

        git.gate.clear()
        await backend.deploy(app, title="second", description="")
        await until(
            lambda: backend.deployments(app),
            lambda found: found[0].status is Progress.RUNNING,
        )
        await backend.remove(app)

        assert [(await fetched(one)).status_code for one in (host, own)] == [404, 404]
        assert await backend.queue() == []
        assert await backend.left_behind(app) == []
        left = [path for path in (tmp_path / "data").rglob("*") if app.id in str(path)]
        assert left == []
        git.gate.set()
