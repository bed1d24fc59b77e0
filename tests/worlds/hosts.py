"""Each Git host with our client: a fake over real HTTP, checked against its contract."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from bridge.githosts import HOSTS
from bridge.githosts.base.answers import Answer, Request
from bridge.githosts.base.pool import Bounds
from bridge.githosts.gitea.api import Gitea, gitea_api
from bridge.githosts.github.api import Github, github_api
from bridge.githosts.gitlab.api import Gitlab, gitlab_api
from bridge.ports.githosts import GitHost, HasDeployments, Redelivers
from tests.fakes.gitea import FakeGitea
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.host import FakeHost, FakeRepository
from tests.oracles.host_contracts import against_the_contract, operation

NAME = "my-org/mono"
FEW = Bounds(size=2)


def webhooks_of(host: str, secret: str) -> GitHost:
    """Return the webhook parser of a host with this secret."""
    provider = HOSTS[host]
    return provider.webhooks(provider.settings()(**{provider.secrets[0].setting: [secret]}))


@pytest.fixture(scope="session")
def pem() -> str:
    return new_pem()


def new_pem() -> str:
    """A private key as GitHub gives an App."""
    key = rsa.generate_private_key(65537, 2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    ).decode()


@dataclass
class Host:
    fake: FakeHost
    api: Github | Gitlab | Gitea
    repository: FakeRepository


def client_of(fake: FakeHost, pem: str | None = None) -> Github | Gitlab | Gitea:
    """Return our client of a fake; with a key, as a GitHub App."""
    api: Github | Gitlab | Gitea | None
    if isinstance(fake, FakeGitlab):
        api = gitlab_api(token=SecretStr(fake.token), url=fake.url, bounds=FEW)
    elif isinstance(fake, FakeGitea):
        api = gitea_api(token=SecretStr(fake.token), url=fake.url, bounds=FEW)
    elif pem is None:
        api = github_api(token=SecretStr(FakeGithub.token), api_url=fake.url, bounds=FEW)
    else:
        key, app_id = SecretStr(pem), FakeGithub.app_id
        api = github_api(app_id=app_id, private_key=key, api_url=fake.url, bounds=FEW)
    assert api is not None
    return api


FAKES: dict[str, type[FakeHost]] = {
    "github": FakeGithub,
    "gitlab": FakeGitlab,
    "gitea": FakeGitea,
}


def with_deployments(host: Host) -> HasDeployments:
    """The host's deployment objects; the test is none for a host without them."""
    if not isinstance(host.api, HasDeployments):
        pytest.skip(f"{host.fake.name} has no deployment objects")
    return host.api


def redelivering(host: Host) -> Redelivers:
    """What the host's webhooks have sent; the test is none for a host that does not tell."""
    if not isinstance(host.api, Redelivers):
        pytest.skip(f"{host.fake.name} does not tell what its webhooks have sent")
    return host.api


@pytest.fixture(params=["github as an app", *HOSTS])
async def host(request: pytest.FixtureRequest, pem: str) -> AsyncIterator[Host]:
    made: FakeHost = FAKES[request.param.split()[0]]()
    async with made as fake:
        api = client_of(fake, pem if request.param == "github as an app" else None)
        repository = fake.repository(NAME)
        repository.commit({"README.md": "read me", "web/index.html": "one"})
        yield Host(fake, api, repository)
        await api.close()
        assert against_the_contract(fake) == []


@dataclass
class Mocked:
    """Our client on a mock of a host's contract, and the operations that it called.

    Attributes:
        prefer: the contract's answer that the mock gives, e.g. "code=404".
    """

    host: str
    api: Any
    prefer: str | None = None
    called: set[tuple[str, str] | None] = field(default_factory=set)

    def __post_init__(self) -> None:
        client = self.api.access.client
        sent: Callable[[Request, str], Awaitable[Answer]] = client._sent
        base = "/api/v4" if self.host == "gitlab" else ""

        async def watched(request: Request, account: str) -> Answer:
            self.called.add(operation(self.host, request.method, base + request.path))
            asks = {"Prefer": self.prefer} if self.prefer else {}
            return await sent(replace(request, headers={**request.headers, **asks}), account)

        client._sent = watched


async def everything(api: Any, method: str, *given: Any) -> list[Any]:
    """Collect everything that one of its methods yields."""
    return [one async for one in getattr(api, method)(*given)]
