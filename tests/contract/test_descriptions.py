"""What we ask of a host is in its own description; each fake of one holds all requests to it."""

from typing import Any

import pytest
from aiohttp import ClientSession

from tests.fakes.github import FakeGithub
from tests.fakes.host import Asked
from tests.fakes.slack.server import running_slack
from tests.oracles.descriptions import descriptions, misasked
from tests.oracles.host_contracts import operations
from tests.oracles.node_tools import Unavailable, missing
from tests.oracles.openapi import Request, Sent

SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
R = "/repos/octocat/hello"
HEADER = {"type": "header", "text": {"type": "mrkdwn", "text": "Only plain text stands here"}}


def said(**fields: Any) -> Sent:
    return Sent("POST", "/api/chat.postMessage", {"channel": "C0SHOP", "text": "a"} | fields)


@pytest.fixture(scope="module", autouse=True)
def described() -> None:
    try:
        for host in ("github", "gitea", "discord", "slack"):
            descriptions(host)
    except Unavailable as why:
        missing(f"not all descriptions of APIs are here: {why}")


def test_every_operation_that_we_use_is_there_on_each_version_of_the_server_too() -> None:
    absent = [
        (one, description.name)
        for description in descriptions("github")
        for one in operations("github")
        if not description.has(one[0].lower(), one[1])
    ]
    assert absent == []


def test_a_request_that_a_host_takes_has_no_faults() -> None:
    taken: list[tuple[str, Request]] = [
        ("github", Asked("GET", f"{R}/commits/{SHA}/pulls?per_page=100&page=2", 0.0, 200)),
        ("github", Asked("POST", f"{R}/issues/1/comments", 0.0, 201, {"body": "hello"})),
        ("github", Asked("GET", f"{R}/branches/feature%2Fa", 0.0, 200)),
        ("gitea", Sent("GET", "/api/v1/repos/a/b/hooks?page=1&limit=50")),
        ("discord", Sent("POST", "/webhooks/1/t?wait=true&thread_id=2", {"content": "hello"})),
        ("slack", Sent("GET", "/api/conversations.list?limit=200&exclude_archived=true")),
        ("slack", said(blocks=[{"type": "divider"}], thread_ts="1.2", reply_broadcast=True)),
    ]
    assert [fault for host, asked in taken for fault in misasked(host, [asked])] == []


def test_a_request_that_a_host_would_not_take_is_found() -> None:
    statuses = f"{R}/statuses/{SHA}"
    wrong: list[tuple[str, Request, str]] = [
        ("github", Asked("GET", f"{R}/commit/{SHA}", 0.0, 200), "has no such operation"),
        ("github", Asked("PUT", statuses, 0.0, 200), "has no such operation"),
        ("github", Asked("GET", f"{R}/tags?size=5", 0.0, 200), "no query parameter size"),
        ("github", Asked("GET", f"{R}/tags?per_page=all", 0.0, 200), "query parameter per_page"),
        ("github", Asked("GET", f"{R}/issues/one/comments", 0.0, 200), "parameter issue_number"),
        ("github", Asked("POST", f"{R}/issues/1/comments", 0.0, 201), "the body is missing"),
        ("github", Asked("POST", f"{R}/issues/1/comments", 0.0, 201, {"text": "a"}), "field text"),
        ("github", Asked("POST", statuses, 0.0, 201, {"state": "red"}), "body/state: "),
        ("github", Asked("POST", statuses, 0.0, 201, {"context": "a"}), "the body: "),
        ("gitea", Asked("GET", "/api/v1/repos/a/b/tags?size=5", 0.0, 200), "parameter size"),
        ("gitea", Sent("POST", "/api/v1/repos/a/b/issues/1/comments", {"body": 1}), "body/body: "),
        ("discord", Sent("GET", "/webhook/1/t"), "no such operation"),
        ("discord", Sent("POST", "/webhooks/1/t?wait=perhaps", {"content": "a"}), "parameter wait"),
        ("gitlab", Asked("GET", "/api/v4/projects/1/tags", 0.0, 200), "no such operation"),
        ("slack", Sent("GET", "/api/users.info?id=U0ADA"), "no query parameter id"),
        ("slack", said(colour="red"), "'colour' was unexpected"),
        ("slack", said(blocks=[HEADER]), "body/blocks/0/text/type: "),
        ("slack", Sent("POST", "/respond/1", {"response_type": "alone"}), "body/response_type: "),
    ]
    for host, asked, fault in wrong:
        found = misasked(host, [asked])
        assert [one for one in found if fault in one], (asked, found)
        assert len({one.rpartition(" (")[2] for one in found}) == len(descriptions(host))


async def test_a_fake_ends_with_an_error_if_it_was_asked_what_its_host_does_not_have() -> None:
    with pytest.raises(AssertionError, match="no query parameter size"):
        async with FakeGithub() as fake, ClientSession() as web:
            await web.get(f"{fake.url}/repos/octocat/hello/tags?size=5")
    with pytest.raises(AssertionError, match="no query parameter id"):
        async with running_slack() as slack, ClientSession() as web:
            await web.get(f"{slack.url}/api/users.info?id=U0ADA")
