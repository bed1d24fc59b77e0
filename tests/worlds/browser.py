"""A real browser: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import BrowserContext, async_playwright

from tests.oracles.node_tools import missing

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
HOST = "bridge.test"
"""A name that leads to this machine, as a public one would lead to the bridge."""


@asynccontextmanager
async def browsing(
    *,
    width: int = 900,
    scheme: str = "light",
    sharpness: float = 1.0,
    any_certificate: bool = False,
) -> AsyncIterator[BrowserContext]:
    """A browser without a past; the test is none where there is no Chromium."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        missing("no Chromium in PATH: make tools")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"],
        )
        context = await browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
            device_scale_factor=sharpness,
            ignore_https_errors=any_certificate,
        )
        yield context
        await browser.close()
