"""Manage apps of the embedded backend over its HTTP API; start it if it is not running."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.backends import EMBEDDED, embedded_client
from bridge.cli.new_site import NewSite, checked, must_fit
from bridge.cli.show import clean, hint
from bridge.core.apps import App, find_app
from bridge.core.configuration.configuration import BRANCH_SIGNS, BuildType, GitSource
from bridge.core.errors import (
    NotFound,
    Refused,
    Rejected,
    Unanswered,
    Unreachable,
)
from bridge.core.errors.connection import why_not_connected
from bridge.core.people import Actor

if TYPE_CHECKING:
    import httpx

    from bridge.backends import EmbeddedClient
    from bridge.settings import Settings

_STARTS_WITHIN = 5.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Api:
    """A connection to an embedded backend.

    Attributes:
        sites: where its sites are; None if it was started for this command alone.
    """

    url: str
    sites: str | None
    http: "httpx.AsyncClient"
    client: "EmbeddedClient"

    async def ask(self, method: str, procedure: str, **fields: Any) -> Any:
        """Call a procedure that only the embedded backend has."""
        import httpx

        how: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        try:
            answer = await self.http.request(method, f"/api/{procedure}", **how)
        except httpx.ConnectError:
            raise Unreachable("the embedded backend", f"nothing answers at {self.url}") from None
        except httpx.HTTPError as error:
            raise Unanswered(
                "the embedded backend", why_not_connected(error) or type(error).__name__
            ) from None
        if answer.is_success:
            return answer.json() if answer.content else None
        words = answer.json().get("message") if answer.content else None
        raise Refused("the embedded backend", str(words), status=answer.status_code)


async def create_site(settings: "Settings", site: NewSite, *, by: Actor) -> tuple[App, str | None]:
    """Create a static site; return the app, and its address if that is known.

    Args:
        by: the person who asks for it.
    """
    from bridge.app.providers import authorities_of, sites_address

    site = checked(site, settings.watch.semantics)
    if site.rules is not None and (elsewhere := list(settings.backends_set().values())):
        addresses = " and ".join(one.setting(one.provider.address) for one in elsewhere)
        raise Rejected(
            "--trigger and --tags are rules of this bridge, which deploys on a"
            f" {elsewhere[0].provider.title} here and does not see apps of the embedded backend;"
            f" leave them out, or unset {addresses}"
        )
    fitting = (site, settings.watch.semantics, authorities_of(settings))
    if unchecked := await asyncio.to_thread(must_fit, *fitting):
        hint(clean(unchecked))
    async with _one_after_another(settings), api_of(settings) as api:
        sites = api.sites or sites_address(settings)
        made, path = await make_site(api, site)
        if site.rules is not None:
            made = replace(made, rules=site.rules)
        await _tell_journal(settings, api, "create", made, by)
    return made, sites and sites + path


def _one_after_another(settings: "Settings") -> AbstractAsyncContextManager[None]:
    """Serialise commands that create or delete apps: each checks all apps first."""
    from bridge.app.data_folder import in_turn, must_be_ours

    must_be_ours(settings.data)
    return in_turn(settings.data / EMBEDDED / "apps.lock")


async def find_embedded(settings: "Settings", name: str) -> App:
    """Return an app of the embedded backend; raise NotFound."""
    async with _one_after_another(settings), api_of(settings) as api:
        return find_app(await api.client.apps(), name)


async def delete_app(settings: "Settings", name: str, *, by: Actor) -> App:
    """Delete an app; return it; see `create_site`."""
    async with _one_after_another(settings), api_of(settings) as api:
        app = find_app(await api.client.apps(), name)
        await api.ask("POST", "application.delete", applicationId=app.id)
        await _tell_journal(settings, api, "delete", app, by)
    return app


async def make_site(api: Api, site: NewSite) -> tuple[App, str]:
    """Create a static site over the API, like any client of Dokploy.

    Returns:
        The app, and the path of its site.
    """
    known = await api.client.apps()
    if any((app.project, app.name) == (site.project, site.name) for app in known):
        label = f"{site.project}/{site.name}"
        raise Rejected(
            f"there is an app {label} already; choose another name, or delete it with"
            f" `dokploy-bridge app delete {label}`"
        )
    try:  # before anything is created
        source = GitSource(url=site.repo, branch=site.branch, watch_paths=site.watch or None)
    except ValueError:
        shown = repr(site.branch) if site.branch else "empty"
        raise Rejected(f"--branch can't be {shown}: a branch has {BRANCH_SIGNS}") from None
    environment = await _environment(api, site.project)
    record = await api.ask("POST", "application.create", name=site.name, environmentId=environment)
    app = App(record["applicationId"], site.name, site.project, backend=EMBEDDED)
    await api.client.save_provider(app, source)
    build = BuildType(build_type="static", publish_directory=site.publish, static_spa=site.spa)
    await api.client.save_build_type(app, build)
    made = find_app(await api.client.apps(), app.id)
    return made, f"/apps/{record['appName']}/"


@asynccontextmanager
async def api_of(settings: "Settings") -> AsyncIterator[Api]:
    """Reach the embedded backend of a data folder; start it on a free port if it is down."""
    from bridge.app.data_folder import in_turn, is_held
    from bridge.app.providers import run_embedded

    data = settings.data / EMBEDDED
    async with AsyncExitStack() as stack:
        # Lock before looking, so another command's server is not taken for a permanent one.
        alone = await stack.enter_async_context(AsyncExitStack())
        await alone.enter_async_context(in_turn(data / "alone.lock"))
        if is_held(data):
            await alone.aclose()
            url, key, sites = [await _told(data / name) for name in ("url", "api-key", "sites-url")]
        else:
            free = settings.embedded.model_copy(update={"port": 0, "sites_port": 0})
            here = settings.model_copy(update={"embedded": free})
            server = await stack.enter_async_context(run_embedded(here))
            url, key, sites = server.url, server.api_key, None
        yield await stack.enter_async_context(connected(url, key, sites))


@asynccontextmanager
async def connected(url: str, key: str, sites: str | None) -> AsyncIterator[Api]:
    """Open a connection, and close it at the end."""
    from bridge.connecting.clients import http_client

    client = embedded_client(url, key, choices=True)
    headers = {"x-api-key": key}
    try:
        async with http_client(url, direct=True, headers=headers, base_url=url) as http:
            yield Api(url, sites, http, client)
    finally:
        await client.close()


async def _told(file: Path) -> str:
    """Return a running backend's own record; wait a moment for one that is starting."""
    until = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            if told := (await asyncio.to_thread(file.read_text)).strip():
                return told
            why = "is empty"
        except OSError as error:
            why = f"can't be read ({error.strerror})"
        if time.monotonic() > until:
            raise NotFound(f"the embedded backend runs, but {file} {why}")
        await asyncio.sleep(_LOOK_SECONDS)  # no event signals that it is there


async def _environment(api: Api, project: str) -> str:
    for one in await api.ask("GET", "project.all"):
        if one["name"] == project:
            environments = one["environments"]
            return str(next(e["environmentId"] for e in environments if e["isDefault"]))
    made = await api.ask("POST", "project.create", name=project)
    return str(made["environment"]["environmentId"])


async def _tell_journal(settings: "Settings", api: Api, what: str, app: App, by: Actor) -> None:
    """Record what was done, and the apps, so that the next command knows them at once."""
    from bridge.app.storage import open_stores
    from bridge.pipeline.audit import record

    async with open_stores(settings) as stores:
        await record(stores.journal, by, f"app {what}", app.label, app_id=app.id)
        if settings.backends_set():
            return  # this bridge deploys elsewhere
        if what == "create":  # first, so the app is never known without its rules
            await stores.journal.save_rules(app.id, app.rules, by=str(by))
        await stores.journal.save_apps(EMBEDDED, await api.client.apps())
