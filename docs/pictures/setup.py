"""Pictures of setup in the browser, taken while the steps of its test are walked.

The last one shows a check that finds two planted faults.

    python docs/pictures/setup.py    # writes docs/pictures/setup-*.png

Debian: apt install chromium fonts-lato pngquant
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.async_api import Page, expect

from tests.worlds.browser import browsing
from tests.worlds.hosts import new_pem
from tests.worlds.setup import sound_set_up, with_setup_page
from tests.worlds.setup_walk import STEPS, setup_world

PICTURES = Path(__file__).parent


async def main() -> None:
    """Walk all steps, and take a picture where the test looks."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            setup_world(Path(folder), new_pem()) as world,
            browsing(sharpness=1.6) as browser,
        ):
            page = await browser.new_page()
            for step in STEPS:
                await step(world, page, lambda name: _take(page, name))
        await _check(Path(folder) / "check")


async def _check(folder: Path) -> None:
    async with (
        sound_set_up(folder) as made,
        with_setup_page(made) as (_, _, link),
        browsing(sharpness=1.6) as browser,
    ):
        made.repositories["github"].hooks[0].url = f"{made.front.url}/webhook"
        made.dokploy.app("shop", autoDeploy=True)
        page = await browser.new_page()
        await page.goto(link)
        await page.get_by_role("button", name="Check everything").click()
        await expect(page.get_by_role("status")).to_contain_text("1 error, 1 warning")
        await _take(page, "check")


async def _take(page: Page, name: str) -> None:
    file = PICTURES / f"setup-{name}.png"
    card = page.locator(f"#{name.partition('-')[0]}")
    if await card.count():
        await card.screenshot(path=file)
    else:
        await page.screenshot(path=file, full_page=True)
    if small := shutil.which("pngquant"):
        options = ["--force", "--skip-if-larger", "--strip", "--output", str(file), "128"]
        subprocess.run([small, *options, str(file)], check=False)
    print(f"{file.name}  {file.stat().st_size // 1024} KB")


asyncio.run(main())
