"""`deliveries` finds what a person looks for: by repository, app, time and failure."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from bridge.app.storage import Stores
from bridge.core.apps import Source, SourceType
from bridge.core.decision import Decision, Reason
from bridge.core.lifecycle import State
from bridge.core.refused import refused_webhook
from bridge.githosts import HOSTS
from bridge.operations.arrivals import ASKED_FOR, outcomes_of
from bridge.pipeline.deciding.arrivals import Arrived
from bridge.ports.inbox import Delivery, DeliveryState, Finished, NewDelivery
from bridge.ports.outcomes import Outcome, PushSeen
from bridge.views.values import plain
from tests.worlds.cli import GUID, RECEIVED, SHA, WEB, Cli, push

DEPLOYMENT = "0000000000000001.app_web"
GONE = "fatal: repository not found"


@pytest.fixture
def busy(filled: Cli) -> Cli:
    """Besides the push: one that failed, one of a repository without apps, one of another host."""

    async def more(stores: Stores) -> None:
        other = json.dumps(push(repository={"id": 2, "name": "x", "full_name": "my-org/x"}))
        for id_, event, body in (
            ("broken", "push", b"{"),
            ("elsewhere", "push", other.encode()),
            ("waits", "Push Hook", b"{}"),
        ):
            host = "gitlab" if event == "Push Hook" else "github"
            new = NewDelivery(host, id_, event, {}, body, RECEIVED + 3600)
            await stores.inbox.keep(new)
        await stores.inbox.finish(
            [
                Finished(2, "github", "broken", DeliveryState.FAILED, "github push: no JSON"),
                ignored(3, "github", "elsewhere", "my-org/x"),
            ]
        )
        await stores.journal.move(DEPLOYMENT, State.FAILED, GONE)
        seen = PushSeen(
            "github 4711 refs/tags/v1", "b" * 40, SHA, repository="my-org/mono", author="Ada"
        )
        await stores.journal.record([Outcome(9, "later", (), push=seen)], window=600)

    filled.with_stores(more)
    return filled


def ids(cli: Cli, *words: str) -> list[str]:
    return [one["id"] for one in cli.json("deliveries", *words)]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ([], ["waits", "elsewhere", "broken", GUID]),
        (["--failed"], ["broken", GUID]),
        (["--repo", "my-org/mono"], [GUID]),
        (["--repo", "MONO"], [GUID]),
        (["--repo", "my-org/x"], ["elsewhere"]),
        (["--repo", "my-org/mono", "--failed"], [GUID]),
        (["--repo", "my-org/none"], []),
        (["--app", "web"], [GUID]),
        (["--app", "docs", "--failed"], []),
        (["--since", "2026-01-01T00:30:00Z"], ["waits", "elsewhere", "broken"]),
        (["--since", "5m"], []),
        (["--failed", "--limit", "1"], ["broken"]),
    ],
)
def test_only_those_are_listed_that_are_looked_for(
    busy: Cli, words: list[str], wanted: list[str]
) -> None:
    assert ids(busy, *words) == wanted


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["--since", "yesterday"], 2, "--since 'yesterday' is no time: write an age (30m, 2h"),
        (["--repo", ""], 2, "--repo is empty"),
        (["--app", ""], 4, "there is no app ''"),
        (["--app", "nope"], 4, "there is no app 'nope'"),
        (["--refused", "--failed"], 2, "--refused takes only --since, --limit and --json"),
    ],
)
def test_what_can_not_be_looked_for_is_said(
    busy: Cli, words: list[str], code: int, why: str
) -> None:
    assert why in busy("deliveries", *words, code=code).stderr


def ignored(seq: int, host: str, id_: str, repository: str) -> Finished:
    """A push to a repository from which no app deploys."""
    why = f"no app deploys from {repository} on {host}"
    return Finished(seq, host, id_, DeliveryState.IGNORED, why, unused=repository)


def test_deliveries_of_a_further_server_are_found_by_repository_and_by_id(busy: Cli) -> None:
    async def come(stores: Stores) -> None:
        new = NewDelivery("gitea/second", "of-second", "push", {}, b"{}", time.time())
        kept = await stores.inbox.keep(new)
        ended = ignored(kept.seq, "gitea/second", "of-second", "my-org/lone")
        await stores.inbox.finish([ended])

    busy.with_stores(come)
    second = "second: {url: https://git.example.com}"

    listed = busy("deliveries", "--repo", "my-org/lone", BRIDGE_GITEAS=second)
    shown = busy("deliveries", "show", "of-second", BRIDGE_GITEAS=second)

    assert "of-second gitea/second push ignored" in listed.stdout
    assert "host: gitea/second\n" in shown.stdout


def test_why_knows_the_server_of_a_custom_git_source_by_its_address(busy: Cli) -> None:
    source = Source(SourceType.GIT, url="git.example.com/sub/my-org/mono", branch="main")

    async def refuse(stores: Stores) -> None:
        await stores.journal.save_apps("dokploy", [replace(WEB, source=source)])
        github = refusal(why="of GitHub", kind="of GitHub")
        gitea = refusal(host="gitea", path="/hooks/gitea/second", why="of Gitea", kind="of Gitea")
        await stores.journal.keep_refused([github, gitea])

    busy.with_stores(refuse)
    second = "second: {url: https://git.example.com/sub}"

    said = busy("why", "web", BRIDGE_GITEAS=second).stderr

    assert "at /hooks/gitea/second (of Gitea)" in said
    assert "of GitHub" not in said


def refusal(**others: Any) -> Any:
    headers = {"X-GitHub-Event": "push"}
    one = refused_webhook(
        HOSTS, "wrong_path", "nothing", "/webhook", headers, "192.0.2.7", time.time()
    )
    return replace(one, **{"count": 3} | others)


def test_what_people_ask_for_is_told_with_who_asked() -> None:
    decision = Decision("app_web", "shop/web", Reason.CANCEL_ASKED, "cli: ada asked to cancel")
    delivery = Delivery(1, "command", "cli-1", "cancel", {}, 1.0, DeliveryState.DECIDED)

    told = [plain(line.says) for line in outcomes_of(Arrived(delivery, [decision]))]
    assert told == ["shop/web: cli: ada asked to cancel"]
    assert {Reason(one) for one in ASKED_FOR} < set(Reason)


@pytest.mark.parametrize("name", ["my-org/mono", "My-Org/Mono"])
def test_who_asks_why_about_a_repository_is_told_where_its_pushes_are(busy: Cli, name: str) -> None:
    said = busy("why", name, code=4).stderr

    assert f"there is no app '{name}'" in said
    assert "my-org/mono is a repository: `dokploy-bridge deliveries --repo my-org/mono`" in said
    assert "repository" not in busy("why", "nobody/nothing", code=4).stderr


@pytest.mark.parametrize("commit", ["main", "v1.2", "", "a" * 65, "\x1b[31m"])
def test_why_takes_no_branch_for_a_commit(busy: Cli, commit: str) -> None:
    said = busy("why", "web", commit, code=2).stderr

    assert "is no commit: give 1 to 64 digits of 0-9 a-f, e.g. 18f234f" in said
    assert "refused" not in said
    assert busy("why", "web", SHA[:7].upper()).stdout == busy("why", "web", SHA[:7]).stdout
