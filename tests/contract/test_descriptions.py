"""What we ask of a host is in its own description; each fake of one holds all requests to it."""

import pytest
from aiohttp import ClientSession

from tests.fakes.github import FakeGithub
from tests.fakes.host import Asked
from tests.oracles.descriptions import descriptions, misasked
from tests.oracles.host_contracts import operations
from tests.oracles.node_tools import Unavailable, missing

SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
R = "/repos/octocat/hello"


@pytest.fixture(scope="module", autouse=True)
def described() -> None:
    try:
        descriptions("github")
    except Unavailable as why:
        missing(f"no description of GitHub's API: {why}")


def test_every_operation_that_we_use_is_there_on_each_version_of_the_server_too() -> None:
    absent = [
        (one, description.name)
        for description in descriptions("github")
        for one in operations("github")
        if not description.has(one[0].lower(), one[1])
    ]
    assert absent == []


@pytest.mark.parametrize(
    "asked",
    [
        Asked("GET", f"{R}/commits/{SHA}/pulls?per_page=100&page=2", 0.0, 200),
        Asked("POST", f"{R}/issues/1/comments", 0.0, 201, {"body": "hello"}),
        Asked("GET", f"{R}/branches/feature%2Fa", 0.0, 200),
    ],
)
def test_a_request_that_github_takes_has_no_faults(asked: Asked) -> None:
    assert misasked("github", [asked]) == []


@pytest.mark.parametrize(
    ("host", "asked", "fault"),
    [
        ("github", Asked("GET", f"{R}/commit/{SHA}", 0.0, 200), "has no such operation"),
        ("github", Asked("PUT", f"{R}/statuses/{SHA}", 0.0, 200), "has no such operation"),
        ("github", Asked("GET", f"{R}/tags?size=5", 0.0, 200), "no query parameter size"),
        ("github", Asked("GET", f"{R}/tags?per_page=all", 0.0, 200), "query parameter per_page"),
        ("github", Asked("GET", f"{R}/issues/one/comments", 0.0, 200), "parameter issue_number"),
        ("github", Asked("POST", f"{R}/issues/1/comments", 0.0, 201), "the body is missing"),
        ("github", Asked("POST", f"{R}/issues/1/comments", 0.0, 201, {"text": "a"}), "field text"),
        ("github", Asked("POST", f"{R}/statuses/{SHA}", 0.0, 201, {"state": "red"}), "the body: "),
        ("github", Asked("POST", f"{R}/statuses/{SHA}", 0.0, 201, {"context": "a"}), "the body: "),
        ("gitea", Asked("GET", "/api/v1/repos/a/b/tags?size=5", 0.0, 200), "parameter size"),
        ("gitea", Asked("GET", "/api/v1/repos/a/b/tag", 0.0, 200), "no such operation"),
        ("gitlab", Asked("GET", "/api/v4/projects/1/tags", 0.0, 200), "no such operation"),
    ],
)
def test_a_request_that_a_host_would_not_take_is_found(host: str, asked: Asked, fault: str) -> None:
    found = misasked(host, [asked])

    assert [one for one in found if fault in one]
    assert len({one.rpartition(" (")[2] for one in found}) == len(descriptions(host))


async def test_a_fake_ends_with_an_error_if_it_was_asked_what_its_host_does_not_have() -> None:
    with pytest.raises(AssertionError, match="no query parameter size"):
        async with FakeGithub() as fake, ClientSession() as web:
            await web.get(f"{fake.url}/repos/octocat/hello/tags?size=5")
