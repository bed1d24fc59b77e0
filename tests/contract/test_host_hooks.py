"""What hosts could not deliver, and where branches stand: one promise for both hosts."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer
from pydantic import SecretStr

from bridge.core.errors import NotFound, Refused, Unreachable
from bridge.githosts.gitea.checks import checks
from bridge.githosts.gitea.settings import Gitea as Settings
from bridge.githosts.github.webhooks import GitHub
from bridge.ports.checks import Checked
from bridge.ports.githosts import Hook, ListsRefs, Redelivers, Sending, TagAt
from tests.fakes.gitea import FakeGitea
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHook, Spoil
from tests.worlds.hosts import NAME, Host, client_of, redelivering

SECRET = "a secret of the tests"


@pytest.fixture
async def received() -> AsyncIterator[tuple[BaseTestServer, list[tuple[dict[str, str], bytes]]]]:
    """Where webhooks go, and what has come."""
    came: list[tuple[dict[str, str], bytes]] = []

    async def take(request: web.Request) -> web.Response:
        came.append((dict(request.headers), await request.read()))
        return web.Response(status=202)

    app = web.Application()
    app.router.add_post("/hooks/here", take)
    async with TestServer(app) as server:
        yield server, came


def hooked(host: Host, url: str) -> FakeHook:
    """A webhook at that host which leads to `url`."""
    redelivering(host)
    assert isinstance(host.fake, FakeGithub | FakeGitlab)
    if isinstance(host.fake, FakeGithub):
        host.fake.app_hook(url, SECRET)
        if host.api.access.credential.app_token():  # type: ignore[union-attr]
            return host.fake.app_hooks[0]
    return host.fake.hook(host.repository, url, SECRET)


def event(host: Host) -> str:
    return "push" if host.fake.name == "github" else "Push Hook"


async def only(host: Host) -> Hook:
    (found,) = await host.api.hooks(NAME)
    return found


async def sendings(host: Host, since: float = 0.0) -> list[Sending]:
    return [one async for one in redelivering(host).sendings(await only(host), since)]


async def test_a_webhook_is_found_with_where_it_leads_and_whom_it_speaks_for(host: Host) -> None:
    """GitLab's webhooks have templates and headers of their own; GitHub makes all by itself."""
    assert isinstance(host.api, Redelivers) is (host.fake.name != "gitea")
    hooked(host, "https://bridge.example.com/hooks/here")

    found = await only(host)

    assert (found.url, found.trouble) == ("https://bridge.example.com/hooks/here", None)
    speaks_for = found.speaks_for
    assert (speaks_for is None) == (host.fake.name == "github")
    assert speaks_for is None or (await host.api.repository(speaks_for)).name == NAME


async def test_what_could_not_be_delivered_is_fetched_and_sent_again_under_the_same_id(
    host: Host, received
) -> None:
    server, came = received
    hook = hooked(host, str(server.make_url("/hooks/here")))
    lost = await host.fake.send(hook, event(host), {"ref": "refs/heads/ä"}, lost=True)
    got = await host.fake.send(hook, event(host), {"ref": "refs/heads/main"})
    assert [(one.delivery, one.event, one.answered) for one in await sendings(host)] == [
        (got.delivery, event(host), True),
        (lost.delivery, event(host), False),
    ]
    came.clear()

    payload = await redelivering(host).payload(await only(host), str(lost.id))
    await redelivering(host).redeliver(await only(host), str(lost.id))

    assert payload is not None
    assert json.loads(payload.body) == {"ref": "refs/heads/ä"}
    github = host.fake.name == "github"
    assert payload.headers["x-github-delivery" if github else "idempotency-key"] == lost.delivery
    with pytest.raises(NotFound):
        await redelivering(host).payload(await only(host), "999999")
    ((headers, body),) = came
    if github:
        envelope = GitHub([SECRET]).open(headers, 0.0)
        GitHub([SECRET]).verify(envelope, body)
        assert envelope.id == lost.delivery
    else:
        assert headers["Idempotency-Key"] == lost.delivery
    newest, *_ = await sendings(host)
    assert (newest.delivery, newest.answered) == (lost.delivery, True)
    for number in range(130):
        await host.fake.send(hook, event(host), {"number": number}, lost=True)
    assert [one.id for one in await sendings(host)] == [str(one.id) for one in hook.sent]


async def test_it_is_told_where_branches_and_tags_stand(host: Host) -> None:
    assert isinstance(host.api, ListsRefs)
    first = host.repository.branches["main"]
    assert await host.api.head(NAME, "main") == first
    assert await host.api.head(NAME, "main") == first, "also when it is asked again"
    github = host.fake.name == "github"
    assert not github or host.fake.asked[-1].status == 304, "which GitHub does not count"

    second = host.repository.commit({"a": "b"})
    host.repository.branches["feat/ü#1"] = first
    host.repository.tags |= {f"v1.{n:03}": first for n in range(150)}

    heads = [await host.api.head(NAME, branch) for branch in ("main", "feat/ü#1", "gone")]
    assert heads == [second, first, None]
    with pytest.raises(NotFound):
        await host.api.head("my-org/nothing", "main")
    tags = await host.api.tags(NAME, 120)
    assert tags == [TagAt(f"v1.{n:03}", first) for n in range(149, 29, -1)]


async def test_webhooks_that_a_credential_may_not_see_are_left_out(host: Host) -> None:
    host.fake.hook(host.repository, "https://bridge.example.com/x", SECRET)
    if isinstance(host.fake, FakeGithub):
        host.fake.app_hook("https://bridge.example.com/hooks/github", SECRET)
    refused = {"message": "Resource not accessible by personal access token"}
    host.fake.spoil(Spoil(status=403, body=refused), path="/(repos|projects)/.*/hooks")

    assert [one.place for one in await host.api.hooks(NAME)] in ([], ["app"])


async def test_a_token_that_is_not_taken_is_no_sign_of_no_webhooks(host: Host) -> None:
    if isinstance(host.fake, FakeGithub):
        host.fake.app_hook("https://bridge.example.com/hooks/github", SECRET)
    wrong = Spoil(status=401, body={"message": "Bad credentials"})
    host.fake.spoil(wrong, path="/(repos|projects)/.*/hooks", times=2)

    with pytest.raises(Refused, match="Bad credentials"):
        await host.api.hooks(NAME)


async def test_a_webhook_of_the_organisation_is_found() -> None:
    async with FakeGithub() as fake:
        api = client_of(fake)
        assert isinstance(api, Redelivers)
        fake.repository(NAME)
        url = "https://bridge.example.com/hooks/github"
        fake.owners["my-org"] = 77
        fake.owner_hooks["my-org"] = [FakeHook(9, "orgs/my-org", url, SECRET, active=False)]

        (found,) = await api.hooks(NAME)

        assert (found.place, found.id, found.url) == ("orgs/my-org", "9", url)
        assert found.trouble == "it is switched off at GitHub"
        assert [one async for one in api.sendings(found, 0.0)] == []
        await api.close()


async def test_gitlab_tells_that_a_webhook_is_off_and_sends_again_only_so_often_a_minute() -> None:
    async with FakeGitlab() as fake:
        api = client_of(fake)
        assert isinstance(api, Redelivers)
        hook = fake.hook(fake.repository(NAME), "http://127.0.0.1:1/x", SECRET)
        lost = await fake.send(hook, "Push Hook", {}, lost=True)
        hook.active = False
        (found,) = await api.hooks(NAME)
        assert found.trouble == "GitLab has disabled it (disabled): it failed too often"

        for _ in range(5):
            await api.redeliver(found, str(lost.id))
        with pytest.raises(Unreachable) as caught:
            await api.redeliver(found, str(lost.id))

        assert caught.value.retry_after == 1.0
        await api.close()


@pytest.mark.parametrize("previewed", [True, False])
async def test_doctor_misses_labels_and_pushes_of_pull_requests_where_there_are_previews(
    previewed: bool,
) -> None:
    """Webhooks that an earlier release has made at Gitea send neither."""
    async with FakeGitea() as fake:
        fake.repository(NAME)
        hook = fake.hook(fake.repository(NAME), "https://bridge.example.com/hooks/gitea", SECRET)
        hook.events = ("push", "delete", "pull_request")
        settings = Settings(url=fake.url, token=SecretStr(fake.token))
        some = [NAME] if previewed else []
        checked = Checked(
            "gitea", settings, "https://bridge.example.com", repositories=[NAME], previewed=some
        )

        found = [one async for one in checks(checked)]

        missed = [one.says for one in found if one.check == "host.hook.events"]
        says = (
            "the webhook does not send pull_request_label, pull_request_sync: previews follow such"
            " changes of pull requests only minutes later"
        )
        assert missed == ([says] if previewed else [])


@pytest.mark.parametrize(("previewed", "admin"), [(True, True), (True, False), (False, False)])
async def test_doctor_tells_where_previews_need_an_administrator(
    previewed: bool, admin: bool
) -> None:
    async with FakeGitea() as fake:
        fake.repository(NAME)
        fake.sees_roles = admin
        settings, some = Settings(url=fake.url, token=SecretStr(fake.token)), [NAME]
        checked = Checked("gitea", settings, repositories=some, previewed=some if previewed else [])

        found = [one async for one in checks(checked)]

        told = [one.says for one in found if one.check == "host.permissions"]
        says = "the token's account can't see who may write there, which previews need to know"
        assert told == ([says] if previewed and not admin else [])


async def test_old_tries_are_not_looked_at() -> None:
    async with FakeGithub() as fake:
        api = client_of(fake)
        assert isinstance(api, Redelivers)
        hook = fake.hook(fake.repository(NAME), "http://127.0.0.1:1/x", SECRET)
        for number in range(250):
            sent = await fake.send(hook, "push", {}, lost=True)
            sent.at = 1_700_000_000 + number * 60
        (found,) = await api.hooks(NAME)
        before = len(fake.asked)

        newest = [one async for one in api.sendings(found, 1_700_000_000 + 240 * 60)]

        assert [one.at for one in newest] == [1_700_000_000 + n * 60 for n in range(249, 239, -1)]
        assert len(fake.asked) == before + 1
        await api.close()
