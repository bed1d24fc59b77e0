"""Wishes go through the inbox, and say so when nobody is there to fulfil them."""

import json

import pytest

from bridge.core.events import Action, parse_command
from bridge.core.lifecycle import State
from bridge.ports.inbox import NewDelivery
from tests.worlds.cli import GUID, Cli


def newest(cli: Cli):
    async def look(stores):
        (delivery,) = await stores.inbox.newest(1)
        return await stores.inbox.get(delivery.seq)

    return cli.with_stores(look)


@pytest.mark.parametrize("action", ["deploy", "redeploy", "cancel"])
def test_a_wish_is_kept_like_a_delivery(filled: Cli, action: str) -> None:
    result = filled(action, "web")

    kept = newest(filled)
    asked = parse_command(kept.event, kept.body)
    assert (kept.host, kept.event) == ("cli", action)
    assert kept.id.startswith("cli-")
    assert kept.id in result.stdout
    assert (asked.action, asked.target) == (Action(action), "app_web")
    assert asked.actor.door == "cli"


def test_a_wish_without_a_running_bridge_says_that_it_waits(filled: Cli) -> None:
    assert "no bridge is running on .bridge" in filled("deploy", "web").stdout

    result = filled("deploy", "web", "--follow", code=1)
    assert "it is kept as cli-" in result.stderr


def test_a_wish_as_json_names_its_delivery(filled: Cli) -> None:
    told = json.loads(filled("deploy", "web", "--json").stdout)

    assert told == {
        "delivery": newest(filled).id,
        "action": "deploy",
        "target": "shop/web",
        "app_id": "app_web",
        "not_before": None,
    }


def test_a_replay_names_the_delivery_by_its_number(filled: Cli) -> None:
    filled("replay", GUID[:8])

    kept = newest(filled)
    assert parse_command(kept.event, kept.body).target == "1"


def test_a_command_is_not_replayed(filled: Cli) -> None:
    filled("deploy", "web")

    assert "give its command again" in filled("replay", newest(filled).id, code=2).stderr


def test_an_unknown_app_names_the_nearest(filled: Cli) -> None:
    result = filled("deploy", "wbe", code=4)

    assert result.stderr == "error: there is no app 'wbe'; did you mean shop/web?\n"


def test_nothing_is_kept_where_there_is_no_data(cli: Cli) -> None:
    assert "nothing is kept in .bridge yet" in cli("deploy", "web", code=4).stderr
    assert not cli.data.exists()


def test_what_is_only_being_verified_is_not_cancelled(filled: Cli) -> None:
    async def verifying(stores):
        (going,) = await stores.journal.open_deployments()
        await stores.journal.move(going.id, State.VERIFYING, "it is live")
        return going

    going = filled.with_stores(verifying)

    result = filled("cancel", going.app, code=1)

    assert result.stderr == (
        f"error: It can't be cancelled: deployment #{going.seq} is live already and is only being"
        f" verified. A rollback leads back; `dokploy-bridge rollback {going.app}`\n"
    )
    assert newest(filled).host != "cli"


def test_a_number_with_its_sign_is_no_id(filled: Cli) -> None:
    filled("replay", "#1")

    assert parse_command("replay", newest(filled).body).target == "1"
    assert "there is no delivery '#72'" in filled("replay", "#72", code=4).stderr


def test_what_deployed_nothing_does_not_come_back_as_it_was(filled: Cli) -> None:
    async def another(stores):
        await stores.inbox.keep(NewDelivery("github", "nothing", "ping", {}, b"{}", 1.0))

    filled.with_stores(another)

    said = filled("replay", "nothing", "--as-it-was", code=2).stderr
    assert "It deployed nothing, so there is nothing to repeat" in said
