"""Removing the containers of an application that is deleted."""

import asyncio
import logging
import os
import shutil

from bridge.backends.embedded.building.builders.docker import APPLICATION_LABEL

log = logging.getLogger(__name__)

_SECONDS = 20.0


async def remove_containers(application_id: str, search_path: str | None) -> None:
    """Remove them where Docker is there and answers; otherwise there are none of ours."""
    path = search_path or os.environ.get("PATH")
    docker = await asyncio.to_thread(shutil.which, "docker", path=path)
    if docker is None:
        return
    label = f"label={APPLICATION_LABEL}={application_id}"
    try:
        async with asyncio.timeout(_SECONDS):
            found = await _said(docker, "ps", "--all", "--quiet", "--filter", label)
            if found:
                await _said(docker, "rm", "--force", *found.split())
    except (OSError, TimeoutError) as error:
        log.warning("containers can't be removed", extra={"why": type(error).__name__})


async def _said(*argv: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace") if process.returncode == 0 else ""
