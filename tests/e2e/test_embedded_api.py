"""The embedded server's API at its edges: keys, broken requests, projects and applications."""

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bridge.backends.dokploy.client import Dokploy
from bridge.core.errors import Rejected
from bridge.embedded.server import EmbeddedServer
from bridge.ports.backends import GitRepository
from tests.worlds.embedded import Client, Repository, add_github, running_server

DEPLOY = "/api/application.deploy"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    async with running_server(tmp_path / "data") as client:
        yield client


# ── Who may ask ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": "nope"},
        {"x-api-key": "schl\u00fcssel".encode()},
        {"Authorization": "Bearer nope"},
        {"Authorization": "Basic bm9wZTo="},
    ],
)
async def test_nobody_gets_in_without_the_key(client: Client, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(base_url=client.server.url, trust_env=False) as http:
        answer = await http.get("/api/project.all", headers=headers)

    assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})


async def test_the_key_is_taken_as_the_server_and_as_the_document_want_it(client: Client) -> None:
    key = client.server.api_key
    async with httpx.AsyncClient(base_url=client.server.url, trust_env=False) as http:
        by_header = await http.get("/api/project.all", headers={"x-api-key": key})
        by_bearer = await http.get("/api/project.all", headers={"Authorization": f"Bearer {key}"})
        health = await http.get("/api/health")

    assert (by_header.status_code, by_bearer.status_code) == (200, 200)
    assert health.json() == {"ok": True}


async def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        first = server.api_key
    async with EmbeddedServer(tmp_path) as server:
        second = server.api_key
    async with EmbeddedServer(tmp_path, api_key="given") as server:
        given = server.api_key

    assert first == second != given == "given"
    assert len(first) >= 32
    assert stat.S_IMODE((tmp_path / "api-key").stat().st_mode) == 0o600


async def test_an_empty_key_file_does_not_let_everybody_in(tmp_path: Path) -> None:
    (tmp_path / "api-key").touch()

    async with EmbeddedServer(tmp_path) as server:
        assert server.api_key


async def test_a_data_directory_has_one_server_at_a_time(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path):
        with pytest.raises(Rejected, match="another embedded backend"):
            await EmbeddedServer(tmp_path).start()
    async with EmbeddedServer(tmp_path) as server:
        assert server.url


# ── Broken requests ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"applicationId": NaN}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_json_is_told_in_plain_text(client: Client, body: bytes) -> None:
    answer = await client.http.post(DEPLOY, content=body, headers=JSON)

    assert (answer.status_code, answer.text) == (400, "Invalid JSON")
    assert answer.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1", b"true"])
async def test_json_that_is_no_object_is_invalid_input(client: Client, body: bytes) -> None:
    answer = await client.http.post(DEPLOY, content=body, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["message"] == "Input validation failed"
    assert "expected object" in answer.json()["issues"][0]["message"]
    assert answer.json()["data"]["zodError"]["formErrors"]


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800", r"a\u0000b"])
async def test_characters_that_nothing_can_hold_are_refused(client: Client, text: str) -> None:
    body = f'{{"name": "{text}"}}'.encode()

    answer = await client.http.post("/api/project.create", content=body, headers=JSON)

    assert answer.status_code == 400
    assert list(answer.json()["data"]["zodError"]["fieldErrors"]) == ["name"]


async def test_another_content_type_is_refused(client: Client) -> None:
    form = await client.http.post(DEPLOY, data={"applicationId": "x"})
    none = await client.http.post(DEPLOY, content=b"{}")

    assert form.status_code == none.status_code == 415
    assert form.json()["code"] == "UNSUPPORTED_MEDIA_TYPE"
    assert form.json()["message"].startswith('Unsupported content-type "application/x-www-form')


async def test_a_body_has_its_limit(client: Client) -> None:
    body = b'{"applicationId": "' + b"x" * 3_000_000 + b'"}'

    answer = await client.http.post(DEPLOY, content=body, headers=JSON)

    assert answer.status_code == 413
    assert answer.json()["data"]["httpStatus"] == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "application.deploy"), ("POST", "project.all"), ("GET", "no.such"), ("GET", "a/b")],
)
async def test_an_unknown_procedure_is_not_found(client: Client, method: str, path: str) -> None:
    answer = await client.http.request(method, f"/api/{path}")

    assert answer.status_code == 404
    assert answer.json() == {
        "message": "Not found",
        "code": "NOT_FOUND",
        "data": {"code": "NOT_FOUND", "httpStatus": 404, "zodError": None},
    }


async def test_null_is_no_title_and_no_description(client: Client) -> None:
    app = await client.app("web")

    answer = await client.send(
        "POST", "application.deploy", applicationId=app["applicationId"], title=None
    )

    assert answer.status_code == 400
    assert answer.json()["data"]["zodError"]["fieldErrors"] == {
        "title": ["Invalid input: expected string, received null"]
    }


async def test_an_unknown_provider_gives_no_sql(client: Client) -> None:
    app = await client.app("web")
    settings = {"owner": "o", "repository": "r", "branch": "main", "buildPath": "/"}

    answer = await client.send(
        "POST",
        "application.saveGithubProvider",
        applicationId=app["applicationId"],
        githubId="zz",
        **settings,
    )

    assert (answer.status_code, answer.json()["message"]) == (404, "Github Provider not found")


@pytest.mark.parametrize("branch", ["", "feat ure", "a;b", "--upload-pack=x", "-b", "a\nb"])
async def test_a_branch_must_be_a_branch(client: Client, branch: str) -> None:
    app = await client.app("web")

    answer = await client.send(
        "POST",
        "application.saveGitProvider",
        applicationId=app["applicationId"],
        customGitUrl="https://example.com/r.git",
        customGitBranch=branch,
        customGitBuildPath="/",
        watchPaths=None,
    )

    assert answer.status_code == 400
    assert list(answer.json()["data"]["zodError"]["fieldErrors"]) == ["customGitBranch"]


async def test_a_disk_that_fails_is_no_traceback(client: Client) -> None:
    await client.server._database.close()

    answer = await client.send("POST", "project.create", name="shop")

    assert (answer.status_code, answer.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert "closed" not in answer.text


# ── Projects, environments, applications ─────────────────────────────────────


async def test_an_application_moves_and_is_found(client: Client) -> None:
    app = await client.app("web")
    project = (await client.ask("GET", "project.all"))[0]
    staging = await client.ask(
        "POST", "environment.create", projectId=project["projectId"], name="staging"
    )

    await client.ask(
        "POST",
        "application.move",
        applicationId=app["applicationId"],
        targetEnvironmentId=staging["environmentId"],
    )

    environments = (await client.ask("GET", "project.all"))[0]["environments"]
    assert [len(one["applications"]) for one in environments] == [0, 1]
    found = await client.ask("GET", "application.search", q="WE", limit="5")
    assert [one["name"] for one in found["items"]] == ["web"]
    assert (await client.ask("GET", "application.search", q="nothing"))["total"] == 0


async def test_only_the_sent_fields_are_updated(client: Client) -> None:
    app = await client.app("web")
    before = await client.ask("GET", "application.one", applicationId=app["applicationId"])
    changes = {"watchPaths": ["a/**"], "triggerType": "tag", "autoDeploy": True}

    answer = await client.ask(
        "POST", "application.update", applicationId=app["applicationId"], **changes
    )

    after = await client.ask("GET", "application.one", applicationId=app["applicationId"])
    assert answer is True
    assert after == before | changes


async def test_the_name_of_an_address_never_changes(client: Client) -> None:
    first, second = await client.app("web"), await client.app("web")
    assert first["appName"] != second["appName"]

    answer = await client.send(
        "POST",
        "application.update",
        applicationId=second["applicationId"],
        appName=first["appName"],
    )

    assert (answer.status_code, answer.json()["message"]) == (500, "No values to set")


async def test_the_default_environment_stays(client: Client) -> None:
    environment = await client.environment()

    answer = await client.send("POST", "environment.remove", environmentId=environment)

    assert answer.status_code == 400
    assert "default environment" in answer.json()["message"]


async def test_deleting_an_application_removes_all_that_it_has(
    client: Client, tmp_path: Path
) -> None:
    repository = Repository.make(tmp_path / "repository")
    app = await client.app("web", repository.url)
    await client.deployed(app["applicationId"])
    assert (await client.page(app)).status_code == 200

    await client.ask("POST", "application.delete", applicationId=app["applicationId"])

    assert (await client.page(app)).status_code == 404
    assert await client.deployments(app["applicationId"]) == []
    left = [path for path in (tmp_path / "data").rglob("*") if app["applicationId"] in str(path)]
    assert left == []
    gone = await client.send("GET", "application.one", applicationId=app["applicationId"])
    assert gone.status_code == 404


async def test_removing_a_project_removes_its_applications(client: Client, tmp_path: Path) -> None:
    repository = Repository.make(tmp_path / "repository")
    app = await client.app("web", repository.url)
    await client.deployed(app["applicationId"])
    project = (await client.ask("GET", "project.all"))[0]

    await client.ask("POST", "project.remove", projectId=project["projectId"])

    assert await client.ask("GET", "project.all") == []
    assert (await client.page(app)).status_code == 404


# ── Pickers ──────────────────────────────────────────────────────────────────


async def test_pickers_offer_the_accounts_and_nothing_of_what_a_host_would_tell(
    client: Client,
) -> None:
    gitlab = {"name": "ours", "authId": "x", "gitlabUrl": "https://gitlab.example.com"}
    await client.ask("POST", "gitlab.create", **gitlab)
    await add_github(client.server.parts, "theirs", "https://github.com")
    dokploy = Dokploy(client.server.url, client.server.api_key)

    accounts = await dokploy.pickers.git_providers()
    found = [await dokploy.pickers.repositories(account) for account in accounts]
    repository = GitRepository(1, "my-org", "mono", "my-org/mono")
    branches = [await dokploy.pickers.branches(account, repository) for account in accounts]
    unknown = await client.send("GET", "github.getGithubRepositories", githubId="nope")
    await dokploy.close()

    assert [account.name for account in accounts] == ["theirs", "ours"]
    assert (found, branches) == ([[], []], [[], []])
    assert (unknown.status_code, unknown.json()["message"]) == (404, "Github Provider not found")
