"""The containers, images and output of the applications of a Dokploy."""

from collections.abc import Sequence

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden, NotDokploy
from bridge.backends.dokploy.configure import id_of
from bridge.backends.dokploy.http import Http
from bridge.backends.dokploy.reads import service_of
from bridge.core.apps import App, AppKind
from bridge.core.errors import Refused
from bridge.core.health.containers import Container

MOST_LINES = 10_000
"""The most lines of a log that one answer has."""

_MOST_IMAGES = 10_000  # to remember


class Running:
    """Implements `ShowsContainers`, `ShowsImages`, `TellsStopped`, `ReachesSites` for `Dokploy`.

    Compose stacks show nothing here: the containers of their unchanged services outlive each
    deployment, so they are neither judged nor compared like those of an application.
    """

    _http: Http
    _sites: str | None

    def __init__(self) -> None:
        self._names: dict[str, models.NamedApp] = {}
        self._images: dict[tuple[str | None, str], str] = {}

    async def containers(self, app: App) -> list[Container] | None:
        """Return an application's containers; None for a stack, or if the key may not read them.

        None, too, for a static site of the embedded backend, which runs in no container. Those on
        other nodes of a Swarm are not among them; there may be none at all, too, because the server
        could not ask Docker.
        """
        service = await self._service_of(app)
        return None if service is None else await self.running(*service)

    async def output(self, app: App, lines: int) -> str:
        # 264-application.readLogs-no-container in tests/fixtures/dokploy: "" if it has none
        if app.kind is not AppKind.APPLICATION:
            return ""
        query = id_of(app) | {"tail": min(max(lines, 1), MOST_LINES)}
        try:
            found = await self._http.read("application.readLogs", object, query)
        except Refused:
            return ""
        return found if isinstance(found, str) else ""

    async def images(self, app: App) -> tuple[str, ...] | None:
        """See `ports.backends.ShowsImages`; None for a stack, or without the right `docker: read`.

        None, too, while it runs on another node of a Swarm only, or a container ends meanwhile.
        """
        if (service := await self._service_of(app)) is None:
            return None
        name, server = service
        found = await self._listed(name, server)
        if found is None:
            return await self._release(name)
        running = [container.id for container in found if container.state == "running"]
        if not running:
            return () if await self._runs_nowhere(name, server) else None
        images = [await self._image(id_, server) for id_ in running]
        known = {image for image in images if image is not None}
        return None if None in images else tuple(sorted(known))

    async def fingerprints(self, apps: Sequence[App]) -> dict[str, str]:
        # docs/dokploy.md, "Domains, containers"; none without the right `docker: read`
        known = {app.service: app.id for app in apps if app.kind is AppKind.APPLICATION}
        found: dict[str, list[str]] = {}
        for server in {name.partition("@")[2] for name in known if name}:
            listed = await self._all_of(server)
            if listed:
                of = (id_ for name, id_ in known.items() if name.partition("@")[2] == server)
                found |= {id_: [] for id_ in of}
            for container in listed:
                app = known.get(service_of(container.name.partition(".")[0], server))
                if app is not None and container.state == "running":
                    found[app].append(container.id)
        return {app: " ".join(sorted(ids)) for app, ids in found.items()}

    async def stopped(self, app: App) -> bool | None:
        """Return whether an app is surely stopped; see `ports.backends.TellsStopped`.

        *Stop* sets a service to "idle"; so does a save of its source, but then it runs on, or is
        started again where it has crashed. The embedded backend can't stop an app.

        Source: docs/dokploy.md, "Environments and applications" (`stop`), and
        `docker.getServiceContainersByAppName` in tests/fixtures/dokploy (none of a stopped one).
        """
        if not self._http.has_dashboard:
            return False
        path = f"{app.kind.value}.one"
        if (await self._http.read(path, models.Status, id_of(app))).status != "idle":
            return False
        runs = await self.images(app)
        return None if runs is None else not runs

    async def running(self, service: str, server: str | None) -> list[Container] | None:
        """Return a service's containers; None if the key may not see them."""
        found = await self._listed(service, server)
        if found is None:
            return None
        return [
            Container(container.name, container.state or "", container.status or "")
            for container in found
        ]

    async def local_url(self, app: App) -> str | None:
        """Return where a static site of the embedded backend is reached from this machine."""
        if self._sites is None or app.kind is not AppKind.APPLICATION:
            return None
        named = await self._http.read("application.one", models.NamedApp, id_of(app))
        is_site = named.build_type == "static" and named.source_type != "docker"
        return f"{self._sites}/apps/{named.app_name}" if is_site else None

    async def _service_of(self, app: App) -> tuple[str, str | None] | None:
        """Return the name of an application's service and its server; None if it has none.

        Neither can ever change.
        """
        if app.kind is not AppKind.APPLICATION:
            return None
        if app.id not in self._names:
            found = await self._http.read("application.one", models.NamedApp, id_of(app))
            self._names[app.id] = found
        named = self._names[app.id]
        return None if named.app_name is None else (named.app_name, named.server_id)

    async def _listed(self, service: str, server: str | None) -> list[models.Running] | None:
        """Return a service's containers; None if the key may not see them.

        Source: docs/dokploy.md, "Domains, containers": the server matches names by prefix.
        """
        path = "docker.getContainersByAppNameMatch"
        query = {"appName": service} | at_server(server)
        try:
            found = await self._http.read(path, list[models.Running], query)
        except Refused as error:
            if error.status == 404 or isinstance(error, Forbidden):
                return None
            raise
        return [container for container in found if container.name.partition(".")[0] == service]

    async def _all_of(self, server: str) -> Sequence[models.Running]:
        """Return all containers of a server, "" for Dokploy's own; none if they can't be told."""
        try:
            return await self._http.read(
                "docker.getContainers", list[models.Running], at_server(server)
            )
        except (Refused, NotDokploy):  # an empty answer is not Dokploy's usual form
            return ()

    async def _runs_nowhere(self, service: str, server: str | None) -> bool:
        """Return whether no node runs, or will start, a service without a container on its own."""
        if not self._http.has_dashboard:  # the embedded backend is its only node
            return True
        tasks = await self._tasks(service, server)
        # One that was ended on purpose is shut down; one that has failed is started again.
        return tasks is not None and all(
            (task.current_state or "").lower().startswith("shutdown") for task in tasks
        )

    async def _tasks(self, service: str, server: str | None) -> list[models.Task] | None:
        """Return a service's tasks on all nodes; None if forbidden, or the server is too old."""
        path, query = "docker.getServiceContainersByAppName", {"appName": service}
        try:
            return await self._http.read(path, list[models.Task], query | at_server(server))
        except Refused:
            return None

    async def _image(self, container: str, server: str | None) -> str | None:
        """Return the image of a container, which never changes; None if that can't be told."""
        key = (server, container)
        if key not in self._images:
            if (image := await self._inspect(container, server)) is None:
                return None
            self._images[key] = image
            if len(self._images) > _MOST_IMAGES:
                del self._images[next(iter(self._images))]
        return self._images[key]

    async def _release(self, site: str) -> tuple[str, ...] | None:
        """Return which release a static site of the embedded backend serves; None for a Dokploy.

        A release has the id of the deployment that made it.
        """
        if self._http.has_dashboard:
            return None
        image = await self._inspect(site, None)
        return () if image is None else (image.removeprefix("release:"),)

    async def _inspect(self, container: str, server: str | None) -> str | None:
        """Return the image of a container; None if the key may not look, or it has ended.

        The answer has the container's variables, which are dropped while it is parsed.

        Source: docs/dokploy.md, "Domains, containers" (`docker.getConfig`).
        """
        query = {"containerId": container} | at_server(server)
        try:
            found = await self._http.read("docker.getConfig", models.Inspected, query, retries=0)
        except (Refused, NotDokploy):  # an empty answer is not Dokploy's usual form
            return None
        return found.image or None


def at_server(server: str | None) -> dict[str, str]:
    """Return the part of a query or body that names a server, unless it is Dokploy's own."""
    return {"serverId": server} if server else {}
