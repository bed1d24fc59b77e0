"""Decide whether apps would have a preview of a pull request; nothing is made or recorded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.core.apps import App
from bridge.core.decision import Policy
from bridge.core.errors import BridgeError
from bridge.core.events import PullRequestChanged
from bridge.core.policies import PreviewPolicy
from bridge.core.previews.preview import Preview, preview_id
from bridge.core.previews.verdict import Verdict, aim, by_files, without_files
from bridge.pipeline.previews.previews import NO_FILES, FollowsPulls
from bridge.ports.githosts import ChangeSet, HostApi
from bridge.ports.previews import Previews

Judged = tuple[App, Preview, Verdict]
"""An app, its preview as it would be recorded, and the verdict."""


@dataclass(frozen=True, slots=True)
class PullJudge:
    """Judges one pull request.

    Attributes:
        apis: returns the Git hosts that can be asked for its files.
    """

    event: PullRequestChanged
    policy: Policy
    journal: Previews
    apis: Callable[[], Mapping[str, HostApi]]
    now: float

    async def judge(self, apps: Sequence[App]) -> tuple[list[Judged], ChangeSet]:
        """Return the verdict for each app, and the files that the pull request changes."""
        files = await self._files(apps)
        return [await self._judged(app, files) for app in apps], files

    async def _judged(self, app: App, files: ChangeSet) -> Judged:
        event, verdict = self.event, self._at_once(app)
        if verdict is None:
            found = files if app.watched else replace(files, note="")
            about = (event.pull, app, event.repository, found.paths, found.note)
            verdict = by_files(*about, self.policy)
        seen = await self._record(app)
        return app, seen, aim(seen, verdict, app.rules.previews, self.now).verdict

    def _at_once(self, app: App) -> Verdict | None:
        """Return the verdict if files don't matter; None if they do."""
        event, policy = self.event, app.rules.previews
        return without_files(event.pull, app, event.repository, policy, self.policy)

    async def _record(self, app: App) -> Preview:
        """Return the preview as it is once the pull request is reported."""
        pull, repository, now = self.event.pull, self.event.repository, self.now
        found = await self.journal.preview(preview_id(repository, pull.number, app.id))
        if found is None:
            return Preview("", repository, app.id, app.label, app.backend, pull, active_at=now)
        if found.pull.head_sha != pull.head_sha or (pull.open and not found.pull.open):
            found = replace(found, stopped=False, active_at=now)  # as a push does
        return replace(found, pull=pull)

    async def _files(self, apps: Sequence[App]) -> ChangeSet:
        """Return what the pull request changes; the Git host is asked if it matters."""
        if not any(app.watched and self._at_once(app) is None for app in apps):
            return ChangeSet(None)
        api = self.apis().get(self.event.repository.host)
        if not isinstance(api, FollowsPulls):
            return NO_FILES
        try:
            return await api.pull_files(api.key(self.event.repository), self.event.pull.number)
        except BridgeError as error:
            return ChangeSet(None, f"its files can't be read: {error}")


def with_previews(app: App) -> App:
    """Return an app as it might be, whose pull requests are previewed."""
    policy = app.rules.previews or PreviewPolicy()
    return replace(app, rules=replace(app.rules, previews=policy))
