"""What we ask of GitHub is in GitHub's own description of its whole API."""

import pytest

from tests.fakes.host import Asked
from tests.oracles.github_openapi import description, faults
from tests.oracles.host_contracts import operations
from tests.oracles.node_tools import Unavailable, missing

SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
R = "/repos/octocat/hello"


@pytest.fixture(scope="module", autouse=True)
def described() -> None:
    try:
        description()
    except Unavailable as why:
        missing(f"no description of GitHub's API: {why}")


def test_every_operation_that_we_use_is_there() -> None:
    paths = description()["paths"]

    absent = {one for one in operations("github") if one[0].lower() not in paths.get(one[1], {})}
    assert absent == set()


@pytest.mark.parametrize(
    "asked",
    [
        Asked("GET", f"{R}/commits/{SHA}/pulls?per_page=100&page=2", 0.0, 200),
        Asked("POST", f"{R}/issues/1/comments", 0.0, 201, {"body": "hello"}),
        Asked("GET", f"{R}/branches/feature%2Fa", 0.0, 200),
    ],
)
def test_a_request_that_github_takes_has_no_faults(asked: Asked) -> None:
    assert list(faults(asked)) == []


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (Asked("GET", f"{R}/commit/{SHA}", 0.0, 200), "GitHub has no such operation"),
        (Asked("PUT", f"{R}/statuses/{SHA}", 0.0, 200), "GitHub has no such operation"),
        (Asked("GET", f"{R}/tags?size=5", 0.0, 200), "there is no query parameter size"),
        (Asked("GET", f"{R}/tags?per_page=all", 0.0, 200), "query parameter per_page"),
        (Asked("GET", f"{R}/issues/one/comments", 0.0, 200), "path parameter issue_number"),
        (Asked("POST", f"{R}/issues/1/comments", 0.0, 201), "the body is missing"),
        (Asked("POST", f"{R}/issues/1/comments", 0.0, 201, {"text": "a"}), "has no field text"),
        (Asked("POST", f"{R}/statuses/{SHA}", 0.0, 201, {"state": "red"}), "body: "),
        (Asked("POST", f"{R}/statuses/{SHA}", 0.0, 201, {"context": "a"}), "body: "),
    ],
)
def test_a_request_that_github_would_not_take_is_found(asked: Asked, fault: str) -> None:
    assert fault in "\n".join(faults(asked))
