"""Which commits to compare to learn what a push changes for an app. Pure.

A push's own list of files says what has changed since the push before. What matters is what has
changed since the commit that the app runs: a push that failed, was lost or was cut short must
not hide its files from the next one (docs/notes/0012).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bridge.core.decision import Decision, Reason
from bridge.core.events import RefKind, RefPushed


@dataclass(frozen=True, slots=True)
class Live:
    """What an app runs, as far as its deployments tell.

    Attributes:
        commit: of its newest deployment that is done; None where the backend did not tell.
        certain: nothing newer is under way, or has an outcome that nobody knows.
        failed: the newest that has ended has failed, so what it brought is still missing.
        seq: of the delivery that has brought it up; a later push than the one in question says
            nothing about that.
    """

    commit: str | None
    certain: bool = True
    failed: bool = False
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """What to compare with the head of a push.

    Attributes:
        bases: sets of commits; the first set counts of which all comparisons can be made, and
            what differs from any of its commits has changed.
        firm: if none can be made, the files are unknown; else the push's own list counts.
        why: why the push's own list is not enough.
    """

    bases: tuple[tuple[str, ...], ...]
    firm: bool
    why: str


def question(push: RefPushed, decision: Decision, live: Live | None) -> Question | None:
    """What to ask before a decision by the push's own list stands; None: it does."""
    if push.ref.kind is not RefKind.BRANCH or push.deleted:
        return None
    if decision.reason is Reason.PATHS_UNKNOWN:
        bases = tuple(_bases(push, live))
        return Question(bases, firm=True, why=push.paths_note) if bases else None
    if decision.reason is not Reason.NO_PATH_HIT:
        return None
    if live is not None and live.failed and live.commit is not None:
        return Question(tuple(_bases(push, live)), firm=True, why="its last deployment failed")
    if push.repository.host == "gitlab":
        # GitLab does not say that a push was forced; what it took back is on no list.
        return Question(((push.before,),), firm=False, why="it may have been forced")
    return None


def _bases(push: RefPushed, live: Live | None) -> Iterator[tuple[str, ...]]:
    before = () if _none(push.before) else (push.before,)
    first = before
    if live is not None and live.commit is not None:
        # What is under way may have begun before this push or after it: both count.
        first = (live.commit,) if live.certain else tuple(dict.fromkeys((live.commit, *before)))
    yield from dict.fromkeys(one for one in (first, before) if one)


def with_paths(push: RefPushed, paths: tuple[str, ...] | None, note: str) -> RefPushed:
    """The push with the files that were found for an app, or with why they were not."""
    return replace(push, paths=paths, paths_note=note)


def compared(bases: tuple[str, ...], head: str, paths: tuple[str, ...]) -> str:
    """How a change set was found, e.g. "compare 1a2b3c4..5d6e7f8: 12 files"."""
    files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return f"compare {' and '.join(base[:7] for base in bases)}..{head[:7]}: {files}"


def _none(sha: str) -> bool:
    return not sha.strip("0")
