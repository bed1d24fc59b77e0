"""The audit log: every command that acts is in it, once, whichever way it came."""

import pytest

from bridge.core.events import (
    COMMAND_HOST,
    CONFIGURING,
    PREVIEW_HOST,
    Action,
    write_command,
)
from bridge.core.events import Asked as Command
from bridge.core.people import Actor
from bridge.ports.inbox import NewDelivery
from tests.worlds.bridge import Origin, World
from tests.worlds.embedded import until
from tests.worlds.sites import make_site

pytestmark = pytest.mark.journey

ACTS = [action for action in Action if action not in CONFIGURING]
WAYS = {
    COMMAND_HOST: ("cli: ada", "", "cli: ada"),
    "discord": ("discord: Ada", "4711", "discord: Ada (4711)"),
}
"""The actor and the person of a command by each way, and how the audit log names them."""


async def kept(world: World, host: str, action: Action, target: str, id_: str) -> None:
    actor, person, _ = WAYS.get(host, ("preview: #12", "", ""))
    asked = Command(action, target, Actor.read(actor), person=person, app="shop/web")
    await world.stores.inbox.keep(
        NewDelivery(host, id_, action, {}, write_command(asked), 1_700_000_000.0)
    )


@pytest.mark.parametrize("host", ["cli", "discord"])
async def test_what_people_ask_for_is_in_it_once(world: World, origin: Origin, host: str) -> None:
    app_id = (await make_site(world, origin))["applicationId"]
    push = await world.commit(origin, "feat: first", {"web/index.html": "1"})
    seq = (await world.delivery(push)).seq
    await world.ended(1)
    targets = {action: str(seq) if action is Action.REPLAY else app_id for action in ACTS}

    for action, target in targets.items():
        for _ in range(2):  # a host may send twice
            await kept(world, host, action, target, f"{host}-{action}")
        await world.delivery(f"{host}-{action}", host)
    await kept(world, host, Action.DEPLOY, "app-gone", f"{host}-gone")
    await kept(world, PREVIEW_HOST, Action.DEPLOY, app_id, "preview-1")
    await world.delivery("preview-1", PREVIEW_HOST)

    found = await until(
        lambda: world.stores.journal.audited(limit=20), lambda those: len(those) > len(ACTS)
    )
    by = WAYS[host][2]
    assert [(str(one.by), one.what, one.app_id, one.outcome) for one in reversed(found)] == [
        *(
            (by, str(action), "" if action is Action.REPLAY else app_id, f"kept as {host}-{action}")
            for action in ACTS
        ),
        (by, "deploy", "app-gone", "refused: shop/web is gone"),
    ]
