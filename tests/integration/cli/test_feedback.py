"""`feedback` and `audit`: what is shown where, what can't be, and who changed what."""

from dataclasses import replace

from bridge.app.storage import Stores
from bridge.core.configuration.difference import Changed
from bridge.core.people import Actor
from bridge.operations.feedback import shrunk
from bridge.ports.outcomes import DONE, Audited, Result, Subscription, about_deployment
from tests.worlds.cli import RECEIVED, Cli

DEPLOYMENT = "0000000000000001.app_web"


def card(name: str) -> Subscription:
    return Subscription(
        f"slack {name}", "slack.card", name, (about_deployment(DEPLOYMENT),), {"c": name}
    )


async def shown(stores: Stores) -> None:
    """One up to date, one that fails, one parked."""
    journal = stores.journal
    await journal.subscribe([card("C1"), card("C2"), card("C3")])
    await journal.save_cursor("slack C1", {"link": "https://chat.example/p1", "ts": "1.2"})
    await journal.mark_published("slack C1", 99)
    await journal.mark_failed("slack C2", 99, "slack can't be reached: 503", due_at=2e9)
    await journal.mark_failed("slack C3", 99, "slack: not_in_channel", due_at=None)


def test_what_fails_is_listed_with_its_reason(filled: Cli) -> None:
    filled.with_stores(shown)

    failing, parked = filled("feedback", "--failing").stdout.splitlines()
    since, _, why = failing.removeprefix("slack C2 failing since ").partition(": ")
    assert since.endswith("Z")
    assert why == "slack can't be reached: 503"
    assert parked.endswith(": slack: not_in_channel")


def test_what_to_try_again_must_be_said_and_must_fail(filled: Cli) -> None:
    filled.with_stores(shown)

    assert "or use --all" in filled("feedback", "retry", code=2).stderr
    assert "or use --all" in filled("feedback", "retry", "slack C2", "--all", code=2).stderr
    assert "'slack C1' does not fail" in filled("feedback", "retry", "slack C1", code=4).stderr
    assert "nothing is shown by the id 'nope'" in filled("feedback", "retry", "nope", code=4).stderr
    assert "nothing is shown by the id ''" in filled("feedback", "retry", "", code=4).stderr
    several = filled("feedback", "retry", "slack", code=2).stderr
    assert "'slack' fits 2 that fail: slack C2, slack C3; give more of the id" in several


def test_one_is_tried_again_by_its_id_as_it_is_listed(filled: Cli) -> None:
    id_ = f"github.status {DEPLOYMENT} {'ab' * 20} {'long/' * 20}"

    async def fail(stores: Stores) -> None:
        await stores.journal.subscribe([replace(card("C9"), id=id_)])
        await stores.journal.mark_failed(id_, 99, "no", due_at=None)

    filled.with_stores(fail)

    assert shrunk(id_).startswith("github.status 1.app_web abababa long/")
    assert filled.json("feedback", "retry", shrunk(id_)) == {"retried": 1}


def test_where_nothing_is_kept_nothing_is_shown(cli: Cli) -> None:
    assert cli.json("feedback") == cli.json("audit") == []


async def changed(stores: Stores) -> None:
    branch = (Changed("branch", "main", "dev"),)
    first = Audited(RECEIVED, Actor("cli", "ada"), "provider set", "app_web", "shop/web", branch)
    await stores.journal.settle(await stores.journal.audit(first), DONE)
    gone = Audited(RECEIVED + 1, Actor("slack", "bob"), "clear", "app_old", "shop/old", ())
    await stores.journal.settle(
        await stores.journal.audit(gone), Result.read("Refused: dokploy: no")
    )


def test_who_changed_an_app_also_one_that_is_gone(filled: Cli) -> None:
    filled.with_stores(changed)

    assert filled("audit", "--app", "web").stdout == (
        "2026-01-01T00:00:00.250Z 1 cli: ada provider set shop/web done: branch: main → dev\n"
    )
    assert [one["app"] for one in filled.json("audit", "--app", "shop/old")] == ["shop/old"]
    assert "nobody" in filled("audit", "--app", "nobody", code=4).stderr
