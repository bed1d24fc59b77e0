"""Errors of libraries never reach people in their own words: of data and of connections."""

import json
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any, get_args

import aiohttp
import httpx
import pytest
import requests
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticKnownError, core_schema

from bridge.chats.slack.payloads import check_form
from bridge.core.errors import MalformedPayload, Rejected, Unreachable
from bridge.core.errors.connection import why_not_connected
from bridge.core.events import parse_command, parse_found
from bridge.core.validation_errors import came, explained, place, rule
from bridge.githosts.base.answers import Answer, read
from bridge.githosts.github.webhooks import GitHub
from bridge.githosts.gitlab.webhooks import GitLab
from bridge.settings import read_settings
from tests.worlds.rows import each_row

# ── pydantic ──────────────────────────────────────────────────────────────────────

OWN_WORDS = re.compile(
    r"(?i)input should|field required|valid (string|dictionary|list|integer|boolean|tuple)"
    r"|string should|instance of|unable to parse|extra inputs|discriminator|keyword argument"
)
"""Words that only somebody who knows pydantic or Python understands."""

SHA, SECRET = "a" * 40, "hunter2-hunter2"


def known(kind: str) -> Mapping[str, Any] | None:
    """One of pydantic's errors, with something in each place that its words name."""
    for number in (True, False):
        about: dict[str, Any] = {}
        for _ in range(8):
            try:
                error = PydanticKnownError(kind, about or None)  # type: ignore[arg-type]
                return {"type": kind, "msg": error.message(), "ctx": about, "loc": (), "input": []}
            except (TypeError, KeyError) as error:
                found = re.search(r"'(\w+)' (?:required|context value)", str(error))
                if found is None or (found[1] in about and not number):
                    break
                about[found[1]] = 3 if number and found[1] in about else "x"
    return None


def test_every_error_of_pydantic_has_words_of_ours() -> None:
    kinds = get_args(core_schema.ErrorType)
    problems = [one for kind in kinds if (one := known(kind)) is not None]

    assert len(problems) > len(kinds) * 0.8
    for one in problems:
        assert re.match(r"it (must|is) |x$", rule(one)), one
        assert not OWN_WORDS.search(rule(one)), one


class Inner(BaseModel):
    model_config = ConfigDict(strict=True)
    name: str
    size: int = Field(1, ge=1)


def test_where_a_field_stands_leaves_out_the_forms_that_were_tried() -> None:
    for data, words in (
        ([], "the body must be an object, and an empty list came"),
        ({"name": None}, "name: it must be a text, and null came"),
        ({"name": "", "size": 0}, "size: it must be at least 1"),
    ):
        with pytest.raises(ValidationError) as caught:
            Inner.model_validate(data)
        assert explained(caught.value, data).startswith(words)

    assert place(("event", "opened", "user"), {"event": {"type": "x"}}) == "event.user"
    assert place(("a", 0, "b"), {"a": [{}]}) == "a[0].b"
    assert place(("a", 3, "b")) == "a.3.b"
    assert came({"type": "string_pattern_mismatch", "input": "x" * 9}) == "a text of 9 characters"


REPOSITORY = {"id": 1, "name": "r", "full_name": "o/r"}
PUSH = {"ref": "refs/heads/main", "before": SHA, "after": SHA, "repository": REPOSITORY}


@each_row(
    ("more", "words"),
    [
        ({"repository": [SECRET]}, "github push: repository: it must be an object, and a list"),
        ({"after": SECRET}, "after: it must be a whole commit id (40 or 64 digits of 0-9 a-f)"),
        ({"ref": "main"}, "refs/heads/… or refs/tags/…), and 'main' came"),
        ({"ref": "a\x1b" + "b" * 99}, "and 'a\\x1b" + "b" * 58 + "…' came"),
        ({"created": SECRET}, "created: it must be true or false, and a text came"),
    ],
)
def test_a_malformed_webhook_says_what_its_field_must_be(more: Any, words: str) -> None:
    with pytest.raises(MalformedPayload) as caught:
        GitHub(["secret"]).parse("push", {}, json.dumps(PUSH | more).encode())

    said = str(caught.value)
    assert words in said
    assert SECRET not in said
    assert not OWN_WORDS.search(said)


GITLAB, ODD = GitLab(["t" * 16]), {"repository": {"urls": [], "new": 1}, "commit": None}
HOME = {"type": "event_callback", "event": {"type": "app_home_opened", "user": [SECRET]}}
WRONG: dict[str, Callable[[], object]] = {
    "GitLab": lambda: GITLAB.parse("Push Hook", {}, b'{"ref": 7, "project": []}'),
    "Slack": lambda: check_form(HOME),
    "Slack's click": lambda: check_form({"type": "block_actions", "actions": SECRET}),
    "settings": lambda: read_settings(None, {"BRIDGE_DOKPLOY_URL": "nowhere", "BRIDGE_PORT": "x"}),
    "rules": lambda: read_settings(None, {"BRIDGE_RULES": "[{apps: {a: 1}, tags: [1, {}]}, 7]"}),
    "an answer": lambda: read(list[Inner], Answer(200, {}, [{"name": {}}]), "github"),
    "found": lambda: parse_found(b"{}"),
    "found otherwise": lambda: parse_found(json.dumps(PUSH | ODD).encode()),
    "a command": lambda: parse_command("deploy", b"{"),
}


@each_row("wrong", WRONG)
def test_nobody_is_told_in_the_words_of_python(wrong: str) -> None:
    with pytest.raises((Rejected, Unreachable)) as caught:
        WRONG[wrong]()

    said = str(caught.value)
    assert not OWN_WORDS.search(said), said
    assert not re.search(r"__init__|^'|: '\w+'$|Expecting", said), said
    assert SECRET not in said


# ── why a connection failed ───────────────────────────────────────────────────────

REFUSED = "nothing listens at its address (connection refused)"


def raised_by_httpx(cause: BaseException) -> Exception:
    error = httpx.ConnectError("All connection attempts failed")
    inner = OSError("All connection attempts failed")
    inner.__cause__ = BaseExceptionGroup("multiple connection attempts failed", [cause, cause])
    error.__cause__ = inner
    return error


def raised_by_requests(cause: BaseException) -> Exception:
    from urllib3 import HTTPConnectionPool
    from urllib3.exceptions import MaxRetryError, ProtocolError

    wrapped = MaxRetryError(HTTPConnectionPool("x"), "/", ProtocolError("Aborted.", cause))
    return requests.ConnectionError(wrapped)


def raised_by_aiohttp(cause: Any) -> Exception:
    key = aiohttp.client_reqrep.ConnectionKey("x", 80, False, True, None, None, None)
    return aiohttp.ClientConnectorError(key, cause)


LIBRARIES = [raised_by_httpx, raised_by_requests, raised_by_aiohttp]
UNTRUSTED = ssl.SSLCertVerificationError(1, "self-signed")
UNTRUSTED.verify_message = "self-signed certificate"


@each_row("wrapped", LIBRARIES)
@each_row(
    ("cause", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), REFUSED),
        (socket.gaierror(-2, "Name or service not known"), "can't be resolved (DNS)"),
        (OSError(113, "No route to host"), "no route"),
        (UNTRUSTED, "its certificate is not trusted: self-signed certificate"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "is https right in its address?"),
        (ConnectionResetError(104, "reset"), "closed the connection before its answer"),
    ],
)
def test_the_cause_is_found_and_said(wrapped, cause, words) -> None:
    said = why_not_connected(wrapped(cause))

    assert said is not None
    assert words in said


def test_what_has_no_system_error_is_known_by_its_name_and_other_errors_are_left_alone() -> None:
    for error, words in {
        httpx.ConnectTimeout(""): "did not take the connection in time",
        httpx.PoolTimeout(""): "all connections to it were busy",
        aiohttp.ServerDisconnectedError(): "closed the connection",
        requests.ReadTimeout("read timeout=3"): "did not answer in time",
    }.items():
        assert words in (why_not_connected(error) or "")
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one

    assert why_not_connected(one) is None
    assert why_not_connected(httpx.ConnectError("refused")) is None
