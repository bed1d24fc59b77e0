"""Gitea's and Forgejo's webhooks: who they are from, and of which server they may speak."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict
from pydantic import ValidationError

from bridge.app.keyrings import keyrings_of
from bridge.core.apps import App, Source, SourceType
from bridge.core.decision import Reason, decide
from bridge.core.errors import BadSignature, Rejected
from bridge.core.events import ZERO, Ignored, RefPushed
from bridge.core.refs import home_of
from bridge.githosts import HOSTS
from bridge.githosts.gitea.webhooks import Gitea
from bridge.githosts.server import OwnRepositories, homes_of
from bridge.ports.providers import HostServer
from bridge.settings import Settings
from tests.unit.githosts.test_deliveries import SECRET, load
from tests.worlds.rows import each_row

PUSH = "gitea/push__three_commits"


def headers(**others: str | None) -> Any:
    """Headers of the push, with some others; None: without."""
    found, _ = load(PUSH)
    given = {name.replace("_", "-"): value for name, value in others.items()}
    for name, value in given.items():
        found.pop(name, None)
        if value is not None:
            found[name] = value
    return found


def read(host: Any, given: CIMultiDict[str], body: bytes) -> Any:
    envelope = host.open(given, 0.0)
    host.verify(envelope, body)
    return host.parse(envelope.event, envelope.headers, body)


# ── who it is from ───────────────────────────────────────────────────────────


@each_row(
    ("others", "why"),
    [
        ({"X_Gitea_Signature": None}, "set a secret on the webhook"),
        ({"X_Gitea_Signature": ""}, "set a secret on the webhook"),
        ({"X_Gitea_Signature": "sha256=" + "a" * 64}, "64 hex digits"),
        ({"X_Gitea_Signature": "ä" * 64}, "64 hex digits"),
        ({"X_Gitea_Signature": "a" * 64}, "does not fit the body"),
        ({"X_Forgejo_Signature": "a" * 64}, "does not fit the body"),
    ],
)
def test_what_is_not_signed_so_is_refused(others: dict[str, str | None], why: str) -> None:
    _, body = load(PUSH)

    with pytest.raises(BadSignature, match=why):
        read(Gitea([SECRET]), headers(**others), body)


def test_a_forgejo_that_sends_only_its_own_headers_is_taken() -> None:
    given, body = load("gitea/push__of_forgejo")
    own = CIMultiDict({name: value for name, value in given.items() if "gitea" not in name.lower()})

    assert isinstance(read(Gitea([SECRET]), own, body), RefPushed)


def test_a_test_delivery_of_an_invented_commit_deletes_nothing() -> None:
    """Newer servers send no commit of the repository: both ids are null."""
    _, body = load("gitea/push__test_delivery")
    sent = json.loads(body) | {"before": ZERO, "after": ZERO}

    event = Gitea([SECRET]).parse("push", {}, json.dumps(sent).encode())

    assert event == Ignored("a test delivery: the branch main did not move")


def test_a_moved_branch_without_commits_tells_no_files() -> None:
    _, body = load(PUSH)
    sent = json.loads(body) | {"commits": [], "total_commits": 0}

    event = Gitea(["s"]).parse("push", {}, json.dumps(sent).encode())

    assert isinstance(event, RefPushed)
    assert event.paths is None


# ── of which server it may speak ─────────────────────────────────────────────


def server(name: str = "gitea", **given: Any) -> HostServer:
    provider = HOSTS["gitea"]
    return HostServer(name, provider, provider.settings()(**given))


def push(server: HostServer, **others: Any) -> RefPushed:
    _, body = load(PUSH)
    sent = json.loads(body)
    sent["repository"] |= others
    event = Gitea([SECRET]).parse("push", {}, json.dumps(sent).encode())
    assert isinstance(event, RefPushed)
    return replace(event, repository=OwnRepositories(server)(event.repository))


HERE = {
    "id": 1,
    "full_name": "my-org/mono",
    "html_url": "https://git.example.com/my-org/mono",
    "clone_url": "https://git.example.com/my-org/mono.git",
    "ssh_url": "ssh://git@git.example.com:2222/my-org/mono.git",
}


@each_row(
    "address",
    [
        "https://git.example.org/my-org/mono",
        "https://git.example.com.evil.example/my-org/mono",
        "https://github.com/my-org/mono",
        "https://git.example.com:8443/my-org/mono",
    ],
)
def test_a_repository_of_another_server_is_refused_with_the_remedy(address: str) -> None:
    one = server(url="https://git.example.com")

    with pytest.raises(Rejected, match=r"set BRIDGE_GITEA_WEB_URL, or add its server to `giteas`"):
        push(one, **HERE | {"html_url": address})


def test_the_remedy_of_a_further_server_names_its_own_setting() -> None:
    one = server("gitea/second", url="https://git.example.com")

    with pytest.raises(Rejected, match=r"set giteas\.second\.web_url"):
        push(one, **HERE | {"html_url": "https://git.example.org/my-org/mono"})


def test_clone_addresses_of_others_are_left_out() -> None:
    one = server(url="https://git.example.com")
    foreign = {"clone_url": "https://github.com/my-org/mono", "ssh_url": "git@github.com:a/b.git"}

    assert push(one, **HERE | foreign).repository.urls == {"git.example.com/my-org/mono"}


def from_gitea(url: str | None) -> App:
    source = Source(SourceType.GITEA, "my-org/mono", url=url, branch="main")
    return App("app_1", "web", "shop", source=source)


@each_row(
    ("url", "deploys"),
    [
        ("git.example.com/my-org/mono", True),
        ("gitea:3000/my-org/mono", True),
        ("git.example.org/my-org/mono", False),
        (None, True),
    ],
)
def test_an_app_deploys_only_from_the_server_that_its_provider_names(
    url: str | None, deploys: bool
) -> None:
    one = server("gitea/second", url="http://gitea:3000", web_url="https://git.example.com")

    decision = decide(push(one, **HERE), from_gitea(url))

    assert (decision.reason is not Reason.REPOSITORY_MISMATCH) is deploys


@each_row(
    ("setting", "value", "why"),
    [
        ("url", "https://git.example.com/api/v1/", "it ends with /api/v1, which is added anyway"),
        ("ssh_host", "ssh.example.com:2222", "e.g. git.example.com, not 'ssh.example.com:2222': l"),
        ("ssh_host", "ssh://git.example.com", "leave out the scheme and the path"),
    ],
)
def test_an_address_that_can_not_be_is_told_with_the_remedy(
    setting: str, value: str, why: str
) -> None:
    with pytest.raises(ValidationError, match=re.escape(why)):
        Settings.model_validate({"gitea": {setting: value}})


def test_two_servers_at_one_address_are_refused_since_a_push_would_deploy_twice() -> None:
    settings = Settings.model_validate(
        {
            "gitea": {"url": "https://a.example.com", "webhook_secrets": "first"},
            "giteas": {"second": {"url": "https://A.example.com/", "webhook_secrets": "second"}},
        }
    )

    with pytest.raises(Rejected, match=r"gitea and giteas\.second are both at a\.example\.com"):
        keyrings_of(settings)


def test_a_clone_address_leads_to_its_server_also_by_ssh_or_below_a_path() -> None:
    settings = Settings.model_validate(
        {
            "gitea": {"url": "https://a.example.com:3000", "ssh_host": "ssh.example.com"},
            "giteas": {
                "below": {"url": "https://b.example.com/git"},
                "beside": {"url": "https://b.example.com/forge"},
            },
        }
    )

    homes = homes_of(settings.host_servers().values())

    assert home_of("a.example.com:3000/o/r", homes) == ("gitea", "o/r")
    assert home_of("a.example.com/o/r", homes) == ("gitea", "o/r")
    assert home_of("ssh.example.com/o/r", homes) == ("gitea", "o/r")
    assert home_of("b.example.com/git/o/r", homes) == ("gitea/below", "o/r")
    assert home_of("b.example.com/forge/o/r", homes) == ("gitea/beside", "o/r")
    assert home_of("b.example.com/o/r", homes) is None, "it may be of either"
    assert home_of("github.com/o/r", homes) == ("github", "o/r")
