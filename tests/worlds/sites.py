"""Apps on the embedded backend, their repositories, and the results."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.ports.inbox import Delivery
from tests.fakes.host import FakeHost
from tests.worlds.bridge import Origin, World
from tests.worlds.embedded import Repository, git_server, until

MAIN = "refs/heads/main"


async def make_site(world: World, origin: Origin, **others: Any) -> dict[str, Any]:
    """Create an app that publishes `web/` from the origin's main branch."""
    assert world.backend is not None
    app = await world.backend.app("web", origin.clone_url, publishDirectory="web")
    watch = others.pop("watch", None)
    await world.backend.save_git(app["applicationId"], origin.clone_url, watchPaths=watch)
    return app


@asynccontextmanager
async def gitlab_origin(folder: Path) -> AsyncIterator[Origin]:
    """A project of a GitLab that can be cloned from."""
    root = folder / "gitlab"
    repository = Repository.make(root / "group/site.git", {"web/index.html": "first"})
    async with git_server(root) as server:
        yield Origin(repository, "gitlab", "group/site", 42, f"{server.url}/group/site.git")


def at(origin: Origin) -> dict[str, Any]:
    """Return the settings of a bridge whose GitLab is where that project is."""
    return {"BRIDGE_GITLAB_WEB_URL": _server_of(origin)}


def _server_of(origin: Origin) -> str:
    return origin.url.removesuffix(f"/{origin.name}.git")


async def make_project_app(world: World, origin: Origin, watch: str) -> dict[str, Any]:
    """Create an app that publishes `web/` from that project's main branch, and watches a path."""
    assert world.backend is not None
    ask = world.backend.ask
    await ask("POST", "gitlab.create", name="gl", authId="x", gitlabUrl=_server_of(origin))
    (provider,) = await ask("GET", "gitlab.gitlabProviders")
    app = await world.backend.app("web")
    await ask(
        "POST",
        "application.saveGitlabProvider",
        applicationId=app["applicationId"],
        gitlabBranch="main",
        gitlabBuildPath="/",
        gitlabOwner="group",
        gitlabRepository="site",
        gitlabId=provider["gitlabId"],
        gitlabProjectId=42,
        gitlabPathNamespace="group/site",
        watchPaths=[watch],
        enableSubmodules=False,
    )
    await world.backend.save_build(app["applicationId"], publishDirectory="web")
    return app


async def push_broken(world: World, origin: Origin) -> dict[str, Any]:
    """Push to a new app, after which nothing is left to publish."""
    app = await make_site(world, origin)
    before = origin.head()
    origin.repository.git("mv", "web", "elsewhere")
    after = origin.repository.commit("fix: break it")
    await world.push(origin, "refs/heads/main", before, after)
    return app


async def page(world: World, app: dict[str, Any]) -> str:
    """Return the page that the app serves."""
    assert world.backend is not None
    return (await world.backend.page(app)).text


# ── Apps of a host with an API ────────────────────────────────────────────────────────────────────


def on(host: FakeHost, origin: Origin) -> Origin:
    """Return the origin as a host's repository."""
    return replace(origin, host=host.name, url=f"{host.url}/{origin.name}.git")


async def make_app(world: World, origin: Origin) -> None:
    """Create an app that deploys from the origin, with its first push decided."""
    assert world.backend is not None
    app = await world.backend.app("web", origin.clone_url)
    await world.backend.save_git(app["applicationId"], origin.clone_url)
    before = origin.head()
    await world.commit(origin, "feat: known", {"web/index.html": "<h1>known</h1>"})
    assert origin.head() != before
    await until(lambda: world.stores.inbox.newest(1), lambda found: found[0].state == "decided")


async def newest(world: World, count: int) -> list[Delivery]:
    """Wait until this many deliveries are decided; return them."""
    return await until(
        lambda: world.stores.inbox.newest(10),
        lambda found: len(found) == count and all(one.state == "decided" for one in found),
    )
