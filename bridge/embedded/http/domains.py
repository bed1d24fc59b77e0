"""`domain.*`: the host names under which static sites are served.

As in Dokploy several may have the same host. Those of other applications lead nowhere: there is no
proxy in front of their containers.
"""

import sqlite3

from bridge.embedded.http import inputs
from bridge.embedded.http.procedure import Failure, Parts, not_found
from bridge.embedded.records import Record, moment
from bridge.embedded.sites import HOST_SUFFIX


async def create(parts: Parts, input_: inputs.DomainCreate) -> Record:
    """`domain.create`."""
    domain = _DEFAULTS | input_.model_dump(by_alias=True, exclude_unset=True)
    domain |= {"domainId": parts.new_id(), "createdAt": moment(parts.clock())}
    try:
        return await parts.domains.add(domain)
    except sqlite3.IntegrityError as error:
        # Dokploy answers with the failed SQL, also in a 400 (docs/dokploy.md, "Errors").
        raise Failure("BAD_REQUEST", 'Failed query: insert into "domain"') from error


async def of_application(parts: Parts, input_: inputs.ApplicationId) -> list[Record]:
    """`domain.byApplicationId`; an unknown application has none."""
    application = await parts.catalog.application(input_.application_id)
    if application is None:
        return []
    named = {name: application[name] for name in ("applicationId", "appName", "name")}
    found = await parts.domains.of(input_.application_id)
    return [one | {"application": named} for one in found]


async def delete(parts: Parts, input_: inputs.DomainId) -> Record:
    """`domain.delete`."""
    domain = await parts.domains.remove(input_.domain_id)
    if domain is None:
        raise not_found("Domain")
    return domain


async def suggest(_parts: Parts, input_: inputs.DomainSuggestion) -> str:
    """`domain.generateDomain`: the host that a site has anyway; nothing is stored."""
    if input_.server_id:
        raise not_found("Server")
    return f"{input_.app_name}{HOST_SUFFIX}"


_DEFAULTS: Record = {
    "domainId": None,
    "host": None,
    "https": False,
    "port": 3000,
    "customEntrypoint": None,
    "path": "/",
    "serviceName": None,
    "domainType": "application",
    "uniqueConfigKey": None,
    "createdAt": None,
    "composeId": None,
    "customCertResolver": None,
    "applicationId": None,
    "previewDeploymentId": None,
    "certificateType": "none",
    "internalPath": "/",
    "stripPath": False,
    "middlewares": [],
    "forwardAuthEnabled": False,
    "enabled": True,
}
