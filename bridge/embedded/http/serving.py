"""`docker.*`, `rollback.*` and `domain.*`: what is served of an application, and where.

Its containers and what they print, earlier builds again, and the host names of static sites.
"""

import asyncio
import re
import sqlite3
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from bridge.embedded.building.containers import (
    inspect_container,
    list_containers,
    named_containers,
    output_of,
)
from bridge.embedded.building.sites import HOST_SUFFIX
from bridge.embedded.http import answers
from bridge.embedded.http.applications import known
from bridge.embedded.http.inputs import (
    CONTAINER_PATTERN,
    STORABLE,
    ApplicationId,
    Id,
    Input,
    Number,
    Text,
)
from bridge.embedded.http.procedure import (
    EMPTY,
    Empty,
    Failure,
    Parts,
    bad_request,
    existing,
    not_found,
)
from bridge.embedded.storage.history import Releases
from bridge.embedded.storage.paths import BuildFailed, NotKept, ToolSilent
from bridge.embedded.storage.records import Record, moment

Container = Annotated[str, Field(min_length=1, pattern=CONTAINER_PATTERN), STORABLE]


class ReadOutput(Input):
    """`application.readLogs`: the last `tail` lines that a container printed."""

    application_id: Id
    tail: Annotated[int, Field(ge=1, le=10_000, strict=False)] = 100


class RollbackId(Input):
    """The id of an earlier build that is kept; here it is that of its deployment."""

    rollback_id: Id


class ContainersOf(Input):
    """`docker.getContainersByAppNameMatch`."""

    app_name: Container
    app_type: Literal["stack", "docker-compose"] | None = None
    server_id: Text | None = None


class Containers(Input):
    """`docker.getContainers`."""

    server_id: Text | None = None


class ContainerId(Input):
    """`docker.getConfig`."""

    container_id: Container
    server_id: Text | None = None


_NOT_ROLLED_BACK = "Error input: Rolling back"


async def roll_back(parts: Parts, input_: RollbackId) -> Empty:
    """`rollback.rollback`: serve an earlier build again, before the answer; nothing records it."""
    deployment = await parts.history.one(input_.rollback_id)
    if deployment is None:
        raise bad_request(_NOT_ROLLED_BACK)
    application = await parts.catalog.application(deployment.application_id)
    if application is None:
        raise bad_request(_NOT_ROLLED_BACK)
    try:
        await parts.engine.pipeline.restore(application, deployment)
    except NotKept as error:
        raise bad_request(_NOT_ROLLED_BACK) from error
    except BuildFailed as error:
        raise bad_request(f"{_NOT_ROLLED_BACK}: {error}") from error
    return EMPTY


async def containers_named(parts: Parts, input_: ContainersOf) -> list[Record]:
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


async def all_containers(parts: Parts, _input: Containers) -> list[Record]:
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


async def inspect(parts: Parts, input_: ContainerId) -> Record | Empty:
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


async def read_output(parts: Parts, input_: ReadOutput) -> str:
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


# ── Domains ───────────────────────────────────────────────────────────────────────────────────────


def _host(host: str) -> str:
    """Refuse what Dokploy does not take as a host name."""
    if not re.fullmatch(HOST_PATTERN, host):
        raise ValueError(
            "Invalid domain name. Use only letters, numbers, hyphens and dots (e.g. example.com)."
            " Underscores are not allowed."
        )
    return host


_LABEL = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
HOST_PATTERN = rf"(?:{_LABEL}\.)*{_LABEL}"


def _port(port: int) -> int:
    if not 1 <= port <= _LAST_PORT:
        raise ValueError(f"Port must be {_LAST_PORT} or below" if port > 1 else _TOO_SMALL)
    return port


_LAST_PORT = 65535
_TOO_SMALL = "Port must be at least 1"


class DomainCreate(Input):
    """`domain.create`; a compose stack, a preview and a service's name are of no use here."""

    host: Annotated[
        str, AfterValidator(_host), Field(json_schema_extra={"pattern": f"^{HOST_PATTERN}$"})
    ]
    path: Annotated[Text, Field(min_length=1)] = "/"
    port: Annotated[
        Number,
        AfterValidator(_port),
        Field(json_schema_extra={"minimum": 1, "maximum": _LAST_PORT}),
    ] = 3000
    https: bool = False
    application_id: Text | None = None
    domain_type: Literal["application"] = "application"
    certificate_type: Literal["letsencrypt", "none", "custom"] = "none"
    custom_cert_resolver: Text | None = None
    internal_path: Text = "/"
    strip_path: bool = False


class DomainId(Input):
    """The id of a domain."""

    domain_id: Id


class DomainSuggestion(Input):
    """`domain.generateDomain`."""

    app_name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9-]*$"), STORABLE]
    server_id: Text | None = None


async def domain_create(parts: Parts, input_: DomainCreate) -> Record:
    """`domain.create`."""
    domain = answers.NEW_DOMAIN | input_.model_dump(by_alias=True, exclude_unset=True)
    domain |= {"domainId": parts.new_id(), "createdAt": moment(parts.clock())}
    try:
        return await parts.domains.add(domain)
    except sqlite3.IntegrityError as error:
        # Dokploy answers with the failed SQL, also in a 400 (docs/dokploy.md, "Errors").
        raise Failure("BAD_REQUEST", 'Failed query: insert into "domain"') from error


async def domains_of(parts: Parts, input_: ApplicationId) -> list[Record]:
    """`domain.byApplicationId`; an unknown application has none."""
    application = await parts.catalog.application(input_.application_id)
    if application is None:
        return []
    named = {name: application[name] for name in ("applicationId", "appName", "name")}
    found = await parts.domains.of(input_.application_id)
    return [one | {"application": named} for one in found]


async def domain_delete(parts: Parts, input_: DomainId) -> Record:
    """`domain.delete`."""
    return existing("Domain", await parts.domains.remove(input_.domain_id))


async def domain_suggest(_parts: Parts, input_: DomainSuggestion) -> str:
    """`domain.generateDomain`: the host that a site has anyway; nothing is stored."""
    if input_.server_id:
        raise not_found("Server")
    return f"{input_.app_name}{HOST_SUFFIX}"
