"""Records as the bridge knows them: `App`, `Saved` and `BackendDeployment`. Pure."""

import re
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bridge.backends.embedded.records.database import Record
from bridge.backends.embedded.records.history import Deployment
from bridge.core.configuring.columns import COLUMNS, row_in
from bridge.core.configuring.configuration import BuildType, Environment, ProviderSettings, Saved
from bridge.core.refs import normalise_url
from bridge.core.watch import App, Source, SourceType, Trigger
from bridge.ports.backends import BackendDeployment, Progress

_PROVIDER: TypeAdapter[ProviderSettings] = TypeAdapter(ProviderSettings)
_COMMIT = re.compile(r"Commit: ([0-9a-f]{40}(?:[0-9a-f]{24})?)")


def read_app(record: Record, backend: str, url: str | None = None) -> App:
    """An application's record, with its environment and project, as an App.

    Args:
        url: where people see it.
    """
    environment = record["environment"]
    paths = record["watchPaths"]
    return App(
        id=record["applicationId"],
        name=record["name"],
        project=environment["project"]["name"],
        backend=backend,
        environment=None if environment["isDefault"] else environment["name"],
        source=read_source(record),
        trigger=_trigger(record),
        watch_paths=None if paths is None else tuple(paths),
        auto_deploy=bool(record["autoDeploy"]),
        url=url,
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


def read_saved(record: Record) -> Saved:
    """How an application is configured, in the forms that the saves take."""
    paths = record["watchPaths"]
    return Saved(
        provider=_provider(record),
        build=BuildType(
            build_type=record["buildType"],
            dockerfile=record["dockerfile"],
            docker_context_path=record["dockerContextPath"],
            docker_build_stage=record["dockerBuildStage"],
            publish_directory=record["publishDirectory"],
            static_spa=record["isStaticSpa"],
            heroku_version=record["herokuVersion"],
            railpack_version=record["railpackVersion"],
        ),
        environment=Environment(
            env=record["env"],
            build_args=record["buildArgs"],
            build_secrets=record["buildSecrets"],
            create_env_file=record["createEnvFile"] is not False,
        ),
        watch_paths=None if paths is None else tuple(paths),
        submodules=bool(record["enableSubmodules"]),
        trigger=_trigger(record),
        row=row_in(record),
    )


def _trigger(record: Record) -> Trigger:
    """A stored trigger counts for GitHub alone, as at the original."""
    tag = record["sourceType"] == SourceType.GITHUB and record["triggerType"] == Trigger.TAG
    return Trigger.TAG if tag else Trigger.PUSH


def _provider(record: Record) -> ProviderSettings | None:
    kind = record["sourceType"]
    fields: dict[str, Any] = {
        name.partition(".")[2]: record[column]
        for name, column in COLUMNS.items()
        if name.startswith(f"{kind}.")
    }
    if "build_path" in fields:
        fields["build_path"] = fields["build_path"] or "/"
        fields["watch_paths"] = record["watchPaths"]
        fields["submodules"] = bool(record["enableSubmodules"])
    if kind == SourceType.GITHUB:
        fields["trigger"] = record["triggerType"] or Trigger.PUSH
    try:
        return _PROVIDER.validate_python({"type": kind} | fields)
    except ValidationError:
        return None  # half configured: there is nothing that a save could repeat


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
