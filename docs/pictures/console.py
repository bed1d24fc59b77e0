"""Pictures of the console's pages, of a bridge at work: light, dark, and on a phone.

    python docs/pictures/console.py    # writes docs/pictures/console-*.png

Debian: apt install chromium fonts-lato fonts-noto-color-emoji pngquant
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from playwright.async_api import Page

from tests.scenes.console import SHOTS, shop
from tests.worlds.browser import browsing
from tests.worlds.console import ConsoleWorld

PICTURES = Path(__file__).parent
LOOKS = {"light": (1160, "light"), "dark": (1160, "dark"), "phone": (390, "light")}


async def main() -> None:
    """Take every page in every look."""
    with tempfile.TemporaryDirectory() as folder:
        async with shop(Path(folder)) as (console, ids):
            for look, (width, scheme) in LOOKS.items():
                async with browsing(width=width, scheme=scheme, sharpness=1.5) as browser:
                    page = await browser.new_page()
                    await page.goto(await console.link())
                    for name, path in SHOTS.items():
                        await _take(console, page, path.format(**ids), f"{name}-{look}")


async def _take(console: ConsoleWorld, page: Page, path: str, name: str) -> None:
    await page.goto(console.url + path)
    await page.wait_for_timeout(400)  # a log comes line by line
    file = PICTURES / f"console-{name}.png"
    await page.screenshot(path=file, full_page=True)
    if small := shutil.which("pngquant"):
        options = ["--force", "--skip-if-larger", "--strip", "--output", str(file), "64"]
        subprocess.run([small, *options, str(file)], check=False)
    print(f"{file.name}  {file.stat().st_size // 1024} KB")


asyncio.run(main())
