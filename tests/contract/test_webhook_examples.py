"""Every example of a webhook that people have given to Octokit is taken or ignored, with a reason.

https://github.com/octokit/webhooks, the package @octokit/webhooks-examples
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.cli.payloads import parse_payload
from bridge.core.errors import Rejected
from bridge.core.events import (
    CheckReported,
    Event,
    Ignored,
    PullRequestChanged,
    RefPushed,
)
from bridge.githosts import HOSTS
from tests.oracles.node_tools import Unavailable, missing, node_home

VERSIONS = ("api.github.com", "ghes-31", "ghes-35")
CHECKS = {"check_run", "check_suite", "status"}
GUESSED = {"push", "ping", "pull_request", "create", "delete", *CHECKS}
"""Events whose bodies tell which they are; of all others `explain` asks, or is right."""


@pytest.fixture(scope="module", params=VERSIONS)
def examples(request: pytest.FixtureRequest) -> list[tuple[str, dict[str, Any]]]:
    """Event and body of each example of a version."""
    try:
        home = node_home("octokit")
    except Unavailable as why:
        missing(f"no examples of webhooks: {why}")
    file = home / "node_modules/@octokit/webhooks-examples" / request.param / "index.json"
    return [
        (event["name"], example)
        for event in json.loads(file.read_text())
        for example in event["examples"]
    ]


def meant(event: str, body: dict[str, Any]) -> Event:
    return HOSTS["github"].reader().parse(event, {}, json.dumps(body).encode())


def test_each_is_taken_or_ignored_with_a_reason(
    examples: list[tuple[str, dict[str, Any]]],
) -> None:
    found = Counter[str]()
    for event, body in examples:
        meaning = meant(event, body)
        found[type(meaning).__name__] += 1
        if isinstance(meaning, Ignored):
            assert meaning.reason
        elif isinstance(meaning, PullRequestChanged):
            assert event == "pull_request"
            assert meaning.pull.number == body["number"]
            assert meaning.opened is (body["action"] in ("opened", "reopened"))
            assert meaning.pull.open is (body["pull_request"]["state"] == "open")
        elif isinstance(meaning, CheckReported):
            assert event in CHECKS
            assert meaning.commit == body.get("sha", body.get(event, {}).get("head_sha"))
            assert (meaning.check is None) is (event == "check_suite")
        else:
            assert isinstance(meaning, RefPushed)
            assert (str(meaning.ref), meaning.after) == (body["ref"], body["after"])

    assert found["RefPushed"] >= 1
    assert found["CheckReported"] >= 3
    assert found["PullRequestChanged"] >= 1
    assert found["Ignored"] > 20


def test_a_body_alone_tells_its_event_or_says_that_it_does_not(
    examples: list[tuple[str, dict[str, Any]]],
) -> None:
    wrong = {
        (event, told) for event, body in examples if (told := guessed(body)) not in (event, "")
    }
    unknown = {event for event, body in examples if guessed(body) == ""}

    assert wrong == set()
    assert unknown.isdisjoint(GUESSED)


def guessed(body: dict[str, Any]) -> str:
    """The event that `explain` takes a body for; "" where it asks."""
    try:
        return parse_payload(json.dumps(body).encode(), "github", None).event
    except Rejected:
        return ""


def test_what_is_broken_is_told_and_not_taken(examples: list[tuple[str, dict[str, Any]]]) -> None:
    """Without each of its fields in turn, an event that is read is whole or malformed."""
    told = Counter[str]()
    for event, body in examples:
        if event in {"push", "pull_request", *CHECKS}:
            for broken in _without_each(body):
                try:
                    told[type(meant(event, broken)).__name__] += 1
                except Rejected as error:
                    told["refused" if "github" in str(error) else "badly told"] += 1

    assert told["refused"] > 0
    assert told["badly told"] == 0


def _without_each(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name in body:
        yield {key: value for key, value in body.items() if key != name}
        yield body | {name: None}
        yield body | {name: [body]}
