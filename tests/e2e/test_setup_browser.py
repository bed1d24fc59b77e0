"""From nothing to a deployed push, in a real browser, by the steps that the docs count."""

import re
from pathlib import Path
from typing import Any

from tests.worlds.browser import browsing
from tests.worlds.embedded import until
from tests.worlds.setup_walk import (
    STEPS,
    SetupWorld,
    setup_world,
)


async def no_picture(_name: str) -> None:
    """Take none."""


async def test_from_an_empty_folder_to_a_push_that_deploys_comments_and_shows_a_card(
    tmp_path: Path,
    pem: str,
) -> None:
    async with setup_world(tmp_path, pem) as world, browsing() as browser:
        page = await browser.new_page()
        for step in STEPS:
            await step(world, page, no_picture)

        answer = await world.push({"web/index.html": "<h1>Open!</h1>"})
        assert answer.status_code == 202, answer.text
        assert "deployed" in await comment(world)
        await world.slack.until(lambda: "live" in newest_card(world))
        assert leaks(world) == []


async def comment(world: SetupWorld) -> str:
    async def bodies() -> list[str]:
        return [one.body for pull in world.theirs.pulls.values() for one in pull.comments]

    (body,) = await until(bodies, lambda those: those and "✅" in those[0])
    return body


def newest_card(world: SetupWorld) -> str:
    roots: list[dict[str, Any]] = world.slack.channels["C0SHOP"].roots()
    return str(roots[-1]["text"]) if roots else ""


def leaks(world: SetupWorld) -> list[tuple[str, str]]:
    """The secrets that are in the log, or in a file of the data folder."""
    secrets = [world.key, world.github.apps.secret, "xoxb-of-the-tests", "PRIVATE KEY"]
    files = [world.shell.folder / "serve.log", *(world.shell.folder / "data").iterdir()]
    return [
        (file.name, secret)
        for file in files
        if file.is_file()
        for secret in secrets
        if re.search(re.escape(secret.encode()), file.read_bytes())
    ]
