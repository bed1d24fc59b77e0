"""The app of one preview: make it, ask for its deployment, and remove it again.

Every step looks first whether it is done already, so after a death the next look goes on.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bridge.core.apps import App
from bridge.core.errors import Rejected
from bridge.core.events import PREVIEW_HOST, Action, Asked, write_command
from bridge.core.pins import pin_for
from bridge.core.previews.policy import PreviewPolicy
from bridge.core.previews.preview import (
    Preview,
    app_name,
    environment_text,
    host_name,
    variables_text,
)
from bridge.pipeline.pinning import Pins
from bridge.ports.backends import Address, Backend, Build, MakesApps, Progress, read_apps
from bridge.ports.clock import Clock
from bridge.ports.feedback import ShowsPreviews
from bridge.ports.inbox import Inbox, NewDelivery
from bridge.ports.journal import Journal

log = logging.getLogger(__name__)

SOON = 0.5
"""Seconds until a preview that ends is looked at again."""


@runtime_checkable
class HasApps(Backend, MakesApps, Protocol):
    """A backend in which previews can be made."""


@dataclass(frozen=True, slots=True)
class PreviewApps:
    """Makes and removes the apps of previews.

    Attributes:
        backends: by name; not all can make apps.
        pins: moves the branches of the bridge's own.
        shown: returns where a preview is shown.
    """

    journal: Journal
    inbox: Inbox
    backends: Mapping[str, Backend]
    pins: Pins
    clock: Clock
    shown: ShowsPreviews = lambda _preview, _seq: ()

    def missing(self, preview: Preview, app: App, policy: PreviewPolicy) -> str | None:
        """Return why a preview can't be made; None if it can, as far as is known."""
        if not isinstance(self.backends.get(preview.backend), HasApps):
            return f"{preview.backend} is no backend in which the bridge can make apps"
        if (policy.pin or not preview.pull.own) and (why := self.pins.missing(app)) is not None:
            what = "its commit" if preview.pull.own else "a fork's commit"
            return f"{what} can only be built from a branch of the bridge's own: {why}"
        return None

    # ── bring up ──────────────────────────────────────────────────────────

    async def bring_up(self, preview: Preview, model: App, policy: PreviewPolicy) -> Preview:
        """Have the preview's app deploy the pull request's commit; return it as it is then.

        Raises:
            BridgeError: a step can't be done now; the next look goes on.
        """
        backend, pull = self._backend(preview), preview.pull
        name = app_name(model, pull.number)
        made = await backend.make(name, preview.marker, model, policy.place)
        host = await self._host(backend, made, preview, model, policy)
        url = None if host is None else f"{'https' if policy.https else 'http'}://{host}"
        pinned = policy.pin or not pull.own
        branch = pin_for(made) if pinned else pull.head
        preview = await self._change(
            preview, made=made.id, url=url, branch=branch if pinned else None
        )
        environment = environment_text(preview, policy, url)
        args = variables_text(policy.build_args)
        build = Build(model, branch, environment, args, policy.memory, policy.cpus)
        await backend.set_build(made, build)
        if host is not None:
            certificate = "letsencrypt" if policy.https else "none"
            address = Address(host, policy.port, policy.https, certificate)
            await backend.set_addresses(made, [address])
        (fresh,) = await read_apps(backend, [made]) or [made]
        await self.journal.renew_apps([fresh])
        if fresh.url is not None:
            preview = await self._change(preview, url=fresh.url)
        commit = pull.head_sha if pinned else ""
        seq = await self._ask(preview, made, Action.DEPLOY, commit=commit)
        await self.journal.subscribe(self.shown(preview, seq))
        return preview

    async def show(self, preview: Preview) -> None:
        """Have a preview shown, before there is anything of it."""
        await self.journal.subscribe(self.shown(preview, None))

    async def _host(
        self,
        backend: HasApps,
        made: App,
        preview: Preview,
        model: App,
        policy: PreviewPolicy,
    ) -> str | None:
        """Return the preview's host name; one that was suggested once stays."""
        if policy.host is not None:
            return host_name(policy.host, model, preview.pull.number)
        if preview.made == made.id and preview.url is not None:
            return preview.url.partition("://")[2]
        return await backend.suggest_host(made)

    async def _ask(self, preview: Preview, made: App, action: Action, commit: str = "") -> int:
        """Ask for something as a person does, once for each app and commit; return the delivery."""
        asked = Asked(action, made.id, f"preview: {preview.label}", app=made.label, commit=commit)
        about = preview.pull.head_sha if action is Action.DEPLOY else str(action)
        id_ = f"{made.id}@{about}"
        kept = await self.inbox.keep(
            NewDelivery(PREVIEW_HOST, id_, str(action), {}, write_command(asked), self.clock())
        )
        return kept.seq

    # ── end ───────────────────────────────────────────────────────────────

    async def end(self, preview: Preview) -> str | None:
        """Remove all that there is of a preview; return what has to end first, None if it is gone.

        An app that is removed while it is built leaves its service behind, so builds end first.

        Raises:
            BridgeError: a step can't be done now; the next look goes on.
        """
        backend = self._backend(preview)
        apps = await backend.made(preview.marker)
        for app in apps:
            if (why := await self._unfinished(backend, preview, app)) is not None:
                return why
            await backend.remove(app)
        made = None if preview.made is None else await self.journal.app(preview.made)
        if made is not None:
            if left := await backend.left_behind(made):
                names = ", ".join(one.name for one in left)
                return f"{names} still runs, though its app is gone"
            if preview.branch is not None and self.pins.missing(made) is None:
                await self.pins.remove(made)
        gone = {app.id for app in apps} | ({preview.made} if preview.made else set())
        if gone:
            await self.journal.renew_apps([], gone=sorted(gone))
        return None

    async def _unfinished(self, backend: HasApps, preview: Preview, app: App) -> str | None:
        """Return what of an app has to end before it may be removed; None if nothing has."""
        if any(one.app_id == app.id for one in await self.journal.open_deployments()):
            await self._ask(preview, app, Action.CANCEL)
            return "a deployment of it has not ended"
        await backend.drop_waiting(app)
        jobs = await backend.queue() or []
        if any(job.active and job.app == app.id for job in jobs):
            return "a build of it has not ended"
        if any(one.status is Progress.RUNNING for one in await backend.deployments(app)):
            return "a build of it has not ended"
        return None

    def _backend(self, preview: Preview) -> HasApps:
        backend = self.backends.get(preview.backend)
        if not isinstance(backend, HasApps):
            raise Rejected(f"{preview.backend} is no backend in which the bridge can make apps")
        return backend

    async def _change(self, preview: Preview, **facts: Any) -> Preview:
        changed = await self.journal.change_preview(preview, **facts)
        if changed is None:
            raise Rejected(f"the record of {preview.label} is gone")
        return changed
