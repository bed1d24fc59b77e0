"""Making and rotating webhooks: killed anywhere and run again, never two, and what is refused."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aiohttp import web

from bridge.core.errors import BadSignature, NotFound, Rejected
from bridge.core.hooks import SIGNED_WITH, HostHook, Scope, ScopeKind, fingerprint
from bridge.githosts import HOSTS
from bridge.githosts.base.checks import Aim, Events, HookCheck
from bridge.pipeline.deciding.hook_places import (
    HookServer,
    Target,
    named_target,
    rotated_of,
)
from bridge.pipeline.deciding.hooks import Does, Hooks, Step
from bridge.ports.checks import Checked
from bridge.ports.githosts import Hook
from bridge.ports.hooks import HookState
from bridge.ports.inbox import Delivery, DeliveryState
from bridge.storage.seal import FernetSeal, NoSeal
from tests.fakes.github import FakeGithub
from tests.fakes.host import FakeHook, FakeHost, FakeRepository
from tests.fakes.journey import Death, Lifetime, ManualClock
from tests.fakes.serving import served
from tests.worlds.hosts import FAKES, NAME, client_of
from tests.worlds.journal import journal_in_memory

SEAL = FernetSeal(lambda: ["k" * 64])
MONO = Target("github", ScopeKind.REPOSITORY, NAME)


@dataclass
class World:
    """A Git host, a journal, and a door that accepts what the journal's secrets have signed."""

    fake: FakeHost
    api: Any
    journal: Any
    url: str = ""
    kept: list[Delivery] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    @property
    def repository(self) -> FakeRepository:
        return self.fake.repositories[NAME]

    @property
    def target(self) -> Target:
        return Target(self.fake.name, ScopeKind.REPOSITORY, NAME)

    def hooks(
        self, around: Callable[[Any], Any] = lambda one: one, seal: Any = SEAL, **others: Any
    ) -> Hooks:
        url = f"{self.url}/hooks/{self.fake.name}"
        new_secret = HOSTS[self.fake.name].new_secret
        server = HookServer(self.fake.name, around(self.api), url, new_secret)
        store = around(self.journal)
        return Hooks({self.fake.name: server}, store, seal, ManualClock(), **others)

    async def newest(self, limit: int, *, before: int | None = None) -> list[Delivery]:
        """Be the inbox."""
        found = [one for one in self.kept[::-1] if before is None or one.seq < before]
        return found[:limit]

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        verifier = HOSTS[self.fake.name].verifier
        for made in await self.journal.made_hooks():
            for secret in map(SEAL.open, made.accepted(0.0)):
                try:
                    host = verifier(secret, made.signs)
                    at = float(request.headers.get("webhook-timestamp", "0"))
                    host.verify(host.open(request.headers, at), body)
                except BadSignature:
                    continue
                self.keep({SIGNED_WITH: fingerprint(secret)})
                self.answers.append(202)
                return web.Response(status=202)
        self.answers.append(401)
        return web.Response(status=401)

    def keep(self, headers: dict[str, str]) -> None:
        seq = len(self.kept) + 1
        one = Delivery(seq, self.fake.name, f"d-{seq}", "push", headers, 0.0, DeliveryState.KEPT)
        self.kept.append(one)

    async def install(self, hooks: Hooks, target: Target | None = None) -> list[Step]:
        steps = hooks.plan_install(await hooks.look(target or self.target))
        for step in steps:
            await hooks.carry_out(step)
        return steps


@pytest.fixture(params=["github", "gitlab", "gitea"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with world_of(request.param) as found:
        yield found


@pytest.fixture
async def github() -> AsyncIterator[World]:
    async with world_of("github") as found:
        yield found


@asynccontextmanager
async def world_of(host: str) -> AsyncIterator[World]:
    """Run a Git host, and the door that its webhooks lead to."""
    async with FAKES[host]() as fake:
        fake.repository(NAME).commit({"a": "b"})
        found = World(fake, client_of(fake), journal_in_memory(ManualClock()))
        app = web.Application()
        app.router.add_post("/hooks/{host}", found.take)
        async with served(app) as found.url:
            yield found
        await found.api.close()
        await found.journal.stop()


async def at_once() -> bool:
    """Wait for nothing: in these tests a host sends before it answers."""
    return False


ADDRESSES = (
    ("https://bridge.example.com/hooks/{host}", True),
    ("https://bridge.example.com/below/hooks/{host}", True),
    ("https://bridge.example.com/hooks/{host}/more", False),
    ("https://ci.example.com/webhook", False),
    ("mailto:bridge@example.com/hooks/{host}", False),
)


async def test_without_an_address_of_its_own_a_webhook_is_told_by_its_path_as_doctor_does(
    world: World,
) -> None:
    name, nothing = world.fake.name, cast("Any", None)
    server = HookServer(name, world.api, None, HOSTS[name].new_secret)
    hooks = Hooks({name: server}, world.journal, SEAL, ManualClock())
    doctor = HookCheck(Checked(name, nothing), nothing, name, Events("push", {}), "", nothing)
    for address, ours in ADDRESSES:
        url = address.format(host=name)
        world.repository.hooks[:] = [FakeHook(7, f"repos/{NAME}", url, "a secret")]

        place = await hooks.look(world.target)

        aim = doctor.aim(Hook(f"repos/{NAME}", "7", url))
        assert aim is (Aim.HERE if ours else Aim.ELSEWHERE)
        assert [(one.hook.url, one.faults) for one in place.own] == ([(url, ())] if ours else [])


async def test_an_installation_killed_anywhere_is_finished_by_the_next(world: World) -> None:
    for number in range(1, 30):
        world.repository.hooks.clear()
        for one in await world.journal.made_hooks():
            await world.journal.drop_hook(one.key)
        life = Lifetime(2 * number)  # after that many calls
        with suppress(Death):
            await world.install(world.hooks(life.mortal))

        await world.install(world.hooks())

        (hook,) = world.repository.hooks
        (made,) = await world.journal.made_hooks()
        assert made.state is HookState.LIVE
        assert hook.secret in SEAL.open(made.sealed).split()
        assert 401 not in world.answers
        if life.moments < 2 * number:
            break
    assert number > 4

    world.repository.hooks.clear()
    (step,) = await world.install(world.hooks())
    (again,) = await world.journal.made_hooks()
    assert step.does is Does.CREATE
    assert (again.sealed, again.hook) == (made.sealed, str(world.repository.hooks[0].id))


async def test_a_rotation_killed_anywhere_loses_nothing_and_is_finished_by_the_next(
    world: World,
) -> None:
    for number in range(1, 30):
        await world.install(world.hooks())
        (hook,) = world.repository.hooks
        old, life = hook.secret, Lifetime(2 * number)  # after that many calls
        doomed = world.hooks(life.mortal)
        with suppress(Death):
            (made,) = await doomed.made()
            await doomed.rotate(made, world, at_once)  # type: ignore[arg-type]
        sent = await world.fake.send(hook, "push", {"after": f"{number}"})
        assert sent.status == 202

        (made,) = await world.hooks().made()
        assert await world.hooks().rotate(made, world, at_once)  # type: ignore[arg-type]

        (made,) = await world.journal.made_hooks()
        assert made.state is HookState.LIVE
        assert hook.secret in SEAL.open(made.sealed).split()
        assert hook.secret != old
        assert (await world.fake.send(hook, "push", {"after": "again"})).status == 202
        assert 401 not in world.answers
        if life.moments < 2 * number:
            break
    assert number > 4


async def test_the_old_secret_stays_until_a_delivery_with_the_new_one_has_come(
    github: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await github.install(github.hooks())
    (hook,) = github.repository.hooks
    (made,) = await github.hooks().made()

    async def no_ping(_hook: HostHook) -> bool:
        return False

    monkeypatch.setattr(github.api, "test_hook", no_ping)
    assert not await github.hooks().rotate(made, github, at_once)  # type: ignore[arg-type]
    (waiting,) = await github.journal.made_hooks()
    assert waiting.state is HookState.ROTATING
    assert waiting.sealed == made.sealed

    for number in range(300):  # other deliveries in between
        github.keep({SIGNED_WITH: "another"} if number % 2 else {})
    assert (await github.fake.send(hook, "push", {})).status == 202
    assert await github.hooks().rotate(waiting, github, at_once)  # type: ignore[arg-type]
    (done,) = await github.journal.made_hooks()
    assert (done.sealed, done.sealed_last) == (waiting.sealed_next, made.sealed)


async def test_an_app_s_webhook_reports_every_repository(github: World, pem: str) -> None:
    fake = github.fake
    assert isinstance(fake, FakeGithub)
    hook = fake.app_hook(f"{github.url}/hooks/github", "by hand")
    await github.api.close()
    github.api = client_of(fake, pem)

    (step,) = await github.install(github.hooks())

    assert (step.does, step.why) == (Does.KEEP, "the webhook of the App reports it")
    hook.url = f"{github.url}/webhook"
    (step,) = await github.install(github.hooks(), Target("github", ScopeKind.APP, ""))
    assert (step.does, hook.url) == (Does.CHANGE, f"{github.url}/hooks/github")
    assert (await fake.send(hook, "push", {})).status == 202


async def test_two_webhooks_for_one_repository_are_warned_of(github: World) -> None:
    github.fake.owners["my-org"] = 77
    url = f"{github.url}/hooks/github"
    github.fake.owner_hooks["my-org"] = [FakeHook(9, "orgs/my-org", url + "/", "by hand")]
    github.fake.hook(github.repository, url, "by hand")

    place = await github.hooks().look(MONO)

    (warning,) = place.warnings()
    assert warning.startswith("my-org/mono is reported 2 times")
    assert [one.faults for one in place.hooks] == [(), ()]


async def test_an_organisation_removes_what_was_made_for_its_repositories(github: World) -> None:
    await github.install(github.hooks())
    github.fake.owners["my-org"] = 77
    hooks = github.hooks()
    org = await hooks.look(Target("github", ScopeKind.OWNER, "my-org"))

    steps = hooks.plan_install(org, [await hooks.look(MONO)])
    for step in steps:
        await hooks.carry_out(step)

    assert [one.does for one in steps] == [Does.CREATE, Does.REMOVE]
    assert github.repository.hooks == []
    (made,) = await github.journal.made_hooks()
    assert made.scope == Scope(ScopeKind.OWNER, "my-org", "77")


async def test_without_a_key_nothing_is_made_and_only_what_the_bridge_made_is_removed(
    github: World,
) -> None:
    bare = github.hooks(seal=NoSeal())
    with pytest.raises(Rejected, match="set BRIDGE_SECRET_KEY"):
        bare.plan_install(await bare.look(MONO))
    assert github.repository.hooks == []

    hook = github.fake.hook(github.repository, f"{github.url}/hooks/github", "by hand")
    hooks = github.hooks()
    with pytest.raises(NotFound, match=f"its webhook {hook.id} was made by hand: delete it there"):
        hooks.plan_remove(await hooks.look(MONO))


def test_where_a_repository_is_has_to_be_clear() -> None:
    known = {("gitlab", "My-Org/Mono"), ("github", "my-org/web"), ("gitea", "my-org/web")}
    able = ["github", "gitlab"]

    assert named_target(NAME, None, known, able).host == "gitlab"
    assert named_target("a/b", "gitea", known, able).host == "gitea"
    assert named_target("a/b", None, known, ["gitea"]).host == "gitea"
    for name, hosts in (("my-org/web", known), ("a/b", known)):
        with pytest.raises(Rejected, match="say which with --host"):
            named_target(name, None, hosts, able)
    with pytest.raises(Rejected, match="set a token"):
        named_target("a/b", None, known, [])
    with pytest.raises(NotFound, match="has made no webhook of a/b at github"):
        rotated_of([], [Target("github", ScopeKind.REPOSITORY, "a/b")])
