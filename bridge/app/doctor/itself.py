"""Check the bridge itself: its data, its database, and whether its apps can be deployed."""

import asyncio
import shlex
import shutil
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.app.data_folder import SHARED_SESSIONS, database_away, database_url
from bridge.app.keyrings import heard_of
from bridge.app.presence import is_running
from bridge.app.providers import host_apis
from bridge.core.database import connect_arguments
from bridge.core.errors import Rejected, Unreachable
from bridge.core.pins import pin_of, tracked
from bridge.githosts.server import homes_of
from bridge.outbound import ALLOW, networks_of, never_asked
from bridge.pipeline.deciding.reconcile import wanted_of
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.gates.gates import ONE_BRANCH
from bridge.ports.checks import Finding, Level
from bridge.storage.seal import NoSeal

if TYPE_CHECKING:
    from bridge.core.apps import App
    from bridge.ports.providers import HostServer
    from bridge.settings import Settings

FULL, SHORT = 100 * 2**20, 2**30
"""Bytes of free space that are an error, and a warning."""

OLDEST_POSTGRES = 13

FEWEST_CONNECTIONS = 15
"""Connections that a worker needs."""

MOUNTS = Path("/proc/self/mountinfo")

NETWORKED = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "ceph"})
"""File systems on which SQLite's locks do not hold."""


async def runs(settings: "Settings") -> bool:
    """Return whether a bridge runs on these data, without creating any.

    Raises:
        BridgeError: the data can't be used.
    """
    if database_url(settings) is None and not (settings.data / "lock").exists():
        return False
    return await asyncio.to_thread(is_running, settings)


async def of_data(
    settings: "Settings", running: bool | None, trouble: Finding | None
) -> AsyncIterator[Finding]:
    """Yield what is found in the data folder or the database.

    Args:
        running: whether a bridge runs on them; None: that can't be known.
        trouble: why the stores can't be opened.
    """
    if running:
        yield Finding(Level.OK, "bridge.running", "the bridge", "it runs on these data")
    elif running is not None:
        says = "no bridge runs on these data, so webhooks are not received"
        remedy = (
            "start `dokploy-bridge serve`; if it runs, set BRIDGE_DATA to the folder that it uses"
        )
        yield Finding(Level.WARNING, "bridge.running", "the bridge", says, remedy)
    url = database_url(settings)
    if url is None:
        found = await asyncio.to_thread(lambda: list(_of_folder(settings.data)))
    else:
        found = await _of_database(settings, url)
    if trouble is not None and all(one.level is not Level.ERROR for one in found):
        found.append(trouble)
    for finding in found:
        yield finding


async def _of_database(settings: "Settings", url: str) -> list[Finding]:
    found = await asyncio.to_thread(_of_postgres, url)
    if all(one.check != "bridge.postgres" for one in found):
        found.append(await _sessions(url))
    if not settings.secret_key:
        says = "no key seals secrets that are stored, so some features are off"
        remedy = NoSeal.REMEDY
        found.append(Finding(Level.WARNING, "bridge.secret_key", "the bridge", says, remedy))
    return found


# ── SQLite in a folder ──────────────────────────────────────────────────────────────────────────


def _of_folder(data: Path) -> Iterator[Finding]:
    there = next(one for one in (data, *data.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free
    says = f"{free / 2**30:.1f} GB are free"
    if free < SHORT:
        level = Level.ERROR if free < FULL else Level.WARNING
        remedy = "make room; without it webhooks are answered 503, and Git hosts lose them"
        yield Finding(level, "bridge.disk", "the data", f"only {says}", remedy)
    else:
        yield Finding(Level.OK, "bridge.disk", "the data", says)
    if (kind := _file_system(there)) in NETWORKED:
        says = f"{data} is on a network file system ({kind}), where SQLite may lose some"
        remedy = "choose a local disk with BRIDGE_DATA, or a Postgres with DATABASE_URL"
        yield Finding(Level.ERROR, "bridge.filesystem", "the data", says, remedy)


def _file_system(folder: Path) -> str:
    """Return the kind of file system that a folder is on; "" if it can't be told."""
    try:
        lines = MOUNTS.read_text().splitlines()
    except OSError:
        return ""
    found = ("", "")
    for line in lines:
        before, _, after = line.partition(" - ")
        mount, kind = before.split()[4], after.split()[0]
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(found[0]):
            found = mount, kind
    return found[1]


# ── Postgres ────────────────────────────────────────────────────────────────────────────────────

_QUERY = """
SELECT current_setting('server_version_num')::int / 10000,
    current_setting('max_connections')::int
        - current_setting('superuser_reserved_connections')::int
        - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
"""


def _of_postgres(url: str) -> list[Finding]:
    import psycopg

    about = "the database"
    try:
        with psycopg.connect(url, autocommit=True, **connect_arguments("doctor")) as db:
            version, left = db.execute(_QUERY).fetchone() or (0, 0)
    except psycopg.Error as error:
        remedy = "check DATABASE_URL, and whether the server runs"
        says = database_away(" ".join(str(error).split()))
        return [Finding(Level.ERROR, "bridge.postgres", about, says, remedy)]
    return [_version(about, version), _connections(about, left)]


async def _sessions(url: str) -> Finding:
    from bridge.durable.peers import keeps_sessions

    about = "the database"
    try:
        kept = await keeps_sessions(url)
    except Unreachable as error:
        remedy = "check DATABASE_URL, and whether the server has connections left"
        return Finding(Level.ERROR, "bridge.postgres", about, database_away(str(error)), remedy)
    if not kept:
        return Finding(Level.ERROR, "bridge.postgres.sessions", about, *SHARED_SESSIONS)
    return Finding(Level.OK, "bridge.postgres.sessions", about, "its sessions are not shared")


def _version(about: str, version: int) -> Finding:
    says = f"it is Postgres {version}"
    if version < OLDEST_POSTGRES:
        remedy = f"update it to {OLDEST_POSTGRES} or newer"
        return Finding(Level.ERROR, "bridge.postgres.version", about, says, remedy)
    return Finding(Level.OK, "bridge.postgres.version", about, says)


def _connections(about: str, left: int) -> Finding:
    says = f"{left} connections are left"
    if left < FEWEST_CONNECTIONS:
        remedy = "raise max_connections: a worker needs 13, a web process 6"
        return Finding(Level.WARNING, "bridge.postgres.connections", about, f"only {says}", remedy)
    return Finding(Level.OK, "bridge.postgres.connections", about, says)


# ── Apps ────────────────────────────────────────────────────────────────────────────────────────


def repositories_of(settings: "Settings", apps: Sequence["App"]) -> Mapping[str, list[str]]:
    """Return the repositories that apps deploy from, by the Git host's server."""
    found: dict[str, list[str]] = {}
    for host, name in sorted(wanted_of(apps, homes_of(settings.host_servers().values()))):
        found.setdefault(host, []).append(name)
    return found


def of_apps(
    settings: "Settings",
    apps: Sequence["App"],
    titles: Mapping[str, str],
    made: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield the apps that deploy twice, or that no push can deploy.

    Args:
        titles: what people call each backend.
        made: the hosts at which the bridge has made webhooks.
    """
    servers = settings.host_servers()
    if not any(one.serves or name in made for name, one in servers.items()):
        says = "no Git host is served, so no push arrives"
        yield Finding(Level.WARNING, "bridge.hosts", "the bridge", says, _secrets(servers.values()))
        return
    heard = heard_of(settings, made)
    for app in apps:
        if heard(app):
            if app.deploys_twice:
                title = titles.get(app.backend, app.backend)
                says = f"{title} deploys its pushes, too, so each push deploys twice"
                remedy = f"switch it off: `dokploy-bridge adopt {shlex.quote(app.label)}`"
                yield Finding(Level.WARNING, "app.auto_deploy", app.label, says, remedy)
        elif app.pushed:
            where = next(iter(wanted_of([app], homes_of(servers.values()))), None)
            yield _unserved(app, servers.get(where[0]) if where else None)


def of_pins(
    settings: "Settings", apps: Sequence["App"], titles: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield pinned apps that are not built from their own branch, or that can't be.

    Args:
        apps: with our own rules applied.
        titles: what people call each backend.
    """
    pinned = [app for app in apps if app.rules.pin or pin_of(app)]
    try:
        apis = host_apis(settings) if pinned else {}
    except Rejected:  # what is wrong with the settings is said of them
        return
    pins = Pins(apis, homes_of(settings.host_servers().values()))
    for app in pinned:
        yield _of_pin(app, titles.get(app.backend, app.backend), pins.missing(app))


def _of_pin(app: "App", title: str, missing: str | None) -> Finding:
    """Return whether a pinned app is built from its own branch.

    Args:
        missing: why its branch can't be moved.
    """
    name, level = shlex.quote(app.label), Level.ERROR
    pin, tracks = pin_of(app), tracked(app)
    if missing is not None:
        says = f"it can't be pinned: {missing}"
        remedy = f"set that, or run `dokploy-bridge unpin {name}`"
    elif pin is None:
        says = f"a rule pins it, and {title} does not build its own branch: nothing deploys"
        remedy = f"run `dokploy-bridge pin {name}`"
    elif tracks is None:
        says, remedy = ONE_BRANCH, f"run `dokploy-bridge pin {name} --branch main`"
    elif not app.rules.pin:
        level, says = Level.WARNING, f"{title} builds its own branch, {pin}, and no rule pins it"
        remedy = f"run `dokploy-bridge pin {name}`, or `dokploy-bridge unpin {name}`"
    else:
        level, remedy = Level.OK, ""
        says = f"it is pinned: {title} builds {pin}, which tracks {tracks}"
    return Finding(level, "app.pin", app.label, says, remedy)


UNKNOWN_HOST = (
    "set the address of its server, if the bridge supports that kind; otherwise deploy it"
    " with `dokploy-bridge deploy`"
)


def _unserved(app: "App", server: "HostServer | None") -> Finding:
    assert app.source is not None
    source = app.source.repository or app.source.url or app.source.type.value
    says = f"no push of {source} can deploy it: its Git host is not served"
    remedy = f"{_secrets([server])}, and add a webhook there" if server else UNKNOWN_HOST
    return Finding(Level.WARNING, "app.source", app.label, says, remedy)


def _secrets(servers: "Iterable[HostServer]") -> str:
    names = [one.setting(one.provider.secrets[0].setting) for one in servers]
    return f"set {' or '.join(names)}"


def of_verified(settings: "Settings", apps: "Sequence[App]") -> Iterator[Finding]:
    """Yield the apps whose own address our rules would verify, and which is never asked."""
    allowed = networks_of(settings.verify.allow)
    for app in apps:
        if app.verify is None or app.url is None or not app.verify.url.startswith("/"):
            continue  # a whole address is checked with the rule that has it
        if why := never_asked(app.url, allowed):
            yield Finding(Level.WARNING, "app.verify", app.label, why, ALLOW)
