"""`/setup` by HTTP: who gets in, and what it does with wrong input."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.app.setup.page import Facts, render
from bridge.app.setup.services import Tried, services
from bridge.core.apps import App, Source, SourceType
from bridge.listening.listener import NOTHING_THERE
from bridge.ports.checks import Finding, Level
from bridge.settings import read_settings
from tests.fakes.github import FakeGithub
from tests.fakes.slack.methods import BOT_TOKEN
from tests.fakes.slack.server import running_slack
from tests.worlds.embedded import running_server
from tests.worlds.hosts import FAKES
from tests.worlds.setup_page import FORM, Door, Forms

pytestmark = pytest.mark.journey

ALL = [
    ("GET", "/setup"),
    ("GET", "/setup/style.css"),
    ("GET", "/setup/github?code=1&state=2"),
    ("GET", "/setup/anything"),
    ("POST", "/setup/address"),
    ("POST", "/setup/access"),
    ("POST", "/setup/leave"),
    ("POST", "/setup/connect/dokploy"),
    ("POST", "/setup/choose/slack"),
    ("POST", "/setup/test/slack"),
    ("POST", "/setup/forget/dokploy"),
    ("POST", "/setup/hooks/github"),
    ("POST", "/setup/adopt"),
    ("POST", "/setup/check"),
]


async def test_without_a_session_there_is_nothing(door: Door) -> None:
    for method, path in ALL:
        nowhere = await door.client.request(method, "/nowhere")
        for cookie in ({}, {"bridge-setup": "guessed"}, {"__Host-bridge-setup": "guessed"}):
            answer = await door.client.request(method, path, cookies=cookie)
            assert (answer.status, await answer.json()) == (404, {"error": NOTHING_THERE})
            assert set(answer.headers) == set(nowhere.headers)


async def test_the_bare_address_leads_to_setup_or_to_the_console(door: Door) -> None:
    async def leads(**cookies: str) -> str:
        answer = await door.client.get("/", allow_redirects=False, cookies=cookies)
        return answer.headers.get("Location") or str(await answer.text())

    assert await leads() == "/console"
    assert await leads(**{"bridge-setup": await door.sign_in()}) == "/setup"
    door.is_set_up = False
    await door.open()
    assert "`dokploy-bridge setup` prints a link" in await leads()
    door.environment["BRIDGE_CONSOLE_ENABLED"] = "false"
    door.is_set_up = True
    await door.open()
    assert "its console is switched off" in await leads()
    html = {"Accept": "text/html"}
    door.jar = {}
    assert "There is nothing at that address." in await door.page(status=404, **html)


async def test_only_opening_a_link_uses_it(door: Door) -> None:
    """Scanners of links in mails and chats ask with HEAD first."""
    link = await door.link()
    assert (await door.client.head(link, allow_redirects=False)).status == 404
    assert (await door.client.get(link, allow_redirects=False)).status == 303


async def test_a_used_link_says_so_and_leads_who_is_in_to_the_page(door: Door) -> None:
    link = await door.link()
    first = await door.client.get(link, allow_redirects=False)
    again = await door.client.get(link, allow_redirects=False)
    assert (again.status, again.headers.get("Location")) == (303, "/setup")
    assert first.cookies.keys()
    assert not again.cookies

    door.client.cookie_jar.clear()
    other = await door.client.get(link, allow_redirects=False)
    assert other.status == 404
    assert "`dokploy-bridge setup` prints a new one" in (await other.json())["error"]
    guessed = await door.client.get("/setup?link=guessed", allow_redirects=False)
    assert await guessed.json() == {"error": NOTHING_THERE}


OWN = ("/setup?link=abc", "/?x=1", "/hooks/github", "/#slack")


async def test_the_own_address_has_no_path(door: Door, environment: Any) -> None:
    del environment["BRIDGE_PUBLIC_URL"]
    await door.open()
    await door.sign_in()
    for own in OWN:
        address = f"https://b.example.com{own}"
        refused = await door.post("/setup/address", 422, public_url=address)
        assert "write https://b.example.com" in refused
    assert await door.stored() == set()
    await door.post("/setup/address", public_url="https://b.example.com/")


@pytest.mark.parametrize("forwarded", ["", "https", "https, http"])
async def test_the_cookie_is_as_strict_as_the_connection_allows(door: Door, forwarded: str) -> None:
    headers = {"X-Forwarded-Proto": forwarded} if forwarded else {}
    answer = await door.client.get(await door.link(), headers=headers, allow_redirects=False)

    (cookie,) = answer.cookies.values()
    name = "__Host-bridge-setup" if forwarded else "bridge-setup"
    assert (cookie.key, cookie["path"], cookie["samesite"]) == (name, "/", "Lax")
    assert (cookie["httponly"], bool(cookie["secure"]), cookie["domain"]) == (
        True,
        bool(forwarded),
        "",
    )


async def test_no_other_site_may_change_frame_run_or_cache_it(door: Door) -> None:
    await door.sign_in()
    for name, value in (
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example.com"),
        ("Origin", "null"),
    ):
        headers = {**FORM, name: value}
        form = {"who": "everyone"}
        answer = await door.client.post(
            "/setup/access", data=form, headers=headers, cookies=door.jar
        )
        assert answer.status == 403
    assert await door.stored() == set()

    answer = await door.client.get("/setup", cookies=door.jar)
    rules = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in rules
    assert "frame-ancestors 'none'" in rules
    assert "form-action 'self' https://github.com" in rules
    assert "<script" not in await answer.text()
    assert answer.headers["Cache-Control"] == "no-store"


async def test_who_signs_out_is_out_everywhere(door: Door) -> None:
    await door.sign_in()
    await door.post("/setup/leave", 200)
    await door.page(status=404)


# ── what is typed in ─────────────────────────────────────────────────────────────────────────────


async def test_a_dokploy_is_tried_before_it_is_stored(door: Door, tmp_path: Path) -> None:
    await door.sign_in()
    async with running_server(tmp_path / "dokploy") as server:
        url, key = server.server.url, server.server.api_key
        refused = await door.post("/setup/connect/dokploy", 422, url=url, api_key="wrong-key")
        assert "API key" in refused
        assert "wrong-key" not in refused
        assert url in refused  # what is no secret need not be typed again
        assert (await door.stored(), door.started_anew) == (set(), 0)

        assert await door.post("/setup/connect/dokploy", url=url, api_key=key) == "/setup#dokploy"
        assert (await door.stored(), door.started_anew) == ({"dokploy.url", "dokploy.api_key"}, 1)
        await door.open()
        page = await door.page()
    assert "answers and accepts the key" in page
    assert key not in page


async def test_a_channel_without_the_bridge_does_not_replace_one_that_works(door: Door) -> None:
    async with running_slack() as slack:
        slack.scopes |= {"channels:read"}
        slack.channels["C0OTHER"] = replace(slack.channels["C0SHOP"], joined=False)
        door.environment["BRIDGE_SLACK_API_URL"] = f"{slack.url}/api/"
        await door.open()
        await door.sign_in()
        await door.post("/setup/connect/slack", bot_token=BOT_TOKEN)
        for channel, status in (("C0SHOP", 303), ("C0OTHER", 422)):
            await door.open()
            said = await door.post("/setup/choose/slack", status, channel=channel)
        assert "/invite @its-name" in said
        slack.granted = {"chat:write"}
        assert "lacks the scope" in await door.post(
            "/setup/connect/slack", 422, bot_token=BOT_TOKEN
        )
        await door.open()
    assert door.settings.slack.channel == "C0SHOP"


WRONG: list[tuple[dict[str, str], str]] = [
    ({}, "Address of Dokploy is empty"),
    ({"url": "https://dokploy.example.com"}, "API key is empty"),
    ({"url": "dokploy", "api_key": "k"}, "dokploy.url (made by setup)"),
    ({"url": "http://127.0.0.1:9", "api_key": "secret-key"}, "can&#39;t be reached"),
    ({"url": "file:///etc/passwd", "api_key": "secret-key"}, "dokploy.url (made by setup)"),
]
ODD = [
    (b"x" * 70_000, FORM["Content-Type"], "too large"),
    (b'{"url": 1}', "application/json", "no form"),
    (b"url=%ff%fe&api_key=1", FORM["Content-Type"], "dokploy.url"),
    (b"&".join(b"a%d=1" % n for n in range(200)), FORM["Content-Type"], "can&#39;t be read"),
]


async def test_what_does_not_work_is_said_and_not_stored(door: Door) -> None:
    await door.sign_in()
    for form, words in WRONG:
        page = await door.post("/setup/connect/dokploy", 422, **form)
        assert words in page
        assert "secret-key" not in page
    for body, kind, words in ODD:
        headers = {"Content-Type": kind}
        answer = await door.client.post(
            "/setup/connect/dokploy", data=body, headers=headers, cookies=door.jar
        )
        assert answer.status == 422
        assert words in await answer.text()
    assert await door.stored() == set()


@pytest.mark.parametrize(
    ("host", "stores"),
    [("127.0.0.1:8080", False), ("localhost:8080", False), ("bridge.example.com", True)],
)
async def test_an_address_of_this_machine_alone_is_not_stored_as_the_bridges(
    door: Door, tmp_path: Path, host: str, stores: bool
) -> None:
    """As through a tunnel of SSH: no Git host could be told to send webhooks there."""
    del door.environment["BRIDGE_PUBLIC_URL"]
    await door.open()
    await door.sign_in()
    async with running_server(tmp_path / "dokploy") as server:
        form = {"url": server.server.url, "api_key": server.server.api_key}
        answer = await door.client.post(
            "/setup/connect/dokploy",
            data=form,
            headers=FORM | {"Host": host},
            cookies=door.jar,
            allow_redirects=False,
        )
    assert answer.status == 303
    assert ("public_url" in await door.stored()) is stores


@pytest.mark.parametrize(
    "environment", [{"BRIDGE_DOKPLOY_URL": "http://127.0.0.1:9", "BRIDGE_DOKPLOY_API_KEY": "k"}]
)
async def test_what_variables_set_is_shown_as_such_and_can_not_be_changed(door: Door) -> None:
    await door.sign_in()
    assert "set by BRIDGE_DOKPLOY_URL" in await door.page()
    refused = await door.post("/setup/connect/dokploy", 422, url="http://other", api_key="x")
    assert "nothing is filled in" in refused


async def test_what_is_disconnected_is_forgotten(door: Door, tmp_path: Path) -> None:
    await door.sign_in()
    async with running_server(tmp_path / "dokploy") as server:
        url, key = server.server.url, server.server.api_key
        await door.post("/setup/connect/dokploy", url=url, api_key=key)
    await door.open()
    await door.post("/setup/forget/dokploy")
    assert await door.stored() == set()


async def test_a_connection_from_before_the_restart_shows_nothing_old(door: Door) -> None:
    await door.sign_in()
    await door.post("/setup/access", who="everyone")
    answer = await door.client.get("/setup?org=acme", cookies=door.jar, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/setup?org=acme")
    assert answer.headers["Connection"] == "close"


# ── Slack ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("may_list", [True, False])
async def test_the_channel_is_chosen_and_a_message_is_sent_there(
    door: Door, *, may_list: bool
) -> None:
    async with running_slack() as slack:
        slack.scopes |= {"channels:read"} if may_list else set()
        door.environment["BRIDGE_SLACK_API_URL"] = f"{slack.url}/api/"
        await door.open()
        await door.sign_in()
        refused = await door.post("/setup/connect/slack", 422, bot_token="xoxb-wrong")
        assert "bot token is invalid" in refused
        await door.post("/setup/connect/slack", bot_token=BOT_TOKEN)
        await door.open()
        assert ('<option value="C0SHOP">#shop</option>' in await door.page()) is may_list
        assert "choose a channel first" in await door.post("/setup/test/slack", 422)
        await door.post("/setup/choose/slack", channel="C0SHOP")
        await door.open()
        assert "a message is in the channel" in await door.post("/setup/test/slack", 200)
        assert "connected" in slack.channels["C0SHOP"].messages[-1]["text"]


# ── webhooks and Auto Deploy ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("key", ["gitlab", "gitea"])
async def test_a_host_of_ones_own_is_connected_by_a_token_and_gets_its_webhooks(
    door: Door, key: str
) -> None:
    async with FAKES[key]() as fake:
        repository = fake.repository("my-org/mono", id=4711)
        source = Source(SourceType(key), repository="my-org/mono", branch="main")
        await door.journal.save_apps("dokploy", [replace(APP, source=source)])
        await door.sign_in()
        name = f"BRIDGE_{key.upper()}"
        token = fake.settings[f"{name}_TOKEN"]
        address = {"url": fake.settings[f"{name}_URL"]}
        refused = await door.post(f"/setup/connect/{key}", 422, token="wrong-token", **address)
        assert token not in refused
        assert await door.stored() == set()

        await door.post(f"/setup/connect/{key}", token=token, **address)
        await door.open()
        page = await door.post(f"/setup/hooks/{key}", 200)

        assert "create the webhook of my-org/mono" in page
        (hook,) = repository.hooks
        assert hook.url == f"https://bridge.example.com/hooks/{key}"


async def test_what_can_not_be_made_is_said(door: Door, github: FakeGithub) -> None:
    await door.journal.save_apps("dokploy", [APP])
    await door.sign_in()
    await door.post("/setup/connect/github", token=github.token)
    await door.open()
    assert "my-org/mono: github has no" in await door.post("/setup/hooks/github", 422)


async def test_auto_deploy_is_switched_off_and_nothing_else(door: Door, tmp_path: Path) -> None:
    async with running_server(tmp_path / "dokploy") as server:
        url, key = server.server.url, server.server.api_key
        made = await server.app("web", "https://github.com/my-org/mono.git")
        id_ = str(made["applicationId"])
        await server.ask("POST", "application.update", applicationId=id_, autoDeploy=True)
        before = await server.ask("GET", "application.one", applicationId=id_)
        await door.sign_in()
        await door.post("/setup/connect/dokploy", url=url, api_key=key)
        await door.open()
        await door.journal.save_apps("dokploy", await backend_apps(door))
        assert "Switch Auto Deploy off" not in await door.page()  # no push of it arrives yet
        assert "no app deploys twice" in await door.post("/setup/adopt", 200)
        door.environment["BRIDGE_GITHUB_WEBHOOK_SECRETS"] = "a-secret-by-hand-0123456789"
        await door.open()
        assert "Switch Auto Deploy off for 1" in await door.page()

        assert "switched off for shop/web" in await door.post("/setup/adopt", 200)
        after = await server.ask("GET", "application.one", applicationId=id_)
        assert after == {**before, "autoDeploy": False}
        assert "no app deploys twice" in await door.post("/setup/adopt", 200)


async def backend_apps(door: Door) -> list[App]:
    (server,) = door.settings.backends_set().values()
    backend = server.open()
    try:
        return list(await backend.apps())
    finally:
        await backend.close()


# ── what others say is text ──────────────────────────────────────────────────────────────────────

APP = App(
    "app-web",
    "web",
    "shop",
    source=Source(SourceType.GITHUB, repository="my-org/mono", branch="main"),
)

HOSTILE = st.text(alphabet=st.sampled_from("<>\"'&/=abc onclick script\u202e\n`{}%"), max_size=60)


@given(HOSTILE, HOSTILE, HOSTILE)
@settings(max_examples=60)
def test_no_text_becomes_a_tag(said: str, typed: str, app: str) -> None:
    found = read_settings(None, {"BRIDGE_DOKPLOY_URL": "http://x", "BRIDGE_DOKPLOY_API_KEY": "k"})
    facts = Facts(
        settings=found,
        origins={("dokploy", "url"): "BRIDGE_DOKPLOY_URL"},
        services=services(),
        tried={},
        origin="https://bridge.example.com",
        state="state",
        apps=[replace(APP, name=app)],
    )
    plain = Forms(render(facts))
    plain.tags |= {"ul", "li"}
    hostile = Forms(
        render(
            replace(
                facts,
                tried={"dokploy": Tried([said], trouble=said)},
                refused=("slack", said),
                typed={"url": typed},
                org=typed,
                done=said,
                apps=[replace(APP, name=app), replace(APP, name=said, auto_deploy=True)],
                without_webhook={"gitlab": [said]},
                findings=[Finding(one, "host.token", app, said, typed) for one in Level],
            )
        )
    )
    assert hostile.tags <= plain.tags
    assert hostile.attributes <= plain.attributes | {"role", "open"}
