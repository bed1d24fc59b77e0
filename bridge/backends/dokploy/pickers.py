"""What a person can choose from when connecting an app: accounts, repositories, branches."""

from bridge.backends.dokploy import models
from bridge.backends.dokploy.http import Http
from bridge.core.watch import SourceType
from bridge.ports.backends import GitAccount, GitRepository


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
