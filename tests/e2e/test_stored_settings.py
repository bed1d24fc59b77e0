"""A running bridge takes over what setup has stored: by the command line, at the same address."""

import asyncio
import hashlib
import hmac
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.worlds.cli import push
from tests.worlds.processes import PIPE, Running
from tests.worlds.shell import PATIENCE, SECRET, Shell, event

OTHER = "another secret that setup has stored"


@asynccontextmanager
async def started(shell: Shell, *words: str) -> AsyncIterator[Running]:
    process = await shell.start("serve", *words)
    try:
        yield process
        assert process.returncode is None
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await process.communicate()
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def signed(number: int, secret: str) -> dict[str, Any]:
    body = json.dumps(push(number=number)).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": "push",
        "X-GitHub-Delivery": f"d{number}",
        "X-Hub-Signature-256": f"sha256={signature}",
        "Content-Type": "application/json",
    }
    return {"content": body, "headers": headers}


async def test_it_starts_anew_with_the_same_address_and_refuses_no_connection(
    tmp_path: Path,
) -> None:
    shell = Shell(tmp_path, more={"BRIDGE_GITHUB_WEBHOOK_SECRETS": ""})
    async with started(shell) as process:
        first = await event(process, "serving")
        statuses: list[int] = []
        ended = asyncio.Event()

        async def hammer() -> None:
            while not ended.is_set():
                async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as web:
                    answer = await web.get(f"{first['url']}/healthz")
                statuses.append(answer.status_code)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hammer())
            setting = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bridge", "config", "set", "github.webhook_secrets"),
                cwd=tmp_path,
                env=shell.environment,
                stdin=PIPE,
                stderr=PIPE,
            )
            _, errors = await setting.communicate(OTHER.encode())
            assert setting.returncode == 0, errors.decode()
            await event(process, "restarting: the stored settings have changed")
            second = await event(process, "serving")
            ended.set()

        assert (second["url"], second["hosts"]) == (first["url"], ["github"])
        assert set(statuses) == {200}
        async with httpx.AsyncClient(base_url=first["url"], trust_env=False) as web:
            answer = await web.post("/hooks/github", **signed(1, OTHER))
            wrong = await web.post("/hooks/github", **signed(2, SECRET))
        assert (answer.status_code, wrong.status_code) == (202, 401)
