"""Records in the form of Dokploy's answers (recorded from v0.30.2).

Each read shows only some fields of a record; the tables here list them.
"""

from collections.abc import Container, Iterable, Mapping
from urllib.parse import urlsplit

from bridge.embedded.storage.history import Deployment, Job
from bridge.embedded.storage.paths import words
from bridge.embedded.storage.records import Record, moment

ORGANIZATION = "embedded"
"""The embedded backend has one organisation and one user, the owner."""

_OTHER_SERVICES = ("mariadb", "mongo", "mysql", "postgres", "redis", "compose", "libsql")
_LISTED = ("applicationId", "name", "applicationStatus")
_IN_PROJECT = words(
    "name description appName createdAt serverId applicationStatus applicationId icon"
)
_IN_ENVIRONMENT = words("name applicationId createdAt applicationStatus description serverId icon")
FOUND = words(
    "applicationId name appName description environmentId applicationStatus sourceType createdAt"
)
_OF_GITHUB = words(
    "githubId githubAppName githubAppId githubClientId githubInstallationId githubUrl gitProviderId"
)
_OF_GITLAB = words(
    "gitlabId gitlabUrl gitlabInternalUrl applicationId redirectUri groupName expiresAt"
    " gitProviderId"
)


def project_listed(project: Record) -> Record:
    """Return an entry of `project.all`."""
    environments = [
        only(("name", "environmentId", "isDefault"), one)
        | _services([only(_LISTED, application) for application in one["applications"]])
        for one in project["environments"]
    ]
    return bare_project(project) | {"environments": environments, "projectTags": []}


def service_listed(
    application: Record, environment: Record, project: Record, newest: Mapping[str, float]
) -> Record:
    """Return an entry of `overview.services`.

    Args:
        newest: when the newest deployment of each application began, by its id.
    """
    began = newest.get(application["applicationId"])
    return {
        "id": application["applicationId"],
        "name": application["name"],
        "appName": application["appName"],
        "status": application["applicationStatus"],
        "createdAt": application["createdAt"],
        "serverId": None,
        "serverName": None,
        "projectId": project["projectId"],
        "projectName": project["name"],
        "environmentId": environment["environmentId"],
        "environmentName": environment["name"],
        "icon": application["icon"],
        "type": "application",
        "lastDeployAt": None if began is None else moment(began),
    }


def project_one(project: Record) -> Record:
    """`project.one`."""
    environments = [
        bare_environment(one) | _services([only(_IN_PROJECT, app) for app in one["applications"]])
        for one in project["environments"]
    ]
    return bare_project(project) | {"environments": environments, "projectTags": []}


def environment_one(project: Record, environment: Record) -> Record:
    """`environment.one`."""
    shape = environment_of_project(project, environment)
    return shape | {"projectId": environment["projectId"], "env": environment["env"]}


def environment_of_project(project: Record, environment: Record) -> Record:
    """Return an entry of `environment.byProjectId`."""
    head = only(("name", "description", "environmentId", "isDefault"), environment)
    applications = [only(_IN_ENVIRONMENT, one) for one in environment["applications"]]
    return head | _services(applications) | {"project": bare_project(project)}


def bare_project(project: Record) -> Record:
    """Return a project without its environments."""
    return without(("environments",), project)


def bare_environment(environment: Record) -> Record:
    """Return an environment without its applications."""
    return without(("applications", "project"), environment)


def application_one(
    application: Record,
    deployments: Iterable[Deployment],
    *,
    kept: Container[str],
    github: Record | None,
    gitlab: Record | None,
    domains: list[Record],
    url: str | None = None,
) -> Record:
    """`application.one`; its deployments come oldest first, unlike in `deployment.all`.

    Args:
        kept: ids of the deployments that can be served again.
        domains: its own; its public address `url` is given as another one.
    """
    empty: Record = {name: [] for name in ("mounts", "redirects", "security", "ports")}
    return (
        application
        | {"domains": domains + ([_domain(application, url)] if url else [])}
        | {"deployments": [deployment_one(deployment, kept) for deployment in deployments]}
        | empty
        | {"gitlab": gitlab and only(_OF_GITLAB, gitlab)}
        | {"github": github and only(_OF_GITHUB, github)}
        | _nulls("bitbucket gitea server registry buildRegistry rollbackRegistry")
        | {"previewDeployments": [], "hasGitProviderAccess": True, "unauthorizedProvider": None}
    )


def _domain(application: Record, url: str) -> Record:
    where = urlsplit(url)
    return NEW_DOMAIN | {
        "domainId": application["applicationId"],
        "host": where.netloc,
        "https": where.scheme == "https",
        "port": None,
        "path": where.path,
        "uniqueConfigKey": 1,
        "createdAt": application["createdAt"],
        "applicationId": application["applicationId"],
    }


def deployment_one(deployment: Deployment, kept: Container[str] = ()) -> Record:
    """Return an entry of `deployment.all`; the id of what it has kept is its own."""
    started = moment(deployment.started_at)
    finished = deployment.finished_at
    return {
        "deploymentId": deployment.id,
        "title": deployment.title,
        "description": deployment.description,
        "status": deployment.status,
        "logPath": deployment.log_path,
        "pid": None,
        "applicationId": deployment.application_id,
        "composeId": None,
        "serverId": None,
        "isPreviewDeployment": False,
        "previewDeploymentId": None,
        "createdAt": started,
        "startedAt": started,
        "finishedAt": None if finished is None else moment(finished),
        "errorMessage": deployment.error,
        "scheduleId": None,
        "backupId": None,
        "rollbackId": deployment.id if deployment.id in kept else None,
        "volumeBackupId": None,
        "buildServerId": None,
    }


def deployment_by_type(deployment: Deployment, kept: Container[str]) -> Record:
    """Return an entry of `deployment.allByType`; unlike Dokploy's it tells no variables."""
    shape = deployment_one(deployment, kept)
    rollback = only(("rollbackId", "deploymentId", "createdAt"), shape)
    return shape | {"rollback": shape["rollbackId"] and rollback}


def deployment_with_application(
    deployment: Deployment, kept: Container[str], application: Record
) -> Record:
    """Return an entry of `deployment.allCentralized`."""
    environment = application["environment"]
    project = only(("projectId", "name"), environment["project"])
    where = only(("environmentId", "name"), environment) | {"project": project}
    app = only(("applicationId", "name", "appName", "icon"), application)
    app |= {"environment": where, "server": None, "buildServer": None}
    rest: Record = {"compose": None, "server": None, "buildServer": None}
    return deployment_one(deployment, kept) | {"application": app} | rest


def job_listed(job: Job, application: Record) -> Record:
    """Return an entry of `deployment.queueList`; only an active job has `processedOn`."""
    environment = application["environment"]
    shape: Record = {
        "id": f"job-{job.seq}",
        "name": "deployments",
        "data": {
            "applicationId": job.application_id,
            "titleLog": job.title,
            "descriptionLog": job.description,
            "type": job.kind,
            "applicationType": "application",
            "server": False,
        },
        "timestamp": int(job.asked_at * 1000),
    }
    if job.started_at is not None:
        shape["processedOn"] = int(job.started_at * 1000)
    href = (
        f"/dashboard/project/{environment['projectId']}/environment/{environment['environmentId']}"
        f"/services/application/{job.application_id}"
    )
    state = "waiting" if job.started_at is None else "active"
    return shape | {"state": state, "servicePath": {"href": href, "label": "Application"}}


def _services(applications: list[Record]) -> Record:
    for application in applications:
        if "serverId" in application:
            application["server"] = None
    return {"applications": applications} | {name: [] for name in _OTHER_SERVICES}


def only(keys: Iterable[str], record: Record) -> Record:
    """Return some fields of a record."""
    return {key: record[key] for key in keys}


def without(keys: Container[str], record: Record) -> Record:
    """Return a record without some fields."""
    return {key: value for key, value in record.items() if key not in keys}


def _nulls(names: str) -> Record:
    return dict.fromkeys(words(names))


NEW_APPLICATION: Record = {
    **_nulls("applicationId name appName description env previewEnv"),
    **_nulls("watchPaths previewBuildArgs previewBuildSecrets previewLabels"),
    "previewWildcard": None,
    "previewPort": 3000,
    "previewHttps": False,
    "previewPath": "/",
    "previewCertificateType": "none",
    "previewCustomCertResolver": None,
    "previewLimit": 3,
    "isPreviewDeploymentsActive": False,
    "previewRequireCollaboratorPermissions": True,
    "rollbackActive": False,
    **_nulls("buildArgs buildSecrets memoryReservation memoryLimit"),
    **_nulls("cpuReservation cpuLimit"),
    **_nulls("title enabled subtitle command args icon"),
    "refreshToken": None,
    "sourceType": "github",
    "cleanCache": False,
    **_nulls("repository owner branch"),
    "buildPath": "/",
    "triggerType": "push",
    # Unlike there: the embedded backend has no webhooks of its own, so nothing deploys by itself.
    "autoDeploy": False,
    **_nulls("gitlabProjectId gitlabRepository gitlabOwner gitlabBranch"),
    "gitlabBuildPath": "/",
    "gitlabPathNamespace": None,
    **_nulls("giteaRepository giteaOwner giteaBranch"),
    "giteaBuildPath": "/",
    **_nulls("bitbucketRepository bitbucketRepositorySlug bitbucketOwner bitbucketBranch"),
    "bitbucketBuildPath": "/",
    **_nulls(
        "username password dockerImage registryUrl customGitUrl customGitBranch"
        " customGitBuildPath customGitSSHKeyId"
    ),
    "enableSubmodules": False,
    "dockerfile": "Dockerfile",
    **_nulls(
        "dockerContextPath dockerBuildStage dropBuildPath healthCheckSwarm restartPolicySwarm"
        " placementSwarm updateConfigSwarm rollbackConfigSwarm modeSwarm labelsSwarm"
        " networkSwarm stopGracePeriodSwarm endpointSpecSwarm ulimitsSwarm"
    ),
    "replicas": 1,
    "applicationStatus": "idle",
    "buildType": "nixpacks",
    "railpackVersion": "0.15.4",
    "herokuVersion": "24",
    "publishDirectory": None,
    "isStaticSpa": None,
    "createEnvFile": True,
    "createdAt": None,
    "registryId": None,
    "rollbackRegistryId": None,
    "environmentId": None,
    **_nulls("githubId gitlabId giteaId bitbucketId serverId"),
    "buildServerId": None,
    "buildRegistryId": None,
    "networkIds": [],
    "detachDokployNetwork": False,
}
"""The fields of an application, in Dokploy's order."""

NEW_DOMAIN: Record = {
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
"""The fields of a domain, in Dokploy's order."""
