"""Input rules and the words for what breaks them, as the real server has them."""

from typing import Any

import pytest

from bridge.embedded.http import inputs
from bridge.embedded.http.inputs import ApplicationUpdate
from bridge.embedded.http.procedure import InvalidInput, parse, zod_error
from tests.worlds.rows import each_row


def issues(model: type[inputs.Input], data: Any) -> list[dict[str, Any]]:
    with pytest.raises(InvalidInput) as caught:
        parse(model, data)
    return caught.value.issues


def messages(model: type[inputs.Input], data: Any) -> list[str]:
    return [issue["message"] for issue in issues(model, data)]


def test_a_plain_text_that_is_missing_should_have_been_a_string() -> None:
    assert issues(inputs.ApplicationId, {}) == [
        {
            "expected": "string",
            "code": "invalid_type",
            "path": ["applicationId"],
            "message": "Invalid input: expected string, received undefined",
        }
    ]


def test_what_may_be_null_must_still_be_sent() -> None:
    data = {"applicationId": "a", "dockerImage": None, "username": None, "password": None}

    assert issues(inputs.DockerProvider, data) == [
        {
            "code": "invalid_type",
            "expected": "nonoptional",
            "path": ["registryUrl"],
            "message": "Invalid input: expected nonoptional, received undefined",
        }
    ]


@each_row(
    ("value", "received"),
    [
        (1, "number"),
        (1.5, "number"),
        (True, "boolean"),
        (None, "null"),
        ([], "array"),
        ({}, "object"),
    ],
)
def test_nothing_is_taken_for_a_string(value: object, received: str) -> None:
    assert messages(inputs.ApplicationId, {"applicationId": value}) == [
        f"Invalid input: expected string, received {received}"
    ]


@pytest.mark.parametrize("data", [None, [], "text", 1, True])
def test_an_input_is_an_object(data: object) -> None:
    (issue,) = issues(inputs.ApplicationId, data)

    assert issue["expected"] == "object"
    assert zod_error([issue])["formErrors"] == [issue["message"]]


def test_every_fault_is_told_at_once() -> None:
    data = {"applicationId": 1, "buildType": "bazel"}

    fields = zod_error(issues(inputs.BuildTypeInput, data))["fieldErrors"]

    assert list(fields) == [
        "applicationId",
        "buildType",
        "dockerfile",
        "dockerContextPath",
        "dockerBuildStage",
        "herokuVersion",
        "railpackVersion",
    ]


def test_a_fault_inside_of_a_list_is_told_of_the_list() -> None:
    (issue,) = issues(ApplicationUpdate, {"applicationId": "a", "watchPaths": ["a", 1]})

    assert issue["path"] == ["watchPaths", 1]
    assert list(zod_error([issue])["fieldErrors"]) == ["watchPaths"]


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("0", "Too small: expected number to be >=1"),
        ("10001", "Too big: expected number to be <=10000"),
        ("many", "Invalid input: expected number, received NaN"),
        ("1.5", "Invalid input: expected number, received NaN"),
    ],
)
def test_a_tail_has_its_bounds(tail: str, message: str) -> None:
    assert messages(inputs.ReadLogs, {"deploymentId": "d", "tail": tail}) == [message]


@pytest.mark.parametrize("offset", ["inf", "nan", "1e400", "-1", "x"])
def test_an_offset_is_a_number_that_can_be_counted_to(offset: str) -> None:
    (message,) = messages(inputs.Search, {"offset": offset})

    assert message.startswith(("Invalid input: expected number", "Too small"))


def test_a_query_may_leave_out_what_has_a_default() -> None:
    assert parse(inputs.ReadLogs, {"deploymentId": "d"}).tail == 100
    assert parse(inputs.ReadLogs, {"deploymentId": "d", "tail": "7"}).tail == 7


@pytest.mark.parametrize("branch", ["main", "feature/a#1", "v1.2_x-y", "a" * 255])
def test_branches_have_the_servers_pattern(branch: str) -> None:
    assert parse(inputs.GitProvider, _git(branch)).custom_git_branch == branch


@pytest.mark.parametrize("branch", ["feat ure", "a;b", "a\n", "ä", "$(x)"])
def test_other_branches_are_told_with_the_pattern(branch: str) -> None:
    (issue,) = issues(inputs.GitProvider, _git(branch))

    assert issue["message"] == "Invalid branch name"
    assert issue["pattern"] == r"/^[a-zA-Z0-9._\-/#]+$/"


def test_a_branch_never_looks_like_an_option() -> None:
    assert messages(inputs.GitProvider, _git("-b")) == ["Invalid branch name"]


def _git(branch: str) -> dict[str, Any]:
    return {
        "applicationId": "a",
        "customGitUrl": "u",
        "customGitBranch": branch,
        "customGitBuildPath": "/",
        "watchPaths": None,
    }


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_texts_are_what_can_be_stored(text: str) -> None:
    (issue,) = issues(inputs.ProjectCreate, {"name": text})

    assert issue["path"] == ["name"]
    assert issue["message"].startswith("must not contain")


def test_unknown_fields_are_ignored() -> None:
    assert parse(inputs.ApplicationId, {"applicationId": "a", "more": 1}).application_id == "a"


def test_an_update_knows_what_was_sent() -> None:
    update = parse(ApplicationUpdate, {"applicationId": "a", "customGitSSHKeyId": None})

    assert update.model_fields_set == {"application_id", "customGitSSHKeyId"}
