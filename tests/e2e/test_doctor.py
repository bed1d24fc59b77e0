"""`doctor` finds each fault planted beside the bridge by its name, and none in a sound set-up."""

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.fakes.dokploy_server import MEMBER
from tests.fakes.host import FakeHook, FakeSending
from tests.worlds.plants import Plant, finds, found_of, with_
from tests.worlds.setup import SECRET, SetUp, sound_set_up, with_bridge


def at(path: str = "", host: str = "github", **attributes: Any) -> Callable[[SetUp], Any]:
    """Give a host's only webhook another path, or other attributes."""

    def plant(made: SetUp) -> Any:
        hook = made.repositories[host].hooks[0]
        there = path or f"/hooks/{host}"
        url = there if there.startswith("http") else f"{made.front.url}{there}"
        return patch.multiple(hook, url=url, **attributes)

    return plant


def besides(url: Callable[[SetUp], str]) -> Callable[[SetUp], Any]:
    """Add a webhook to the repository at GitHub."""

    def plant(made: SetUp) -> AbstractContextManager[Any]:
        hooks = made.repositories["github"].hooks
        more = FakeHook(4712, "repos/my-org/mono", url(made), SECRET)
        return patch.multiple(made.repositories["github"], hooks=[*hooks, more])

    return plant


def of_an_owner(made: SetUp, host: str) -> dict[str, Any]:
    """A second webhook, of the organisation or group."""
    owner = {"github": "my-org", "gitlab": "my-group"}[host]
    hook = FakeHook(4713, f"orgs/{owner}", f"{made.front.url}/hooks/{host}", SECRET)
    return {"owners": {owner: 815}, "owner_hooks": {owner: [hook]}}


def part(name: str) -> Callable[..., Callable[[SetUp], Any]]:
    """Return what plants attributes in a part of the set-up."""

    def with_attributes(**attributes: Any) -> Callable[[SetUp], Any]:
        return with_(lambda made: getattr(made, name), **attributes)

    return with_attributes


github, gitlab, gitea, dokploy, slack = map(part, ("github", "gitlab", "gitea", "dokploy", "slack"))


def rules(text: str) -> dict[str, str]:
    return {"BRIDGE_RULES": text}


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def lost() -> list[FakeSending]:
    return [FakeSending(1, "guid", "push", {}, {}, time.time() - 60, status=401)]


async def test_a_sound_set_up_has_no_finding(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        told = await made.doctor()

    assert [one for one in told.findings if one["level"] != "ok"] == []
    assert told.code == 0


# ── Git hosts ───────────────────────────────────────────────────────────────────────────────────

WAITS = rules("[{apps: '**', checks: all}]")
"""Rules by which every app waits for checks."""

PREVIEWS = rules("[{apps: '**', previews: {forks: never}}]")
"""Rules by which every app has previews."""

AT_HOSTS = {
    "a token that is not accepted": Plant("host.token", settings={"BRIDGE_GITHUB_TOKEN": "ghp_x"}),
    "a token without its scope": Plant("host.scopes", github(scopes="read:org, gist")),
    "a token that ends soon": Plant(
        "host.token.expiry", github(expires=f"{in_days(3):%Y-%m-%d %H:%M:%S} UTC")
    ),
    "a token that may not write": Plant("host.permissions", github(may_write=False)),
    "a token that sees no webhooks": Plant("host.hook.unseen", github(sees_hooks=False)),
    "a clock that is wrong": Plant("host.clock", github(clock_ahead=-90)),
    "a repository that is gone": Plant("host.repository", github(repositories={})),
    "no webhook": Plant(
        "host.hook.missing", with_(lambda made: made.repositories["github"], hooks=[])
    ),
    "a webhook to a path of nothing": Plant("host.hook.path", at("/webhook")),
    "a webhook to another host's path": Plant("host.hook.path", at("/hooks/gitlab")),
    "a webhook with a slash too many": Plant("host.hook.path", at("/hooks/github/")),
    "a webhook by http": Plant("host.hook.http", at("http://localhost/hooks/github")),
    "a webhook to another bridge": Plant(
        "host.hook.elsewhere", at("https://bridge.example.com/hooks/github")
    ),
    "a webhook to something else": Plant("host.hook.missing", at("https://ci.example.com/github")),
    "a webhook that is off": Plant("host.hook.off", at(active=False)),
    "a webhook without pull requests": Plant("host.hook.events", at(events=("push",))),
    "a webhook without pushes": Plant("host.hook.events", at(events=("pull_request",))),
    "a webhook without checks, for which an app waits": Plant(
        "host.hook.events", at(events=("push", "pull_request")), WAITS
    ),
    "a webhook without statuses, for which an app waits": Plant(
        "host.hook.events", at(events=("push", "pull_request", "check_run")), WAITS
    ),
    "a webhook without pull requests' labels, for which there are previews": Plant(
        "host.hook.events",
        at(host="gitea", events=("push", "delete", "pull_request")),
        PREVIEWS,
    ),
    "a webhook of forms": Plant("host.hook.content_type", at(content_type="form")),
    "a webhook that trusts everybody": Plant("host.hook.tls", at(checks_tls=False)),
    "a webhook without a secret": Plant("host.hook.secret", at(secret="")),
    "a webhook whose delivery failed": Plant("host.hook.delivery", at(sent=lost())),
    "two webhooks of a repository": Plant(
        "host.hook.twice", besides(lambda made: f"{made.front.url}/hooks/github")
    ),
    "a webhook of the organisation, too": Plant(
        "host.hook.twice", lambda made: patch.multiple(made.github, **of_an_owner(made, "github"))
    ),
    "a rule names a check that is not there": Plant(
        "host.checks.name", settings=rules("[{apps: '**', checks: [no-such-check]}]")
    ),
    "the backend's own webhook": Plant(
        "host.hook.backend", besides(lambda made: f"{made.dokploy.url}/api/deploy/github")
    ),
    "gitlab: a token that is not accepted": Plant(
        "host.token", settings={"BRIDGE_GITLAB_TOKEN": "glpat-x"}
    ),
    "gitlab: a token without its scope": Plant("host.scopes", gitlab(scopes=("read_api",))),
    "gitlab: a token that ends soon": Plant(
        "host.token.expiry", gitlab(expires_at=f"{in_days(5):%Y-%m-%d}")
    ),
    "gitlab: a token of a reporter": Plant("host.permissions", gitlab(may_write=False)),
    "gitlab: a webhook that is disabled": Plant("host.hook.off", at(host="gitlab", active=False)),
    "gitlab: a webhook without tags": Plant(
        "host.hook.events",
        at(host="gitlab", events=("push_events", "merge_requests_events")),
    ),
    "gitlab: a webhook without pipelines, for which an app waits": Plant(
        "host.hook.events",
        at(
            "/hooks/gitlab",
            "gitlab",
            events=("push_events", "tag_push_events", "merge_requests_events"),
        ),
        WAITS,
    ),
    "gitlab: a webhook of the group, too": Plant(
        "host.hook.twice", lambda made: patch.multiple(made.gitlab, **of_an_owner(made, "gitlab"))
    ),
    "gitea: a token that is not accepted": Plant(
        "host.token", settings={"BRIDGE_GITEA_TOKEN": "x" * 40}
    ),
    "gitea: an account that may not write": Plant("host.permissions", gitea(may_write=False)),
    "gitea: a webhook that is off": Plant("host.hook.off", at(host="gitea", active=False)),
    "gitea: a webhook without statuses, for which an app waits": Plant(
        "host.hook.events",
        at(host="gitea", events=("push", "delete", "pull_request")),
        WAITS,
    ),
    "gitea: a webhook without pushes": Plant(
        "host.hook.events", at(host="gitea", events=("delete",))
    ),
}


async def test_each_fault_at_a_git_host_is_found_and_no_other(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        found = await found_of(made, AT_HOSTS)

    assert found == finds(AT_HOSTS)


async def test_logins_of_renamed_accounts_are_found_and_numbers_are_offered(tmp_path: Path) -> None:
    hosts = ("github", "gitlab", "gitea")
    given = {
        "ada": [f"{host}:ada-2" for host in hosts],
        "grace": [*(f"{host}:grace" for host in hosts), "github:ada", "github:#22"],
        "mallory": ["github:mallory", "github:#1"],
    } | {f"x{number}": [f"gitea:x-{number}"] for number in range(110)}
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        told = await made.doctor(BRIDGE_IDENTITIES=json.dumps(given))

    found = [one for one in told.findings if one["check"] == "host.identity"]
    wrong = [one["says"].partition(": ")[2] for one in found if one["level"] != "ok"]
    assert (told.code, told.wrong) == (1, {"host.identity"})
    assert sorted(wrong) == [
        "`github:mallory` is #23, not #1: another account has the login",
        *sorted(
            f"{host} knows no account {login}: it was renamed or removed"
            + ", or its profile is private" * (host == "gitea")
            for host in hosts
            for login in ("ada-2", *(f"x-{number}" for number in range(110 * (host == "gitea"))))
        ),
    ]
    numbers = [one["remedy"].rpartition(": ")[2] for one in found if one["level"] == "ok"]
    assert sorted(numbers) == [
        "`gitea:#22` for grace",
        "`github:#21` for ada",  # of two accounts of one person, one number is written
        "`gitlab:#22` for grace",
    ]


async def test_changes_of_pull_requests_are_missed_only_where_there_are_previews(
    tmp_path: Path,
) -> None:
    (planted,) = [one for one in AT_HOSTS.values() if one.settings is PREVIEWS]
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        sound = await made.doctor(**PREVIEWS)
        with planted.plant(made):
            assert (await made.doctor()).wrong == set()
        alone = await made.doctor(**PREVIEWS, BRIDGE_GITEA_TOKEN="")

    assert sound.wrong == set()
    says = [one["says"] for one in sound.findings if one["check"] == "app.previews"]
    assert says == ["its pull requests have previews"] * 3
    assert "app.previews" in alone.wrong


async def test_apps_whose_previews_would_share_an_address_are_named(tmp_path: Path) -> None:
    rule = '[{"apps": "**", "previews": {"host": "pr-{number}.example.com", "forks": "never"}}]'
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        found = await made.doctor(BRIDGE_RULES=rule)

    says = [one["says"] for one in found.findings if one["check"] == "app.previews"]
    assert len(says) == 3
    assert all("e.g. pr-1.example.com; of two with the same number" in one for one in says)
    assert found.wrong == {"app.previews"}


OF_AN_APP = {
    "it is not installed there": Plant("host.installation", github(installed=set())),
    "its installation is suspended": Plant("host.installation", github(suspended=True)),
    "it may not write statuses": Plant(
        "host.permissions",
        github(permissions={"contents": "read", "metadata": "read",
              "deployments": "write", "pull_requests": "write", "statuses": "read",
              "checks": "read"})
    ),
    "it may not read checks, for which an app waits": Plant(
        "host.permissions",
        lambda made: patch.multiple(
            made.github,
            permissions={k: v for k, v in made.github.permissions.items() if k != "checks"}
        ),
        WAITS
    ),
    "it is not sent checks, for which an app waits": Plant(
        "host.hook.events",
        github(app_events=["push", "pull_request"]),
        WAITS
    ),
    "it is not sent pull requests": Plant("host.hook.events", github(app_events=["push"])),
    "its clock is too wrong for a proof": Plant("host.clock", github(clock_ahead=-90)),
    "its webhook leads to another path": Plant(
        "host.hook.path",
        lambda made: patch.multiple(made.github.app_hooks[0], url=f"{made.front.url}/webhook")
    ),
}  # fmt: skip


async def test_each_fault_of_a_github_app_is_found_and_no_other(
    tmp_path: Path, private_key: str
) -> None:
    given = {
        "BRIDGE_GITHUB_TOKEN": "",
        "BRIDGE_GITHUB_APP_ID": "12345",
        "BRIDGE_GITHUB_PRIVATE_KEY": private_key,
    }
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        made.repositories["github"].hooks.clear()
        made.github.app_hook(f"{made.front.url}/hooks/github", SECRET)
        sound = await made.doctor(**given)
        found = await found_of(
            made,
            {
                name: one._replace(settings={**given, **one.settings})
                for name, one in OF_AN_APP.items()
            },
        )
        for one in OF_AN_APP.values():
            if one.settings is WAITS:
                with one.plant(made):
                    assert (await made.doctor(**given)).wrong == set()

    assert sound.wrong == set()
    assert found == finds(OF_AN_APP)


# ── backends and apps ───────────────────────────────────────────────────────────────────────────


def another_app(**fields: Any) -> Callable[[SetUp], Any]:
    def plant(made: SetUp) -> AbstractContextManager[Any]:
        apps = made.dokploy.apps
        return patch.multiple(made.dokploy, apps=apps | {"more": apps["web"] | fields})

    return plant


GITHUB_APP = {
    "name": "web",
    "sourceType": "github",
    "owner": "my-org",
    "repository": "mono",
    "branch": "main",
    "triggerType": "push",
}

AT_DOKPLOY = {
    "nothing listens there": Plant(
        "backend.reach", settings={"BRIDGE_DOKPLOY_URL": "http://127.0.0.1:1"}
    ),
    "a web page": Plant("backend.server", dokploy(page="<html>Welcome</html>")),
    "a key that is not accepted": Plant(
        "backend.key", settings={"BRIDGE_DOKPLOY_API_KEY": "another-key-0123456789"}
    ),
    "a key with a rate limit": Plant("backend.rate_limit", dokploy(uses=5)),
    "a key that ends soon": Plant("backend.key.expiry", dokploy(expires_at=in_days(2).isoformat())),
    "a key of a member who may only deploy": Plant(
        "backend.role", dokploy(role="member", permissions=MEMBER)
    ),
    "a key of somebody who has left": Plant("backend.role", dokploy(in_organisation=False)),
    "a key that may not see deployments": Plant(
        "backend.role", dokploy(forbidden={"deployment.all"})
    ),
    "an old version": Plant("backend.version", dokploy(version="v0.28.5")),
    "a version that lists no queue": Plant(
        "backend.query", dokploy(lacks={"deployment.queueList"})
    ),
    "a clock that is wrong": Plant("backend.clock", dokploy(clock_ahead=120)),
    "an app to verify, which has no address and shows no containers": Plant(
        "app.verify", settings=rules("[{apps: shop/web, verify: true}]")
    ),
    "an app to verify in a private network": Plant(
        "app.verify",
        dokploy(apps={"web": {**GITHUB_APP, "domains": [{"host": "10.0.0.7", "https": False}]}}),
        rules("[{apps: shop/web, verify: {containers: false}}]"),
    ),
    "an app to roll back, of which nothing is kept": Plant(
        "app.rollback",
        another_app(appName="web-x1", rollbackActive=False),
        rules("[{apps: shop/web, verify: {rollback: true, url: 'https://x.example'}}]"),
    ),
    "previews of an app that is an image": Plant(
        "app.previews", another_app(sourceType="docker", dockerImage="nginx:1.27"), PREVIEWS
    ),
    "previews of forks, which Dokploy can build only from a branch": Plant(
        "app.previews.forks",
        lambda _made: nullcontext(),
        rules("[{apps: shop/web, previews: true}]"),
    ),
    "previews of an app of which Dokploy makes some, too": Plant(
        "app.previews.twice", another_app(isPreviewDeploymentsActive=True), PREVIEWS
    ),
    "no apps": Plant("backend.apps", dokploy(apps={})),
    "auto deploy beside our webhook": Plant("app.auto_deploy", another_app(autoDeploy=True)),
    "an app of a host that is not served": Plant(
        "app.source",
        another_app(sourceType="bitbucket", bitbucketOwner="o", bitbucketRepository="r"),
    ),
    "an app of a server that is not known": Plant(
        "app.source", another_app(sourceType="git", customGitUrl="https://git.example.com/o/r.git")
    ),
}


async def test_each_fault_at_dokploy_is_found_and_no_other(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        found = await found_of(made, AT_DOKPLOY)

    assert found == finds(AT_DOKPLOY)


# ── chats ───────────────────────────────────────────────────────────────────────────────────────


def in_channel(**attributes: Any) -> Callable[[SetUp], Any]:
    return with_(lambda made: made.slack.channels["C0SHOP"], **attributes)


AT_CHATS = {
    "a bot token that is not accepted": Plant(
        "chat.token", settings={"BRIDGE_SLACK_BOT_TOKEN": "xoxb-another"}
    ),
    "a scope that is missing": Plant("chat.scopes", slack(granted={"chat:write", "commands"})),
    "a channel that is not there": Plant(
        "chat.channel", settings={"BRIDGE_SLACK_CHANNEL": "C0NOWHERE"}
    ),
    "a channel of a rule that is not there": Plant(
        "chat.channel", settings=rules("[{apps: shop/web, channels: [C0NOWHERE]}]")
    ),
    "a channel that is archived": Plant("chat.channel", in_channel(archived=True)),
    "a channel that the bridge is not in": Plant("chat.member", in_channel(joined=False)),
    "an app token that is not accepted": Plant(
        "chat.socket", settings={"BRIDGE_SLACK_APP_TOKEN": "xapp-another"}
    ),
    "a token of another workspace": Plant(
        "chat.workspace", settings={"BRIDGE_SLACK_TEAM_ID": "T0OTHER"}
    ),
    "a clock that is wrong": Plant("chat.clock", slack(clock_ahead=60)),
    "a webhook that was deleted": Plant(
        "chat.channel", lambda made: patch.multiple(only(made.discord.hooks), deleted=True)
    ),
}


def only(those: Mapping[str, Any]) -> Any:
    (one,) = those.values()
    return one


async def test_each_fault_at_a_chat_is_found_and_no_other(tmp_path: Path) -> None:
    async with sound_set_up(tmp_path) as made, with_bridge(made):
        found = await found_of(made, AT_CHATS)

    assert found == finds(AT_CHATS)


@pytest.fixture(scope="session")
def private_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode()
