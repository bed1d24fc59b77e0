"""What backends tell of what serves: the newest deployment of each app, and what it runs."""

import pytest

from bridge.core.configuration.configuration import GitSource
from bridge.ports.backends import ShowsImages
from tests.worlds.backends import Repository, Stage

pytestmark = pytest.mark.parametrize("stage", ["embedded"], indirect=True)


async def test_what_an_app_runs_is_told_by_what_it_was_made_from(
    stage: Stage, repository: Repository
) -> None:
    shows: object = stage.backend
    assert isinstance(shows, ShowsImages)
    app = await stage.app("web", GitSource(url=repository.url, branch="main"))
    assert await stage.backend.images(app) == ()
    assert await stage.backend.fingerprints([app]) == {}
    assert [one.deployed_at for one in await stage.backend.listing()] == [None]
    await stage.backend.deploy(app, title="Deploy", description="")
    await stage.ended(app)
    first = await stage.backend.images(app)
    ran = await stage.backend.fingerprints([app])
    await stage.backend.redeploy(app, title="Rebuild", description="")
    newest, before = await stage.ended(app, 2)
    assert [one.deployed_at for one in await stage.backend.listing()] == [newest.created_at]
    second = await stage.backend.images(app)
    assert await stage.backend.fingerprints([app]) != ran

    await stage.backend.roll_back(app, before.restores or "")

    assert first is not None
    assert len(first) == 1
    assert second != first
    assert await stage.backend.images(app) == first
    assert await stage.backend.fingerprints([app]) == ran
