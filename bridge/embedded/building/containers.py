"""Containers outside a deployment: list them, read their output, remove them."""

import asyncio
import json
import logging
import os
import shutil

from bridge.embedded.storage.paths import ToolSilent
from bridge.embedded.storage.records import Record

log = logging.getLogger(__name__)

APPLICATION_LABEL = "bridge.application"
"""The label of every container that the server starts; its value is the application's id."""

_SECONDS = 20.0
_FORM = (
    '{"containerId":{{json .ID}},"name":{{json .Names}},'
    '"state":{{json .State}},"status":{{json .Status}}}'
)

# What the bridge needs of it, without the container's variables, and only of our own.
_INSPECTED = (
    f'{{{{if index .Config.Labels "{APPLICATION_LABEL}"}}}}'
    '{"Id":{{json .Id}},"Created":{{json .Created}},"Name":{{json .Name}},'
    '"Image":{{json .Image}},"Config":{"Image":{{json .Config.Image}}}}{{end}}'
)


async def list_containers(application_id: str, search_path: str | None) -> list[Record]:
    """Return an application's containers in Dokploy's form, newest first; none without Docker.

    Raises:
        ToolSilent: Docker does not answer.
    """
    return await _listed(search_path, "--filter", f"label={label_of(application_id)}")


async def _listed(search_path: str | None, *filters: str) -> list[Record]:
    argv = ("ps", "--all", *filters, "--format", _FORM)
    try:
        return [json.loads(line) for line in (await _docker(search_path, *argv)).splitlines()]
    except ValueError as error:
        raise ToolSilent("docker", "it lists containers in an unknown form") from error


async def named_containers(name: str, search_path: str | None) -> list[Record]:
    """Return the containers whose names begin like this; only those that the server has started.

    Raises:
        ToolSilent: Docker does not answer.
    """
    filters = ("--filter", f"label={APPLICATION_LABEL}", "--filter", f"name=^{name}")
    return await _listed(search_path, *filters)


async def inspect_container(id_: str, search_path: str | None) -> Record | None:
    """Return what a container is made of, in Docker's form; None if it is none of ours.

    Raises:
        ToolSilent: Docker does not answer, or knows no such container.
    """
    found = await _docker(search_path, "container", "inspect", "--format", _INSPECTED, "--", id_)
    try:
        return dict(json.loads(found)) if found.strip() else None
    except ValueError as error:
        raise ToolSilent("docker", "it describes a container in an unknown form") from error


async def output_of(container_id: str, lines: int, search_path: str | None) -> str:
    """Return the last lines that a container printed; raise ToolSilent."""
    return await _docker(search_path, "logs", "--tail", str(lines), container_id)


async def remove_containers(application_id: str, name: str, search_path: str | None) -> None:
    """Remove an application's containers and images; without Docker there are none.

    Args:
        name: of its images, of which some may be of builds that did not end well.

    Raises:
        ToolSilent: Docker does not answer, so containers may be left.
    """
    label = f"label={label_of(application_id)}"
    found = await _docker(search_path, "ps", "--all", "--quiet", "--filter", label)
    if found:
        await _docker(search_path, "rm", "--force", *found.split())
    try:
        form = "{{.Repository}}:{{.Tag}}"
        images = (await _docker(search_path, "image", "ls", "--format", form, name)).split()
        if images:
            await _docker(search_path, "image", "rm", *images)
    except ToolSilent as error:
        log.warning("images can't be removed", extra={"why": str(error)})


def label_of(application_id: str) -> str:
    """Return the label of an application's containers."""
    return f"{APPLICATION_LABEL}={application_id}"


async def _docker(search_path: str | None, *argv: str) -> str:
    """Return what Docker prints, on either stream; "" if it is not installed."""
    path = search_path or os.environ.get("PATH")
    docker = await asyncio.to_thread(shutil.which, "docker", path=path)
    if docker is None:
        return ""
    try:
        async with asyncio.timeout(_SECONDS):
            code, output = await _run(docker, *argv)
    except (OSError, TimeoutError) as error:
        raise ToolSilent("docker", type(error).__name__) from error
    if code != 0:
        raise ToolSilent("docker", f"exit code {code} of `docker {argv[0]}`")
    return output


async def _run(*argv: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace")
