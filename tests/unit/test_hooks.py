"""What is wrong with a webhook, and which address is whose."""

from dataclasses import replace
from typing import Any

import pytest

from bridge.core.errors import Rejected
from bridge.core.events import Repository
from bridge.core.hooks import (
    HostHook,
    Scope,
    ScopeKind,
    faults,
    is_ours,
    same_url,
    scope_named,
    shown_url,
)
from tests.worlds.rows import each_row

URL = "https://bridge.example.com/hooks/github"
MONO = Scope(ScopeKind.REPOSITORY, "my-org/mono", "1")


@each_row(
    ("wrong", "said"),
    [
        ({}, None),
        ({"url": "HTTPS://Bridge.Example.com:443/hooks/github/"}, None),
        ({"url": URL.replace("s:", ":")}, f"it sends to http://…, and the bridge is at {URL}"),
        (
            {"url": "https://bridge.example.com/webhook?token=hunter2"},
            "it sends to the wrong path, /webhook instead of /hooks/github",
        ),
        ({"active": False}, "it is switched off"),
        ({"missing": ("push", "delete")}, "it does not send push, delete"),
        ({"as_json": False}, "it sends a form instead of JSON"),
        (
            {"checks_tls": False},
            "it does not check the bridge's certificate (SSL verification is off)",
        ),
        ({"trouble": "its last delivery failed (401)"}, "its last delivery failed (401)"),
    ],
)
def test_what_is_wrong_with_a_webhook_is_said(wrong: dict[str, Any], said: str | None) -> None:
    hook = replace(HostHook(MONO, "12", URL), **wrong)

    assert list(faults(hook, URL)) == ([] if said is None else [said])


@each_row(
    ("url", "base", "ours"),
    [
        ("http://bridge.example.com/webhook", "https://bridge.example.com", True),
        ("https://bridge.example.com:8443/hooks/github", "https://bridge.example.com", False),
        ("https://other.example.com/hooks/github", "https://bridge.example.com", False),
        ("https://example.com/bridge/hooks/github", "https://example.com/bridge", True),
        ("https://example.com/bridges/hooks", "https://example.com/bridge/", False),
        ("https://[::1/x", "https://bridge.example.com", False),
    ],
)
def test_an_address_of_this_bridge_is_known(url: str, base: str, ours: bool) -> None:
    assert is_ours(url, base) is ours


def test_equal_addresses_are_equal_however_they_are_written() -> None:
    assert same_url(URL, "https://BRIDGE.example.com:443/hooks/github/")
    assert not same_url(URL, "https://bridge.example.com/Hooks/github")
    assert not same_url(URL, f"{URL}?a=b")
    assert same_url("nothing", "nothing")


def test_no_secret_in_an_address_is_shown() -> None:
    url = "https://ada:hunter2@dokploy.example.com:3000/api/deploy/hunter2?token=hunter2"

    assert shown_url(url, whole=False) == "https://dokploy.example.com:3000/…"
    assert shown_url(URL) == URL
    assert "hunter2" not in shown_url("https://a:hunter2@b.example.com/x?y=hunter2")
    assert shown_url("hunter2") == "(no address)"


@each_row(
    ("scope", "covered"),
    [
        (MONO, True),
        (replace(MONO, name="renamed/since"), True),
        (replace(MONO, id="2"), False),
        (replace(MONO, id=""), True),
        (replace(MONO, id="", name="MY-ORG/Mono"), True),
        (replace(MONO, id="", name="my-org/mon"), False),
        (Scope(ScopeKind.OWNER, "renamed", "77"), True),
        (Scope(ScopeKind.OWNER, "my-org", "78"), False),
        (scope_named("My-Org/*"), True),
        (scope_named("my-or/*"), False),
        (scope_named("my-org/mono"), True),
        (Scope(ScopeKind.APP, "", "5"), True),
    ],
)
def test_a_secret_speaks_for_its_own_repositories(scope: Scope, covered: bool) -> None:
    repository = Repository("github", "1", "my-org/mono", owner_id="77")

    assert scope.covers(repository) is covered
    assert Scope.read(scope.written()) == scope


def test_a_host_that_names_no_owner_by_id_is_believed_its_names() -> None:
    group = Scope(ScopeKind.OWNER, "group", "5")

    assert group.covers(Repository("gitlab", "1", "group/sub/project"))
    assert not group.covers(Repository("gitlab", "1", "groups/project"))
    with pytest.raises(Rejected, match="can't be read"):
        Scope.read("anything")
