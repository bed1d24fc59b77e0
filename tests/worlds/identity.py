"""Services to sign in with, one for each implementation of `SignsIn`, and a browser there."""

import re
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from bridge.app.providers import ways_to_sign_in
from bridge.core.access import Person
from bridge.ports.sign_in import Challenge, Returned, SignsIn
from bridge.settings import read_settings
from tests.fakes.github import FakeGithub
from tests.fakes.gitlab import FakeGitlab
from tests.fakes.identity import CLIENT, SECRET, Codes, FakeIssuer
from tests.fakes.slack.methods import BOT_TOKEN, TEAM
from tests.fakes.slack.server import FakeSlack, running_slack

BACK = "http://127.0.0.1:9/console/sign-in/x/back"
CHALLENGE = Challenge(BACK, "a-state", "a-verifier-of-the-tests-0123456789-0123456789", "a-nonce")
GRANTS = "[{who: [%s], may: [view]}]"

Browse = Callable[[str], Awaitable[httpx.Response]]


@dataclass
class Service:
    """A service that people sign in with.

    Attributes:
        key: of the way, and of its settings.
        variables: those that lead a bridge to it.
        wanted: the id of whoever signs in there.
        codes: of the stand-in; None for another's server.
        issuer: the stand-in, if it is an OpenID provider.
        browse: what a person's browser does with the address that it is sent to.
    """

    key: str
    variables: Mapping[str, str]
    wanted: str
    codes: Codes | None
    issuer: FakeIssuer | None = None
    browse: Browse | None = None

    def way(self, *who: str, **others: str) -> SignsIn:
        """The way to sign in, where grants name these."""
        access = GRANTS % ", ".join(f"'{one}'" for one in who or ("everyone",))
        environment = {**self.variables, "BRIDGE_ACCESS": access, **others}
        return ways_to_sign_in(read_settings(None, environment))[self.key]

    async def returned(self, address: str) -> dict[str, str]:
        """Sign in there as a person does; return what the browser brings back."""
        answer = await (self.browse or browsed)(address)
        assert answer.status_code == 302, answer.text
        place = answer.headers["Location"]
        return {name: values[0] for name, values in parse_qs(urlsplit(place).query).items()}

    async def person(self, way: SignsIn, challenge: Challenge = CHALLENGE) -> Person:
        """Sign in and come back."""
        found = await self.returned(await way.address(challenge))
        assert found["state"] == challenge.state
        return await way.person(challenge, Returned(found["code"], found.get("iss", "")))


async def browsed(address: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as web:
        return await web.get(address)


def client_of(key: str) -> dict[str, str]:
    return {
        f"BRIDGE_{key}_SIGN_IN_CLIENT_ID": CLIENT,
        f"BRIDGE_{key}_SIGN_IN_CLIENT_SECRET": SECRET,
    }


async def of_github(stack: AsyncExitStack) -> Service:
    return at_github(await stack.enter_async_context(FakeGithub()))


def at_github(github: FakeGithub) -> Service:
    at = {"BRIDGE_GITHUB_API_URL": github.url, "BRIDGE_GITHUB_WEB_URL": github.url}
    return Service("github", at | client_of("GITHUB"), "github:ada", github.accounts.codes)


async def of_gitlab(stack: AsyncExitStack) -> Service:
    gitlab = await stack.enter_async_context(FakeGitlab())
    variables = {"BRIDGE_GITLAB_URL": gitlab.url} | client_of("GITLAB")
    accounts = gitlab.accounts
    accounts.url = gitlab.url
    return Service("gitlab", variables, "gitlab:ada", accounts.codes, accounts)


async def of_slack(stack: AsyncExitStack) -> Service:
    return at_slack(await stack.enter_async_context(running_slack()))


def at_slack(slack: FakeSlack, user: str = "U0ADA", team: str = TEAM) -> Service:
    claims = {"https://slack.com/user_id": user, "https://slack.com/team_id": team}
    slack.accounts.claims = {"sub": user} | claims
    slack.accounts.url = slack.url
    variables = {
        "BRIDGE_SLACK_BOT_TOKEN": BOT_TOKEN,
        "BRIDGE_SLACK_API_URL": f"{slack.url}/api/",
    } | client_of("SLACK")
    return Service("slack", variables, user, slack.accounts.codes, slack.accounts)


async def of_oidc(stack: AsyncExitStack) -> Service:
    issuer = await stack.enter_async_context(FakeIssuer().running())
    return Service("oidc", issuer.settings, "oidc:ada-1", issuer.codes, issuer)


async def of_mock(stack: AsyncExitStack) -> Service:
    url = stack.enter_context(mock_provider())
    variables = {
        "BRIDGE_CONSOLE_OIDC_ISSUER": url,
        "BRIDGE_CONSOLE_OIDC_CLIENT_ID": CLIENT,
        "BRIDGE_CONSOLE_OIDC_CLIENT_SECRET": SECRET,
    }

    async def browse(address: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as web:
            return await web.post(address, data={"sub": "ada-1"})

    return Service("oidc", variables, "oidc:ada-1", None, browse=browse)


@contextmanager
def mock_provider(**claims: dict[str, Any]) -> Iterator[str]:
    """Run `oidc-provider-mock` on loopback, where these people have accounts."""
    quiet = warnings.catch_warnings(
        record=True, action="ignore"
    )  # its own dependencies' deprecations
    with quiet, patch.dict("os.environ", AUTHLIB_INSECURE_TRANSPORT="1"):
        from oidc_provider_mock import run_server_in_thread

        with run_server_in_thread() as server:
            url = f"http://localhost:{server.server_port}"
            for subject, more in claims.items():
                answer = httpx.put(f"{url}/users/{quote(subject)}", json=more, trust_env=False)
                assert answer.status_code == 204, answer.text
            yield url


SERVICES = {
    "github": of_github,
    "gitlab": of_gitlab,
    "slack": of_slack,
    "oidc": of_oidc,
    "oidc-provider-mock": of_mock,
}


@asynccontextmanager
async def service_of(name: str) -> AsyncIterator[Service]:
    """Run a service."""
    async with AsyncExitStack() as stack:
        yield await SERVICES[name](stack)


def secrets_in(text: str) -> list[str]:
    """What looks like a code, a token or a secret in a text."""
    return re.findall(r"[0-9a-f]{32}|gho_\w+|eyJ[\w.-]+", text) + [SECRET] * (SECRET in text)
