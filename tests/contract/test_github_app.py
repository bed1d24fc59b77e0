"""A GitHub App: its installations and their tokens, found, narrowed, renewed and replaced."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from pydantic import SecretStr

from bridge.core.errors import NotFound, Refused, Rejected, Unreachable
from bridge.githosts.github.access import PERMISSIONS
from bridge.githosts.github.api import Github, github_api
from bridge.ports.githosts import CommitState
from tests.fakes.github import FakeGithub
from tests.fakes.host import FakeRepository, Spoil
from tests.worlds.hosts import NAME, client_of

STATUS = ("dokploy/shop/web", CommitState.SUCCESS, "is live")


@pytest.fixture
async def fake() -> AsyncIterator[FakeGithub]:
    async with FakeGithub() as fake:
        yield fake


@pytest.fixture
async def api(fake: FakeGithub, pem: str) -> AsyncIterator[Github]:
    api = client_of(fake, pem)
    assert isinstance(api, Github)
    yield api
    await api.close()


@pytest.fixture
def repository(fake: FakeGithub) -> FakeRepository:
    made = fake.repository(NAME)
    made.commit({"a": "b"})
    return made


def head(repository: FakeRepository) -> str:
    return repository.branches["main"]


async def test_one_token_serves_all_repositories_of_an_installation(
    fake: FakeGithub, api: Github, repository: FakeRepository
) -> None:
    other = fake.repository("my-org/other", id=2)
    other.commit({"a": "b"})

    await asyncio.gather(
        *(api.set_status(NAME, head(repository), *STATUS) for _ in range(5)),
        *(api.set_status("my-org/other", head(other), *STATUS) for _ in range(5)),
    )

    assert len(fake.issued) == 1
    assert sum(one.path.endswith("/installation") for one in fake.asked) == 2
    (asked,) = [one.body for one in fake.asked if one.path.endswith("/access_tokens")]
    assert asked == {"permissions": dict(PERMISSIONS)}


async def test_a_token_is_renewed_before_it_ends(
    fake: FakeGithub, api: Github, repository: FakeRepository
) -> None:
    fake.token_seconds = 299.0
    await api.set_status(NAME, head(repository), *STATUS)
    fake.token_seconds = 3600.0
    await api.set_status(NAME, head(repository), *STATUS)
    await api.set_status(NAME, head(repository), *STATUS)

    assert len(fake.issued) == 2


async def test_a_token_that_github_takes_back_is_replaced_and_nothing_done_twice(
    fake: FakeGithub, api: Github, repository: FakeRepository
) -> None:
    pull = repository.open_pull("main")
    await api.set_status(NAME, head(repository), *STATUS)
    fake.issued.clear()

    await api.comment(NAME, pull.number, "hello")

    assert [comment.body for comment in pull.comments] == ["hello"]
    fake.installation = 78  # it was installed anew
    fake.issued.clear()
    await api.set_status(NAME, head(repository), *STATUS)
    assert len(repository.statuses) == 2


async def test_an_app_that_github_does_not_know_any_more_is_not_asked_for_ever(
    fake: FakeGithub, api: Github, repository: FakeRepository
) -> None:
    fake.spoil(Spoil(status=401, body={"message": "Bad credentials"}), path="/statuses/", times=9)

    with pytest.raises(Refused, match="Bad credentials; set BRIDGE_GITHUB_TOKEN"):
        await api.set_status(NAME, head(repository), *STATUS)

    assert sum("/statuses/" in one.path for one in fake.asked) == 2


async def test_where_the_app_is_not_installed_it_says_so(
    fake: FakeGithub, api: Github, repository: FakeRepository
) -> None:
    fake.installed = {"my-org/other"}

    with pytest.raises(NotFound, match="the App is not installed for my-org/mono; install it"):
        await api.set_status(NAME, head(repository), *STATUS)

    fake.installed = None
    await api.set_status(NAME, head(repository), *STATUS)


async def test_without_a_token_nothing_was_asked(
    fake: FakeGithub, api: Github, repository: FakeRepository
) -> None:
    """So a comment is surely not written, although asking for the token was a write."""
    pull = repository.open_pull("main")
    fake.spoil(Spoil(status=502), path="/access_tokens")

    with pytest.raises(Unreachable, match="no token for my-org/mono"):
        await api.comment(NAME, pull.number, "hello")


async def test_comments_of_the_app_are_ours(
    fake: FakeGithub, api: Github, repository: FakeRepository
) -> None:
    pull = repository.open_pull("main")
    await api.comment(NAME, pull.number, "hello")
    pull.comments[0].author = "dokploy-bridge[bot]"
    await api.comment(NAME, pull.number, "hello")
    pull.comments[1].author = "dokploy-bridge"  # a person who took the App's name

    assert [one.ours async for one in api.comments(NAME, pull.number)] == [True, False]


def test_a_credential_that_cannot_be_one_is_refused_without_being_shown(pem: str) -> None:
    assert github_api() is None
    key, token = SecretStr(pem), SecretStr("t")
    given: Mapping[str, object]
    for given, why in (
        ({"app_id": 1}, "set BRIDGE_GITHUB_PRIVATE_KEY"),
        ({"private_key": SecretStr("a key")}, "set BRIDGE_GITHUB_APP_ID"),
        ({"app_id": 1, "private_key": SecretStr("a secret key")}, "not an RSA key in PEM"),
        ({"app_id": 1, "private_key": key, "token": token}, "unset one of them"),
        ({"token": SecretStr("two words")}, "the token is empty or has characters"),
        ({"token": SecretStr("ä")}, "the token is empty or has characters"),
        ({"token": token, "api_url": "ftp://x"}, "must look like https://"),
        ({"token": token, "api_url": "https://u:p@x"}, "may hold no user"),
    ):
        with pytest.raises(Rejected, match=why) as caught:
            github_api(**given)
        assert not any(secret in str(caught.value) for secret in ("a secret", "two words", "u:p"))
