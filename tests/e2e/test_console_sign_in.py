"""Signing in to the console with another service, over HTTP and in a browser."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from aiohttp import web
from playwright.async_api import expect

from bridge.console import visitors
from tests.fakes.identity import CLIENT, SECRET, FakeIssuer
from tests.worlds.bridge import Origin
from tests.worlds.browser import browsing
from tests.worlds.console import COOKIE, ConsoleWorld, console_world
from tests.worlds.embedded import until
from tests.worlds.identity import browsed, mock_provider, secrets_in
from tests.worlds.setup import command
from tests.worlds.sites import make_site

pytestmark = pytest.mark.journey

WAY = "/console/sign-in/oidc"
VIEWERS = "[{who: ['oidc:ada-1'], may: [view], apps: ['shop/*']}]"


@pytest.fixture
async def issuer() -> AsyncIterator[FakeIssuer]:
    async with FakeIssuer().running() as one:
        yield one


@asynccontextmanager
async def console_with(
    tmp_path: Path, issuer: FakeIssuer, **others: str
) -> AsyncIterator[ConsoleWorld]:
    given = {"BRIDGE_ACCESS": VIEWERS, **issuer.settings, **others}
    async with console_world(tmp_path / "bridge", **given) as console:
        yield console


async def back_from(web: httpx.AsyncClient, way: str = WAY) -> str:
    """Go to the service and sign in there; return where the browser is sent, as a path."""
    answer = await web.get(way)
    assert answer.status_code == 303, answer.text
    returned = (await browsed(answer.headers["Location"])).headers["Location"]
    parts = urlsplit(returned)
    return f"{parts.path}?{parts.query}"


async def is_in(web: httpx.AsyncClient) -> bool:
    return (await web.get("/console")).status_code == 200


async def test_only_what_is_set_up_is_offered(tmp_path: Path, issuer: FakeIssuer) -> None:
    async with console_with(tmp_path, issuer) as console, console.browsing("") as web:
        page = (await web.get("/console/sign-in?then=/console/apps")).text
        assert "Sign in with Example ID" in page
        assert "GitHub" not in page
        assert (await web.get("/console/sign-in/github")).status_code == 404
        assert (await web.get("/console/sign-in/github/back?code=1&state=2")).status_code == 404


async def test_nobody_is_led_elsewhere(tmp_path: Path, issuer: FakeIssuer) -> None:
    elsewhere = ["https://evil.example/", "//evil.example/console", "/console/" + "x" * 3000, ""]
    elsewhere += [f"/console{one}" for one in ("\r\nX: y", "\0", "\u2028")]
    async with console_with(tmp_path, issuer) as console:
        for then in elsewhere:
            async with console.browsing("") as web:
                begun = await web.get(WAY, params={"then": then})
                assert len(begun.headers["Set-Cookie"]) < 4096
                returned = urlsplit((await browsed(begun.headers["Location"])).headers["Location"])
                answer = await web.get(f"{returned.path}?{returned.query}")
                assert answer.headers["Location"] == "/console"
                assert await is_in(web)


async def test_the_way_back_is_at_the_public_address(tmp_path: Path, issuer: FakeIssuer) -> None:
    async with console_with(
        tmp_path, issuer, BRIDGE_PUBLIC_URL="https://bridge.example.com"
    ) as console:
        async with console.browsing("") as web:
            place = (await web.get(WAY)).headers["Location"]
        (back,) = parse_qs(urlsplit(place).query)["redirect_uri"]
        assert back == f"https://bridge.example.com{WAY}/back"


@pytest.mark.parametrize(
    ("given", "check", "says"),
    [
        ({}, "console.issuer", "https://bridge.example/console/sign-in/oidc/back"),
        ({"ISSUER": "/"}, "console.issuer", "to the last slash"),
        ({"ISSUER": "http://127.0.0.1:9"}, "console.reach", "nothing listens"),
        ({"SECRET": "another"}, "console.client", "client id and secret"),
        ({"TOKENS": "403"}, "console.issuer", "answers with status 403 and no error of OAuth"),
        ({"TOKENS": "400", "SAYS": '{"error": "Invalid code"}'}, "console.issuer", "oidc/back"),
        ({"PUBLIC": ""}, "console.callback", "public_url is not set"),
    ],
    ids=[
        "sound",
        "almost the issuer",
        "away",
        "another secret",
        "no tokens",
        "its own words",
        "no address",
    ],
)
async def test_doctor_says_whether_people_can_sign_in(
    given: dict[str, str],
    check: str,
    says: str,
    tmp_path: Path,
    issuer: FakeIssuer,
) -> None:
    async def without_tokens(_request: web.Request) -> web.Response:
        says = given.get("SAYS", "<h1>Forbidden</h1>")
        return web.Response(status=int(given["TOKENS"]), text=says)

    if "TOKENS" in given:
        issuer.instead["token"] = without_tokens
    at = given.get("ISSUER", "")
    environment = {
        "BRIDGE_DATA": str(tmp_path),
        "BRIDGE_PUBLIC_URL": given.get("PUBLIC", "https://bridge.example"),
        **issuer.settings,
        "BRIDGE_CONSOLE_OIDC_ISSUER": at if at.startswith("http") else f"{issuer.url}{at}",
        "BRIDGE_CONSOLE_OIDC_CLIENT_SECRET": given.get("SECRET", SECRET),
    }
    _, out = await command("doctor", "--json", **environment)
    found = [one for one in json.loads(out)["findings"] if one["check"].startswith("console.")]
    assert [one["check"] for one in found] == [check]
    assert says in found[0]["says"]
    assert bool(found[0]["remedy"]) == (found[0]["level"] != "ok")


# ── ways back that are not this browser's ────────────────────────────────────────────────────────


async def test_the_way_back_of_another_browser_signs_nobody_in(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    """Nobody can be made to sign in as somebody else."""
    async with (
        console_with(tmp_path, issuer) as console,
        console.browsing("") as eve,
        console.browsing("") as ada,
    ):
        returned = await back_from(eve)
        assert (await ada.get(returned)).status_code == 400
        await ada.get(WAY)
        answer = await ada.get(returned)
        assert answer.status_code == 400
        assert "begin again" in answer.text
        assert not await is_in(ada)

        await eve.get(returned)
        assert await is_in(eve)


async def test_a_way_back_works_once(tmp_path: Path, issuer: FakeIssuer) -> None:
    async with console_with(tmp_path, issuer) as console, console.browsing("") as web:
        returned = await back_from(web)
        cookie = web.cookies["bridge-sign-in"]
        await web.get(returned)
        asked = issuer.asked.count("token")

        async with console.browsing("") as again:
            again.cookies.set("bridge-sign-in", cookie)
            assert (await again.get(returned)).status_code == 400
            assert not await is_in(again)
        assert issuer.asked.count("token") == asked


async def test_a_way_back_is_good_for_ten_minutes_whoever_keeps_the_cookie(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    async with console_with(tmp_path, issuer) as console:
        for seconds, status in ((-1.0, 400), (60.0, 303)):
            async with console.browsing("") as web:
                with patch.object(visitors, "SIGNING_IN_SECONDS", seconds):
                    begun = await web.get(WAY)
                cookie = begun.headers["Set-Cookie"].partition(";")[0].partition("=")[2]
                web.cookies.set("bridge-sign-in", cookie)
                returned = urlsplit((await browsed(begun.headers["Location"])).headers["Location"])
                answer = await web.get(f"{returned.path}?{returned.query}")
                assert answer.status_code == status


async def test_a_way_back_that_was_changed_signs_nobody_in(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    async with console_with(tmp_path, issuer) as console:
        for part in ("cookie", "state", "code"):
            async with console.browsing("") as web:
                returned = await back_from(web)
                if part == "cookie":
                    head, about, signature = web.cookies["bridge-sign-in"].split(".")
                    web.cookies.set("bridge-sign-in", f"{head}.{about}.{signature[::-1]}")
                answer = await web.get(returned.replace(f"{part}=", f"{part}=x"))
                assert answer.status_code == 400
                assert secrets_in(answer.text) == []
                assert not await is_in(web)


async def test_who_is_refused_there_is_told_so_in_our_words(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    described = "error_description=Enter+your+password+at+evil.example"
    async with console_with(tmp_path, issuer) as console:
        for query, says in (
            ("error=access_denied", "an administrator, declined"),
            ("error=invalid_scope", "(invalid_scope)"),
            (f"error=<b>bold</b>&{described}", "registered"),
            ("", "sent no code"),
        ):
            async with console.browsing("") as web:
                place = (await web.get(WAY)).headers["Location"]
                (state,) = parse_qs(urlsplit(place).query)["state"]
                answer = await web.get(f"{WAY}/back?state={state}&{query}")
                assert answer.status_code == 400
                assert says in answer.text
                assert "bold" not in answer.text
                assert "evil.example" not in answer.text


async def test_a_provider_that_is_down_is_said_so_and_the_link_still_works(
    tmp_path: Path, issuer: FakeIssuer
) -> None:
    gone = {"BRIDGE_CONSOLE_OIDC_ISSUER": "http://127.0.0.1:9"}
    async with console_with(tmp_path, issuer, **gone) as console:
        async with console.browsing("") as web:
            answer = await web.get(WAY)
            assert answer.status_code == 503
            assert "Example ID can&#39;t be reached" in answer.text
        async with console.browsing() as web:
            assert await is_in(web)


# ── who they are then ────────────────────────────────────────────────────────────────────────────


async def test_a_signed_in_stranger_sees_nothing(
    tmp_path: Path, issuer: FakeIssuer, origin: Origin
) -> None:
    """Anybody may have an account there, so "everyone" does not mean them."""
    grants = "[{who: [everyone, 'oidc:bob'], may: [view, deploy]}]"
    async with console_with(tmp_path, issuer, BRIDGE_ACCESS=grants) as console:
        app_id = await console.deployed(origin)
        async with console.browsing("") as web:
            answer = await web.get(await back_from(web))
            assert answer.status_code == 403
            assert "no grant in `access` names you" in answer.text
            for page in ("/console/apps", f"/console/apps/{app_id}", "/console/live"):
                asked = await web.get(page)
                assert asked.headers["Location"].startswith("/console/sign-in")
            assert COOKIE not in web.cookies


async def test_who_wants_no_page_lands_on_the_only_app_of_theirs(
    tmp_path: Path, issuer: FakeIssuer, origin: Origin
) -> None:
    async with console_with(tmp_path, issuer) as console:
        app_id = await console.deployed(origin)
        for then, lands in [
            ("", f"/console/apps/{app_id}"),
            ("/console", f"/console/apps/{app_id}"),
            ("/console/audit", "/console/audit"),
        ]:
            async with console.browsing("") as web:
                answer = await web.get(await back_from(web, f"{WAY}?then={then}"))
                assert answer.headers["Location"] == lands


async def test_somebody_of_a_chat_is_the_same_person_in_the_console(
    tmp_path: Path, issuer: FakeIssuer, origin: Origin
) -> None:
    """Else one person could give two approvals, approve their own, or lose their lock."""
    given = {
        "BRIDGE_ACCESS": "[{who: [U0ADA], may: [deploy, approve, lock]}]",
        "BRIDGE_RULES": "[{apps: shop/*, approvals: 1}]",
    }
    async with console_with(tmp_path, issuer, **given) as console:
        world = console.world
        app_id = (await make_site(world, origin))["applicationId"]
        await world.commit(origin, "feat: open", {"web/index.html": "1"})
        await until(world.states, lambda those: those == ["held"])
        async with console.browsing(await console.session("U0ADA", chat="slack")) as web:
            assert (await web.post("/console/do/deploy", data={"app": app_id})).status_code == 303
            await until(world.states, lambda those: those == ["held", "held"])
            assert (await world.deployments())[-1].person == "slack:U0ADA"

            await web.post("/console/do/lock", data={"scope": app_id, "reason": "a look"})
            (lock,) = await world.stores.journal.locks()
            assert lock.owner == "slack:U0ADA"


async def test_in_a_browser_somebody_signs_in_sees_what_is_theirs_and_signs_out_everywhere(
    tmp_path: Path, origin: Origin
) -> None:
    ada = {"name": "Ada", "email": "ada@example.com", "email_verified": True}
    with mock_provider(**{"ada-1": ada}) as url:
        given = {
            "BRIDGE_CONSOLE_OIDC_ISSUER": url,
            "BRIDGE_CONSOLE_OIDC_CLIENT_ID": CLIENT,
            "BRIDGE_CONSOLE_OIDC_CLIENT_SECRET": "any",
            "BRIDGE_ACCESS": "[{who: ['@example.com'], may: [view], apps: ['shop/web']}]",
        }
        async with (
            console_world(tmp_path / "bridge", **given) as console,
            browsing() as browser,
        ):
            app_id = await console.deployed(origin)
            page = await browser.new_page()
            await page.goto(f"{console.url}/console/apps/{app_id}")
            await page.get_by_role("link", name="Sign in with single sign-on").click()
            await page.locator("input[name=sub]").fill("ada-1")
            await page.get_by_role("button", name="Authorize").click()

            await expect(page).to_have_url(f"{console.url}/console/apps/{app_id}")
            await expect(page.get_by_role("heading", name="shop/web")).to_be_visible()
            await expect(page.get_by_role("button", name="Redeploy")).to_have_count(0)
            await page.goto(f"{console.url}/console/audit")
            await expect(page.locator("summary", has_text="Ada")).to_be_visible()

            async with console.browsing("") as elsewhere:
                secret = (await browser.cookies())[0]["value"]
                elsewhere.cookies.set("bridge-console", secret)
                assert await is_in(elsewhere)
                await page.locator("summary", has_text="Ada").click()
                await page.get_by_role("button", name="Sign out everywhere").click()
                await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
                assert not await is_in(elsewhere)
