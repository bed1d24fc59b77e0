"""Wishes go through the inbox, and say so when nobody is there to fulfil them."""

from bridge.ports.inbox import NewDelivery
from tests.worlds.cli import Cli


def newest(cli: Cli):
    async def look(stores):
        (delivery,) = await stores.inbox.newest(1)
        return await stores.inbox.get(delivery.seq)

    return cli.with_stores(look)


def test_a_wish_without_a_running_bridge_says_that_it_waits(filled: Cli) -> None:
    assert "no bridge is running on .bridge" in filled("deploy", "web").stdout

    result = filled("deploy", "web", "--follow", code=1)
    assert "it is kept as cli-" in result.stderr


def test_a_command_is_not_replayed(filled: Cli) -> None:
    filled("deploy", "web")

    assert "give its command again" in filled("replay", newest(filled).id, code=2).stderr


def test_what_deployed_nothing_does_not_come_back_as_it_was(filled: Cli) -> None:
    async def another(stores):
        await stores.inbox.keep(NewDelivery("github", "nothing", "ping", {}, b"{}", 1.0))

    filled.with_stores(another)

    said = filled("replay", "nothing", "--as-it-was", code=2).stderr
    assert "It deployed nothing, so there is nothing to repeat" in said
