"""The console over HTTP: who gets in, what each page shows, what can be done."""

import asyncio
import contextlib
import gc
import re
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest

from bridge.app.pages import console_of
from bridge.console import live
from bridge.console.pages import PAGES
from bridge.console.render import Page, draw
from bridge.console.visitors import SESSION, inside
from bridge.listening.listener import STOP_SECONDS
from bridge.operations.base import Door
from bridge.operations.every import offered
from bridge.pipeline.deciding.interpret import Reading
from bridge.views.links import NO_CONSOLE, ConsolePages
from bridge.web.browsers import hash_of
from tests.fakes.journey import deployment
from tests.scenes.dokploy import KEY, adoptable
from tests.worlds.bridge import Origin, settings_for
from tests.worlds.console import console_world, sent
from tests.worlds.embedded import until

pytestmark = pytest.mark.journey


async def test_every_page_shows_what_happened(tmp_path: Path, origin: Origin) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        app_id = await console.deployed(origin, ["feat: open", "fix: <b>close</b>"])
        (first, second) = await console.world.deployments()

        pages = {
            path: (await web.get(path.format(id=app_id, seq=first.seq, name="freeze")))
            for path in PAGES
            if path != "/console/deployments/{id}"
        }
        pages["/console/deployments/{id}"] = await web.get(f"/console/deployments/{second.id}")

        assert {path: one.status_code for path, one in pages.items()} == dict.fromkeys(pages, 200)
        for path, one in pages.items():
            assert len(one.content) < 100_000, path
            assert "<b>close</b>" not in one.text, path
        assert "shop/web" in pages["/console"].text
        assert "fix: &lt;b&gt;close&lt;/b&gt;" in pages["/console/apps/{id}"].text
        (decision,) = (await console.world.stores.journal.decisions([first.seq]))[first.seq]
        assert decision.reason in pages["/console/deliveries/{seq}"].text


async def test_only_a_link_lets_a_browser_in_and_one_once(tmp_path: Path) -> None:
    async with console_world(tmp_path / "bridge") as console:
        link = await console.link()
        async with console.browsing("") as first, console.browsing("") as second:
            for path in PAGES:
                asked = await first.get(path.format(id="x", seq=1, name="lock"))
                assert asked.status_code == 303, path
                assert asked.headers["Location"].startswith("/console/sign-in?then="), path
            answers = [await one.get(link) for one in (first, second)]
            assert [one.status_code for one in answers] == [303, 404]
            assert (await first.get("/console")).status_code == 200
            assert (await second.get("/console")).status_code == 303
            cookie = answers[0].headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Lax" in cookie


async def test_a_form_deploys_once_however_often_it_is_sent_and_from_no_other_site(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        app_id = await console.deployed(origin)
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
        ):
            form = {"app": app_id}
            forged = await web.post("/console/do/deploy", data=form, headers=headers)
            assert forged.status_code == 403
        page = (await web.get(f"/console/apps/{app_id}")).text
        once = re.search(r'name="once" value="([^"]+)"', page)
        assert once
        for _ in range(2):
            answer = await web.post("/console/do/redeploy", data={"app": app_id, "once": once[1]})
            assert answer.status_code == 303
        ended = await console.world.ended(2)
        assert ended[-1].trigger == "console: owner"


VIEWS = {
    "BRIDGE_ACCESS": "[{who: ['U0ADA'], may: [view], apps: ['shop/*']},"
    " {who: ['U0EVE'], may: [view], apps: ['other/*']}]"
}


async def test_no_action_is_done_without_its_right_or_with_a_session_that_is_over(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge", **VIEWS) as console:
        given = {"app": await console.deployed(origin), "scope": "shop/web", "delivery": "1"}
        forms = {
            f"/console/do/{asked.name}": {
                one.name: given.get(one.name) or one.kind.example or "shop/web"
                for one in asked.arguments
                if one.required
            }
            for asked in offered(Door.CONSOLE)
            if asked.acts
        }
        few = await console.session("U0ADA")
        others, none = await console.session("U0EVE"), await console.session("U0MAL")
        over = await console.session("U0ADA")
        await console.world.stores.journal.expel(SESSION, hashed=hash_of(over))

        statuses = {}
        secrets = {"few": few, "others": others, "none": none, "over": over, "guessed": "x" * 43}
        for name, secret in secrets.items():
            async with console.browsing(secret) as web:
                statuses[name] = {
                    (await web.post(path, data=form)).status_code for path, form in forms.items()
                }
        outside = {"none": {401}, "over": {401}, "guessed": {401}}
        assert statuses == {"few": {400}, "others": {400}} | outside

        assert [str(each.action) for each in await console.world.deployments()] == ["deploy"]
        assert await console.world.stores.journal.locks() == []
        newest = await console.world.stores.inbox.newest(10)
        assert {each.host for each in newest} == {"github"}


async def test_a_person_sees_what_their_grant_allows_until_it_is_gone(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge", **VIEWS) as console:
        app_id = await console.deployed(origin)
        ada, eve = await console.session("U0ADA"), await console.session("U0EVE")
        async with console.browsing(ada) as web:
            assert "shop/web" in (await web.get("/console")).text
            assert (await web.get(f"/console/apps/{app_id}")).status_code == 200
            assert (
                await web.post("/console/sign-out", data={"everywhere": "1"})
            ).status_code == 303
            assert (await web.get("/console")).status_code == 303
        async with console.browsing(eve) as web:
            assert "shop/web" not in (await web.get("/console")).text
            assert (await web.get(f"/console/apps/{app_id}")).status_code == 404


PART = {"Bridge-Part": "main"}
"""How a page's script asks only for what changes on it."""


async def test_what_changes_is_shared_by_those_with_the_same_rights_and_nobody_else(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge", **VIEWS) as console:
        await console.deployed(origin)
        ada, eve = await console.session("U0ADA"), await console.session("U0EVE")
        async with (
            console.browsing() as owner,
            console.browsing() as again,
            console.browsing(ada) as views,
            console.browsing(eve) as stranger,
            owner.stream("GET", "/console/live") as stream,
        ):
            await anext(stream.aiter_lines())
            those = {"owner": owner, "again": again, "views": views, "stranger": stranger}
            app = f"/console/apps/{(await console.world.deployments())[0].app_id}"
            parts = {
                name: {path: await web.get(path, headers=PART) for path in ("/console", app)}
                for name, web in those.items()
            }
            text = {
                name: {path: one.text for path, one in of.items()} for name, of in parts.items()
            }

            assert [one["/console"].status_code for one in parts.values()] == [200] * 4
            for found in text.values():
                assert found["/console"].strip().startswith("<main")
                assert "<header" not in found["/console"]
            assert parts["stranger"][app].status_code == 404
            assert "shop/web" not in text["stranger"]["/console"]
            assert "shop/web" in text["views"]["/console"]
            assert "redeploy" in text["owner"][app]
            assert "redeploy" not in text["views"][app]

            numbers = re.compile(r'name="once" value="([^"]+)"')
            first, second = (numbers.findall(text[name][app]) for name in ("owner", "again"))
            assert set(first).isdisjoint(second), "a form of another browser"
            unnumbered = [numbers.sub("", text[name][app]) for name in ("owner", "again")]
            assert unnumbered[0] == unnumbered[1]


async def test_every_response_is_guarded(tmp_path: Path) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        page = await web.get("/console")
        for path in ("/console", "/console/sign-in", "/console/apps/none", "/console/sign-in/link"):
            headers = (await web.get(path)).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Frame-Options"] == "DENY"
        assert " style=" not in page.text
        assert " onclick=" not in page.text
        assert "<script>" not in page.text
        async with web.stream("GET", "/console/live") as stream:
            assert stream.headers["Content-Security-Policy"] == policy
        static = re.findall(r'(?:src|href)="(/console/static/[^"]+)"', page.text)
        for path in static:
            found = await web.get(path)
            assert found.headers["Content-Security-Policy"] == policy
            assert found.status_code == 200
            assert "immutable" in found.headers["Cache-Control"]


async def test_where_nothing_is_a_page_says_so(tmp_path: Path, origin: Origin) -> None:
    nowhere = [
        ("GET", "/console/nope"),
        ("GET", "/console/deployments/a/b"),
        ("GET", "/console/previews/stop"),
        ("PUT", "/console"),
        ("OPTIONS", "/console/apps"),
        ("POST", "/console/apps"),
    ]
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        for method, path in nowhere:
            answer = await web.request(method, path)
            assert answer.status_code == 404
            assert "There is no page at this address." in answer.text
            assert "<h1>Not found</h1>" in answer.text
            assert answer.headers["Content-Type"].startswith("text/html")
            assert "Content-Security-Policy" in answer.headers
        assert (await web.get("/console/")).headers["Location"] == "/console"

        await console.deployed(origin)
        for seq in ("abc", "-1", "9" * 30, "9" * 18):
            for page in ("", "/today"):
                assert (await web.get(f"/console/deliveries/{seq}{page}")).status_code == 404
        assert "shop/web" in (await web.get("/console/apps?page=999999999")).text


HTML = {"Accept": "text/html,*/*;q=0.8"}
"""What a browser asks for with an address."""


async def test_errors_are_pages_with_a_way_back_and_what_was_entered(
    tmp_path: Path, origin: Origin
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        app_id = await console.deployed(origin)
        came = {"Referer": f"{console.url}/console/apps/{app_id}?tab=1", **HTML}
        typed = {"scope": "nothing/like-it", "reason": "the <sale>", "lasts": "3h"}

        refused = await web.post("/console/do/lock", data=typed, headers=came)
        gone = await web.get("/console/apps/none", headers=came)

        def fails(page: Page, *others: Any) -> str:
            return draw(page, *others) if page.template == "refused" else str(1 / 0)

        with patch("bridge.console.pages.door.draw", side_effect=fails):
            failed = await web.get("/console", headers=HTML)
            plain = await web.get("/console")

        assert (refused.status_code, gone.status_code, failed.status_code) == (400, 404, 500)
        for text in ('value="nothing/like-it"', 'value="the &lt;sale&gt;"', 'value="3h"'):
            assert text in refused.text
        for page in (refused, gone):
            assert f'href="/console/apps/{app_id}?tab=1">Back' in page.text
        assert "There is no app &#39;none&#39;" in gone.text
        assert "<h1>Something went wrong</h1>" in failed.text
        assert plain.headers["Content-Type"].startswith("application/json")
        foreign = await web.get("/console/apps/none", headers={"Referer": "https://evil.example/x"})
        assert "evil" not in foreign.text


async def test_addresses_that_are_for_machines_explain_themselves_in_a_browser(
    tmp_path: Path,
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing("") as web:
        hook = await web.get("/hooks/github", headers=HTML)
        again = [await web.get("/hooks/github"), await web.head("/hooks/gitlab", headers=HTML)]
        there_is_none = await web.get("/nope", headers=HTML)
        redirected = await web.get("/hooks/github", headers={"X-GitHub-Event": "push"})
        refusals = await until(lambda: console.world.stores.journal.refused(limit=9), bool)

        assert [one.status_code for one in (hook, *again, redirected)] == [405] * 4
        assert hook.headers["Allow"] == "POST"
        assert "GitHub sends its webhooks to this address" in hook.text
        assert [one.headers["Content-Type"].partition(";")[0] for one in again] == [
            "application/json",
            "text/html",
        ]
        assert there_is_none.status_code == 404
        assert "<h1>Not Found</h1>" in there_is_none.text
        assert [(one.reason, one.count) for one in refusals] == [("wrong_method", 1)]


async def test_only_what_was_done_in_this_session_is_said(tmp_path: Path) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        retry = {"every": "yes", "then": "/console/audit"}
        sent = await web.post("/console/do/feedback retry", data=retry)
        done = sent.headers["Location"]
        forged = ["?said=Approved.", "?said=" + "0" * 16 + "Approved.", "?said=%FF%ED%A0%80"]

        assert "nothing fails." in (await web.get(done)).text
        for query in forged:
            answer = await web.get(f"/console/audit{query}")
            assert answer.status_code == 200
            assert 'role="status"' not in answer.text
        async with console.browsing() as other:
            assert "nothing fails" not in (await other.get(done)).text


async def test_a_form_that_is_cut_off_is_no_error_of_the_bridge(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with console_world(tmp_path / "bridge") as console, console.browsing() as web:
        (cookie,) = (f"{name}={value}" for name, value in web.cookies.items())
        host = console.url.removeprefix("http://")
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(
            f"POST /console/sign-out HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            "Content-Length: 50\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert b"100" in await reader.readline()
        writer.close()
        await writer.wait_closed()

        assert (await web.get("/console")).status_code == 200
        assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_stream_ends_with_its_session(tmp_path: Path, origin: Origin) -> None:
    async with (
        console_world(tmp_path / "bridge") as console,
        console.browsing() as web,
        web.stream("GET", "/console/live") as stream,
    ):
        lines = stream.aiter_lines()
        await anext(lines)
        await web.post("/console/sign-out")
        await console.deployed(origin)

        assert [line async for line in lines if line.startswith("event")] == []


def test_after_signing_in_nobody_is_led_elsewhere() -> None:
    elsewhere = ["https://evil.example", "//evil.example", "/\\evil.example", "/setup"]
    elsewhere += ["javascript:x", "/console\r\nX: y", "/console\0"]
    assert {inside(then) for then in elsewhere} == {"/console"}


async def test_auto_deploy_is_switched_off(tmp_path: Path) -> None:
    with adoptable({"app_web"}) as (url, dokploy):
        settings = {"BRIDGE_DOKPLOY_URL": url, "BRIDGE_DOKPLOY_API_KEY": KEY}
        async with (
            console_world(tmp_path / "bridge", **settings) as console,
            console.browsing() as web,
        ):
            page = await until(
                lambda: web.get("/console/apps/app_web"), lambda page: "Switch it off" in page.text
            )
            asked = await sent(web, page, "Switch it off")
            assert "switch Auto Deploy off: shop/web (dokploy)" in asked.text
            assert dokploy.updates == []
            answer = await sent(web, asked, "Switch off</button>")
            assert answer.status_code == 303, answer.text
            assert dokploy.written["app_web"]["autoDeploy"] is False
            (note,) = await console.world.stores.journal.audited(limit=5)
            assert (str(note.by), note.what, note.outcome) == (
                "console: owner (console:owner)",
                "adopt",
                "done",
            )


async def test_a_comment_a_status_and_a_card_lead_to_the_console(tmp_path: Path) -> None:
    pages = ConsolePages("https://bridge.example.com/")
    one = deployment(7, "app web")
    assert pages.deployment(one.id) == (
        "https://bridge.example.com/console/deployments/0000000000000007.app%20web"
    )
    assert pages.delivery(7) == "https://bridge.example.com/console/deliveries/7"
    assert NO_CONSOLE.deployment(one.id) is None
    settings = settings_for(tmp_path, BRIDGE_PUBLIC_URL="https://bridge.example.com")
    assert console_of(settings) == ConsolePages("https://bridge.example.com")
    off = settings_for(
        tmp_path, BRIDGE_PUBLIC_URL="https://bridge.example.com", BRIDGE_CONSOLE_ENABLED="false"
    )
    assert console_of(off) == NO_CONSOLE
    async with (
        console_world(tmp_path / "bridge", BRIDGE_CONSOLE_ENABLED="false") as console,
        console.browsing("") as web,
    ):
        assert (await web.get("/console")).status_code == 404


@pytest.mark.parametrize(("limit", "others"), [("MOST_STREAMS", 503), ("MOST_EACH", 200)])
async def test_there_is_a_limit_for_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, others: int
) -> None:
    """One in all, or one for each person."""
    monkeypatch.setattr(live, limit, 1)
    grants = "[{who: [U0ADA], may: [view]}]"
    async with console_world(tmp_path / "bridge", BRIDGE_ACCESS=grants) as console:
        secret = await console.session("U0ADA")
        async with console.browsing() as web, console.browsing(secret) as other:
            async with web.stream("GET", "/console/live") as first:
                assert first.status_code == 200
                assert (await web.get("/console/live")).status_code == 503
                async with other.stream("GET", "/console/live") as second:
                    assert second.status_code == others
            assert (await web.get("/console")).status_code == 200


async def test_nothing_is_read_of_a_delivery_for_who_may_not_see_it(
    tmp_path: Path, origin: Origin
) -> None:
    """Reading a large one keeps pushes waiting; and the answer tells nobody what is there."""
    grants = "[{who: [U0ADA], may: [view], apps: [other/*]}]"
    async with console_world(tmp_path / "bridge", BRIDGE_ACCESS=grants) as console:
        await console.deployed(origin)
        (push,) = await console.world.stores.inbox.newest(1)
        secret = await console.session("U0ADA")
        async with console.browsing(secret) as web:
            with patch.object(Reading, "meanings") as read:
                for page in ("", "/today"):
                    there = await web.get(f"/console/deliveries/{push.seq}{page}")
                    absent = await web.get(f"/console/deliveries/{push.seq + 1}{page}")
                    words = f"There is no delivery {push.seq}: it is gone"
                    assert (there.status_code, absent.status_code) == (404, 404)
                    assert words in there.text
                    assert words.replace(f"{push.seq}", f"{push.seq + 1}") in absent.text
                await web.get(f"/console/deliveries?commit={push.seq}aaaa")
            assert read.call_count == 0


async def test_browsers_that_come_while_it_stops_do_not_hold_it_up(tmp_path: Path) -> None:
    async def watch(web: httpx.AsyncClient, address: str) -> None:
        """Watch until there is an end, or nobody listens any more."""
        with contextlib.suppress(httpx.TransportError):
            await web.get(address)

    async with httpx.AsyncClient(trust_env=False, timeout=20) as web, asyncio.TaskGroup() as tasks:
        async with console_world(tmp_path / "bridge") as console:
            assert (await web.get(await console.link())).status_code == 303
            address = f"{console.url}/console/live"

            async def come(count: int) -> None:
                for _ in range(count):
                    tasks.create_task(watch(web, address))
                    await asyncio.sleep(0.001)

            tasks.create_task(come(50))
            await asyncio.sleep(0.03)
            began = time.monotonic()
        assert time.monotonic() - began < STOP_SECONDS
    gc.collect()  # warns of connections that nobody has closed
