"""How many clicks the questions of somebody on call take, in a real browser."""

from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Locator, Page, expect

from bridge.core.lifecycle import State
from tests.worlds.bridge import Origin
from tests.worlds.browser import browsing
from tests.worlds.console import ConsoleWorld, console_world
from tests.worlds.previewed import HEAD, held, previews_at_rest


@dataclass
class Hand:
    """Somebody who begins at the front page, and how often they have clicked."""

    page: Page
    console: ConsoleWorld
    clicks: int = 0

    async def begin(self) -> None:
        await self.page.goto(f"{self.console.url}/console")
        self.clicks = 0

    async def click(self, what: Locator) -> None:
        await what.click()
        self.clicks += 1

    async def press(self, name: str) -> None:
        await self.click(self.page.get_by_role("button", name=name, exact=True))

    async def sees(self, *words: str) -> None:
        for one in words:
            await expect(self.page.locator("body")).to_contain_text(one)


async def test_what_somebody_on_call_asks_takes_two_clicks_at_most(
    tmp_path: Path, origin: Origin
) -> None:
    async with (
        previews_at_rest(),
        console_world(tmp_path / "bridge") as console,
        browsing(width=1280) as browser,
    ):
        app_id = await console.deployed(origin, ["feat: open", "fix: close"])
        first, _ = await console.world.deployments()
        before = origin.head()
        docs = origin.repository.commit("docs: say more", {"docs/a.md": "more"})
        await console.world.push(origin, "refs/heads/docs", before, docs)
        origin.repository.git("mv", "web", "elsewhere")
        after = origin.repository.commit("fix: break it", {})
        await console.world.push(origin, "refs/heads/main", before, after)
        assert (await console.world.ended(3))[-1].state is State.FAILED
        journal = console.world.stores.journal
        app = await journal.app(app_id)
        assert app is not None
        await held(journal, app, 12)
        page = await browser.new_page()
        page.set_default_timeout(8_000)
        await page.goto(await console.link())
        hand = Hand(page, console)
        needs = page.locator(".needs").first

        await hand.begin()  # why did my push not deploy?
        pushed = page.locator(".stream .row", has_text="docs: say more")
        await hand.click(pushed.get_by_role("link").first)
        await hand.sees("branch docs was pushed, it deploys main")
        assert hand.clicks == 1

        await hand.begin()  # why did it fail?
        await hand.click(needs.get_by_role("link", name="shop/web").first)
        await expect(page.locator(".line.failing")).to_be_visible()
        assert hand.clicks <= 2

        await hand.begin()  # a fork
        await hand.click(needs.locator("summary", has_text=f"Approve {HEAD[:7]}"))
        await hand.press(f"Approve {HEAD[:7]}")
        await hand.sees("Approved")
        assert hand.clicks == 2

        await hand.begin()  # go back
        assert first.deployed_commit is not None
        await hand.press(f"Roll back to {first.deployed_commit[:7]}…")
        await hand.press("Roll back")
        assert (await console.world.ended(4))[-1].target == first.id
        assert hand.clicks == 2

        await hand.begin()  # who locks it, and unlock
        await hand.click(page.get_by_role("link", name="Gates"))
        await hand.sees("locked", "owner")
        await hand.press("Unlock")
        await hand.sees("Unlocked: shop/web")
        assert hand.clicks == 2
