"""Shared by the end-to-end tests of a Git host's feedback."""

import re
from typing import Any

from tests.fakes.pulls import FakePull
from tests.worlds.bridge import Origin, World
from tests.worlds.embedded import until

QUICKLY: dict[str, Any] = {"BRIDGE_FEEDBACK_DEBOUNCE": "0.02", "BRIDGE_FEEDBACK_RETRY": "0.1"}


async def make_app(world: World, origin: Origin, *, watch: list[str] | None = None) -> None:
    """Create an app that publishes `web/` from the origin's main branch."""
    assert world.backend is not None
    app = await world.backend.app("web", origin.clone_url, publishDirectory="web")
    await world.backend.save_git(app["applicationId"], origin.clone_url, watchPaths=watch)


async def comment_with(pull: FakePull, words: str) -> str:
    """Wait until the only comment contains the words; return it."""

    async def bodies() -> list[str]:
        return [one.body for one in pull.comments]

    (body,) = await until(bodies, lambda found: found and words in found[0])
    return body


async def nothing_due(world: World) -> None:
    """Wait until everything is published."""

    async def going() -> list[Any]:
        found = await world.stores.journal.feedback(limit=1000)
        return [one for one in found if one.shown < one.wanted and not one.parked]

    await until(going, lambda found: not found)


def states(body: str) -> str:
    """Return the states in the table's rows, in order."""
    return ", ".join(re.findall(r"^\| `[^|]*\| \[?([^|·\]]*?)(?:\]\(| [|·])", body, re.MULTILINE))


async def decided(world: World, id_: str, host: str = "github") -> tuple[str, str]:
    """Return reason and evidence of a delivery's only decision."""
    delivery = await world.delivery(id_, host)
    (decision,) = (await world.stores.journal.decisions([delivery.seq]))[delivery.seq]
    return str(decision.reason), decision.evidence
