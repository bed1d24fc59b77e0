"""The apps of a Dokploy: list them, read them in batches, and list their possible sources."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from types import GenericAlias
from typing import Any, TypeVar, cast

from pydantic import AliasChoices, Field, create_model

from bridge.backends.dokploy import models
from bridge.backends.dokploy.answers import Forbidden, NotDokploy
from bridge.backends.dokploy.configure import id_of
from bridge.backends.dokploy.http import Http
from bridge.backends.dokploy.reads import app_of, listed_among, listed_in
from bridge.core.apps import PRODUCTION, App, SourceType
from bridge.core.errors import BridgeError, Refused
from bridge.ports.backends import GitAccount, GitRepository, Listed

log = logging.getLogger(__name__)

BATCH = 40
"""Apps in one request; its address has about 4,200 characters, and proxies accept 8,000."""

BATCHES_AT_A_TIME = 2
"""More would block Dokploy, which has one thread, for other clients."""

ALONE_FOR = 600.0
"""Seconds without batches after a batch failed that single queries did not."""

UNLISTED_FOR = 600.0
"""Seconds without `overview.services` after a server refused it: it is too old, or the key's role
may not read services."""

A = TypeVar("A")
T = TypeVar("T")


class Apps:
    """Read the apps of one server.

    Args:
        name: of the backend.
        concurrency: requests at a time while apps are read one by one.
        sites: the address of the embedded backend's sites; None if it is a Dokploy.
    """

    def __init__(self, http: Http, name: str, concurrency: int, sites: str | None = None) -> None:
        self._http = http
        self._name = name
        self._sites = sites
        self._concurrency = max(1, concurrency)
        self._alone_until = 0.0
        self._unlisted_until = 0.0
        self._default: dict[str, bool] = {}

    @property
    def per_request(self) -> int:
        """The number of apps that one request reads at the moment."""
        return BATCH if time.monotonic() >= self._alone_until else 1

    async def listing(self) -> list[Listed]:
        """List every application and compose stack that the key may see, in one request.

        A second one is needed for a new environment, or if `overview.services` is refused.

        Source: docs/dokploy.md, "Cheaper reads" (`overview.services`, from v0.30.0; `project.all`).
        """
        services = None
        if asks := time.monotonic() >= self._unlisted_until:
            with suppress(Refused, NotDokploy):
                services = await self._http.read("overview.services", list[models.ListedService])
        if services is None:
            projects = await self.projects()  # raises if a refusal was not about the query
            if asks:
                self._unlisted_until = time.monotonic() + UNLISTED_FOR
            return [*listed_in(projects, self._name, self.origin)]
        default = await self._default_among(services)
        return [*listed_among(services, default, self._name, self.origin)]

    @property
    def origin(self) -> str | None:
        """The dashboard's address; None if there is none."""
        return self._http.origin if self._http.has_dashboard else None

    async def _default_among(self, services: Sequence[models.ListedService]) -> Mapping[str, bool]:
        """Return whether the environments of services are default ones, by id.

        `overview.services` does not tell, and an environment's name proves nothing: another one
        can be renamed to "production". But a default one stays so, and no other becomes one.
        """
        names = {service.environment_id: service.environment_name for service in services}
        if not names.keys() <= self._default.keys():
            told = {
                env.id: env.is_default
                for project in await self.projects()
                for env in project.environments
            }
            # One that the key's user may not see, although a service in it: go by its name.
            self._default = {id_: told.get(id_, name == PRODUCTION) for id_, name in names.items()}
        return self._default

    async def projects(self) -> Sequence[models.Project]:
        """Return the projects that the key may see, with the names of their services."""
        try:
            return await self._http.read("project.all", list[models.Project])
        except Refused as error:
            if error.status != 404:
                raise
            why = "it does not know project.all, unlike any Dokploy; is the url right?"
            raise NotDokploy(self._name, why) from error

    async def read(self, apps: Sequence[App]) -> list[App]:
        """Read these apps, which keep their names and their order.

        Apps that are gone or forbidden are left out; any other error is raised.
        """
        services: dict[str, models.Service] = {}
        if len(apps) > 1 and (size := self.per_request) > 1:
            groups = [apps[begin : begin + size] for begin in range(0, len(apps), size)]
            for found in await at_a_time(BATCHES_AT_A_TIME, self._batch, groups):
                services |= found
        alone = [app for app in apps if app.id not in services]
        for app, service in zip(
            alone, await at_a_time(self._concurrency, self._one, alone), strict=True
        ):
            if service is not None:
                services[app.id] = service
        return [app_of(app, services[app.id], self._sites) for app in apps if app.id in services]

    async def _batch(self, apps: Sequence[App]) -> dict[str, models.Service]:
        """Read some apps in one request; return those that were answered, by id.

        An answer may be missing because the app is gone or because the database is away. A
        query for that app alone tells the two apart.
        """
        if self.per_request == 1:  # an earlier batch has failed
            return {}
        paths = ",".join(f"{app.kind.value}.one" for app in apps)
        inputs = {str(at): {"json": id_of(app)} for at, app in enumerate(apps)}
        query: dict[str, str | int] = {
            "batch": 1,
            "input": json.dumps(inputs, separators=(",", ":")),
        }
        try:
            form, at = list[models.Batched], f"trpc/{paths}"
            found = await self._http.read("application.one, batched", form, query, at=at, retries=0)
            if len(found) != len(apps):
                raise Refused(self._name, f"{len(found)} answers to {len(apps)} questions")
        except BridgeError as error:
            # This raises if the server itself is in trouble.
            if (first := await self._one(apps[0])) is None:
                return {}
            self._alone_until = time.monotonic() + ALONE_FOR
            log.info("apps are read one by one", extra={"backend": self._name, "why": str(error)})
            return {apps[0].id: first}
        return {
            app.id: one.service
            for app, one in zip(apps, found, strict=True)
            if one.service is not None
        }

    async def _one(self, app: App) -> models.Service | None:
        path = f"{app.kind.value}.one"
        try:
            return await self._http.read(path, models.Service, dict(id_of(app)))
        except Refused as error:
            if error.status != 404 and not isinstance(error, Forbidden):
                raise
            fields = {"backend": self._name, "app": app.id, "why": error.words}
            log.info("an app is left out", extra=fields)
            return None


async def at_a_time(most: int, ask: Callable[[A], Awaitable[T]], about: Sequence[A]) -> list[T]:
    """Query each, `most` at a time; the first failure cancels the others."""
    slots = asyncio.Semaphore(most)

    async def asked(what: A) -> T:
        async with slots:
            return await ask(what)

    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(asked(what)) for what in about]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in running]


# ── What a source can be chosen from ──────────────────────────────────────────────────────────────


class _Provider(models.Record):
    id: str
    git_provider: models.Named


class _Owner(models.Record):
    """GitHub's record of an owner, or the last part of another host's namespace."""

    login: str = Field(validation_alias=AliasChoices("login", "username"))


class _Repository(models.Record):
    """GitHub's own record of a repository."""

    id: int
    name: str
    owner: _Owner

    @property
    def path(self) -> str:
        return f"{self.owner.login}/{self.name}"


class _OtherRepository(_Repository):
    """One of GitLab or Gitea; its `url` is the path with its namespace."""

    url: str

    @property
    def path(self) -> str:
        return self.url


def _providers(kind: SourceType) -> type[list[_Provider]]:
    id_: Any = (str, Field(validation_alias=f"{kind}Id"))
    entry = create_model(f"{kind}Provider", __base__=_Provider, id=id_)
    return cast("type[list[_Provider]]", GenericAlias(list, (entry,)))


PROVIDERS = {
    kind: _providers(kind) for kind in (SourceType.GITHUB, SourceType.GITLAB, SourceType.GITEA)
}
"""The forms of `<kind>.<kind>Providers`, the connected accounts, by the kind of source."""


class Pickers:
    """Lists to choose a source from; raises `Refused` and `Unreachable` as `Dokploy` does.

    For repositories and branches Dokploy asks the Git host, so these may be slow.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    async def git_providers(self) -> list[GitAccount]:
        """Return the connected accounts that the key may use.

        Source: `github.githubProviders`, `gitlab.gitlabProviders`, `gitea.giteaProviders`
        (recorded).
        """
        return [
            GitAccount(account.id, account.git_provider.name, kind)
            for kind, form in PROVIDERS.items()
            for account in await self._http.read(f"{kind}.{kind}Providers", form)
        ]

    async def repositories(self, provider: GitAccount) -> list[GitRepository]:
        """Return the repositories that an account can see.

        Source: `github.getGithubRepositories` (GitHub's own records),
        `gitlab.getGitlabRepositories` and `gitea.getGiteaRepositories` (id, name, url,
        owner.username).
        """
        kind = provider.type
        github = kind is SourceType.GITHUB
        form: Any = list[_Repository] if github else list[_OtherRepository]
        path = f"{kind}.get{kind.title()}Repositories"
        found = await self._http.read(path, form, {f"{kind}Id": provider.id})
        return [
            GitRepository(repository.id, repository.owner.login, repository.name, repository.path)
            for repository in found
        ]

    async def branches(self, provider: GitAccount, repository: GitRepository) -> list[str]:
        """Return the names of a repository's branches.

        Source: `github.getGithubBranches`, `gitlab.getGitlabBranches` (which needs the number),
        `gitea.getGiteaBranches` (which calls the repository's name otherwise).
        """
        kind = provider.type
        name = "repositoryName" if kind is SourceType.GITEA else "repo"
        which: dict[str, str | int] = {"owner": repository.owner, name: repository.name}
        which[f"{kind}Id"] = provider.id
        if kind is SourceType.GITLAB:
            which["id"] = repository.id
        path = f"{kind}.get{kind.title()}Branches"
        return [branch.name for branch in await self._http.read(path, list[models.Named], which)]
