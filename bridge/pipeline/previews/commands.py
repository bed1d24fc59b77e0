"""Carry out what people ask of previews: stop, extend, approve a commit of a fork.

What is asked is recorded. Whoever keeps previews acts on it at once if it is in this process, as it
is for the console of one process; else at its next look, within a second. Rights are checked before
(`operations/`).

Those that a backend makes by itself are listed, and nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.core.errors import Rejected
from bridge.core.previews.native import NativePreview
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import STARTED_AGAIN, Act, Why
from bridge.pipeline.gates.commands import Requester
from bridge.ports.clock import Clock
from bridge.ports.outcomes import Audited, Result, Stage
from bridge.ports.previews import Previews

MOST = 5000
"""Records of previews that are looked through, the newest."""

SHORTEST_COMMIT = 7
"""Characters of a commit that are enough to name it."""

Sees = Callable[[str], bool]
"""Returns whether somebody may view the app with a label."""


# ── what there is ────────────────────────────────────────────────────────────────────────────────


async def previews_seen(
    journal: Previews, sees: Sees, *, ended: bool = False
) -> tuple[list[Preview], list[NativePreview]]:
    """Return the bridge's previews, newest first, and the backends' own, the last built one first.

    Where a backend makes one, the bridge's is left out if nothing of it is left.

    Args:
        ended: also those of which nothing is left, and pull requests that have none.
    """
    ours = [one for one in await journal.previews(ended=ended, limit=MOST) if sees(one.app)]
    native = [one for one in await journal.native_previews() if sees(one.app)]
    return _without_native(ours, native), native


async def previews_to_name(journal: Previews, sees: Sees) -> Sequence[Preview | NativePreview]:
    """Return the previews that somebody may mean by a name.

    Of the two that a pull request may have, it is the bridge's, if there is anything of it.
    """
    ours = [one for one in await journal.previews(ended=True, limit=MOST) if sees(one.app)]
    live = {_place(one) for one in ours if not one.is_over}
    theirs = [one for one in await journal.native_previews() if sees(one.app)]
    native = [one for one in theirs if _place(one) not in live]
    return [*_without_native(ours, native), *native]


def _without_native(ours: Sequence[Preview], native: Sequence[NativePreview]) -> list[Preview]:
    there = {_place(one) for one in native}
    return [one for one in ours if not one.is_over or _place(one) not in there]


def _place(one: Preview | NativePreview) -> tuple[str, int]:
    return one.app_id, one.number


# ── what is asked ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PreviewCommands:
    """Carries out what people ask of previews, and records it in the audit log."""

    journal: Previews
    clock: Clock

    async def stop(self, actor: Requester, preview: Preview) -> Preview:
        """Remove a preview until its pull request is pushed to, or it is extended.

        Raises:
            Rejected: there is none.
        """
        if preview.ends:
            raise Rejected(f"there is nothing to stop: {_why_none(preview)}")
        return await self._ask(actor, Act.STOP, preview, "", stopped=True)

    async def extend(self, actor: Requester, preview: Preview) -> Preview:
        """Keep a preview as if it had been pushed to now; start one that was stopped again.

        Raises:
            Rejected: its pull request is to have none.
        """
        ends = preview.ends
        if ends and preview.reason not in STARTED_AGAIN:
            raise Rejected(f"there is nothing to extend: {_why_none(preview)}")
        outcome = "starts again" if ends or preview.stopped else ""
        facts = {"active_at": self.clock(), "stopped": False}
        return await self._ask(actor, Act.EXTEND, preview, outcome, **facts)

    async def approve(self, actor: Requester, preview: Preview, commit: str) -> Preview:
        """Let a pull request of a fork be built at one commit.

        Args:
            commit: the one that somebody has looked at, or its first characters.

        Raises:
            Rejected: the pull request has moved, or it waits for no approval.
        """
        self._check_waits(preview, commit)
        head = preview.pull.head_sha
        facts = {"approved": head, "approver": actor.name}
        after = await self._ask(actor, Act.APPROVE, preview, f"commit {head[:12]}", **facts)
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
        self, actor: Requester, act: Act, preview: Preview, outcome: str, **facts: object
    ) -> Preview:
        """Change what people ask for, with its entry in the audit log."""
        said = f"{preview.label}: {outcome}" if outcome else preview.label
        result = Result(Stage.TOLD, said)
        about = (preview.app_id, preview.app, (), result)
        note = Audited(self.clock(), actor.by, f"previews {act}", *about)
        after = await self.journal.ask_previews(
            preview.id, lambda after: note if after else None, **facts
        )
        if after is None:
            raise Rejected(f"the record of {preview.label} is gone")
        return after


def _moved(preview: Preview) -> Rejected:
    return Rejected(
        f"{preview.label} is at {preview.pull.head_sha[:12]} by now: look at that commit, then"
        " approve it"
    )


def _why_none(preview: Preview) -> str:
    if preview.state is PreviewState.ENDING:
        return f"{preview.label} is being removed ({preview.note or preview.reason})"
    return f"{preview.label} has no preview ({preview.note or preview.reason})"
