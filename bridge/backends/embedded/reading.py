"""Records as the bridge knows them: `App` and `BackendDeployment`. Pure."""

import re

from bridge.backends.embedded.database import Record
from bridge.backends.embedded.history import Deployment
from bridge.core.refs import normalise_url
from bridge.core.watch import App, Source, SourceType, Trigger
from bridge.ports import BackendDeployment, Progress

_COMMIT = re.compile(r"Commit: ([0-9a-f]{40}(?:[0-9a-f]{24})?)")


def read_app(record: Record, backend: str) -> App:
    """An application's record, with its environment and project, as an App."""
    environment = record["environment"]
    paths = record["watchPaths"]
    return App(
        id=record["applicationId"],
        name=record["name"],
        project=environment["project"]["name"],
        backend=backend,
        environment=None if environment["isDefault"] else environment["name"],
        source=read_source(record),
        trigger=Trigger(record["triggerType"] or Trigger.PUSH),
        watch_paths=None if paths is None else tuple(paths),
        auto_deploy=bool(record["autoDeploy"]),
    )


def read_source(record: Record) -> Source | None:
    """Where an application's code comes from; None when nothing is configured."""
    kind = SourceType(record["sourceType"])
    if kind is SourceType.GITHUB and record["owner"] and record["repository"]:
        repository = f"{record['owner']}/{record['repository']}"
        return Source(kind, repository=repository, branch=record["branch"])
    if kind is SourceType.GITLAB:
        return _gitlab(record)
    if kind is SourceType.GIT and record["customGitUrl"]:
        url = normalise_url(record["customGitUrl"])
        return Source(kind, url=url, branch=record["customGitBranch"])
    if kind is SourceType.DOCKER and record["dockerImage"]:
        return Source(kind, image=record["dockerImage"])
    return None


def read_deployment(deployment: Deployment) -> BackendDeployment:
    """A deployment; its commit is what its description tells after a Git deploy."""
    found = _COMMIT.fullmatch(deployment.description)
    return BackendDeployment(
        id=deployment.id,
        title=deployment.title,
        description=deployment.description,
        status=Progress(deployment.status),
        created_at=deployment.started_at,
        started_at=deployment.started_at,
        finished_at=deployment.finished_at,
        error=deployment.error,
        commit=found[1] if found else None,
    )


def _gitlab(record: Record) -> Source | None:
    path = record["gitlabPathNamespace"]
    if not path and record["gitlabOwner"] and record["gitlabRepository"]:
        path = f"{record['gitlabOwner']}/{record['gitlabRepository']}"
    if not path:
        return None
    number = record["gitlabProjectId"]
    return Source(
        SourceType.GITLAB,
        repository=path,
        repository_id=None if number is None else str(number),
        branch=record["gitlabBranch"],
    )
