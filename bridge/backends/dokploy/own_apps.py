"""Applications of the bridge's own in Dokploy: make, configure, address and remove them.

Names are not unique there, so one of ours is known by its description, its marker. Each method
looks first whether it is done: an answer that was lost is found by the next call. What is not known
by a marker is never changed and never removed.

`application.search` is not used: it only finds what is in the list of services of the key's user,
which even an owner's may lack (99-owner-search-no-accessedServices in tests/fixtures/dokploy).
"""

import asyncio
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden, UnlessGone
from bridge.backends.dokploy.apps import Apps, at_a_time
from bridge.backends.dokploy.configure import (
    columns_for,
    differing,
    domain_changes,
    id_of,
    not_stored,
)
from bridge.backends.dokploy.containers import Running, at_server
from bridge.backends.dokploy.http import T
from bridge.backends.dokploy.reads import (
    LOOPBACK,
    address_at,
    listed_in,
    local_port,
    marker_of,
)
from bridge.core.apps import MARKER, PRODUCTION, App, AppKind
from bridge.core.errors import Refused
from bridge.core.health.containers import Container
from bridge.ports.backends import Address, Build

_PROJECTS_AT_A_TIME = 4
_LONGEST_NAME = 40  # of a service; Dokploy adds a suffix, and host names are made from it
_DESCRIPTION = "Made by the bridge, for what it makes and removes by itself"
_ONLY_APPLICATIONS = "only applications can be made like another one, not compose stacks"

RIGHTS = {
    "environment.create": "Create Environments (canCreateEnvironments)",
    "application.create": "Create Services (canCreateServices)",
    "application.update": "Create Services (canCreateServices)",
    "application.delete": "Delete Services (canDeleteServices)",
}
"""The rights that a member's key needs for each change, as Dokploy's page of users names them."""

# Some procedures answer a missing right with a 400 (docs/dokploy.md, "401").
_FORBIDDEN = re.compile(r"unauthorized to access resource|You don't have access to")


class Making(Running):
    """Implements `MakesApps` for `Dokploy`, whose other half it is."""

    name: str
    _apps: Apps

    def __init__(self) -> None:
        super().__init__()
        # Dokploy notes a new app in its user's list by reading and writing it: two that are made at
        # once may leave one out, and a member's key then no longer sees it.
        self._one_by_one = asyncio.Lock()
        self._unseen: set[str] = set()  # the markers of apps that were made, but are not listed

    @property
    def builds_commits(self) -> bool:
        # docs/dokploy.md, "Environments and applications": Dokploy clones branches
        return not self._http.has_dashboard

    # ── Find ─────────────────────────────────────────────────────────────────

    async def made(self, marker: str) -> list[App]:
        return (await self._marked(lambda known: known == marker)).get(marker, [])

    async def all_made(self, beginning: str) -> dict[str, list[App]]:
        return await self._marked(lambda known: known.startswith(beginning))

    async def _marked(self, fits: Callable[[str], bool]) -> dict[str, list[App]]:
        """Look in every project with another environment than its default one.

        `project.all` tells no descriptions, so each of these projects is read.
        """
        ids = [
            project.id
            for project in await self._apps.projects()
            if project.id is not None and any(not env.is_default for env in project.environments)
        ]
        marked: dict[str, list[App]] = {}
        for apps in await at_a_time(_PROJECTS_AT_A_TIME, self._ours_if_there, ids):
            for app in apps:
                if fits(app.marker):
                    marked.setdefault(app.marker, []).append(app)
        return {marker: sorted(apps, key=_age) for marker, apps in marked.items()}

    async def _ours_if_there(self, project: str) -> Sequence[App]:
        with UnlessGone():
            return self._ours_in(await self._project(project))
        return ()

    def _ours_in(self, project: models.Project) -> list[App]:
        """Return the bridge's own apps in a project, oldest first."""
        apps = (listed.app for listed in listed_in([project], self.name, self._apps.origin))
        return sorted((app for app in apps if app.marker), key=_age)

    async def _project(self, id_: str) -> models.Project:
        with self._naming_rights("project.one"):
            return await self._http.read("project.one", models.Project, {"projectId": id_})

    # ── Make ─────────────────────────────────────────────────────────────────

    async def make(self, name: str, marker: str, model: App, environment: str) -> App:
        """See `ports.backends.MakesApps`; it is made on the server of its model.

        Raises:
            Refused: also if the key's user can't see what it has made, which this process then
                does not make again.
        """
        if not marker.startswith(MARKER):
            raise ValueError(f"the marker {marker!r} does not begin with {MARKER!r}")
        if model.kind is not AppKind.APPLICATION:
            raise Refused(self.name, _ONLY_APPLICATIONS)
        if environment.strip().lower() == PRODUCTION:
            words = f"nothing is made in the environment {PRODUCTION!r}: name another one"
            raise Refused(self.name, words)
        async with self._one_by_one:
            like = await self._model(model)
            project = await self._project(like.project_id)
            if there := self._with(marker, project):
                self._unseen.discard(marker)
                return there
            if marker in self._unseen:
                raise self._not_listed(name, environment, project)
            where = _named(environment, project) or await self._new_environment(
                environment, project
            )
            # A service's name has to be fit for a host name, too.
            service = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            body = {
                "name": name,
                "appName": service[:_LONGEST_NAME].strip("-") or "app",
                "description": marker,
                "environmentId": where,
            }
            await self._change("application.create", body | at_server(like.server_id))
            project = await self._project(like.project_id)
            if there := self._with(marker, project):
                return there
            self._unseen.add(marker)
            raise self._not_listed(name, environment, project)

    def _not_listed(self, name: str, environment: str, project: models.Project) -> Refused:
        words = (
            f"it made the app {name!r} in {project.name}/{environment} and does not list it for"
            " this key: give the key's user access to that service, or remove it and restart the"
            " bridge"
        )
        return Refused(self.name, words)

    def _with(self, marker: str, project: models.Project) -> App | None:
        return next((app for app in self._ours_in(project) if app.marker == marker), None)

    async def _new_environment(self, name: str, project: models.Project) -> str:
        """Make an environment; return the id of the oldest one with its name."""
        assert project.id is not None
        body = {"name": name, "description": _DESCRIPTION, "projectId": project.id}
        await self._change("environment.create", body)
        if (found := _named(name, await self._project(project.id))) is None:
            words = f"it made the environment {name!r} in {project.name} and does not list it"
            raise Refused(self.name, words)
        return found

    # ── Configure ────────────────────────────────────────────────────────────

    async def set_build(self, app: App, build: Build) -> None:
        """See `ports.backends.MakesApps`; writes what differs, all in one request.

        Raises:
            Refused: also if something is stored otherwise; the words name the column.

        Source: docs/dokploy.md, "Environments and applications" (`application.update`).
        """
        model, own = await asyncio.gather(self._model(build.model), self._own(app))
        wanted = columns_for(build, model)
        if not (changes := differing(own, wanted)):
            return
        await self._change("application.update", id_of(app) | changes)
        own = await self._own(app)
        if missing := differing(own, wanted):
            raise Refused(self.name, f"{app.label}: {not_stored(own, missing)}")

    async def set_addresses(self, app: App, addresses: Sequence[Address]) -> None:
        # docs/dokploy.md, "Domains, containers": the same host twice is accepted
        with self._naming_rights(path := "domain.byApplicationId"):
            stored = await self._http.read(path, list[models.OwnDomain], id_of(app))
        superfluous, missing = domain_changes(stored, addresses)
        if not superfluous and not missing:
            return
        await self._own(app)
        for id_ in superfluous:
            await self._change_if_there("domain.delete", {"domainId": id_})
        for domain in missing:
            kind = {"domainType": app.kind.value}
            await self._change("domain.create", id_of(app) | kind | domain)

    async def suggest_host(self, app: App) -> str | None:
        """See `ports.backends.MakesApps`; another one at each call, and nothing is stored.

        None if Dokploy does not know its own address, and for the embedded backend's sites behind
        a public address.

        Source: docs/dokploy.md, "Domains, containers" (`domain.generateDomain`).
        """
        service, server = await self._service(app)
        body = {"appName": service} | at_server(server)
        host = await self._change("domain.generateDomain", body)
        is_local = urlsplit(self._http.origin).hostname in LOOPBACK
        if host.endswith(".localhost"):
            return host if local_port(host, self._sites) else None
        if not host or ("-127-0-0-1." in host and not is_local):
            return None
        return host

    def url_at(self, host: str, *, https: bool) -> str:
        return address_at(host, https=https, sites=self._sites)

    # ── Remove ───────────────────────────────────────────────────────────────

    async def remove(self, app: App) -> None:
        # docs/dokploy.md, "Environments and applications" (`application.delete`)
        with UnlessGone():
            await self._own(app)
            await self._change_if_there("application.cleanQueues", id_of(app))
            await self._change("application.delete", id_of(app))

    async def left_behind(self, app: App) -> list[Container] | None:
        """See `ports.backends.MakesApps`; None, too, without the name of the app's service.

        A Swarm service is found on every node if the key may look (`docker: read`), else only its
        containers on the app's server.
        """
        known = None
        with UnlessGone():
            known = await self._service(app)
        if known is None:
            return None
        service, server = known
        found = await self.running(service, server)
        if found != []:
            return found
        tasks = await self._tasks(service, server)
        if tasks is None:  # the containers have to do
            return found
        return [Container(task.name, task.state or "", task.current_state or "") for task in tasks]

    # ── Requests ─────────────────────────────────────────────────────────────

    async def _service(self, app: App) -> tuple[str, str | None]:
        """Return the name of an application's service, and its server unless it is Dokploy's."""
        if not app.service:
            named = await self._read_one(app, models.NamedApp)
            if named.app_name is None:
                raise Refused(self.name, f"{app.label} has no service")
            return named.app_name, named.server_id
        service, _, server = app.service.partition("@")
        return service, server or None

    async def _model(self, app: App) -> models.ModelApp:
        return await self._read_one(app, models.ModelApp)

    async def _own(self, app: App) -> models.OwnApp:
        """Read an app of ours; raise Refused if it is not."""
        own = await self._read_one(app, models.OwnApp)
        marker = marker_of(own.description)
        if not marker or (app.marker and app.marker != marker):
            words = f"{app.label} is not the bridge's own: its description says otherwise"
            raise Refused(self.name, f"{words}; it is neither changed nor removed")
        return own

    async def _read_one(self, app: App, form: type[T]) -> T:
        with self._naming_rights("application.one"):
            return await self._http.read("application.one", form, id_of(app))

    async def _change(self, path: str, body: dict[str, Any]) -> str:
        with self._naming_rights(path):
            return await self._http.change(path, body)

    async def _change_if_there(self, path: str, body: dict[str, Any]) -> None:
        with UnlessGone():
            await self._change(path, body)

    @contextmanager
    def _naming_rights(self, path: str) -> Iterator[None]:
        """Name the right that a key lacks."""
        try:
            yield
        except Refused as error:
            if not isinstance(error, Forbidden) and not _FORBIDDEN.search(error.words):
                raise
            remedy = f"{path} needs that right"
            if "have access" in error.words:
                remedy = "give the key's user access to it in Dokploy"
            elif path in RIGHTS:
                remedy = f"give the key's user the right {RIGHTS[path]} in Dokploy"
            words = f"{error.words}: {remedy}"
            raise Forbidden(self.name, words, status=error.status) from error


def _age(app: App) -> tuple[float, str]:
    return (app.made_at or 0.0, app.id)


def _named(name: str, project: models.Project) -> str | None:
    """Return the id of a project's oldest environment with that name, except the default one."""
    ids = [
        (env.created_at or 0.0, env.id)
        for env in project.environments
        if env.name == name and not env.is_default and env.id is not None
    ]
    return min(ids)[1] if ids else None
