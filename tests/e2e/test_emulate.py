"""The bridge beside a simulator of GitHub that others wrote after its documents."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from bridge.core.errors import Refused
from bridge.githosts.github.api import github_api
from tests.oracles.emulators import emulated
from tests.worlds.bridge import SECRET, World, running_world
from tests.worlds.embedded import until
from tests.worlds.feedback import QUICKLY

NAME = "acme/site"
APP, INSTALLATION = 12345, 100
PERMISSIONS = {
    "contents": "read", "metadata": "read", "pull_requests": "write", "statuses": "write",
    "deployments": "write", "issues": "write",
}  # fmt: skip

# ── GitHub ───────────────────────────────────────────────────────────────────


@pytest.fixture
def github(pem: str, tmp_path: Path) -> Iterator[str]:
    """GitHub with a repository, a person and an App."""
    app = {
        "app_id": APP,
        "slug": "bridge-app",
        "name": "Bridge",
        "permissions": PERMISSIONS,
        "events": ["push", "pull_request"],
        "installations": [
            {"installation_id": INSTALLATION, "account": "acme", "repository_selection": "all"}
        ],
        "private_key": pem,
    }
    people = {
        "users": [{"login": "ann", "name": "Ann", "email": "ann@example.com"}],
        "orgs": [{"login": "acme", "name": "Acme", "members": [{"login": "ann", "role": "admin"}]}],
        "repos": [{"owner": "acme", "name": "site", "auto_init": True}],
        "apps": [app],
    }
    tokens = {"ghp_test": {"login": "ann", "scopes": ["repo", "admin:repo_hook"]}}
    with emulated("github", {"tokens": tokens, "github": people}, tmp_path) as url:
        yield url


@pytest.fixture
async def ann(github: str) -> AsyncIterator[httpx.AsyncClient]:
    """A person at GitHub."""
    headers = {"Authorization": "token ghp_test"}
    base = f"{github}/repos/{NAME}"
    async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
        yield client


async def write(ann: httpx.AsyncClient, path: str, branch: str) -> str:
    """Push a commit with a file; its id."""
    content = base64.b64encode(b"a page").decode()
    body = {"message": f"feat: {path}", "content": content, "branch": branch}
    return str((await done(ann, "PUT", f"/contents/{path}", body))["commit"]["sha"])


async def done(ann: httpx.AsyncClient, method: str, path: str, body: Any = None) -> Any:
    answer = await ann.request(method, path, json=body)
    assert answer.is_success, answer.text
    return answer.json()


async def test_another_key_is_refused(github: str) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    form = serialization.PrivateFormat.TraditionalOpenSSL
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    )
    made = github_api(app_id=APP, private_key=SecretStr(key.decode()), api_url=github)
    assert made is not None
    with pytest.raises(Refused):
        await made.repository(NAME)
    await made.close()


async def test_its_webhooks_are_taken_and_decided(
    ann: httpx.AsyncClient,
    github: str,
    pem: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "app.pem").write_text(pem)
    clone = (await done(ann, "GET", f"{github}/repos/{NAME}"))["clone_url"]
    settings: dict[str, Any] = {
        "BRIDGE_GITHUB_API_URL": github,
        "BRIDGE_GITHUB_WEB_URL": clone.partition(f"/{NAME}")[0],
        "BRIDGE_GITHUB_APP_ID": str(APP),
        "BRIDGE_GITHUB_PRIVATE_KEY_FILE": str(tmp_path / "app.pem"),
    }
    async with running_world(tmp_path / "bridge", **settings, **QUICKLY) as world:
        assert world.backend is not None
        app = await world.backend.app("web", clone, publishDirectory="web")
        await world.backend.save_git(app["applicationId"], clone, watchPaths=["web/**"])
        hook = {"url": f"{world.bridge.url}/hooks/github", "content_type": "json", "secret": SECRET}
        given = {"name": "web", "active": True, "events": ["push", "pull_request"], "config": hook}
        await done(ann, "POST", "/hooks", given)

        await write(ann, "docs/read.md", "main")
        await until(lambda: verdicts(world), lambda found: len(found) == 1)  # the app is known now
        main = (await done(ann, "GET", "/git/ref/heads/main"))["object"]["sha"]
        await done(ann, "POST", "/git/refs", {"ref": "refs/heads/topic", "sha": main})
        await done(ann, "POST", "/pulls", {"title": "t", "head": "topic", "base": "main"})
        await write(ann, "web/index.html", "main")

        said = await until(lambda: verdicts(world), lambda found: len(found) == 3)

    assert said == [
        "shop/web no_path_hit",
        "pull request 1 was opened: there is nothing to show on it",
        "shop/web path_hit",
    ]


async def verdicts(world: World) -> list[str]:
    """What became of each delivery that is decided, oldest first."""
    found: list[str | None] = []
    for kept in (await world.stores.inbox.newest(100))[::-1]:
        if str(kept.state) == "decided":
            (one,) = (await world.stores.journal.decisions([kept.seq]))[kept.seq]
            found.append(f"{one.app} {one.reason}")
        elif str(kept.state) != "kept":
            found.append(f"failed: {kept.error}" if str(kept.state) == "failed" else kept.error)
    return [str(one) for one in found]
