"""Check one service: is it reached, does it accept the credential, and what do its checks find?"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bridge.connecting.clients import troubles
from bridge.core.apps import App, same_ids
from bridge.core.errors import BridgeError, KeyRefused, Refused, Rejected, Unreachable, WrongServer
from bridge.ports.backends import ReadsApps, read_apps
from bridge.ports.checks import Checked, Finding, Level
from bridge.ports.providers import BackendProvider, BackendServer, ChatProvider, Provider
from bridge.ports.sign_in import ClientRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.ports.sign_in import SignsIn

Service = Provider | BackendProvider | ChatProvider


async def examine(service: Service, checked: Checked, within: float = 5.0) -> list[Finding]:
    """Return what is found at one service within so many seconds, also with settings to come."""
    one = Stream(kind_of(service), checked.name, findings_of(service, checked, within))
    return [finding async for finding in together([one], within)]


def kind_of(service: Service) -> str:
    """Return how the names of a service's checks begin."""
    if isinstance(service, BackendProvider):
        return "backend"
    return "host" if isinstance(service, Provider) else "chat"


async def findings_of(service: Service, checked: Checked, within: float) -> AsyncIterator[Finding]:
    """Yield what is found at one service."""
    if isinstance(service, BackendProvider):
        server = BackendServer(checked.name, service, checked.settings)
        tried, apps = await try_backend(server, within, sources=True)
        for finding in of_backend(tried, apps):
            yield finding
        if tried.state != OK:
            return
        checked = replace(checked, apps=apps)
    if service.checks is not None:
        async with aclosing(service.checks(checked)) as found:  # type: ignore[type-var]
            async for finding in found:
                yield finding


def without_name(about: str, says: str) -> str:
    """Return an error's sentence without the name of the service, which is said already."""
    return says.removeprefix(f"{about}: ").removeprefix(f"{about} ")


# ── Several at once, each within its time ───────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Stream:
    """The findings of one service as they come; the names of its checks begin with its kind."""

    kind: str
    about: str
    findings: AsyncIterator[Finding]

    def failed(self, error: BridgeError) -> Finding:
        """Return the finding that it could not be asked any further."""
        check, remedy = "reach", "check its address, and whether it runs"
        if isinstance(error, Refused):
            check, remedy = "token", "set a valid one"
        elif isinstance(error, Rejected):
            check, remedy = "settings", "correct its settings"
        says = without_name(self.about, str(error))
        return Finding(Level.ERROR, f"{self.kind}.{check}", self.about, says, remedy)

    def late(self, within: float, *, answered: bool) -> Finding:
        """Return the finding that it did not answer in time, or not everything."""
        if not answered and self.kind != "bridge":
            remedy = "check its address, and whether it runs"
            says = f"no answer came within {within:g} s"
            return Finding(Level.ERROR, f"{self.kind}.reach", self.about, says, remedy)
        says = f"it did not answer everything within {within:g} s, so not everything was checked"
        remedy = "try again; if it is always so slow, feedback comes late, too"
        return Finding(Level.WARNING, f"{self.kind}.time", self.about, says, remedy)


def blamed(finding: Finding) -> Finding:
    """Return a finding of what the environment names, if that is why a service was not asked."""
    if finding.level is Level.OK or "can't be" not in finding.says:
        return finding
    for trouble in troubles():
        if trouble in finding.says:
            remedy = "correct or unset that variable: a service is not asked because of it"
            return Finding(Level.ERROR, "bridge.connecting", "the bridge", trouble, remedy)
    return finding


async def together(streams: Sequence[Stream], within: float) -> AsyncIterator[Finding]:
    """Yield the findings of all streams as they come; none takes longer than `within` seconds."""
    told: set[Finding] = set()
    queue: asyncio.Queue[Finding | None] = asyncio.Queue()
    tasks = [asyncio.create_task(_drained(stream, within, queue)) for stream in streams]
    try:
        left = len(tasks)
        while left:
            finding = await queue.get()
            if finding is None:
                left -= 1
            elif (said := blamed(finding)) not in told:
                told.add(said)
                yield said
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ended:
        if isinstance(end, Exception):
            raise end


async def _drained(stream: Stream, within: float, queue: "asyncio.Queue[Finding | None]") -> None:
    answered = False
    try:
        async with asyncio.timeout(within):
            async for finding in stream.findings:
                answered = True
                queue.put_nowait(finding)
    except TimeoutError:
        queue.put_nowait(stream.late(within, answered=answered))
    except BridgeError as error:
        queue.put_nowait(stream.failed(error))
    finally:
        queue.put_nowait(None)


# ── A backend: reached, the right server, the key accepted ──────────────────────────────────────

OK = "ok"


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of two cheap queries to a backend.

    Attributes:
        state: "ok", "key refused", "refused" (the server says no), e.g. "not dokploy" (another
            server or a proxy answers), "away", or "same ids" (as apps of another backend).
        version: e.g. "v0.30.2"; None if it is not reported.
        why: the problem and its remedy; "" if there is none.
    """

    backend: str
    url: str
    state: str
    version: str | None = None
    why: str = ""


async def try_backend(
    server: BackendServer, within: float, *, sources: bool = False
) -> tuple[Tried, list[App]]:
    """Query the version and the apps, which needs the key.

    Args:
        sources: read the apps' sources as well, which takes longer.
    """
    name, url = server.name, str(server.address)
    try:
        backend = server.open()
    except Rejected as error:
        return Tried(name, url, "settings", why=str(error)), []
    try:
        async with asyncio.timeout(within):
            version = await backend.version()
            if isinstance(backend, ReadsApps):  # names alone are one request
                apps = [one.app for one in await backend.listing()]
                apps = await read_apps(backend, apps) if sources else apps
            else:
                apps = await backend.apps()
    except TimeoutError:
        why = f"{name} gives no answer within {within:g} s"
        if await backend.healthy():
            why += ", although it is reachable: check that its database is"
        return Tried(name, url, "away", why=why), []
    except BridgeError as error:
        states: Mapping[type[BridgeError], str] = {
            KeyRefused: "key refused",
            WrongServer: f"not {server.provider.key}",
            Refused: "refused",
        }
        state = next((one for kind, one in states.items() if isinstance(error, kind)), "away")
        return Tried(name, url, state, why=str(error)), []
    finally:
        await backend.close()
    return Tried(name, url, OK, version), apps


def compared(tried: "Sequence[tuple[Tried, list[App]]]") -> list[Tried]:
    """Return the results, each with the apps whose ids an earlier backend also has."""
    labels: Mapping[str, dict[str, str]] = {
        one.backend: {app.id: app.label for app in apps} for one, apps in tried
    }
    names = list(labels)
    return [_compared(one, names[:at], labels) for at, (one, _) in enumerate(tried)]


def _compared(one: Tried, earlier: Sequence[str], labels: "Mapping[str, dict[str, str]]") -> Tried:
    for other in earlier:
        both = labels[one.backend].keys() & labels[other].keys()
        if one.state == OK and both:
            why = same_ids(one.backend, other, [labels[other][id_] for id_ in both])
            return replace(one, state="same ids", why=why)
    return one


CHECKS = {
    "key refused": ("backend.key", "make a new key, and set it"),
    "refused": ("backend.answer", "check its address, and the rights of the key"),
    "away": ("backend.reach", "check its address, and whether it runs"),
    "settings": ("backend.settings", "correct its settings"),
    "same ids": ("backend.ids", "give one of the two a bridge of its own"),
}
"""The name of the check, and the remedy, by the state of a backend."""


def of_backend(tried: Tried, apps: Sequence[App]) -> Iterator[Finding]:
    """Yield what two queries to a backend have shown."""
    about = tried.backend
    if tried.state != OK:
        wrong_server = ("backend.server", "set the address at which people open it")
        check, remedy = CHECKS.get(tried.state, wrong_server)
        yield Finding(Level.ERROR, check, about, without_name(about, tried.why), remedy)
        return
    yield Finding(Level.OK, "backend.key", about, f"{tried.url} answers and accepts the key")
    count = "one app" if len(apps) == 1 else f"{len(apps)} apps"
    level, says, remedy = Level.OK, f"the key sees {count}", ""
    if not apps:
        level, says = Level.WARNING, "the key sees no apps, so no push can deploy anything"
        remedy = "create an app, or give the key's user access to the services that deploy"
    yield Finding(level, "backend.apps", about, says, remedy)


# ── Signing in ────────────────────────────────────────────────────────────────────────────────────


async def of_sign_in(key: str, way: "SignsIn", public_url: str | None) -> AsyncIterator[Finding]:
    """Yield whether people can sign in with a service."""
    from bridge.console.visitors import back_to

    about = f"console {key}"
    try:
        await way.check()
    except Unreachable as error:
        remedy = "check its address, and whether it runs; people can use `dokploy-bridge console`"
        yield Finding(Level.ERROR, "console.reach", about, str(error), remedy)
        return
    except BridgeError as error:
        check = "console.client" if isinstance(error, ClientRefused) else "console.issuer"
        remedy = "nobody can sign in with it until then"
        yield Finding(Level.ERROR, check, about, str(error), remedy)
        return
    if public_url is None:
        says = (
            "public_url is not set, so the callback address depends on the address that people use"
        )
        remedy = "set BRIDGE_PUBLIC_URL, and register the callback address that it gives"
        yield Finding(Level.WARNING, "console.callback", about, says, remedy)
        return
    there = back_to(public_url, key)
    says = f"{way.title} answers; the callback address to register there is {there}"
    yield Finding(Level.OK, "console.issuer", about, says)
