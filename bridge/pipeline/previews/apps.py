"""The app of one preview: make it, ask for its deployment, and remove it again.

Every step looks first whether it is done already, so after a death the next look goes on.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from bridge.core.apps import SHARE_COMMITS, App
from bridge.core.errors import Rejected, Unreachable
from bridge.core.events import PREVIEW_HOST, Action, Asked
from bridge.core.lifecycle import Deployment
from bridge.core.people import Actor
from bridge.core.pins import pin_for
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.preview import (
    Preview,
    app_name,
    build_args_text,
    environment_text,
    host_name,
)
from bridge.core.previews.verdict import why_pinned
from bridge.pipeline.deploying.pinning import Pins
from bridge.ports.backends import Address, Backend, Build, MakesApps, Progress, read_apps
from bridge.ports.clock import Clock
from bridge.ports.feedback import ShowsPreviews, Subscriptions
from bridge.ports.inbox import DeliveryState, Inbox, as_delivery
from bridge.ports.journal import AppsAndDeployments
from bridge.ports.previews import Previews


class PreviewAppJournal(AppsAndDeployments, Previews, Subscriptions, Protocol):
    """What the apps of previews use of the journal."""


log = logging.getLogger(__name__)

SOON = 0.5
"""Seconds until a preview that ends is looked at again."""

QUIET = 2.0
"""Seconds between two looks that both have to find nothing of an app that was removed."""

LEFT = 30.0
"""Seconds until what was left behind is looked for again; a person has to remove it."""

BUILT = "a build of it has not ended"

ASKED = 5
"""The latest requests for deployments that have to be decided before an app is removed."""


@runtime_checkable
class HasApps(Backend, MakesApps, Protocol):
    """A backend in which previews can be made."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What keeps a preview from its end, and the seconds until it is looked at again."""

    why: str
    pause: float = SOON


@dataclass(frozen=True, slots=True)
class PreviewApps:
    """Makes and removes the apps of previews.

    Attributes:
        backends: by name; not all can make apps.
        shown: returns where a preview is shown.
        unclosed: seconds for which a record without a job counts as a build that goes on.
    """

    journal: PreviewAppJournal
    inbox: Inbox
    backends: Mapping[str, Backend]
    pins: Pins
    clock: Clock
    shown: ShowsPreviews = lambda _preview, _seq: ()
    unclosed: float = 30.0
    _nothing_left: dict[str, float] = field(default_factory=dict)
    """When nothing was first seen of the removed apps of a preview that ends, by its id."""
    _open_since: dict[str, float] = field(default_factory=dict)
    """When a record was first seen to run without a job, by the id of its app."""

    def missing(self, preview: Preview, app: App, policy: PreviewPolicy) -> str | None:
        """Return why a preview can't be made; None if it can, as far as is known."""
        backend = self.backends.get(preview.backend)
        if not isinstance(backend, HasApps):
            return f"{preview.backend} is no backend in which the bridge can make apps"
        what = why_pinned(preview.pull, policy)
        if what is None or backend.builds_commits:
            return None
        if not preview.pull.own and (why := _unsafe(preview, app, policy)) is not None:
            return why
        if (why := self.pins.missing(app)) is not None:
            return f"{what} can only be built from a branch of the bridge's own: {why}"
        return None

    def warning(self, preview: Preview, policy: PreviewPolicy) -> str:
        """Return what to add of an approval of a fork's commit; "" if it only builds a preview."""
        backend = self.backends.get(preview.backend)
        if policy.mirror_for_forks or (isinstance(backend, HasApps) and backend.builds_commits):
            return ""
        return f"; CI then runs it, too, with the secrets of {preview.repository.name}"

    async def bring_up(self, preview: Preview, model: App, policy: PreviewPolicy) -> Preview:
        """Have the preview's app deploy the pull request's commit; return it as it is then.

        Raises:
            BridgeError: a step can't be done now; the next look goes on.
        """
        backend, pull = self._backend(preview), preview.pull
        name = app_name(model, pull.number)
        made = await backend.make(name, preview.marker, model, policy.place)
        if preview.made not in (None, made.id):
            log.warning("a preview's app was gone: it is made again", extra={"app": made.label})
        await self._remove_others(backend, preview, made)
        host = await self._host(backend, made, preview, model, policy)
        url = None if host is None else backend.url_at(host, https=policy.https)
        pinned = why_pinned(pull, policy) is not None
        ref, branch = pull.head, preview.branch
        if pinned:
            ref = pull.head_sha if backend.builds_commits else pin_for(made)
            branch = branch if backend.builds_commits else ref
        facts = {"made": made.id, "url": url, "branch": branch}
        if (changed := await self.journal.change_preview(preview, **facts)) is None:
            raise Rejected(f"the record of {preview.label} is gone")
        preview = changed
        environment = environment_text(preview, policy, url)
        args = build_args_text(preview, policy)
        mirror = None if pull.own or backend.builds_commits else policy.mirror_for_forks
        build = Build(model, ref, environment, args, policy.memory, policy.cpus, mirror)
        await backend.set_build(made, build)
        if host is not None:
            certificate = "letsencrypt" if policy.https else "none"
            address = Address(host, policy.port, policy.https, certificate)
            await backend.set_addresses(made, [address])
        (fresh,) = await read_apps(backend, [made]) or [made]
        await self.journal.renew_apps([fresh])
        commit = pull.head_sha if pinned else ""
        id_ = _request(made, preview.pushes)
        seq = await self._ask(preview, made, Action.DEPLOY, id_, commit=commit)
        await self.journal.subscribe(self.shown(preview, seq))
        return preview

    async def show(self, preview: Preview) -> None:
        """Have a preview shown, before there is anything of it."""
        await self.journal.subscribe(self.shown(preview, None))

    async def _host(
        self, backend: HasApps, made: App, preview: Preview, model: App, policy: PreviewPolicy
    ) -> str | None:
        """Return the preview's host name; one that was suggested once stays."""
        if policy.host is not None:
            return host_name(policy.host, model, preview.pull.number)
        if preview.made == made.id and preview.host_name is not None:
            return preview.host_name
        return await backend.suggest_host(made)

    async def _ask(
        self, preview: Preview, made: App, action: Action, id_: str, commit: str = ""
    ) -> int:
        """Ask for something as a person does, once for each id; return the delivery."""
        by = Actor(PREVIEW_HOST, preview.label)
        asked = Asked(action, made.id, by, app=made.label, commit=commit)
        return (await self.inbox.keep(as_delivery(PREVIEW_HOST, id_, asked, self.clock()))).seq

    async def end(self, preview: Preview) -> Unfinished | None:
        """Remove all that there is of a preview; return what is not finished, None if it is gone.

        An app that is removed while it is built leaves its service behind, so builds end first.

        Raises:
            BridgeError: a step can't be done now; the next look goes on.
        """
        backend = self._backend(preview)
        if apps := await backend.made(preview.marker):
            self._nothing_left.pop(preview.id, None)
            await self._store(backend, apps)
            for app in apps:
                if (why := await self._unfinished(backend, preview, app)) is not None:
                    return Unfinished(why)
                await backend.remove(app)
        stored = [*await self.journal.apps(), *await self.journal.gone_apps()]
        ours = [app for app in stored if app.marker == preview.marker]
        if (unfinished := await self._looked_after(backend, preview, ours)) is not None:
            return unfinished
        for app in ours:
            has_branch = preview.branch is not None or app.branch == pin_for(app)
            if has_branch and self.pins.missing(app) is None:
                await self.pins.remove(app)
        if ours:
            await self.journal.renew_apps([], gone=sorted(app.id for app in ours))
        self._nothing_left.pop(preview.id, None)
        return None

    async def _store(self, backend: HasApps, apps: Sequence[App]) -> None:
        """Store apps before they are removed: only these records name what may be left of them."""
        await self.journal.renew_apps(await read_apps(backend, apps))

    async def _looked_after(
        self, backend: HasApps, preview: Preview, apps: Sequence[App]
    ) -> Unfinished | None:
        """Look what is left of removed apps: twice, as a service may appear after its app went."""
        ids = {app.id for app in apps}  # their queue is looked at although they are gone
        if ids and any(job.active and job.app in ids for job in await backend.queue() or ()):
            self._nothing_left.pop(preview.id, None)
            return Unfinished(BUILT)
        left = [one for app in apps for one in await backend.left_behind(app) or ()]
        if left:
            self._nothing_left.pop(preview.id, None)
            names = ", ".join(one.name for one in left)
            return Unfinished(f"{names} still runs, though its app is gone", LEFT)
        now = self.clock()
        if apps and now - self._nothing_left.setdefault(preview.id, now) < QUIET:
            return Unfinished("its app is removed", QUIET)
        return None

    async def _remove_others(self, backend: HasApps, preview: Preview, made: App) -> None:
        """Remove apps with the preview's marker beyond the one that is used; they were raced."""
        others = [app for app in await backend.made(preview.marker) if app.id != made.id]
        await self._store(backend, others)
        for app in others:
            if (why := await self._unfinished(backend, preview, app)) is not None:
                raise Unreachable(preview.backend, f"{app.label} was made twice, and {why}")
            await backend.remove(app)
            await self.journal.renew_apps([], gone=[app.id])

    async def _unfinished(self, backend: HasApps, preview: Preview, app: App) -> str | None:
        """Return what of an app has to end before it may be removed; None if nothing has."""
        if await self._is_undecided(preview, app):
            return "a request for it has not been decided"
        going = [one for one in await self.journal.open_deployments() if one.app_id == app.id]
        if going:
            newest = max(going, key=lambda one: one.seq)
            await self._ask(preview, app, Action.CANCEL, _cancel(newest))
            return "a deployment of it has not ended"
        await backend.drop_waiting(app)
        return BUILT if await self._builds(backend, app) else None

    async def _builds(self, backend: HasApps, app: App) -> bool:
        """Return whether an app is built, by the queue and by its records.

        Of a build that ended without its log, or while its database was away, Dokploy's record says
        for ever that it runs (docs/dokploy.md). So without a job it counts only for a while.
        """
        queue = await backend.queue()
        is_active = any(job.active and job.app == app.id for job in queue or ())
        records = await backend.deployments(app)
        if is_active or all(one.status is not Progress.RUNNING for one in records):
            self._open_since.pop(app.id, None)
            return is_active
        since = self._open_since.setdefault(app.id, self.clock())
        return queue is None or self.clock() - since < self.unclosed

    async def _is_undecided(self, preview: Preview, app: App) -> bool:
        """Return whether a request waits in the inbox.

        A deployment's build could begin during the removal. A cancel would fail without the app.
        """
        pushes = range(max(1, preview.pushes - ASKED + 1), preview.pushes + 1)
        newest = await self.journal.deployments(limit=ASKED, app_id=app.id)
        for id_ in (*(_request(app, push) for push in pushes), *map(_cancel, newest)):
            found = await self.inbox.find(PREVIEW_HOST, id_)
            if found is not None and found.state is DeliveryState.KEPT:
                return True
        return False

    def _backend(self, preview: Preview) -> HasApps:
        backend = self.backends.get(preview.backend)
        if not isinstance(backend, HasApps):
            raise Rejected(f"{preview.backend} is no backend in which the bridge can make apps")
        return backend


def _unsafe(preview: Preview, app: App, policy: PreviewPolicy) -> str | None:
    """Return why a branch must not lead to a fork's commit; None if the rule says where it may."""
    repository, mirror = preview.repository.name, policy.mirror_for_forks
    if mirror is None and policy.ci_secrets_for_forks:
        return None
    if mirror is None:
        return (
            f"{preview.backend} builds only branches, and CI would run a fork's branch with the"
            f" secrets of {repository}: name a fork of it without secrets in the rule,"
            " `mirror_for_forks`; or accept that, `ci_secrets_for_forks: true`"
        )
    if mirror.lower() == repository.lower():
        return f"`mirror_for_forks` names {repository} itself: name a fork of it without secrets"
    if app.source is None or app.source.type not in SHARE_COMMITS:
        kinds = ", ".join(SHARE_COMMITS)
        return f"`mirror_for_forks` is of no use: only forks at {kinds} share their commits"
    return None


def _request(made: App, push: int) -> str:
    """Return the id of the request to deploy an app after a push; the same one deploys once."""
    return f"{made.id}@{push}"


def _cancel(newest: Deployment) -> str:
    """Return the id of the request to cancel an app's deployments up to its newest one."""
    return f"{newest.app_id}@{Action.CANCEL}@{newest.seq}"
