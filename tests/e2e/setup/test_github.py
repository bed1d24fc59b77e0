"""A GitHub App is registered in the browser, and its secrets are stored at once."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bridge.app.setup import entry
from tests.fakes.github import FakeGithub
from tests.worlds.embedded import running_server
from tests.worlds.setup_page import Door, Forms


async def registration(door: Door, github: FakeGithub, org: str = "") -> dict[str, str]:
    """Go through GitHub's form as a browser does; return what comes back."""
    forms = Forms(await door.page(f"/setup?org={org}" if org else "/setup"))
    (action,) = [one for one in forms.actions if one.startswith(github.url)]
    state = parse_qs(urlsplit(action).query)["state"][0]
    form = {"manifest": forms.hidden["manifest"], "state": state, "owner": org or "octocat"}
    answer = await door.client.post(
        f"{github.url}/settings/apps/manifest", data=form, allow_redirects=False
    )
    found = parse_qs(urlsplit(answer.headers["Location"]).query)
    return {"code": found["code"][0], "state": found["state"][0]}


def back(query: Mapping[str, str]) -> str:
    return f"/setup/github?code={query['code']}&state={query['state']}"


async def test_an_app_is_registered_and_its_secrets_are_sealed(
    door: Door, github: FakeGithub
) -> None:
    await door.sign_in()
    query = await registration(door, github, "acme")
    answer = await door.client.get(back(query), cookies=door.jar, allow_redirects=False)

    assert answer.headers["Location"] == f"{github.url}/apps/{github.slug}/installations/new"
    manifest = github.apps.manifests[github.slug]
    assert manifest["hook_attributes"]["url"] == "https://bridge.example.com/hooks/github"
    assert await door.stored() == {
        "github.app_id",
        "github.private_key",
        "github.webhook_secrets",
        "github.sign_in.client_id",
        "github.sign_in.client_secret",
    }
    kept = b"".join(file.read_bytes() for file in door.data.glob("*.sqlite*"))
    assert b"PRIVATE KEY" not in kept
    assert github.apps.secret.encode() not in kept
    await door.open()
    assert "is registered, but not installed yet" in await door.page()


async def test_an_app_is_registered_at_a_server_of_ones_own(door: Door, pem: str) -> None:
    async with FakeGithub() as server:
        server.apps.pem = pem
        await door.sign_in()
        api = {"api_url": server.url}

        location = await door.post("/setup/connect/github", **api)
        await door.open()
        query = await registration(door, server)

        assert location == "/setup#github"
        answer = await door.client.get(back(query), cookies=door.jar, allow_redirects=False)
        assert answer.headers["Location"].startswith(f"{server.url}/apps/")


async def test_a_server_of_ones_own_that_is_none_is_not_stored(door: Door, tmp_path: Path) -> None:
    await door.sign_in()
    refused = await door.post("/setup/connect/github", 422, api_url="http://127.0.0.1:9")
    assert "be reached" in refused
    async with running_server(tmp_path / "other") as other:
        refused = await door.post("/setup/connect/github", 422, api_url=other.server.url)
    assert "that is no API of GitHub" in refused
    assert await door.stored() == set()


async def test_a_code_works_once(door: Door, github: FakeGithub) -> None:
    await door.sign_in()
    query = await registration(door, github)
    await door.client.get(back(query), cookies=door.jar, allow_redirects=False)
    await door.open()
    again = await door.page(back(query), 422)  # as the back button sends it
    assert "was not registered from this page" in again

    later = await registration_state(door, github)
    assert "its code works once" in await door.page(back({**query, "state": later}), 422)


async def registration_state(door: Door, github: FakeGithub) -> str:
    session = door.jar["bridge-setup"]
    return await entry.new_state(door.journal, session)


async def test_a_state_of_somebody_else_registers_nothing(door: Door, github: FakeGithub) -> None:
    await door.sign_in()
    query = await registration(door, github)
    await door.sign_in()  # another browser
    for state in (query["state"], "", "guessed"):
        page = await door.page(back({**query, "state": state}), 422)
        assert "was not registered from this page" in page
    assert await door.stored() == set()
    assert "GitHub was not registered" in await door.page("/setup/github?error=denied", 422)
    assert "no such service" in await door.page("/setup/nothing?code=1&state=2", 422)


async def test_no_app_is_registered_whose_secrets_could_not_be_stored(
    door: Door, github: FakeGithub
) -> None:
    await door.sign_in()
    query = await registration(door, github)
    door.environment["BRIDGE_GITHUB_WEBHOOK_SECRETS"] = "a-secret-by-hand-0123456789"
    await door.open()

    refused = await door.page(back(query), 422)
    page = await door.page()

    assert "while BRIDGE_GITHUB_WEBHOOK_SECRETS is set" in refused
    assert not [one for one in github.asked if "conversions" in one.path]
    assert not [one for one in Forms(page).actions if one.startswith(github.url)]
    assert "while BRIDGE_GITHUB_WEBHOOK_SECRETS is set" in page
    assert await door.stored() == set()
    assert "while BRIDGE" not in await without(door, "BRIDGE_GITHUB_WEBHOOK_SECRETS")


async def without(door: Door, variable: str) -> str:
    """Return the page after a start without a variable."""
    del door.environment[variable]
    await door.open()
    return await door.page()
