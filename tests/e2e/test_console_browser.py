"""The console in a real browser: by keyboard, on a phone, without scripts, and while it changes."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, Page, Request, expect

from bridge.console.pages import PAGES
from bridge.core.lifecycle import State
from tests.chaos.cluster import free_port
from tests.chaos.recording_backend import push_payload, recording_backend
from tests.fakes.github import FakeGithub
from tests.worlds.bridge import Origin, running_world
from tests.worlds.browser import browsing
from tests.worlds.console import ConsoleWorld, console_world
from tests.worlds.embedded import Repository, git_server, until
from tests.worlds.previewed import HEAD, held, previews_at_rest, up
from tests.worlds.sites import make_site

PHONE = 390

OVERLAPPING = """[...document.querySelectorAll(".row")].flatMap(row => {
  const boxes = [...row.children].map(one => [one.innerText, one.getBoundingClientRect()])
    .filter(([, box]) => box.width && box.height);
  const right = row.getBoundingClientRect().right;
  return boxes.filter(([, one], at) => one.right > right || boxes.some(([, other], next) =>
    next > at && one.left < other.right && other.left < one.right
      && one.top < other.bottom && other.top < one.bottom)).map(([text]) => text);
})"""
"""Returns the text of what lies over something else in a list's row, or sticks out of it."""


@asynccontextmanager
async def signed_in(console: ConsoleWorld, browser: BrowserContext) -> AsyncIterator[Page]:
    """A page of the owner; what the browser complains of fails the test."""
    page, wrong = await browser.new_page(), list[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    await page.goto(await console.link())
    yield page
    assert wrong == []


async def paths_of(console: ConsoleWorld, app_id: str) -> list[str]:
    """The path of every page."""
    one = (await console.world.deployments())[-1]
    return [
        path.format(id=one.id if "deployments" in path else app_id, seq=one.seq, name="lock")
        for path in PAGES
    ]


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (PHONE, "dark")])
async def test_axe_finds_nothing_and_nothing_sticks_out(
    width: int, scheme: str, tmp_path: Path, origin: Origin
) -> None:
    async with (
        previews_at_rest(),
        console_world(tmp_path / "bridge") as console,
        browsing(width=width, scheme=scheme) as browser,
        signed_in(console, browser) as page,
    ):
        assert console.world.backend is not None
        name = "storefront-that-was-never-deployed"
        never = await console.world.backend.app(name, origin.clone_url)
        await console.world.backend.save_git(
            never["applicationId"], origin.clone_url, watchPaths=["never/**"]
        )
        app_id = await console.deployed(origin, ["feat: open", "fix: close"])
        await _previews(console, app_id)
        await _fail(console, origin)
        others = ["/console/search?q=open", "/console/search?q=%2312", "/console/sign-in"]
        for path in [*await paths_of(console, app_id), *others]:
            await page.goto(console.url + path)
            found = await Axe().run(page)
            assert found.violations_count == 0, f"{path}: {found.generate_report()}"
            wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is {wide} px too wide"
            assert await page.evaluate(OVERLAPPING) == [], path


async def _fail(console: ConsoleWorld, origin: Origin) -> None:
    """Have a third deployment, which fails."""
    before = origin.head()
    origin.repository.git("mv", "web", "elsewhere")
    after = origin.repository.commit("fix: break it", {})
    await console.world.push(origin, "refs/heads/main", before, after)
    assert (await console.world.ended(3))[-1].state is State.FAILED


async def _previews(console: ConsoleWorld, app_id: str) -> None:
    """Have two pull requests of an app, with long names; one is of a fork."""
    journal = console.world.stores.journal
    app = await journal.app(app_id)
    assert app is not None
    await up(journal, app, 12, title="w" * 200, author="a" * 60)
    await held(journal, app, 123456789, title="a title of many words " * 9)


async def test_a_commit_of_a_fork_is_approved(tmp_path: Path, origin: Origin) -> None:
    async with (
        previews_at_rest(),
        console_world(tmp_path / "bridge") as console,
        browsing(width=PHONE) as browser,
        signed_in(console, browser) as page,
    ):
        journal = console.world.stores.journal
        app = await journal.app(await console.deployed(origin))
        assert app is not None
        waits = await held(journal, app, 14)
        await page.goto(f"{console.url}/console/previews")
        await page.get_by_text("Approve abababa…").click()
        await page.get_by_role("button", name="Approve abababa", exact=True).click()
        await page.get_by_text(f"{app.label} #14 is built.").wait_for()

        now = await journal.preview(waits.id)
        assert now is not None
        assert (now.approved, now.approver) == (HEAD, "owner")
        assert await page.get_by_text("Approve abababa…").count() == 0


async def test_days_to_search_by_are_labelled_on_a_phone(tmp_path: Path, origin: Origin) -> None:
    async with (
        console_world(tmp_path / "bridge") as console,
        browsing(width=PHONE) as browser,
        signed_in(console, browser) as page,
    ):
        await console.deployed(origin)
        await page.goto(f"{console.url}/console/deliveries")
        for name, day in (("From", "2020-01-31"), ("To", "2020-02-01")):
            await expect(page.locator(".filters").get_by_text(name, exact=True)).to_be_visible()
            await page.get_by_label(name, exact=True).fill(day)
        await page.get_by_role("button", name="Filter").click()

        await expect(page.locator("main")).to_contain_text("Nothing that you may see has come in")
        await expect(page.get_by_label("From", exact=True)).to_have_value("2020-01-31")
        await expect(page.get_by_label("To", exact=True)).to_have_value("2020-02-01")


async def test_keys_search_move_and_open(tmp_path: Path, origin: Origin) -> None:
    async with (
        console_world(tmp_path / "bridge") as console,
        browsing() as browser,
        signed_in(console, browser) as page,
    ):
        await console.deployed(origin, ["feat: open", "fix: close"])
        commit = (await console.world.deployments())[0].commit or ""
        await page.goto(f"{console.url}/console/deliveries")
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{console.url}/console/deliveries/1")

        await page.keyboard.press("?")
        await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        await page.get_by_role("button", name="Close").click()
        await page.keyboard.press("Control+k")
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.locator("h1").click()
        await page.keyboard.press("/")
        await page.keyboard.type(commit[:8])
        await page.keyboard.press("Enter")
        for kind in (".history .row", ".stream .row"):
            await expect(page.locator(kind)).to_have_count(1)
            await expect(page.locator(kind)).to_contain_text(commit[:7])


async def test_times_are_told_in_utc_and_where_somebody_is(tmp_path: Path, origin: Origin) -> None:
    async with (
        console_world(tmp_path / "bridge") as console,
        browsing() as browser,
        signed_in(console, browser),
    ):
        await console.deployed(origin)
        assert browser.browser is not None
        state = await browser.storage_state()
        for scripts, said in ((True, r"UTC \(.*GMT\+9\)$"), (False, "UTC$")):
            tokyo = await browser.browser.new_context(
                timezone_id="Asia/Tokyo", storage_state=state, java_script_enabled=scripts
            )
            page = await tokyo.new_page()
            await page.goto(f"{console.url}/console/deliveries/1")
            await expect(page.locator("time[data-utc]").first).to_have_text(re.compile(said))


async def test_a_page_changes_by_itself_and_keeps_what_somebody_types(
    tmp_path: Path, origin: Origin
) -> None:
    async with (
        console_world(tmp_path / "bridge") as console,
        browsing() as browser,
        signed_in(console, browser) as page,
    ):
        app_id = await console.deployed(origin)
        await page.goto(f"{console.url}/console/apps/{app_id}")
        await page.locator("summary", has_text="Lock").click()
        await page.get_by_label("Reason").fill("the sale be")
        await console.world.commit(origin, "fix: close", {"web/index.html": "closed"})

        await expect(page.locator(".history .row")).to_have_count(2)
        await expect(page.locator(".history .row").first).to_contain_text("done")
        await expect(page.get_by_label("Reason")).to_have_value("the sale be")
        await page.get_by_label("Reason").press_sequentially("gins")
        await page.get_by_role("button", name="Lock", exact=True).click()
        await expect(page.locator("main")).to_contain_text("locked by owner: the sale begins")
        await page.get_by_role("button", name="Unlock").click()
        await expect(page.get_by_role("status")).to_contain_text("Unlocked: shop/web")


async def test_everything_works_without_scripts_on_a_phone(tmp_path: Path, origin: Origin) -> None:
    async with console_world(tmp_path / "bridge") as console, browsing(width=PHONE) as browser:
        app_id = await console.deployed(origin, ["feat: open", "fix: close"])
        assert browser.browser is not None
        plain = await browser.browser.new_context(
            java_script_enabled=False, viewport={"width": PHONE, "height": 800}
        )
        page = await plain.new_page()
        await page.goto(await console.link())
        await page.get_by_role("link", name="shop/web").first.click()
        await page.get_by_role("button", name="Roll back to ").click()
        await expect(page.locator("main")).to_contain_text("Roll back shop/web?")
        await page.get_by_role("button", name="Roll back", exact=True).click()
        ended = await console.world.ended(3)
        await page.goto(f"{console.url}/console/apps/{app_id}")
        await expect(page.locator("main")).to_contain_text("rolled back")
        assert ended[-1].trigger == "console: owner"
        assert ended[-1].action == "rollback"

        await page.locator(".who summary").click()
        await page.get_by_role("button", name="Sign out", exact=True).click()
        await page.goto(f"{console.url}/console")
        await expect(page.locator("h1")).to_contain_text("Sign in")


async def test_a_log_goes_on_through_a_restart_of_the_bridge(tmp_path: Path) -> None:
    settings = {"BRIDGE_PORT": str(free_port()), "BRIDGE_DOKPLOY_API_KEY": "a-key"}
    async with (
        recording_backend(apps=1, build_seconds=0.05, listing_delay=0.0) as backend,
        browsing() as browser,
    ):
        backend.may_end.clear()
        settings["BRIDGE_DOKPLOY_URL"] = backend.url
        async with running_world(tmp_path / "bridge", **settings) as world:  # type: ignore[arg-type]
            await until(world.stores.journal.apps, lambda apps: len(apps) == 1)
            await world.hook("github", push_payload("a" * 40, "b" * 40, {"app-0"}))
            (one,) = await until(world.deployments, lambda all_: [d for d in all_ if d.backend_id])
            page = await browser.new_page()
            await page.goto(await ConsoleWorld(world).link())
            await page.goto(f"{world.bridge.url}/console/deployments/{one.id}")
            (job,) = backend.jobs["app-0"]
            job.log += ["step one", "password=hunter2secret"]
            await expect(page.locator("pre")).to_contain_text("step one")
            await expect(page.locator("pre")).to_contain_text("password=***")

        job.log += ["step two"]
        async with running_world(tmp_path / "bridge", **settings) as world:  # type: ignore[arg-type]
            await expect(page.locator("pre")).to_contain_text("step two", timeout=20_000)
            job.log += ["step three"]
            backend.may_end.set()
            await expect(page.locator("h1 ~ .tag")).to_contain_text("done", timeout=20_000)
            timed = page.locator("pre .line[data-at]", has_text="step three")
            await expect(timed).to_have_count(1)
            text = await page.locator("pre").inner_text()
            assert [line for line in text.splitlines() if line.startswith("step")] == [
                "step one",
                "step two",
                "step three",
            ]


NAME = "my-org/mono"


async def test_a_push_is_approved_and_replayed(tmp_path: Path) -> None:
    root = tmp_path / "served"
    repository = Repository.make(root / f"{NAME}.git", {"web/index.html": "first"})
    async with git_server(root) as server, FakeGithub() as github, browsing() as browser:
        origin = Origin(repository, "github", NAME, 4711, f"{server.url}/{NAME}.git")
        github.repository(NAME, id=4711, git=repository.path)
        there = github.settings | {"BRIDGE_GITHUB_WEB_URL": server.url}
        there["BRIDGE_RULES"] = "[{apps: shop/*, approvals: 1}]"
        there["BRIDGE_IDENTITIES"] = "{grace: [console:owner, github:grace]}"
        async with (
            console_world(tmp_path / "bridge", **there) as console,
            signed_in(console, browser) as page,
        ):
            await make_site(console.world, origin)
            before = origin.head("main")
            after = repository.commit("feat: open", {"web/index.html": "open"})
            said = origin.payload("refs/heads/main", before, after)
            assert (await console.world.hook("github", said)).status_code == 202

            await expect(page.locator(".now .row .tag")).to_have_text("held")
            await page.locator(".now .row").get_by_role("link", name="shop/web").click()
            await page.get_by_role("button", name=f"Approve {after[:7]}").click()
            await expect(page.locator("h1 ~ .tag")).to_have_text("done")

            await page.get_by_role("link", name="delivery 1").click()
            await page.get_by_role("link", name="Dry run with today's rules").click()
            await expect(page.locator("main")).to_contain_text("0 of 1 differ")
            await page.get_by_role("link", name="Back to the delivery").click()
            await page.get_by_role("button", name="Replay as it was").click()
            await expect(page.get_by_role("status")).to_contain_text("shop/web")
            again = await until(console.world.deployments, lambda those: len(those) == 2)
            assert again[-1].trigger == "console: owner"
            await page.goto(f"{console.url}/console/deliveries/1")
            await page.get_by_role("button", name="Replay with today's rules").click()
            await expect(page.locator("main")).to_contain_text("console · replay")


HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""Does what a browser does with a tab that somebody leaves, or comes back to."""


async def test_of_all_tabs_one_listens_and_tells_the_others(tmp_path: Path, origin: Origin) -> None:
    """Over HTTP/1.1 a browser has six connections to a host, and each stream takes one."""
    async with console_world(tmp_path / "bridge") as console, browsing() as browser:
        app_id = await console.deployed(origin)
        listening: list[Page] = []

        def begins(one: Request) -> None:
            if one.url.endswith("/live"):
                listening.append(one.frame.page)

        def ends(one: Request) -> None:
            if one.url.endswith("/live"):
                listening.remove(one.frame.page)

        browser.on("request", begins)
        browser.on("requestfailed", ends)
        async with signed_in(console, browser) as first:
            second = await browser.new_page()
            for one in (first, second):
                await one.goto(f"{console.url}/console/apps/{app_id}")
            await until(lambda: asyncio.sleep(0, listening), lambda those: those == [first])

            await console.world.commit(origin, "feat: told to both", {"web/index.html": "2"})
            for one in (first, second):
                await expect(one.locator("main")).to_contain_text("told to both")

            await first.evaluate(HIDE, True)
            await until(lambda: asyncio.sleep(0, listening), lambda those: those == [second])
            await console.world.commit(origin, "fix: seen later", {"web/index.html": "3"})
            await expect(second.locator("main")).to_contain_text("seen later")
            await first.evaluate(HIDE, False)
            await expect(first.locator("main")).to_contain_text("seen later")
            assert listening == [second]
