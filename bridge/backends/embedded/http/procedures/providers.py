"""`github.*`, `gitlab.*` and `gitProvider.*`: the Git hosts that applications may come from."""

from bridge.backends.embedded.http import inputs, shapes
from bridge.backends.embedded.http.failures import not_found
from bridge.backends.embedded.http.procedures.procedure import EMPTY, Empty
from bridge.backends.embedded.parts import Parts
from bridge.backends.embedded.records.database import Record
from bridge.backends.embedded.records.ids import moment
from bridge.backends.embedded.words import words

_LISTED_GITHUB = words(
    "githubId githubAppName githubAppId githubInstallationId githubUrl isConfigured"
)
_LISTED_GITLAB = words("gitlabId applicationId gitlabUrl isConfigured")


async def get_all(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`gitProvider.getAll`, without secrets."""
    github = [
        one["gitProvider"]
        | {"gitlab": None, "bitbucket": None}
        | {"github": shapes.provider_listed(one | {"isConfigured": True}, _LISTED_GITHUB)}
        | {"gitea": None, "isOwner": True}
        for one in await parts.catalog.providers("github")
    ]
    gitlab = [
        one["gitProvider"]
        | {"gitlab": shapes.provider_listed(one | {"isConfigured": True}, _LISTED_GITLAB)}
        | {"bitbucket": None, "github": None, "gitea": None, "isOwner": True}
        for one in await parts.catalog.providers("gitlab")
    ]
    return github + gitlab


async def github_all(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`github.githubProviders`."""
    keys = ("githubId", "githubUrl", "gitProvider")
    providers = await parts.catalog.providers("github")
    return [shapes.provider_listed(one, keys) for one in providers]


async def github_one(parts: Parts, input_: inputs.GithubId) -> Record:
    """`github.one`: with secrets, as the real server answers (facts.md)."""
    provider = await parts.catalog.provider("github", input_.github_id)
    if provider is None:
        raise not_found("Github Provider")
    return provider


async def gitlab_all(parts: Parts, _input: inputs.Nothing) -> list[Record]:
    """`gitlab.gitlabProviders`."""
    keys = ("gitlabId", "gitProvider", "gitlabUrl")
    providers = await parts.catalog.providers("gitlab")
    return [shapes.provider_listed(one, keys) for one in providers]


async def gitlab_one(parts: Parts, input_: inputs.GitlabId) -> Record:
    """`gitlab.one`: with secrets, as the real server answers (facts.md)."""
    provider = await parts.catalog.provider("gitlab", input_.gitlab_id)
    if provider is None:
        raise not_found("Gitlab Provider")
    return provider


async def github_repositories(parts: Parts, input_: inputs.GithubId) -> list[Record]:
    """`github.getGithubRepositories`: none, since nothing here asks a Git host."""
    await github_one(parts, input_)
    return []


async def github_branches(parts: Parts, input_: inputs.GithubRepository) -> list[Record]:
    """`github.getGithubBranches`: none, as above."""
    if input_.github_id:
        await github_one(parts, inputs.GithubId(githubId=input_.github_id))
    return []


async def gitlab_repositories(parts: Parts, input_: inputs.GitlabId) -> list[Record]:
    """`gitlab.getGitlabRepositories`: none, as above."""
    await gitlab_one(parts, input_)
    return []


async def gitlab_branches(parts: Parts, input_: inputs.GitlabRepository) -> list[Record]:
    """`gitlab.getGitlabBranches`: none, as above."""
    if input_.gitlab_id:
        await gitlab_one(parts, inputs.GitlabId(gitlabId=input_.gitlab_id))
    return []


async def gitlab_create(parts: Parts, input_: inputs.GitlabCreate) -> Empty:
    """`gitlab.create`: the answer has no id; `gitlab.gitlabProviders` tells it."""
    await add_gitlab(parts, input_)
    return EMPTY


async def add_gitlab(parts: Parts, input_: inputs.GitlabCreate) -> Record:
    """Keep a GitLab provider."""
    git_provider = _git_provider(parts, input_.name, "gitlab")
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
    return provider


async def add_github(parts: Parts, name: str, url: str, *, id_: str | None = None) -> Record:
    """Keep a GitHub provider; the real server makes them in a browser only."""
    git_provider = _git_provider(parts, name, "github")
    unused = ["githubClientId", "githubClientSecret", "githubInstallationId", "githubPrivateKey"]
    provider: Record = {
        "githubId": id_ or parts.new_id(),
        "githubAppName": name,
        "githubAppId": None,
        **dict.fromkeys(unused),
        "githubWebhookSecret": None,
        "githubUrl": url,
        "gitProviderId": git_provider["gitProviderId"],
        "gitProvider": git_provider,
    }
    await parts.catalog.add_provider(provider["githubId"], "github", provider)
    return provider


def _git_provider(parts: Parts, name: str, kind: str) -> Record:
    return {
        "gitProviderId": parts.new_id(),
        "name": name,
        "providerType": kind,
        "createdAt": moment(parts.clock()),
        "organizationId": shapes.ORGANIZATION,
        "userId": shapes.ORGANIZATION,
        "sharedWithOrganization": False,
    }
