"""From nothing to a deployed push, in a real browser, by the steps that the docs count."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from tests.fakes.gitlab import FakeGitlab
from tests.worlds.browser import HOST, browsing
from tests.worlds.embedded import git_server, until
from tests.worlds.setup_walk import (
    NAME,
    STEPS,
    SetupWorld,
    connect_dokploy,
    open_link,
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


async def test_gitlab_is_connected_by_a_token_and_a_push_deploys_and_comments(
    tmp_path: Path, pem: str
) -> None:
    root = tmp_path / "served"
    async with git_server(root) as server, FakeGitlab() as gitlab:
        world_ = setup_world(
            tmp_path,
            pem,
            repository=root / f"{NAME}.git",
            url=f"{server.url}/{NAME}.git",
            BRIDGE_GITLAB_URL=gitlab.url,
            BRIDGE_GITLAB_WEB_URL=server.url,
        )
        async with world_ as world, browsing() as browser:
            theirs = gitlab.repository(NAME, id=4711, git=world.origin.repository.path)
            request = theirs.open_pull("main", base="release")
            page = await browser.new_page()
            await open_link(world, page, no_picture)
            await connect_dokploy(world, page, no_picture)
            card = page.locator("#gitlab")
            await card.locator("summary").click()
            await card.get_by_label("Access token").fill(gitlab.settings["BRIDGE_GITLAB_TOKEN"])
            await card.get_by_role("button", name="Try and save").click()
            await page.locator("#gitlab").get_by_role("button", name="Make 1 webhook").click()
            await expect(page.get_by_role("status")).to_contain_text(f"webhook of {NAME}")

            (hook,) = theirs.hooks
            hook.url = hook.url.replace(HOST, "127.0.0.1")  # only the browser knows that name
            before = world.origin.head()
            after = world.origin.repository.commit("feat: open", {"web/index.html": "Open!"})
            pushed = replace(world.origin, host="gitlab").payload("refs/heads/main", before, after)
            pushed["project"] |= {"web_url": f"{server.url}/{NAME}"}
            sent = await gitlab.send(hook, "Push Hook", pushed)
            assert sent.status == 202, sent

            async def comments() -> list[str]:
                return [one.body for one in request.comments]

            await until(comments, lambda those: bool(those) and "✅" in those[0])
            assert hook.secret not in (world.shell.folder / "serve.log").read_text()


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
