"""Convert Dokploy's answers to the bridge's records. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

from bridge.backends.dokploy.models import (
    DeploymentRecord,
    Domain,
    Job,
    ListedService,
    PreviewRecord,
    Project,
    Service,
)
from bridge.core.apps import MARKER, App, AppKind, Source, SourceType, Trigger
from bridge.core.previews.native import NativePreview, NativeState
from bridge.core.refs import normalise_url
from bridge.ports.backends import BackendDeployment, Listed, Progress, QueuedJob

# Only at the start: our own description, before it is replaced, may mention a commit, too.
_COMMIT = re.compile(r"Commit: ([0-9a-f]{64}|[0-9a-f]{40})\s*")
_PUBLIC = re.compile(
    r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]+)?(?:/[A-Za-z0-9._~%/-]*)?"
)
_LONGEST_URL = 255  # GitLab accepts no longer one
LOOPBACK = ("localhost", "127.0.0.1", "::1")
MAKER = "Dokploy"
"""The name, for people, of the backend that makes the previews."""
_WAITS_OR_RUNS = ("active", "waiting", "delayed", "paused", "prioritized")


def listed_in(
    projects: Iterable[Project], backend: str, origin: str | None = None
) -> Iterator[Listed]:
    """Yield the applications and compose stacks of projects, in the server's order.

    Args:
        origin: the dashboard's address; None if there is none.
    """
    for project in projects:
        home = f"/dashboard/project/{_part(project.id)}" if project.id else None
        environments = [
            (None if env.is_default else env.name, _home(project.id, env.id), env)
            for env in project.environments
        ]
        for environment, page, of in [(None, home, project), *environments]:
            listed = partial(_listed, backend, origin, project.name, environment, page)
            for app in of.applications:
                yield listed(
                    AppKind.APPLICATION,
                    app.id,
                    app.name,
                    app.status,
                    marker=marker_of(app.description),
                    service=service_of(app.app_name, app.server_id),
                    made_at=app.created_at,
                )
            for stack in of.compose:
                yield listed(AppKind.COMPOSE, stack.id, stack.name, stack.status)


def listed_among(
    services: Iterable[ListedService], default: Mapping[str, bool], backend: str, origin: str | None
) -> Iterator[Listed]:
    """Yield the applications and compose stacks among services.

    Args:
        default: whether each environment is its project's default one, by its id.
        origin: the dashboard's address; None if there is none.
    """
    for service in services:
        if service.type in set(AppKind):
            name = None if default[service.environment_id] else service.environment_name
            home = _home(service.project_id, service.environment_id)
            listed = partial(_listed, backend, origin, service.project_name, name, home)
            yield listed(
                AppKind(service.type),
                service.id,
                service.name,
                service.status,
                deployed_at=service.last_deploy_at,
                service=service_of(service.app_name, service.server_id),
                made_at=service.created_at,
            )


def _home(project: str | None, environment: str | None) -> str | None:
    if not project or not environment:
        return None
    return f"/dashboard/project/{_part(project)}/environment/{_part(environment)}"


def _listed(
    backend: str,
    origin: str | None,
    project: str,
    environment: str | None,
    home: str | None,
    kind: AppKind,
    id_: str,
    name: str,
    status: str | None,
    *,
    deployed_at: float | None = None,
    **told: Any,
) -> Listed:
    """Return a listed app; a save of its source sets the status to "idle" (docs/dokploy.md)."""
    path = f"{home}/services/{kind}/{_part(id_)}" if home else None
    app = App(
        id=id_,
        name=name,
        project=project,
        backend=backend,
        environment=environment,
        kind=kind,
        page=f"{origin}{path}" if origin and path else None,
        **told,
    )
    return Listed(app, " ".join((status or "", path or "", app.label)), deployed_at)


def _part(id_: str) -> str:
    return quote(id_, safe="")


def app_of(app: App, service: Service, sites: str | None = None) -> App:
    """Return a listed app with the source, trigger, address and age of its record.

    Args:
        sites: the address of the embedded backend's sites.
    """
    return replace(
        app,
        source=source_of(service),
        trigger=trigger_of(service),
        watch_paths=service.watch_paths,
        auto_deploy=service.auto_deploy,
        native_previews=MAKER if makes_previews(service) else "",
        url=url_of(service.domains or (), sites),
        marker=marker_of(service.description),
        made_at=service.created_at,
        service=service_of(service.app_name, service.server_id),
    )


def marker_of(description: str | None) -> str:
    """Return the marker of an app of ours, which is its description; "" for any other app."""
    return description if description is not None and description.startswith(MARKER) else ""


def service_of(app_name: str | None, server_id: str | None) -> str:
    """Return what `App.service` holds: the Swarm service's name, and its server unless Dokploy's.

    Neither can ever change, and no name has an @.

    Source: docs/dokploy.md, "Environments and applications".
    """
    if not app_name:
        return ""
    return f"{app_name}@{server_id}" if server_id else app_name


def trigger_of(service: Service) -> Trigger:
    """Return the trigger of an app: a stored one counts for GitHub only.

    Dokploy reads `triggerType` in GitHub's webhook and nowhere else (docs/dokploy.md, "Inputs").
    """
    tag = service.source_type == SourceType.GITHUB and service.trigger_type == Trigger.TAG
    return Trigger.TAG if tag else Trigger.PUSH


def makes_previews(service: Service) -> bool:
    """Return whether Dokploy makes previews of an app's pull requests by itself.

    Only its GitHub webhook does (docs/dokploy.md, "Previews").
    """
    return service.is_preview_deployments_active and service.source_type == SourceType.GITHUB


def url_of(domains: Iterable[Domain], sites: str | None = None) -> str | None:
    """Return an app's public address: the oldest domain with a certificate, else the oldest.

    Domains of previews of pull requests do not count.
    """
    own = [domain for domain in domains if domain.host and not domain.preview_deployment_id]
    by_age = sorted(own, key=lambda known: (not known.https, known.created_at or ""))
    return next(filter(None, (address_of(domain, sites) for domain in by_age)), None)


def address_of(domain: Domain, sites: str | None = None) -> str | None:
    """Return the address of a domain; None if it is no public one."""
    path = (domain.path or "").strip().rstrip("/")
    url = address_at((domain.host or "").strip().lower(), https=domain.https, sites=sites) + path
    return url if _PUBLIC.fullmatch(url) and len(url) <= _LONGEST_URL else None


def address_at(host: str, *, https: bool, sites: str | None = None) -> str:
    """Return the address of a host name.

    A name of this machine leads past every proxy to the listener of the embedded backend's sites,
    so its port belongs to the address.
    """
    if port := local_port(host, sites):
        return f"http://{host}:{port}"
    return f"{'https' if https else 'http'}://{host}"


def local_port(host: str, sites: str | None) -> int | None:
    """Return the port at which sites are served for a name of this machine; None for others."""
    where = urlsplit(sites or "")
    return where.port if host.endswith(".localhost") and where.hostname in LOOPBACK else None


def source_of(service: Service) -> Source | None:
    """Return the source of an app; None if it has none, or one of an unknown kind.

    A new or disconnected app has the kind `github` without a repository.
    """
    try:
        kind = SourceType(service.source_type or "")
    except ValueError:
        return None
    match kind:
        case SourceType.GIT:
            url, branch = service.stored("git.url"), service.stored("git.branch")
            return Source(kind, url=normalise_url(url), branch=branch) if url else None
        case SourceType.DOCKER:
            image = service.stored("docker.image")
            return Source(kind, image=image) if image else None
        case SourceType.DROP | SourceType.RAW:
            return Source(kind)
        case _:
            return _hosted(kind, service)


def _hosted(kind: SourceType, service: Service) -> Source | None:
    """Return a source at one of the four hosts; each has its own columns."""
    names = ("owner", "slug", "repository", "path", "project_id", "branch")
    owner, slug, name, path, number, branch = (
        service.stored(f"{kind}.{column}") for column in names
    )
    name = slug or name
    repository = path or (f"{owner}/{name}" if owner and name else None)
    if repository is None:
        return None
    url = None  # which is known of a Gitea only, for a server of one's own
    if kind is SourceType.GITEA and service.gitea_url:
        url = normalise_url(f"{service.gitea_url}/{repository}")
    return Source(kind, repository, None if number is None else str(number), url, branch)


def deployments_in(records: Iterable[DeploymentRecord]) -> list[BackendDeployment]:
    """Return the history, newest first; records of the same time keep the server's order."""
    found = [_deployment(record) for record in records]
    return sorted(found, key=lambda deployment: deployment.created_at, reverse=True)


def _deployment(record: DeploymentRecord) -> BackendDeployment:
    try:
        status = Progress(record.status or "")
    except ValueError:
        status = Progress.RUNNING  # an unknown status does not say that it has ended
    description = record.description or ""
    commit = _COMMIT.fullmatch(description)
    return BackendDeployment(
        id=record.id,
        title=record.title or "",
        description=description,
        status=status,
        created_at=record.created_at,
        started_at=record.started_at,
        finished_at=record.finished_at,
        error=record.error_message or None,
        commit=commit[1] if commit else None,
        restores=record.rollback_id or None,
    )


def jobs_in(jobs: Iterable[Job]) -> list[QueuedJob]:
    """Return the waiting and running jobs of apps, oldest first; the server lists newest first.

    Jobs of previews of pull requests do not count.
    """
    oldest_first = sorted(jobs, key=lambda job: -job.timestamp)[::-1]
    return [
        QueuedJob(
            app=app,
            title=job.data.title_log or "",
            description=job.data.description_log or "",
            active=job.state == "active",
            added_at=job.timestamp / 1000 or None,
        )
        for job in oldest_first
        if (app := job.data.application_id or job.data.compose_id)
        and job.data.application_type != "application-preview"
        and job.state in _WAITS_OR_RUNS
    ]


# ── The previews that Dokploy makes by itself for apps from GitHub ────────────────────────────────

_HASH = re.compile(r"Hash: ([0-9a-f]{64}|[0-9a-f]{40})\s*")
_STATES: Mapping[str, NativeState] = {
    "running": NativeState.BUILDING,
    "done": NativeState.UP,
    "error": NativeState.FAILED,
    "cancelled": NativeState.CANCELLED,
}


def previews_in(records: Iterable[PreviewRecord], app: App) -> list[NativePreview]:
    """Return an app's previews, the last built one first.

    A preview's own status stays "running" if Dokploy is killed or GitHub refuses its comment, so
    that of its newest build counts; Dokploy sets `createdAt` anew with each build.
    """
    found = [_preview(record, app) for record in records]
    return sorted(found, key=lambda preview: (-preview.active_at, preview.id))


def _preview(record: PreviewRecord, app: App) -> NativePreview:
    newest = max(record.deployments, key=lambda build: build.created_at, default=None)
    commit = None if newest is None else _HASH.fullmatch(newest.description or "")
    return NativePreview(
        id=record.id,
        maker=MAKER,
        app_id=app.id,
        app=app.label,
        backend=app.backend,
        number=record.number,
        title=record.title,
        branch=record.branch,
        pull_url=record.pull_url,
        # An unknown status does not say that it has ended.
        state=_STATES.get(newest.status or "", NativeState.BUILDING)
        if newest
        else NativeState.WAITING,
        commit=commit[1] if commit else None,
        url=address_of(record.domain) if record.domain and record.domain.host else None,
        page=f"{app.page}?tab=preview-deployments" if app.page else None,
        active_at=record.created_at,
    )
