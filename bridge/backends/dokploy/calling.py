"""What every call to a Dokploy server goes through."""

import asyncio
import time
from types import MappingProxyType

import httpx
from pydantic import SecretStr, TypeAdapter

from bridge.backends.dokploy import models
from bridge.backends.dokploy.http import Auth, Http, Pause, Query, T
from bridge.backends.dokploy.limits import Limits
from bridge.core.apps import SourceType
from bridge.core.errors import Refused
from bridge.ports.backends import GitAccount, GitRepository
from bridge.ports.clock import Clock
from bridge.ports.figures import Observe


class Pickers:
    """Lists to choose from; raises `Refused` and `Unreachable` as `Dokploy` does.

    All but the first is asked of the Git host by Dokploy in turn, so it may be slow.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    async def git_providers(self) -> list[GitAccount]:
        """The GitHub and GitLab accounts that are connected and that the key may use.

        Source: `github.githubProviders`, `gitlab.gitlabProviders` (recorded).
        """
        github = await self._http.read("github.githubProviders", models.GITHUB_PROVIDERS)
        gitlab = await self._http.read("gitlab.gitlabProviders", models.GITLAB_PROVIDERS)
        return [
            *(GitAccount(one.id, one.git_provider.name, SourceType.GITHUB) for one in github),
            *(GitAccount(one.id, one.git_provider.name, SourceType.GITLAB) for one in gitlab),
        ]

    async def repositories(self, provider: GitAccount) -> list[GitRepository]:
        """What the account can see.

        Source: `github.getGithubRepositories` (GitHub's own records),
        `gitlab.getGitlabRepositories` (id, name, url, owner.username).
        """
        if provider.type is SourceType.GITHUB:
            theirs = await self._http.read(
                "github.getGithubRepositories",
                models.GITHUB_REPOSITORIES,
                {"githubId": provider.id},
            )
            return [
                GitRepository(one.id, one.owner.login, one.name, f"{one.owner.login}/{one.name}")
                for one in theirs
            ]
        found = await self._http.read(
            "gitlab.getGitlabRepositories", models.GITLAB_REPOSITORIES, {"gitlabId": provider.id}
        )
        return [GitRepository(one.id, one.owner.username, one.name, one.url) for one in found]

    async def branches(self, provider: GitAccount, repository: GitRepository) -> list[str]:
        """The repository's branches, by name.

        Source: `github.getGithubBranches`, `gitlab.getGitlabBranches` (which needs the number).
        """
        which: dict[str, str | int] = {"owner": repository.owner, "repo": repository.name}
        if provider.type is SourceType.GITHUB:
            path = "github.getGithubBranches"
            which["githubId"] = provider.id
        else:
            path = "gitlab.getGitlabBranches"
            which |= {"gitlabId": provider.id, "id": repository.id}
        return [one.name for one in await self._http.read(path, models.BRANCHES, which)]


# ── What every call to a Dokploy server goes through ────────────────────────────────────────────


class Calling:
    """One server, and the connections to it."""

    def __init__(
        self,
        url: str,
        api_key: str | SecretStr,
        *,
        auth: Auth = "api-key",
        name: str = "dokploy",
        connect_timeout: float = 5.0,
        read_timeout: float = 20.0,
        total_timeout: float = 60.0,
        max_connections: int = 16,
        concurrency: int = 8,
        read_retries: int = 2,
        max_answer_bytes: int = 16 * 2**20,
        verify: bool = True,
        ca: str | None = None,
        direct: bool = False,
        choices: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.time,
        pause: Pause = asyncio.sleep,
        observe: Observe = lambda _backend, _asked, _seconds: None,
    ) -> None:
        """Keep the settings; nothing is opened before the first request.

        Args:
            url: e.g. "https://dokploy.example.com"; a trailing "/api" does not matter.
            api_key: made with `rateLimitEnabled: false`, else it allows ten checks a day.
            auth: "api-key" is what self-hosted servers take, "bearer" what the document says.
            name: what this server is called in apps, errors and settings.
            connect_timeout, read_timeout, total_timeout: seconds; see `limits.Limits`.
            concurrency: requests in flight while `apps` reads one app after the other.
            read_retries: how often a read is tried again after the first time.
            verify, ca: whether to check the server's certificate, and a PEM file to trust.
            direct: never use the proxy that the environment names.
            choices: offer `pickers`; the embedded backend can't list repositories.
            transport, clock, pause: for tests.
            observe: is told how long each request took.

        Raises:
            Rejected: the url or the key can't be one.
        """
        self.name = name
        self._concurrency = max(1, concurrency)
        self._http = Http(
            name,
            url,
            api_key if isinstance(api_key, SecretStr) else SecretStr(api_key),
            auth=auth,
            limits=Limits(
                connect=connect_timeout,
                read=read_timeout,
                total=total_timeout,
                connections=max_connections,
                read_retries=read_retries,
                answer_bytes=max_answer_bytes,
            ),
            verify=verify,
            ca=ca,
            direct=direct,
            transport=transport,
            clock=clock,
            pause=pause,
            observe=observe,
        )
        if choices:
            self.pickers = Pickers(self._http)

    def __repr__(self) -> str:
        """Without the key."""
        return f"Dokploy({self._http.origin!r}, name={self.name!r})"

    def clock_ahead(self, moment: float) -> float:
        """See `ports.backends.TellsTime`; `moment` is by the clock that was given."""
        return self._http.server_clock.ahead(moment)

    async def _read_if_there(
        self, path: str, form: TypeAdapter[T], query: Query = MappingProxyType({})
    ) -> T | None:
        """None where the server does not know the question, or what it is about."""
        try:
            answer = await self._http.read(path, form, query)
        except Refused as error:
            if error.status == 404:
                return None
            raise
        return answer

    async def close(self) -> None:
        """Let go of connections; later calls raise Unreachable."""
        await self._http.close()
