"""What there is to compare with, on bare aiohttp and uvloop:

floor        reads the body and answers 202: no server in Python does less
hmac         checks the signature as well
transaction  keeps every webhook in a SQLite transaction of its own, as most would
"""

import asyncio
import hashlib
import hmac
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web

try:
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop  # type: ignore[assignment]

SECRET = b"a secret of the bench"


def main(kind: str, port: int, path: str) -> None:
    """Serve until told to stop."""
    writer = ThreadPoolExecutor(1)
    database: list[sqlite3.Connection] = []

    def open_database() -> None:
        database.append(sqlite3.connect(path, isolation_level=None))
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            database[0].execute(f"PRAGMA {pragma}")
        database[0].execute("CREATE TABLE inbox (id TEXT PRIMARY KEY, event TEXT, body BLOB)")

    def keep(id_: str, event: str, body: bytes) -> None:
        database[0].execute("BEGIN IMMEDIATE")
        database[0].execute("INSERT OR IGNORE INTO inbox VALUES (?, ?, ?)", (id_, event, body))
        database[0].execute("COMMIT")

    async def hook(request: web.Request) -> web.Response:
        body = await request.read()
        if kind != "floor":
            given = request.headers.get("X-Hub-Signature-256", "")
            wanted = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
            if not hmac.compare_digest(given.encode(), wanted.encode()):
                return web.Response(status=401)
        if kind == "transaction":
            headers = request.headers
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(
                writer, keep, headers["X-GitHub-Delivery"], headers["X-GitHub-Event"], body
            )
        return web.Response(status=202, body=b"{}", content_type="application/json")

    if kind == "transaction":
        writer.submit(open_database).result()
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/hooks/github", hook)
    web.run_app(
        app, host="127.0.0.1", port=port, access_log=None, print=None, loop=new_event_loop()
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
