"""A real PgBouncer on loopback, before the tests' own Postgres, as its package configures it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.chaos.recording_backend import free_port
from tests.oracles.programs import program
from tests.worlds.postgres import GUARDIAN, START_SECONDS, USER, other_user

CONFIGURED = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
logfile = {folder}/log
pool_mode = {mode}
"""
"""Only what is needed to run it beside others, and its mode; the rest is as it comes."""


@contextmanager
def pooled(url: str, mode: str) -> Iterator[str]:
    """Give a database's url by way of a PgBouncer; skip the test where there is none."""
    pgbouncer = program("pgbouncer")
    direct = psycopg.conninfo.conninfo_to_dict(url)
    folder, own_port = Path(tempfile.mkdtemp(prefix="pgbouncer-")), free_port()
    try:
        (folder / "users").write_text(f'"{USER}" ""\n')
        where = {"host": direct["host"], "port": direct["port"], "folder": folder}
        text = CONFIGURED.format(mode=mode, own_port=own_port, **where)
        (folder / "pgbouncer.ini").write_text(text)
        if (user := other_user()).get("user") is not None:
            for path in (folder, *folder.iterdir()):
                os.chown(path, int(str(user["user"])), int(str(user["group"])))
        through = f"postgresql://{USER}@127.0.0.1:{own_port}/{direct['dbname']}"
        with _running([pgbouncer, str(folder / "pgbouncer.ini")], folder):
            _wait(through, folder)
            yield through
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[None]:
    """Run it until the end of the test, or of the tests if they are killed."""
    at_once = GUARDIAN.replace("-INT", "-QUIT")
    running = subprocess.Popen(
        ["/bin/sh", "-c", at_once, "guardian", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **other_user(),  # type: ignore[call-overload]
    )
    try:
        yield
    finally:
        assert running.stdin is not None
        running.stdin.close()
        running.wait(START_SECONDS)


def _wait(url: str, folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                log = folder / "log"
                why = log.read_text(errors="replace")[-500:] if log.exists() else str(error)
                pytest.fail(f"PgBouncer does not start: {why}")
            time.sleep(0.05)
        else:
            return
