"""`project.*` and `environment.*`."""

from bridge.backends.embedded.http import inputs, shapes
from bridge.backends.embedded.http.failures import bad_request, not_found
from bridge.backends.embedded.http.procedures.applications import erase
from bridge.backends.embedded.http.procedures.searching import found, page
from bridge.backends.embedded.parts import Parts
from bridge.backends.embedded.records.database import Record
from bridge.backends.embedded.records.ids import moment

_DEFAULT_NAME = "production"


async def all_(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`project.all`."""
    return [shapes.project_listed(project) for project in await parts.catalog.projects()]


async def one(parts: Parts, input_: inputs.ProjectId) -> Record:
    """`project.one`."""
    return shapes.project_one(await _project(parts, input_.project_id))


async def create(parts: Parts, input_: inputs.ProjectCreate) -> Record:
    """`project.create`: a project and its default environment, "production"."""
    now = moment(parts.clock())
    project: Record = {
        "projectId": parts.new_id(),
        "name": input_.name,
        "description": input_.description,
        "createdAt": now,
        "organizationId": shapes.ORGANIZATION,
        "env": input_.env,
    }
    environment: Record = {
        "environmentId": parts.new_id(),
        "name": _DEFAULT_NAME,
        "description": "Production environment",
        "createdAt": now,
        "env": "",
        "projectId": project["projectId"],
        "isDefault": True,
    }
    await parts.catalog.add_project(project, environment)
    return {"project": project, "environment": environment}


async def remove(parts: Parts, input_: inputs.ProjectId) -> Record:
    """`project.remove`, with all its applications."""
    project = await _project(parts, input_.project_id)
    for environment in project["environments"]:
        await _erase_applications(parts, environment)
    await parts.catalog.remove("project", input_.project_id)
    return shapes.bare_project(project)


async def search(parts: Parts, input_: inputs.Search) -> Record:
    """`project.search`."""
    projects = [shapes.bare_project(one) for one in await parts.catalog.projects()]
    wanted = {"name": input_.name, "description": input_.description}
    return page(found(projects, input_.q, wanted), input_.limit, input_.offset)


async def environment_one(parts: Parts, input_: inputs.EnvironmentId) -> Record:
    """`environment.one`."""
    project, environment = await _environment(parts, input_.environment_id)
    return shapes.environment_one(project, environment)


async def environments_of(parts: Parts, input_: inputs.ProjectId) -> list[Record]:
    """`environment.byProjectId`; an unknown project has none."""
    project = await parts.catalog.project(input_.project_id)
    if project is None:
        return []
    return [shapes.environment_of_project(project, one) for one in project["environments"]]


async def environment_create(parts: Parts, input_: inputs.EnvironmentCreate) -> Record:
    """`environment.create`; names are not unique, and only the default one's is taken."""
    if input_.name == _DEFAULT_NAME:
        raise bad_request(f"You cannot create a environment with the name '{_DEFAULT_NAME}'")
    await _project(parts, input_.project_id)
    environment: Record = {
        "environmentId": parts.new_id(),
        "name": input_.name,
        "description": input_.description,
        "createdAt": moment(parts.clock()),
        "env": "",
        "projectId": input_.project_id,
        "isDefault": False,
    }
    await parts.catalog.add_environment(environment)
    return environment


async def environment_update(parts: Parts, input_: inputs.EnvironmentUpdate) -> Record:
    """`environment.update`."""
    _, environment = await _environment(parts, input_.environment_id)
    changes = input_.model_dump(include={"name", "description", "env"}, exclude_unset=True)
    await parts.catalog.update_environment(input_.environment_id, changes)
    return shapes.bare_environment(environment) | changes


async def environment_remove(parts: Parts, input_: inputs.EnvironmentId) -> Record:
    """`environment.remove`: an empty one; never the default one."""
    _, environment = await _environment(parts, input_.environment_id)
    if environment["isDefault"]:
        raise bad_request("You cannot delete the default environment")
    if environment["applications"]:
        why = "it has active services. Delete all services first."
        raise bad_request(f"Cannot delete environment: {why}")
    await parts.catalog.remove("environment", input_.environment_id)
    return shapes.bare_environment(environment)


async def environment_search(parts: Parts, input_: inputs.Search) -> Record:
    """`environment.search`."""
    projects = await parts.catalog.projects()
    environments = [
        shapes.bare_environment(environment)
        for project in projects
        if input_.project_id in (None, project["projectId"])
        for environment in project["environments"]
    ]
    wanted = {"name": input_.name, "description": input_.description}
    return page(found(environments, input_.q, wanted), input_.limit, input_.offset)


async def _project(parts: Parts, id_: str) -> Record:
    project = await parts.catalog.project(id_)
    if project is None:
        raise not_found("Project")
    return project


async def _environment(parts: Parts, id_: str) -> tuple[Record, Record]:
    for project in await parts.catalog.projects():
        for environment in project["environments"]:
            if environment["environmentId"] == id_:
                return project, environment
    raise not_found("Environment")


async def _erase_applications(parts: Parts, environment: Record) -> None:
    for application in environment["applications"]:
        await erase(parts, application["applicationId"])
