"""What runs of an application: its containers, what they print, and earlier builds again."""

import asyncio

from bridge.embedded.building.containers import (
    inspect_container,
    list_containers,
    named_containers,
    output_of,
)
from bridge.embedded.http import inputs
from bridge.embedded.http.applications import known
from bridge.embedded.http.procedure import (
    EMPTY,
    Empty,
    Failure,
    Parts,
    bad_request,
    not_found,
)
from bridge.embedded.paths import BuildFailed, NotKept, ToolSilent
from bridge.embedded.records import Record
from bridge.embedded.releases import Releases

_NOT_ROLLED_BACK = "Error input: Rolling back"


async def roll_back(parts: Parts, input_: inputs.RollbackId) -> Empty:
    """`rollback.rollback`: serve an earlier build again, before the answer; nothing records it."""
    deployment = await parts.history.one(input_.rollback_id)
    if deployment is None:
        raise bad_request(_NOT_ROLLED_BACK)
    application = await parts.catalog.application(deployment.application_id)
    if application is None:
        raise bad_request(_NOT_ROLLED_BACK)
    try:
        await parts.engine.restore(application, deployment)
    except NotKept as error:
        raise bad_request(_NOT_ROLLED_BACK) from error
    except BuildFailed as error:
        raise bad_request(f"{_NOT_ROLLED_BACK}: {error}") from error
    return EMPTY


async def containers_named(parts: Parts, input_: inputs.ContainersOf) -> list[Record]:
    """`docker.getContainersByAppNameMatch`; unlike in Dokploy a static site runs in none: 404.

    A name that no application has any more is looked up among the containers that the server has
    started. If Docker does not answer there are none, as in Dokploy: an application with a
    container is not deleted meanwhile.
    """
    id_ = await parts.catalog.application_named(input_.app_name)
    if id_ is not None:
        return await _containers(parts, await known(parts, id_))
    try:
        return await named_containers(input_.app_name, parts.search_path)
    except ToolSilent:
        return []


async def all_containers(parts: Parts, _input: inputs.Containers) -> list[Record]:
    """`docker.getContainers`: all that the server has started, and what its static sites serve.

    A site runs in no container: under its own name it has the release that it serves as its id.
    """
    applications = [
        one
        for project in await parts.catalog.projects()
        for environment in project["environments"]
        for one in environment["applications"]
    ]
    sites = await asyncio.to_thread(
        lambda: [row for one in applications if (row := _site(parts, one)) is not None]
    )
    try:
        return sites + await named_containers("", parts.search_path)
    except ToolSilent:
        return sites


def _site(parts: Parts, application: Record) -> Record | None:
    """Return a static site as if it were a container; None if it serves nothing, or is none."""
    releases = Releases.of(parts.places, application["applicationId"])
    facts = releases.served_facts()
    if facts is None or facts.image is not None:
        return None
    name = application["appName"]
    return {"containerId": releases.served(), "name": name, "state": "running", "status": ""}


async def inspect(parts: Parts, input_: inputs.ContainerId) -> Record | Empty:
    """`docker.getConfig`: what a container is made of, without its variables; empty if unknown.

    A static site runs in none: under its own name it has the release that it serves as its image.
    """
    name = input_.container_id
    id_ = await parts.catalog.application_named(name)
    if id_ is not None:
        releases = Releases.of(parts.places, id_)
        release = await asyncio.to_thread(releases.served)
        return {"Id": name, "Name": f"/{name}", "Image": f"release:{release}"} if release else EMPTY
    try:
        return await inspect_container(name, parts.search_path) or EMPTY
    except ToolSilent:  # as in Dokploy, where Docker's exit code says no more than that
        return EMPTY


async def read_output(parts: Parts, input_: inputs.ReadOutput) -> str:
    """`application.readLogs`: the last lines that the newest container printed."""
    application = await known(parts, input_.application_id)
    found = await _containers(parts, application)
    if not found:
        words = f"No container or service found for: {application['appName']}"
        raise Failure("INTERNAL_SERVER_ERROR", words)
    try:
        return await output_of(found[0]["containerId"], input_.tail, parts.search_path)
    except ToolSilent as error:
        raise Failure("SERVICE_UNAVAILABLE", str(error)) from error


async def _containers(parts: Parts, application: Record) -> list[Record]:
    """Return an application's containers.

    Raises:
        Failure: it is a static site, which has none by its nature; or Docker does not answer.
            Both are no empty list, which means that nothing runs.
    """
    id_ = application["applicationId"]
    facts = await asyncio.to_thread(Releases.of(parts.places, id_).served_facts)
    is_site = application["buildType"] == "static" and application["sourceType"] != "docker"
    if (facts.image is None) if facts else is_site:
        raise not_found("Container")
    try:
        return await list_containers(id_, parts.search_path)
    except ToolSilent as error:
        raise Failure("SERVICE_UNAVAILABLE", str(error)) from error
