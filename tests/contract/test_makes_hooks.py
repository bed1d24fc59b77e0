"""Webhooks of our own at each Git host: one promise, over requests that its contract knows."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from bridge.core.errors import BadSignature, NotFound, Rejected
from bridge.core.hooks import HostHook, Scope, ScopeKind, faults
from bridge.githosts import HOSTS
from bridge.ports.hooks import ManagesHooks
from tests.fakes.gitea import FakeGitea
from tests.fakes.gitea_pulls import LABEL, SYNC
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHook, Spoil
from tests.fakes.pulls import Change
from tests.worlds.hosts import NAME, Host, client_of

ORG = "my-org"


class Receiver:
    """Where webhooks go; counts those that a secret has signed."""

    def __init__(self, server: BaseTestServer, host: str) -> None:
        self.url = str(server.make_url("/hooks/here"))
        self._provider = HOSTS[host]
        self.came: list[tuple[web.Request, bytes]] = []

    def signed_with(self, secret: str, *, signs: bool | None = None) -> int:
        verifier, count = self._provider.verifier(secret, signs), 0
        for request, body in self.came:
            try:
                verifier.verify(verifier.open(request.headers, _time(request)), body)
            except BadSignature:
                continue
            count += 1
        return count


def _time(request: web.Request) -> float:
    return float(request.headers.get("webhook-timestamp", "0"))


@pytest.fixture
async def there(host: Host) -> AsyncIterator[Receiver]:
    app = web.Application()
    async with TestServer(app) as server:
        receiver = Receiver(server, host.fake.name)

        async def take(request: web.Request) -> web.Response:
            receiver.came.append((request, await request.read()))
            return web.Response(status=202)

        app.router._frozen = False
        app.router.add_post("/hooks/here", take)
        yield receiver


def api_of(host: Host) -> ManagesHooks:
    assert isinstance(host.api, ManagesHooks)
    return host.api


def is_app(host: Host) -> bool:
    return isinstance(host.fake, FakeGithub) and bool(host.api.access.credential.app_token())  # type: ignore[union-attr]


async def scope_of(host: Host, kind: ScopeKind) -> Scope:
    if is_app(host):
        pytest.skip("an App's own webhook reports every repository")
    host.fake.owners[ORG] = 77
    return await api_of(host).hook_scope(kind, ORG if kind is ScopeKind.OWNER else NAME)


def at_the_host(host: Host, scope: Scope) -> list[FakeHook]:
    if scope.kind is ScopeKind.OWNER:
        return host.fake.owner_hooks.get(scope.name, [])
    return host.repository.hooks


def secret_of(host: Host) -> str:
    return HOSTS[host.fake.name].new_secret()


KINDS = pytest.mark.parametrize("kind", [ScopeKind.REPOSITORY, ScopeKind.OWNER])


@KINDS
async def test_a_made_webhook_has_all_that_the_bridge_needs_and_is_deleted_once(
    host: Host, there: Receiver, kind: ScopeKind
) -> None:
    scope, secret = await scope_of(host, kind), secret_of(host)
    name, id_ = (ORG, "77") if kind is ScopeKind.OWNER else (NAME, str(host.repository.id))
    assert scope == Scope(kind, name, id_)

    made = await api_of(host).create_hook(scope, there.url, secret)

    assert await api_of(host).hooks_at(scope) == [made]
    assert (made.scope, made.url, made.signs) == (scope, there.url, True)
    assert list(faults(made, there.url)) == []
    (at_host,) = at_the_host(host, scope)
    assert at_host.secret in secret.split()
    assert secret not in repr(made)
    assert set(at_host.events or ()) >= EVENTS_OF_CHECKS[host.fake.name]

    there.came.clear()
    pull = host.repository.open_pull("main")
    for change in Change:
        await host.fake.send_pull(host.repository, pull, change)
    assert there.signed_with(secret) == len(Change)

    for _ in range(2):
        await api_of(host).delete_hook(made)
    assert await api_of(host).hooks_at(scope) == []


EVENTS_OF_CHECKS = {
    "github": {"check_run", "check_suite", "status"},
    "gitlab": {"pipeline_events"},
    "gitea": {"status"},
}


@KINDS
async def test_a_webhook_that_does_not_report_checks_can_be_corrected_where_the_host_can(
    host: Host, there: Receiver, kind: ScopeKind
) -> None:
    """A Gitea before 1.24 drops the event silently: it would be missed for ever."""
    scope = await scope_of(host, kind)
    if isinstance(host.fake, FakeGitea):
        host.fake.events = ("push", "delete", "pull_request", LABEL, SYNC)
    made = await api_of(host).create_hook(scope, there.url, secret_of(host))
    (at_host,) = at_the_host(host, scope)
    at_host.events = tuple(set(at_host.events or ()) - EVENTS_OF_CHECKS[host.fake.name])

    (wrong,) = await api_of(host).hooks_at(scope) or []

    known = set() if host.fake.name == "gitea" else EVENTS_OF_CHECKS[host.fake.name]
    assert set(wrong.missing) == known
    assert made.missing == ()


@KINDS
async def test_a_changed_webhook_signs_with_the_new_secret_alone(
    host: Host, there: Receiver, kind: ScopeKind
) -> None:
    scope, old, new = await scope_of(host, kind), secret_of(host), secret_of(host)
    made = await api_of(host).create_hook(scope, there.url, old)
    (at_host,) = at_the_host(host, scope)
    at_host.events, at_host.active = ("create", "push", "push_events"), False
    at_host.content_type, at_host.checks_tls = "form", False
    there.came.clear()
    (wrong,) = await api_of(host).hooks_at(scope) or []
    assert len(list(faults(wrong, "https://bridge.example.com/hooks/here"))) >= 3

    changed = await api_of(host).change_hook(wrong, there.url, new)
    was_sent = await api_of(host).test_hook(changed)

    if not isinstance(host.fake, FakeGitlab):  # it has no such switch
        assert list(faults(changed, there.url)) == []
    assert changed.id == made.id
    assert was_sent is (host.fake.name != "gitea" or kind is ScopeKind.REPOSITORY)
    assert there.signed_with(new) == len(there.came) == int(was_sent)
    assert there.signed_with(old) == 0


async def test_scopes_and_webhooks_that_can_not_be_seen_are_not_known(host: Host) -> None:
    scopes = await api_of(host).scopes_over(NAME)
    kinds = [ScopeKind.REPOSITORY, ScopeKind.APP if is_app(host) else ScopeKind.OWNER]
    assert [one.kind for one in scopes] == kinds
    assert is_app(host) or scopes[1].name == ORG
    with pytest.raises(NotFound):
        await api_of(host).hook_scope(ScopeKind.REPOSITORY, "my-org/nothing")

    scope = await scope_of(host, ScopeKind.REPOSITORY)
    host.fake.spoil(Spoil(status=403, body={"message": "not for you"}), path=r"/hooks$")
    assert await api_of(host).hooks_at(scope) is None
    assert await api_of(host).hooks_at(Scope(ScopeKind.OWNER, "nobody")) is None


# ── GitHub's App ────────────────────────────────────────────────────────────────────────────────


async def test_the_webhook_of_an_app_is_changed_and_never_made(host: Host) -> None:
    if not is_app(host):
        with pytest.raises(Rejected, match="App"):
            await api_of(host).hook_scope(ScopeKind.APP, "")
        return
    assert isinstance(host.fake, FakeGithub)
    hook = host.fake.app_hook("https://wrong.example.com/webhook", "old")
    scope = await api_of(host).hook_scope(ScopeKind.APP, "")
    (found,) = await api_of(host).hooks_at(scope) or []

    changed = await api_of(host).change_hook(found, "https://b.example.com/hooks/github", "new")

    assert (hook.url, hook.secret) == ("https://b.example.com/hooks/github", "new")
    assert changed == HostHook(scope, "app", "https://b.example.com/hooks/github")
    assert not await api_of(host).test_hook(changed)
    with pytest.raises(Rejected, match="made with it"):
        await api_of(host).create_hook(scope, changed.url, "new")
    with pytest.raises(Rejected, match="goes with the App"):
        await api_of(host).delete_hook(changed)
    with pytest.raises(Rejected, match="install the App there"):
        await api_of(host).create_hook(
            await api_of(host).hook_scope(ScopeKind.REPOSITORY, NAME), changed.url, "new"
        )


# ── what older servers lack ─────────────────────────────────────────────────────────────────────


async def test_an_older_gitlab_sends_the_token_and_says_that_it_does_not_sign() -> None:
    async with FakeGitlab() as fake:
        fake.signs = fake.tests_without_a_push = False
        api, project = client_of(fake), fake.repository(NAME)
        assert isinstance(api, ManagesHooks)
        scope = await api.hook_scope(ScopeKind.REPOSITORY, NAME)

        made = await api.create_hook(scope, "https://b.example.com/x", HOSTS["gitlab"].new_secret())

        assert not made.signs
        assert project.hooks[0].signing is None
        assert not await api.test_hook(made)
        await api.close()


@pytest.mark.parametrize("host", ["gitea"], indirect=True)
async def test_a_test_of_gitea_moves_nothing(host: Host, there: Receiver) -> None:
    scope = await scope_of(host, ScopeKind.REPOSITORY)
    made = await api_of(host).create_hook(scope, there.url, "a secret")

    await api_of(host).test_hook(made)

    ((request, body),) = there.came
    reader = HOSTS["gitea"].reader()
    event = reader.parse(reader.fetched(request.headers).event, {}, body)
    assert "a test delivery: the branch main did not move" in str(event)
