"""What was changed in the backend a moment ago decides the next push, through the public doors."""

from pathlib import Path

import pytest

from bridge.core.apps import Rules
from tests.worlds.bridge import Origin, World, running_world
from tests.worlds.embedded import Repository


async def pushed_to(world: World, origin: Origin, branch: str) -> dict[str, str]:
    """Push a commit to a branch; the reasons by app."""
    git = origin.repository.git
    git("checkout", "-q", "-B", branch)
    before = origin.head()
    after = origin.repository.commit(f"feat: {branch}", {"web/index.html": branch})
    return await world.reasons(await world.push(origin, f"refs/heads/{branch}", before, after))


@pytest.mark.journey
@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_a_branch_and_rules_that_were_changed_just_now_are_right_at_the_very_next_push(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    others = {}
    if database == "postgres":
        others["DATABASE_URL"] = request.getfixturevalue("postgres")
    origin = Origin(Repository.make(tmp_path / "origin", {"web/index.html": "first"}))
    async with running_world(tmp_path / "bridge", **others) as world:
        assert world.backend is not None
        app = await world.backend.app("web", origin.clone_url, publishDirectory="web")
        assert await pushed_to(world, origin, "main") == {"shop/web": "no_watch_paths"}

        await world.backend.save_git(app["applicationId"], origin.clone_url, customGitBranch="dev")

        assert await pushed_to(world, origin, "dev") == {"shop/web": "no_watch_paths"}
        assert await pushed_to(world, origin, "main") == {"shop/web": "branch_mismatch"}

        # As the command line sets them in the journal, beside `serve`.
        rules = Rules(branch="release/*")
        await world.stores.journal.save_rules(app["applicationId"], rules, by="cli: ada")
        assert await pushed_to(world, origin, "dev") == {"shop/web": "branch_mismatch"}
