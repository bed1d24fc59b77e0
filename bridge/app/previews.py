"""The previews of a process: what keeps them, and what compares them with pull requests."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bridge.app.wiring import Parts, in_background
from bridge.core.events import Repository
from bridge.core.pulls import PullRequest
from bridge.githosts.server import homes_of
from bridge.pipeline.deploying.pinning import Pins
from bridge.pipeline.gates.locks import LockKeeper
from bridge.pipeline.previews.apps import PreviewApps
from bridge.pipeline.previews.native import NativePreviewFollower
from bridge.pipeline.previews.previews import FollowsPulls, PreviewKeeper
from bridge.pipeline.previews.sweep import PreviewSweep
from bridge.ports.feedback import ShowsPreviews
from bridge.ports.githosts import HostApi
from bridge.settings import policy_of


@dataclass(frozen=True, slots=True)
class PullReports:
    """Passes what is reported of pull requests on to everything that depends on them."""

    locks: LockKeeper
    previews: PreviewKeeper

    async def __call__(self, repository: Repository, pull: PullRequest) -> bool:
        """Record that a pull request has changed; return whether something depends on it."""
        lock = not pull.open and await self.locks.report(repository, pull.number)
        return await self.previews.report(repository, pull) or lock


def shown_by(those: Sequence[ShowsPreviews]) -> ShowsPreviews:
    """Return one that shows previews everywhere."""
    return lambda preview, seq: [place for shows in those for place in shows(preview, seq)]


async def keep_previews(
    parts: Parts,
    stack: AsyncExitStack,
    apis: Mapping[str, HostApi],
    pins: Pins,
    shown: Sequence[ShowsPreviews],
) -> PreviewKeeper:
    """Start bringing previews in line with their pull requests, and showing them.

    Those that backends make by themselves are followed, too.
    """
    settings, stores = parts.settings, parts.stores

    async def turn() -> None:
        await parts.turn()
        await parts.catalog.ready.wait()  # else it is not known which apps have previews

    apps = PreviewApps(
        stores.journal,
        stores.inbox,
        parts.backends,
        pins,
        parts.clock,
        shown_by(shown),
        settings.journey.unclosed,
    )
    keeper = PreviewKeeper(
        stores.journal,
        parts.catalog,
        apps,
        apis,
        parts.clock,
        policy_of(settings),
        limit=settings.previews.limit,
        turn=parts.turn,
    )
    stores.journal.preview_asked = keeper.wake
    native = NativePreviewFollower(
        stores.journal, parts.catalog, parts.backends, parts.clock, turn=parts.turn
    )
    await in_background(stack, "previews", keeper.run())
    await in_background(stack, "the backends' own previews", native.run())
    homes = homes_of(settings.host_servers().values())
    for api in [one for one in apis.values() if isinstance(one, FollowsPulls)]:
        sweep = PreviewSweep(
            keeper,
            stores.journal,
            api,
            homes,
            parts.catalog.all,
            parts.clock,
            every=settings.previews.sweep,
            turn=turn,
        )
        await in_background(stack, f"pull requests of {api.name}", sweep.run())
    return keeper
