"""`docs/monorepo.md`: a real repository, its apps, and the commands that the page shows."""

from pathlib import Path

from tests.scenes.monorepo import PAGE, monorepo, with_outputs
from tests.worlds.cli import Cli


async def test_the_page_shows_what_its_commands_print(tmp_path: Path, cli: Cli) -> None:
    page = PAGE.read_text()

    async with monorepo(page, tmp_path, cli) as mono:
        assert await with_outputs(page, mono) == page
