"""`project.*`, `environment.*`, and the Git providers: `github.*`, `gitlab.*`, `gitProvider.*`."""

from bridge.embedded.http import answers, inputs
from bridge.embedded.http.applications import erase, known_provider
from bridge.embedded.http.procedure import (
    EMPTY,
    Empty,
    Parts,
    bad_request,
    existing,
    found,
    not_found,
    page,
)
from bridge.embedded.storage.paths import words
from bridge.embedded.storage.records import Record, moment

_DEFAULT_NAME = "production"


async def all_(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`project.all`."""
    return [answers.project_listed(project) for project in await parts.catalog.projects()]


async def services(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`overview.services`: the applications of all projects, with their newest deployments."""
    newest = await parts.history.newest()
    return [
        answers.service_listed(application, environment, project, newest)
        for project in await parts.catalog.projects()
        for environment in project["environments"]
        for application in environment["applications"]
    ]


async def one(parts: Parts, input_: inputs.ProjectId) -> Record:
    """`project.one`."""
    return answers.project_one(await _project(parts, input_.project_id))


async def create(parts: Parts, input_: inputs.ProjectCreate) -> Record:
    """`project.create`: make a project and its default environment, "production"."""
    project: Record = {
        "projectId": parts.new_id(),
        "name": input_.name,
        "description": input_.description,
        "createdAt": moment(parts.clock()),
        "organizationId": answers.ORGANIZATION,
        "env": input_.env,
    }
    environment = _environment_record(
        parts, project["projectId"], _DEFAULT_NAME, "Production environment", is_default=True
    )
    await parts.catalog.add_project(project, environment)
    return {"project": project, "environment": environment}


async def remove(parts: Parts, input_: inputs.ProjectId) -> Record:
    """`project.remove`, with all its applications."""
    project = await _project(parts, input_.project_id)
    for environment in project["environments"]:
        for application in environment["applications"]:
            await erase(parts, application["applicationId"])
    await parts.catalog.remove("project", input_.project_id)
    return answers.bare_project(project)


async def search(parts: Parts, input_: inputs.Search) -> Record:
    """`project.search`."""
    projects = [answers.bare_project(project) for project in await parts.catalog.projects()]
    wanted = {"name": input_.name, "description": input_.description}
    return page(found(projects, input_.q, wanted), input_.limit, input_.offset)


async def environment_one(parts: Parts, input_: inputs.EnvironmentId) -> Record:
    """`environment.one`."""
    project, environment = await _environment(parts, input_.environment_id)
    return answers.environment_one(project, environment)


async def environments_of(parts: Parts, input_: inputs.ProjectId) -> list[Record]:
    """`environment.byProjectId`; an unknown project has none."""
    project = await parts.catalog.project(input_.project_id)
    if project is None:
        return []
    return [answers.environment_of_project(project, one) for one in project["environments"]]


async def environment_create(parts: Parts, input_: inputs.EnvironmentCreate) -> Record:
    """`environment.create`; names may repeat, except that of the default environment."""
    if input_.name == _DEFAULT_NAME:
        raise bad_request(f"You cannot create a environment with the name '{_DEFAULT_NAME}'")
    await _project(parts, input_.project_id)
    environment = _environment_record(
        parts, input_.project_id, input_.name, input_.description, is_default=False
    )
    await parts.catalog.add_environment(environment)
    return environment


async def environment_update(parts: Parts, input_: inputs.EnvironmentUpdate) -> Record:
    """`environment.update`."""
    _, environment = await _environment(parts, input_.environment_id)
    changes = input_.model_dump(include={"name", "description", "env"}, exclude_unset=True)
    await parts.catalog.update_environment(input_.environment_id, changes)
    return answers.bare_environment(environment) | changes


async def environment_remove(parts: Parts, input_: inputs.EnvironmentId) -> Record:
    """`environment.remove`: only an empty one, and never the default one."""
    _, environment = await _environment(parts, input_.environment_id)
    if environment["isDefault"]:
        raise bad_request("You cannot delete the default environment")
    if environment["applications"]:
        why = "it has active services. Delete all services first."
        raise bad_request(f"Cannot delete environment: {why}")
    await parts.catalog.remove("environment", input_.environment_id)
    return answers.bare_environment(environment)


async def environment_search(parts: Parts, input_: inputs.Search) -> Record:
    """`environment.search`."""
    projects = await parts.catalog.projects()
    environments = [
        answers.bare_environment(environment)
        for project in projects
        if input_.project_id in (None, project["projectId"])
        for environment in project["environments"]
    ]
    wanted = {"name": input_.name, "description": input_.description}
    return page(found(environments, input_.q, wanted), input_.limit, input_.offset)


def _environment_record(
    parts: Parts, project_id: str, name: str, description: str, *, is_default: bool
) -> Record:
    return {
        "environmentId": parts.new_id(),
        "name": name,
        "description": description,
        "createdAt": moment(parts.clock()),
        "env": "",
        "projectId": project_id,
        "isDefault": is_default,
    }


async def _project(parts: Parts, id_: str) -> Record:
    return existing("Project", await parts.catalog.project(id_))


async def _environment(parts: Parts, id_: str) -> tuple[Record, Record]:
    for project in await parts.catalog.projects():
        for environment in project["environments"]:
            if environment["environmentId"] == id_:
                return project, environment
    raise not_found("Environment")


# ── Git providers ───────────────────────────────────────────────────────────────────────────────

_LISTED_GITHUB = words(
    "githubId githubAppName githubAppId githubInstallationId githubUrl isConfigured"
)
_LISTED_GITLAB = words("gitlabId applicationId gitlabUrl isConfigured")


async def get_all(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`gitProvider.getAll`, without secrets."""
    others: Record = {**dict.fromkeys(("gitlab", "bitbucket", "github", "gitea")), "isOwner": True}
    return [
        one["gitProvider"] | others | {kind: answers.only(keys, one | {"isConfigured": True})}
        for kind, keys in (("github", _LISTED_GITHUB), ("gitlab", _LISTED_GITLAB))
        for one in await parts.catalog.providers(kind)
    ]


async def github_all(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`github.githubProviders`."""
    keys = ("githubId", "githubUrl", "gitProvider")
    return [answers.only(keys, one) for one in await parts.catalog.providers("github")]


async def github_one(parts: Parts, input_: inputs.GithubId) -> Record:
    """`github.one`: with secrets, as the real server answers (docs/dokploy.md)."""
    return await known_provider(parts, "github", input_.github_id)


async def gitlab_all(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`gitlab.gitlabProviders`."""
    keys = ("gitlabId", "gitProvider", "gitlabUrl")
    return [answers.only(keys, one) for one in await parts.catalog.providers("gitlab")]


async def gitea_all(_parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`gitea.giteaProviders`: none, since this server builds from no Gitea account."""
    return []


async def gitlab_one(parts: Parts, input_: inputs.GitlabId) -> Record:
    """`gitlab.one`: with secrets, as the real server answers (docs/dokploy.md)."""
    return await known_provider(parts, "gitlab", input_.gitlab_id)


async def github_repositories(parts: Parts, input_: inputs.GithubId) -> list[Record]:
    """`github.getGithubRepositories`: none, since this server never asks a Git host."""
    await known_provider(parts, "github", input_.github_id)
    return []


async def github_branches(parts: Parts, input_: inputs.GithubRepository) -> list[Record]:
    """`github.getGithubBranches`: none, as above."""
    if input_.github_id:
        await known_provider(parts, "github", input_.github_id)
    return []


async def gitlab_repositories(parts: Parts, input_: inputs.GitlabId) -> list[Record]:
    """`gitlab.getGitlabRepositories`: none, as above."""
    await known_provider(parts, "gitlab", input_.gitlab_id)
    return []


async def gitlab_branches(parts: Parts, input_: inputs.GitlabRepository) -> list[Record]:
    """`gitlab.getGitlabBranches`: none, as above."""
    if input_.gitlab_id:
        await known_provider(parts, "gitlab", input_.gitlab_id)
    return []


async def gitlab_create(parts: Parts, input_: inputs.GitlabCreate) -> Empty:
    """`gitlab.create`: the answer has no id; `gitlab.gitlabProviders` lists it."""
    git_provider = new_git_provider(parts, input_.name, "gitlab")
    provider: Record = {
        "gitlabId": parts.new_id(),
        "gitlabUrl": input_.gitlab_url,
        "gitlabInternalUrl": input_.gitlab_internal_url,
        "applicationId": input_.application_id,
        "redirectUri": input_.redirect_uri,
        "secret": input_.secret,
        "accessToken": None,
        "refreshToken": None,
        "groupName": input_.group_name,
        "expiresAt": None,
        "gitProviderId": git_provider["gitProviderId"],
        "gitProvider": git_provider,
    }
    await parts.catalog.add_provider(provider["gitlabId"], "gitlab", provider)
    return EMPTY


def new_git_provider(parts: Parts, name: str, kind: str) -> Record:
    """Return what the providers of all kinds have, for a new one."""
    return {
        "gitProviderId": parts.new_id(),
        "name": name,
        "providerType": kind,
        "createdAt": moment(parts.clock()),
        "organizationId": answers.ORGANIZATION,
        "userId": answers.ORGANIZATION,
        "sharedWithOrganization": False,
    }
