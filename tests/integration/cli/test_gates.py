"""Locks, freezes, approvals and overrides on the command line."""

import getpass
import json
import re
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from bridge.app.storage import Stores
from bridge.core.apps import App, Rules
from bridge.core.holds import Proposal
from bridge.core.lifecycle import State
from bridge.ports.gates import CommitAt, Judging
from tests.fakes.journey import deployment
from tests.worlds.cli import SHA, WEB, Cli
from tests.worlds.journal import outcome, record

ID = "0000000000000001.app_web"


@pytest.fixture
def ada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")


pytestmark = pytest.mark.usefixtures("ada")


def judge(cli: Cli, **rules: Any) -> Any:
    by = Judging(replace(WEB, rules=Rules(**rules)))

    async def run(stores: Stores) -> Any:
        return await stores.journal.judge(ID, by)

    return cli.with_stores(run)


def test_a_lock_is_taken_listed_and_removed(filled: Cli) -> None:
    assert filled("locks").stderr == "Nothing is locked or frozen\n"

    told = filled("lock", "shop/web", "-m", "a migration")
    assert told.stdout == (
        "Locked by ada: shop/web\n"
        "a migration\n"
        "Until somebody unlocks it: `dokploy-bridge unlock shop/web`\n"
        "Held now\n"
        "  shop/web  ·  main  ·  aaaaaaa: waiting\n"
    )
    (listed,) = filled.json("locks")
    assert (listed["scope"], listed["owner"], listed["reason"]) == (
        "app/app_web",
        "cli:ada",
        "a migration",
    )

    assert listed["until_merge"] is None
    taken, reminded = (datetime.fromisoformat(listed[one]) for one in ("at", "remind_at"))
    assert (reminded - taken).days == 1

    released = filled("unlock", "web").stdout.splitlines()
    assert released[0] == "Unlocked: shop/web"
    assert released[1].startswith("ada had locked it since ")
    assert filled("unlock", "web").stdout == "shop/web itself is not locked\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("lock", "nothing", "-m", "x"), "nothing"),
        (("lock", "shop", "-m", " "), "say why"),
        (("lock", "shop", "-m", "x", "--for", "5s"), "from 1 minute to 90 days, not 5 s;"),
        (("lock", "shop", "-m", "x", "--for", "99d"), "from 1 minute to 90 days, not 99 days;"),
        (("lock", "shop", "-m", "x", "--for", "soon"), "no duration"),
        (("lock", "shop", "-m", "x", "--until-merge", "main"), "names no pull request"),
        (("lock", "shop", "-m", "x", "--until-merge", "#12"), "no credential is set with which"),
        (("lock", "shop", "-m", "x", "--until-merge", "acme/x#1"), "is no repository that"),
        (("freeze", "all", "-m", "x", "--until", "noon"), "no time"),
        (("freeze", "all", "-m", "x", "--for", "99999999999w"), "at most 366 days"),
        (("lock", "all", "-m", "x", "--for", "99999999999w"), "to 90 days"),
        (("deploy", "shop/web", "--at", "9999-12-31 24:00"), "too far away"),
        (("deploy", "shop/web", "--at", "2100-01-01 10:00"), "more than 366 days ahead"),
        (("freeze", "all", "-m", "x", "--until", "2100-01-01 10:00"), "more than 366 days"),
        (("freeze", "all", "-m", "x", "--until", "18:00 Mars/Base"), "no time zone"),
        (("freeze", "all", "-m", "x", "--until", "18:00", "--for", "2h"), "not both"),
        (
            ("freeze", "all", "-m", "x", "--allow", "pushes"),
            "'pushes' can't be let through: write manual, redeploy, rollback",
        ),
        (("approve", "shop/web"), "no deployment of shop/web is held"),
        (("override", "shop/web", "-m", "x"), "no deployment of shop/web is held"),
        (("deploy", "shop/web", "--at", "2020-01-01 10:00"), "is in the past"),
    ],
)
def test_what_can_not_be_done_is_said(filled: Cli, words: tuple[str, ...], says: str) -> None:
    told = filled(*words, code=4 if "nothing" in words else 2)

    assert says in told.stderr


def test_a_freeze_is_declared_listed_and_ended(filled: Cli) -> None:
    (filled.folder / "bridge.yaml").write_text(
        "freezes:\n"
        "  - {apps: [shop/*], from: '2020-01-01 00:00', to: '2020-01-02 00:00', reason: once}\n"
    )
    told = filled("freeze", "all", "-m", "an incident", "--for", "2h", "--allow", "manual")
    assert told.stdout.startswith("Frozen by ada: all apps\nan incident\nUntil ")
    assert "\nWhat passes: manual\n" in told.stdout

    listed = filled.json("freezes")
    assert [(one["name"][:7], one["holds"], one["allow"]) for one in listed] == [
        ("freezes", False, []),
        ("freeze-", True, ["manual"]),
    ]
    assert filled("unfreeze", "all").stdout == "No longer frozen: all apps\nada: an incident\n"
    assert filled("unfreeze", "all").stdout == (
        "Nobody has frozen all apps by command\n`dokploy-bridge freezes`\n"
    )


def test_held_deployments_are_listed_with_every_reason(filled: Cli) -> None:
    assert filled("held").stderr == "Nothing is held\n"
    filled("lock", "all", "-m", "a migration")
    judge(filled, approvals=1)

    (held,) = filled.json("held")

    assert (held["app"], held["commit"]) == ("shop/web", SHA)
    assert [(one["gate"], one["reason"], one["may_lift"]) for one in held["holds"]] == [
        ("lock", "all apps are locked by ada: a migration", "override"),
        ("approval", "needs 1 approval of aaaaaaa, has 0", "approve"),
    ]
    assert "shop/web" in filled("held").stdout
    for words in (("deployments",), ("why", "shop/web"), ("deployments", "show", ID)):
        told = filled(*words).stdout
        assert "all apps are locked by ada" in told
        assert not re.search(r"held[ :#0-9]+held", told)


SHOWN = Proposal(
    "b" * 40, "fix: the cart\n\nmore", "Eve", "9" * 40, 2, ("web/a", "web/b"), by=("github",)
)


def wait_for_approval(cli: Cli) -> None:
    """Hold an app for an approval, after its branch has moved on."""
    head = CommitAt("github", "my-org/mono", SHOWN.commit, "main")
    by = Judging(replace(WEB, rules=Rules(approvals=1)), head=head, proposal=SHOWN)
    cli.with_stores(lambda stores: stores.journal.judge(ID, by))


def test_what_is_approved_is_shown_first(filled: Cli) -> None:
    wait_for_approval(filled)

    told = filled("approve", "shop/web", code=2)
    assert "nobody can answer here; give --yes" in told.stderr
    assert filled.with_stores(lambda stores: stores.journal.approvals("app_web")) == []

    told = filled("approve", "shop/web", "--yes", code=2)
    assert "cli:ada is not recognised, since no account on github of theirs is known" in told.stderr
    (filled.folder / "bridge.yaml").write_text("identities: {ada: [cli:ada, github:ada]}\n")
    told = filled("approve", "shop/web", "--yes")
    assert told.stdout.splitlines() == [
        "shop/web would build bbbbbbb fix: the cart, by Eve",
        "2 files since 9999999, which is live",
        "needs 1 approval of bbbbbbb, has 0",
        "Files",
        "  web/a",
        "  web/b",
        "You approved bbbbbbb of shop/web",
        "Approved by ada",
    ]
    again = filled("approve", "shop/web", "--commit", "bbbbbbb")
    assert again.stdout.startswith("You had approved bbbbbbb of shop/web already")
    (given,) = filled.with_stores(lambda stores: stores.journal.approvals("app_web"))
    assert (given.commit, given.person) == (SHOWN.commit, "cli:ada")


def test_a_plan_and_a_commit_that_would_not_be_built_by_now_approve_nothing(filled: Cli) -> None:
    (filled.folder / "bridge.yaml").write_text("identities: {ada: [cli:ada, github:ada]}\n")
    wait_for_approval(filled)

    asked = filled("approve", "shop/web", "--commit", SHOWN.commit, "--plan")
    lifted = filled("override", "shop/web", "-m", "the fix of the outage", "--plan")
    told = filled("approve", "shop/web", "--commit", SHA[:7], code=2)

    assert asked.stdout.startswith("shop/web would build bbbbbbb")
    assert "What holds it" in lifted.stdout
    assert "the head of shop/web is now bbbbbbb, not aaaaaaa: look again" in told.stderr
    assert filled.with_stores(lambda stores: stores.journal.approvals("app_web")) == []
    (held,) = filled.json("held")
    assert held["to_approve"] == {
        "commit": SHOWN.commit,
        "message": SHOWN.message,
        "author": "Eve",
        "live": SHOWN.live,
        "changed": 2,
        "files": ["web/a", "web/b"],
    }


def test_who_overrides_is_warned_of_a_version_that_did_not_work_elsewhere(filled: Cli) -> None:
    bad = "shop/api was unhealthy with aaaaaaa"

    async def break_it(stores: Stores) -> None:
        await stores.journal.save_apps("dokploy", [WEB, App("app_api", "api", "shop")])
        api = deployment(90, "app_api", app="shop/api")
        await record(stores.journal, outcome(90, api, explicit=True))
        for state in (State.VERIFYING, State.UNHEALTHY):
            await stores.journal.move(
                api.id, state, "", deployed_commit=SHA, live_at=1.0, finished_at=1.0
            )
        rules = Rules(after=("shop/api",))
        by = Judging(replace(WEB, rules=rules), earlier={"shop/api": "app_api"})
        await stores.journal.judge(ID, by)

    filled.with_stores(break_it)

    told = filled("override", "shop/web", "-m", "the fix of the outage", code=2)
    assert f"warning: {bad}\n" in told.stderr
    assert "nobody can answer here" in told.stderr
    told = filled("override", "shop/web", "-m", "the fix of the outage", "--yes")
    assert f"warning: {bad}\n" in told.stderr
    assert told.stdout.endswith(f"shop/api runs aaaaaaa, which is unhealthy; {bad}\n")


def test_explain_says_what_would_hold_it(filled: Cli) -> None:
    config = filled.folder / "bridge.yaml"
    config.write_text("rules:\n  - {apps: shop/web, checks: all, after: shop/wbe}\n")
    filled("lock", "shop", "-m", "a migration")

    told = filled("explain", "1111").stdout
    assert "held shop/web: lock: project shop is locked by ada: a migration\n" in told
    assert "held shop/web: checks: the checks of aaaaaaa are not known" in told
    assert "held shop/web: order: `after` names shop/wbe, and there is no such app" in told
    (web,) = [one for one in filled.json("explain", "1111")["decisions"] if one["deploy"]]
    assert {one["gate"] for one in web["holds"]} == {"lock", "checks", "order"}


def test_a_deploy_at_a_time_is_kept_and_answered_with_it(filled: Cli) -> None:
    told = filled("deploy", "shop/web", "--at", "22:00 Europe/Berlin")
    assert re.search(
        r"Deploying shop/web at \w{3} [\d-]{10} 22:00 Europe/Berlin"
        r" \(\w{3} [\d-]{10} 2[01]:00 UTC\): no bridge is running .*, so it is kept as cli-",
        told.stdout,
    )

    said = filled.json("deploy", "shop/web", "--at", "22:00")
    assert said["not_before"].endswith("T22:00:00.000Z")

    async def newest(stores: Stores) -> Any:
        kept = (await stores.inbox.newest(1))[0]
        found = await stores.inbox.get(kept.seq)
        return json.loads(found.body or b"{}") if found else {}

    at = datetime.fromisoformat(said["not_before"]).timestamp()
    assert float(filled.with_stores(newest)["not_before"]) == at


def test_who_unlocks_too_little_is_told_which_lock_holds(filled: Cli) -> None:
    filled("lock", "project:shop", "-m", "a migration")

    assert filled("unlock", "shop/web").stdout == (
        "shop/web itself is not locked\n"
        "project shop is locked by ada: a migration\n"
        "`dokploy-bridge unlock project:shop`\n"
    )
