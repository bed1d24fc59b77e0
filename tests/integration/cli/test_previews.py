"""Previews on the command line: lists, and what people do with one."""

import getpass
from dataclasses import replace
from typing import Any

import pytest
import typer

from bridge.app.storage import Stores
from bridge.cli.completion import complete_app, complete_preview
from bridge.core.lifecycle import State
from bridge.core.previews.preview import Preview
from bridge.core.previews.verdict import Why
from tests.fakes.journey import deployment
from tests.scenes.terminal import command
from tests.worlds.cli import DOCS, WEB, Cli
from tests.worlds.journal import outcome, record
from tests.worlds.previewed import HEAD, MOVED, held, report, skipped, up

RULES = "- {apps: shop/*, previews: {host: 'pr-{number}-{app}.preview.example.com', idle: 2d}}"


@pytest.fixture
def previewed(filled: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Two previews of one app, one of them of a fork, and a pull request that has none."""
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setenv("BRIDGE_RULES", RULES)

    async def fill(stores: Stores) -> None:
        there = await up(stores.journal, WEB, 12)
        made = replace(
            WEB,
            id=there.made or "",
            name="web pr-12",
            environment="previews",
            marker=there.marker,
            auto_deploy=False,
        )
        await stores.journal.renew_apps([made])
        await held(stores.journal, WEB, 13, author="mallory")
        await skipped(stores.journal, DOCS, 12, Why.NO_PATH_HIT, "none matches docs/**")

    filled.with_stores(fill)
    return filled


def kept(cli: Cli, number: int) -> Preview:
    async def read(stores: Stores) -> Any:
        return await stores.journal.preview(f"github:583231#{number}:app_web")

    found = cli.with_stores(read)
    assert isinstance(found, Preview)
    return found


def test_what_is_still_up_is_said_where_a_later_build_fails(previewed: Cli) -> None:
    async def fail(stores: Stores) -> None:
        for seq, facts in ((9001, {"deployed_commit": HEAD, "live_at": 1.0}), (9002, {})):
            built = deployment(seq, "app_web-pr-12", app="shop/previews/web pr-12")
            await record(stores.journal, outcome(seq, built, explicit=True))
            state = State.DONE if facts else State.FAILED
            await stores.journal.move(built.id, state, "it ended", **facts)

    previewed.with_stores(fail)
    _, ours = previewed.json("previews")

    assert (ours["state"], ours["live_commit"]) == ("failed", HEAD)
    assert f"{HEAD[:7]} is still up" in previewed("previews").stdout


def test_without_any_it_is_said_how_an_app_gets_some(filled: Cli) -> None:
    assert "the rule `previews` in bridge.yaml" in filled("previews", "--all").stderr


def test_one_is_stopped_and_extended(previewed: Cli) -> None:
    told = previewed("previews", "stop", "web#12")
    assert told.stdout == "Stopped shop/web #12; a push or `previews extend` starts it again\n"
    assert kept(previewed, 12).stopped
    told = previewed("previews", "stop", "web#12")
    assert told.stdout == "shop/web #12 was stopped before; a push starts it again\n"

    told = previewed("previews", "extend", "shop/web#12")
    assert told.stdout.startswith("Extended shop/web #12: it stays until ")
    assert told.stdout.endswith(" UTC without a push\n")
    assert not kept(previewed, 12).stopped
    lines = previewed("audit", "--app", "shop/web").stdout.splitlines()
    assert [line.partition(" cli: ada ")[2] for line in lines] == [
        "previews extend shop/web shop/web #12: starts again",
        "previews stop shop/web shop/web #12",
    ]


def test_the_commit_that_was_looked_at_is_no_longer_the_newest(previewed: Cli) -> None:
    async def push(stores: Stores) -> None:
        await report(stores.journal, WEB, 13, own=False, head_sha=MOVED)

    previewed.with_stores(push)

    told = previewed("previews", "approve", "web#13", "--commit", HEAD[:9], code=2)

    assert f"shop/web #13 is at {MOVED[:12]} by now" in told.stderr
    assert kept(previewed, 13).approved is None
    assert (
        previewed.json("previews", "approve", "web#13", "--commit", MOVED)["approved_by"] == "ada"
    )


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("stop", "web#99"), 4, "there is no preview 'web#99'"),
        (("stop", "shop/web"), 2, "names no preview"),
        (("stop", "docs#12"), 2, "there is nothing to stop: shop/docs #12 has no preview"),
        (("extend", "docs#12"), 2, "none matches docs/**"),
        (("approve", "web#12"), 2, "comes from the repository itself"),
        (("approve", "web#13", "--commit", "abab"), 2, "at least 7 characters"),
        (("--app", "nothing"), 4, "there is no app 'nothing'"),
    ],
)
def test_what_can_not_be_done_is_said(
    previewed: Cli, words: tuple[str, ...], code: int, says: str
) -> None:
    assert says in previewed("previews", *words, code=code).stderr


def test_apps_of_previews_are_listed_only_if_asked_for(previewed: Cli) -> None:
    assert [one["app"] for one in previewed.json("apps")] == ["shop/docs", "shop/web"]
    every = [one["app"] for one in previewed.json("apps", "--all")]
    assert "shop/previews/web pr-12" in every
    (line,) = previewed("apps", "--all", "previews").stdout.splitlines()
    assert line == (
        "shop/previews/web pr-12: its pull request deploys it, from github my-org/mono,"
        " never deployed"
    )

    previewed.with_stores(lambda stores: stores.journal.renew_apps([], gone=["app_web-pr-12"]))
    assert previewed.json("apps", "--gone") == []
    assert [one["id"] for one in previewed.json("apps", "--gone", "--all")] == ["app_web-pr-12"]


def test_names_of_previews_are_completed(previewed: Cli) -> None:
    context = typer.Context(command())

    assert complete_preview(context, "") == ["shop/web#12", "shop/web#13"]
    assert complete_preview(context, "WEB#13") == ["shop/web#13"]
    assert complete_preview(context, "docs") == []
    assert complete_app(context, "shop") == ["shop/docs", "shop/web"]


def test_why_a_pull_request_is_held_and_what_to_do(previewed: Cli) -> None:
    told = previewed("why", "shop/web#13")

    subject, *lines = told.stdout.splitlines()
    assert subject.startswith("shop/web#13 Add a page, by mallory, from a fork, feature@abababa, 2")
    assert lines == [
        f"held: approval (fork: waiting for approval of {HEAD[:12]})",
    ]
    assert told.stderr == (
        f"look at it, then run `dokploy-bridge previews approve shop/web#13 --commit {HEAD[:12]}`\n"
    )
