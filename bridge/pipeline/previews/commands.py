"""Carry out what people ask of previews: list, stop, extend, approve a commit of a fork.

What is asked is recorded. Whoever keeps previews acts on it at once if it is in this process, as it
is for the console of one process; else at its next look, within a second.

Those that a backend makes by itself are listed, and nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.core.access import Access, Person, Right
from bridge.core.chat.replies import NotAllowed, denial
from bridge.core.errors import Rejected
from bridge.core.previews.native import NativePreview, why_not_ours
from bridge.core.previews.preview import Preview, PreviewState, find_preview
from bridge.core.previews.verdict import NEEDS, STARTED_AGAIN, Act, Why, possible
from bridge.pipeline.gates.commands import Requester
from bridge.ports.clock import Clock
from bridge.ports.outcomes import Audited, Result, Stage
from bridge.ports.previews import Previews

MOST = 5000
"""Records of previews that are looked through, the newest."""

SHORTEST_COMMIT = 7
"""Characters of a commit that are enough to name it."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Somebody who asks for something.

    Attributes:
        person, access: decide what they may do; None for the command line, whose users have the
            data, so they may do everything.
        channel: where they ask, if it is in a chat; grants may count only in some channels.
    """

    actor: Requester
    person: Person | None = None
    access: Access | None = None
    channel: str | None = None

    def may(self, right: Right, label: str) -> bool:
        """Return whether they have a right to an app, by its label."""
        if self.person is None or self.access is None:
            return self.person is None
        return right in self.access.rights(self.person, label, self.channel)

    def check(self, right: Right, label: str) -> None:
        """Raise NotAllowed if they don't have a right to an app."""
        if not self.may(right, label):
            assert self.person is not None
            raise NotAllowed(denial(self.access or Access(), self.person, right, label))


@dataclass(frozen=True, slots=True)
class PreviewCommands:
    """Carries out what people ask of previews, and records it in the audit log."""

    journal: Previews
    clock: Clock

    async def seen_by(self, asker: Asker, *, ended: bool = False) -> list[Preview]:
        """Return the previews that somebody may see, newest first.

        Args:
            ended: also those of which nothing is left, and pull requests that have none.
        """
        found = await self.journal.previews(ended=ended, limit=MOST)
        return [one for one in found if asker.may(Right.VIEW, one.app)]

    async def native_seen_by(self, asker: Asker) -> list[NativePreview]:
        """Return the backends' own previews that somebody may see, the last built one first."""
        found = await self.journal.native_previews()
        return [one for one in found if asker.may(Right.VIEW, one.app)]

    async def named(self, asker: Asker, name: str) -> Preview | NativePreview:
        """Return the preview that somebody means, among those that they may see.

        Of the two that a pull request may have, it is the bridge's, if there is anything of it.

        Raises:
            NotFound, Ambiguous, Rejected: none or several fit, or it is no name.
        """
        ours, native = await self.seen_by(asker, ended=True), await self.native_seen_by(asker)
        live = {_place(one) for one in ours if not one.is_over}
        native = [one for one in native if _place(one) not in live]
        both: list[Preview | NativePreview] = [*without_native(ours, native), *native]
        return find_preview(both, name)

    async def named_ours(self, asker: Asker, name: str) -> Preview:
        """Return the bridge's preview that somebody means; see `named`.

        Raises:
            Rejected: also if the backend makes it, which the bridge only shows.
        """
        found = await self.named(asker, name)
        if isinstance(found, NativePreview):
            raise Rejected(why_not_ours(found))
        return found

    async def stop(self, asker: Asker, preview: Preview) -> Preview:
        """Remove a preview until its pull request is pushed to, or it is extended.

        Raises:
            Rejected: they may not, or there is none.
        """
        asker.check(Right.DEPLOY, preview.app)
        if preview.stopped:
            raise Rejected(f"{preview.label} was stopped before; a push starts it again")
        if preview.ends:
            raise Rejected(f"there is nothing to stop: {_why_none(preview)}")
        return await self._ask(asker, Act.STOP, preview, "", stopped=True)

    async def extend(self, asker: Asker, preview: Preview) -> Preview:
        """Keep a preview as if it had been pushed to now; start one that was stopped again.

        Raises:
            Rejected: they may not, or its pull request is to have none.
        """
        asker.check(Right.DEPLOY, preview.app)
        ends = preview.ends
        if ends and preview.reason not in STARTED_AGAIN:
            raise Rejected(f"there is nothing to extend: {_why_none(preview)}")
        outcome = "starts again" if ends or preview.stopped else ""
        facts = {"active_at": self.clock(), "stopped": False}
        return await self._ask(asker, Act.EXTEND, preview, outcome, **facts)

    async def approve(self, asker: Asker, preview: Preview, commit: str) -> Preview:
        """Let a pull request of a fork be built at one commit.

        Args:
            commit: the one that somebody has looked at, or its first characters.

        Raises:
            Rejected: they may not, the pull request has moved, or it waits for no approval.
        """
        asker.check(Right.APPROVE, preview.app)
        self._check_waits(preview, commit)
        head = preview.pull.head_sha
        facts = {"approved": head, "approver": asker.actor.name}
        after = await self._ask(asker, Act.APPROVE, preview, f"commit {head[:12]}", **facts)
        if after.pull.head_sha != head:
            raise _moved(after)
        return after

    def _check_waits(self, preview: Preview, commit: str) -> None:
        pull = preview.pull
        if preview.ends:
            raise Rejected(f"there is nothing to approve: {_why_none(preview)}")
        if pull.own:
            raise Rejected(
                f"{preview.label} comes from the repository itself, so it waits for no approval"
            )
        if preview.reason == Why.CANNOT_BUILD:
            says = preview.note or preview.reason
            raise Rejected(f"there is nothing to approve: {preview.label} can't be built ({says})")
        if len(commit) < SHORTEST_COMMIT:
            raise Rejected(f"name at least {SHORTEST_COMMIT} characters of the commit")
        if not pull.head_sha.startswith(commit.lower()):
            raise _moved(preview)
        if preview.approved == pull.head_sha:
            by = preview.approver or "somebody"
            raise Rejected(f"{by} has approved {pull.head_sha[:12]} of {preview.label} already")

    async def _ask(
        self, asker: Asker, act: Act, preview: Preview, outcome: str, **facts: object
    ) -> Preview:
        """Change what people ask for, with its entry in the audit log."""
        said = f"{preview.label}: {outcome}" if outcome else preview.label
        at, by, app_id = self.clock(), asker.actor.by, preview.app_id
        result = Result(Stage.TOLD, said)
        note = Audited(at, by, f"preview {act}", app_id, preview.app, (), result)
        after = await self.journal.ask_previews(
            preview.id, lambda after: note if after else None, **facts
        )
        if after is None:
            raise Rejected(f"the record of {preview.label} is gone")
        return after


def without_native(ours: Sequence[Preview], native: Sequence[NativePreview]) -> list[Preview]:
    """Return previews without those of which nothing is left, where the backend makes one."""
    there = {_place(one) for one in native}
    return [one for one in ours if not one.is_over or _place(one) not in there]


def _place(one: Preview | NativePreview) -> tuple[str, int]:
    return one.app_id, one.number


def offered(asker: Asker, preview: Preview) -> Sequence[Act]:
    """Return what somebody may ask of a preview and what would not be refused."""
    return [act for act in possible(preview) if asker.may(NEEDS[act], preview.app)]


def _moved(preview: Preview) -> Rejected:
    return Rejected(
        f"{preview.label} is at {preview.pull.head_sha[:12]} by now: look at that commit, then"
        " approve it"
    )


def _why_none(preview: Preview) -> str:
    if preview.state is PreviewState.ENDING:
        return f"{preview.label} is being removed ({preview.note or preview.reason})"
    return f"{preview.label} has no preview ({preview.note or preview.reason})"
