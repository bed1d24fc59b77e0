"""A token is sent only to the configured host, below its path, and never logged."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from bridge.core.errors import Refused, Unreachable
from bridge.githosts.gitea.api import Gitea, gitea_api
from bridge.githosts.github.api import Github, github_api
from bridge.githosts.gitlab.api import Gitlab, gitlab_api
from tests.fakes.gitea import FakeGitea
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import Spoil
from tests.fakes.serving import served
from tests.worlds.hosts import FEW, NAME, Host, client_of


@pytest.fixture
async def elsewhere() -> AsyncIterator[tuple[str, list[web.Request]]]:
    """Another host, and what it was asked."""
    asked: list[web.Request] = []

    async def take(request: web.Request) -> web.Response:
        asked.append(request)
        return web.json_response({"id": 1})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    async with served(app) as url:
        yield url.replace("127.0.0.1", "localhost"), asked


async def test_our_token_goes_nowhere_but_to_its_host(
    host: Host,
    elsewhere: tuple[str, list[web.Request]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither a redirect leads it away, nor does a netrc replace it, nor does a log show it."""
    url, asked = elsewhere
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    pull = host.repository.open_pull("main")
    with caplog.at_level(logging.DEBUG):
        await host.api.pull_requests(NAME, pull.head_sha)  # it has a token by now
        for status in (301, 302, 303, 307, 308):
            moved = Spoil(status=status, headers={"Location": f"{url}/there"})
            for method in ("GET", "POST"):
                host.fake.spoil(moved, method=method, path="/(pulls|merge_requests|comments|notes)")
            with pytest.raises((Refused, Unreachable)):
                await host.api.pull_requests(NAME, pull.head_sha)
            with pytest.raises(Refused):
                await host.api.comment(NAME, pull.number, "hello")
        host.fake.spoil(Spoil(status=500), path="/comments|/notes")
        with pytest.raises(Unreachable):
            [one async for one in host.api.comments(NAME, pull.number)]

    assert asked == []
    sent = [one.authorization for one in host.fake.asked]
    assert not any(authorization.startswith("Basic") for authorization in sent)
    assert caplog.text
    assert not any(one.rpartition(" ")[2] in caplog.text for one in sent)


@pytest.mark.parametrize(("get", "post"), [(301, 307), (301, 301), (301, 308)])
async def test_a_renamed_repository_is_followed_within_github(get: int, post: int) -> None:
    async with FakeGithub() as fake:
        api, moved = client_of(fake), fake.repository("my-org/new")
        moved.commit({"a": "b"})
        pull = moved.open_pull("main")
        to = f"{fake.url}/repos/my-org/new"
        location = {"Location": f"{to}/issues/{pull.number}/comments"}
        fake.spoil(Spoil(status=post, headers=location), method="POST", path="/comments")
        await api.comment("my-org/old", pull.number, "hello")
        fake.spoil(Spoil(status=get, headers=location), method="GET", path="my-org/old/.*comments")

        found = [one.body async for one in api.comments("my-org/old", pull.number)]

        assert found == ["hello"]
        assert [one.body for one in pull.comments] == ["hello"]
        await api.close()


@pytest.mark.parametrize("status", [301, 307, 308])
async def test_a_renamed_repository_is_followed_within_gitea(status: int) -> None:
    async with FakeGitea() as fake:
        api, moved = client_of(fake), fake.repository("my-org/new")
        moved.commit({"a": "b"})
        pull = moved.open_pull("main")
        path = f"/api/v1/repos/my-org/new/issues/{pull.number}/comments"
        told = Spoil(status=status, headers={"Location": path})
        fake.spoil(told, path="my-org/old/.*comments", times=2)

        if status == 301:  # it would make a GET of the write
            with pytest.raises(Refused, match="use its present name"):
                await api.comment("my-org/old", pull.number, "hello")
        else:
            await api.comment("my-org/old", pull.number, "hello")
        found = [one.body async for one in api.comments("my-org/old", pull.number)]

        assert found == [one.body for one in pull.comments] == ([] if status == 301 else ["hello"])
        await api.close()


# ── a server of one's own ───────────────────────────────────────────────────


OWN_TAGS = {
    "github": "/api/v3/repos/my-org/mono/tags",
    "gitlab": "/git/api/v4/projects/my-org%2Fmono/repository/tags",
    "gitea": "/tea/api/v1/repos/my-org/mono/tags",
}


@pytest.mark.parametrize("host", OWN_TAGS)
async def test_a_server_of_ones_own_is_asked_at_its_own_path_page_after_page(host: str) -> None:
    """A GitHub Enterprise Server, and a GitLab and a Gitea in a folder."""

    async def tags(request: web.Request) -> web.Response:
        if request.rel_url.raw_path != OWN_TAGS[host]:
            raise web.HTTPNotFound
        page = int(request.query.get("page", "1"))
        following = f"{request.url.origin()}{OWN_TAGS[host]}?page={page + 1}"
        headers = {"X-Total-Count": "3"} | (
            {"Link": f'<{following}>; rel="next"'} if page < 3 else {}
        )
        found = [{"name": f"v{page}", "commit": {"sha": "a" * 40, "id": "a" * 40}}]
        return web.json_response(found, headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", tags)
    async with served(app) as url:
        api: Github | Gitlab | Gitea | None
        if host == "github":
            token = SecretStr(FakeGithub.token)
            api = github_api(token=token, api_url=f"{url}/api/v3/", bounds=FEW)
        elif host == "gitea":
            api = gitea_api(token=SecretStr(FakeGitea.token), url=f"{url}/tea/", bounds=FEW)
        else:
            api = gitlab_api(token=SecretStr(FakeGitlab.token), url=f"{url}/git/", bounds=FEW)
        assert api is not None
        assert [tag.name for tag in await api.tags(NAME, 100)] == ["v1", "v2", "v3"]
        await api.close()
