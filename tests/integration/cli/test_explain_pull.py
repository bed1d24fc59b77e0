"""`explain` of a pull request: whether each app would have a preview, and why."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bridge.app.storage import Stores
from bridge.core.events import Repository
from bridge.core.previews.verdict import Why
from tests.fakes.github import FakeGithub
from tests.worlds.cli import WEB, Cli
from tests.worlds.previewed import skipped, up

MONO = Repository("github", "4711", "my-org/mono")
HEAD = "c" * 40
RULES = "[{apps: shop/*, previews: {host: 'pr-{number}-{app}.preview.example.com'}}]"


def body(**changed: Any) -> dict[str, Any]:
    """A webhook of GitHub about pull request 12."""
    repository = {"id": 4711, "name": "mono", "full_name": "my-org/mono"}
    repository |= {"clone_url": "https://github.com/my-org/mono.git"}
    pull = {
        "number": 12,
        "title": "Add a page",
        "state": "open",
        "user": {"login": "ada"},
        "head": {"ref": "topic", "sha": HEAD, "repo": {"id": 4711}},
        "base": {"ref": "main", "repo": {"id": 4711}},
        "labels": [],
    }
    return {
        "action": "closed" if changed.get("state") == "closed" else "opened",
        "number": changed.get("number", 12),
        "pull_request": pull | changed,
        "repository": repository,
    }


def explained(cli: Cli, *words: str, rules: str = RULES, **changed: Any) -> dict[str, str]:
    """The reasons by app."""
    Path("pull.json").write_text(json.dumps(body(**changed)))
    told = cli.json("explain", "pull.json", *words, BRIDGE_RULES=rules)
    assert (told["ignored"], told["decisions"]) == (None, [])
    return {one["app"]: one["reason"] for one in told["previews"]}


FORK = {"head": {"ref": "main", "sha": HEAD, "repo": {"id": 99}}}


@pytest.mark.parametrize(
    ("changed", "rules", "reason"),
    [
        ({}, RULES, "wanted"),
        ({"state": "closed", "merged": False}, RULES, "closed"),
        ({"draft": True}, RULES, "draft"),
        ({"base": {"ref": "next", "repo": {"id": 4711}}}, RULES, "other_base"),
        ({}, RULES.replace("host:", "label: preview, host:"), "no_label"),
        (FORK, RULES, "approval"),
        (FORK, RULES.replace("host:", "forks: never, host:"), "fork"),
        ({}, "[]", "no_previews"),
    ],
)
def test_each_reason_is_told(filled: Cli, changed: dict[str, Any], rules: str, reason: str) -> None:
    assert explained(filled, "--app", "web", rules=rules, **changed) == {"shop/web": reason}


def test_a_stop_by_hand_counts_until_a_push(filled: Cli) -> None:
    async def stop(stores: Stores) -> None:
        one = await up(stores.journal, WEB, 12, where=MONO, head="topic", head_sha=HEAD)
        await stores.journal.ask_previews(one.id, stopped=True)

    filled.with_stores(stop)

    assert explained(filled, "--app", "web") == {"shop/web": "stopped"}
    pushed: dict[str, Any] = {"head": {"ref": "topic", "sha": "d" * 40, "repo": {"id": 4711}}}
    assert explained(filled, "--app", "web", **pushed) == {"shop/web": "wanted"}


def test_nothing_is_changed(filled: Cli) -> None:
    async def records(stores: Stores) -> Any:
        return await stores.journal.previews(ended=True)

    filled.with_stores(lambda stores: skipped(stores.journal, WEB, 12, Why.DRAFT, where=MONO))
    before = filled.with_stores(records)
    explained(filled)
    assert filled.with_stores(records) == before


def test_an_app_can_be_made_up(cli: Cli) -> None:
    Path("pull.json").write_text(json.dumps(body()))

    told = cli.json("explain", "pull.json", "--watch-path", "web/**")

    (one,) = told["previews"]
    assert (one["app"], one["reason"], one["wanted"]) == ("what-if", "wanted", True)
    assert one["evidence"].startswith("no credential is set")
    assert told["paths"] is None


async def test_the_host_is_asked_for_the_files(filled: Cli) -> None:
    async with FakeGithub() as fake:
        theirs = fake.repository("my-org/mono", id=4711)
        theirs.commit({"web/index.html": "one", "docs/a.md": "one"}, branch="main")
        theirs.commit({"docs/a.md": "two"}, branch="topic", onto=theirs.branches["main"])
        pull = theirs.open_pull("topic")
        head = {"ref": "topic", "sha": pull.head_sha, "repo": {"id": 4711}}
        given = fake.settings | {"BRIDGE_RULES": RULES}
        Path("pull.json").write_text(json.dumps(body(number=pull.number, head=head)))

        told = await asyncio.to_thread(filled.json, "explain", "pull.json", **given)

    reasons = {one["app"]: (one["reason"], one["wanted"]) for one in told["previews"]}
    assert reasons == {"shop/docs": ("wanted", True), "shop/web": ("no_path_hit", False)}
    assert told["paths"] == ["docs/a.md"]
