"""The state of each app, and how commit statuses and deployment objects show it. Pure.

Nothing is claimed that is not known: a deployment with unknown outcome is "cancelled" (GitHub
shows an error), never success or failure. A skipped app is a success with its reason, so it holds
up no merge; so is one that a newer push superseded.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bridge.core.apps import PRODUCTION, App, environment_of
from bridge.core.decision import Reason
from bridge.core.failure import MOST_CHARACTERS
from bridge.core.health.fate import Fate, Now, lasting
from bridge.core.lifecycle import BAD, Deployment, State
from bridge.core.log_text import MARK, marked, shorten
from bridge.core.masking import redact
from bridge.githosts.base.commits import OURS
from bridge.ports.feedback import Snapshot
from bridge.ports.githosts import CommitState
from bridge.ports.outcomes import Explained
from bridge.views.decisions import IN_WORDS

SILENT = frozenset(
    {
        Reason.DUPLICATE_PUSH,
        Reason.REPOSITORY_MISMATCH,
        Reason.CANCEL_ASKED,
        Reason.CANCEL_ONE_ASKED,
        Reason.CONFIGURE_ASKED,
    }
)
"""Decisions that don't count for a push: another delivery decides it."""

ELSEWHERE = frozenset({Reason.BRANCH_MISMATCH, Reason.TRIGGER_MISMATCH, Reason.OWN_BRANCH})
"""The app does not deploy from what was pushed."""


class Shown(NamedTuple):
    """How a deployment's state is shown: an icon, a few words, and the state of its commit."""

    icon: str
    words: str
    commit: CommitState


SHOWN = {
    State.WAITING: Shown("⏳", "waiting", CommitState.PENDING),
    State.HELD: Shown("✋", "held", CommitState.PENDING),
    State.ASKED: Shown("⏳", "accepted by the backend", CommitState.PENDING),
    State.QUEUED: Shown("⏳", "queued at the backend", CommitState.PENDING),
    State.RUNNING: Shown("🔨", "building", CommitState.RUNNING),
    State.VERIFYING: Shown("🩺", "being verified", CommitState.RUNNING),
    State.DONE: Shown("✅", "deployed", CommitState.SUCCESS),
    State.UNHEALTHY: Shown("🤒", "deployed, but unhealthy", CommitState.FAILURE),
    State.FAILED: Shown("❌", "failed", CommitState.FAILURE),
    State.CANCELLED: Shown("🚫", "cancelled", CommitState.CANCELLED),
    State.SUPERSEDED: Shown("⏩", "superseded by a newer deployment", CommitState.SUCCESS),
    State.UNKNOWN: Shown("❔", "accepted, outcome unknown", CommitState.CANCELLED),
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of one app.

    Attributes:
        label: the app's name for people.
        newest: the newest decision that counts.
        deployment: the newest; it may be of an older push than `newest`.
    """

    app_id: str
    label: str
    environment: str
    newest: Explained | None = None
    deployment: Deployment | None = None

    @property
    def skipped(self) -> bool:
        """True if the newest push did not deploy it."""
        if self.newest is None or self.newest.decision.deploy:
            return False
        return self.deployment is None or self.deployment.seq < self.newest.seq


def standings(snapshot: Snapshot) -> list[Standing]:
    """Return every app in the snapshot, ordered by label."""
    # both lists are newest first, so the last write is the newest
    explained = {
        about.decision.app_id: about
        for about in reversed(snapshot.explained)
        if about.decision.reason not in SILENT
    }
    deployed = {deployment.app_id: deployment for deployment in newest(snapshot)}
    names = {id_: deployment.app for id_, deployment in deployed.items()}
    names |= {id_: about.decision.app for id_, about in explained.items()}
    return [
        Standing(
            id_, name, environment_of(snapshot.apps.get(id_)), explained.get(id_), deployed.get(id_)
        )
        for id_, name in sorted(names.items(), key=lambda item: (item[1], item[0]))
    ]


def newest(snapshot: Snapshot) -> list[Deployment]:
    """Return the newest deployment of each app in the snapshot, which has the newest first."""
    return [*{made.app_id: made for made in reversed(snapshot.deployments)}.values()]


def watches(reasons: Iterable[Reason]) -> bool:
    """Return whether an app follows the pushed ref, even if this push does not deploy it."""
    return any(reason not in SILENT and reason not in ELSEWHERE for reason in reasons)


def reasons_of(deployment: Deployment) -> list[str]:
    """Return what holds a deployment, without secrets; nothing unless it is held."""
    if deployment.state is not State.HELD:
        return []
    return [redact(hold.says[:MOST_CHARACTERS]) for hold in deployment.holds]


def going(deployment: Deployment, snapshot: Snapshot) -> tuple[str, str]:
    """Return the icon of what became of a deployment, and a few words that stay true."""
    told = snapshot.told_by(deployment)
    fate = snapshot.fates.get(told.id)
    match fate.now if fate is not None else None:
        case Now.ROLLED_BACK:
            return "↩️", "rolled back"
        case Now.REPLACED | Now.ELSEWHERE | Now.STOPPED | Now.GONE | Now.UNKNOWN if (
            told.state is State.UNHEALTHY
        ):
            return SHOWN[told.state].icon, "deployed, and was unhealthy"
        case _:
            return SHOWN[told.state].icon, words_of_state(told, deployment)


def words_of_state(told: Deployment, deployment: Deployment) -> str:
    """Return a state in a few words; `told`: what tells what became of a deployment."""
    words = SHOWN[told.state].words
    if told.id == deployment.id:
        return words
    if told.served:
        return words.replace("deployed", f"deployed by #{told.seq}", 1)
    return f"superseded by #{told.seq}: {words}"


# ── The status of a commit ────────────────────────────────────────────────────────────────────────

LONGEST_DESCRIPTION = 140
"""GitHub's limit for a description, in characters."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a commit or deployment shows for an app.

    Attributes:
        waits: it waits for its turn, here or at the backend, and nothing holds it.
    """

    state: CommitState
    description: str
    waits: bool = False

    @property
    def level(self) -> str:
        """What is shown; whoever waits need not know where, which saves writes."""
        return str(self.state) if self.waits else f"{self.state} {self.description}"


def status_of(standing: Standing, snapshot: Snapshot) -> Said | None:
    """Return the status of an app under the newest push's commit; None for no status."""
    if standing.skipped:
        assert standing.newest is not None
        decision = standing.newest.decision
        words = IN_WORDS[decision.reason]
        return Said(CommitState.SUCCESS, _plain(f"skipped: {words} ({decision.evidence})"))
    return None if standing.deployment is None else _told(standing.deployment, snapshot)


def _told(deployment: Deployment, snapshot: Snapshot) -> Said:
    """Return what became of a deployment.

    If a newer push superseded it, that push tells the outcome, until it is rolled back.
    """
    told = snapshot.told_by(deployment)
    fate = snapshot.fates.get(told.id)
    rolled_back = fate is not None and fate.now is Now.ROLLED_BACK
    if deployment.state is State.SUPERSEDED and told.pushed and not rolled_back:
        return deployment_status(deployment)
    return deployment_status(told, fate, deployment)


_UNTOLD = "deployed; the backend does not say which commit"


def deployment_status(
    deployment: Deployment, fate: Fate | None = None, instead_of: Deployment | None = None
) -> Said:
    """Return a deployment's state, and why it failed, on one line without secrets.

    Hosts keep each one and limit how many are written, so the words stay true whatever is deployed
    later; only a rollback makes others.

    Args:
        instead_of: the one whose version it tells of, if that is another one.
    """
    if fate is not None and fate.now is Now.ROLLED_BACK:
        first = "unhealthy, " if deployment.state is State.UNHEALTHY else ""
        return Said(CommitState.FAILURE, _plain(f"{first}{fate.says}"))
    words = words_of_state(deployment, instead_of or deployment)
    live, holds = deployment.deployed_commit, reasons_of(deployment)
    if deployment.state is State.DONE:
        version = live[:7] if live else deployment.image
        words = words.replace("deployed", f"deployed {version}") if version else _UNTOLD
        if live and deployment.commit and live != deployment.commit:
            words += ", the head of the branch when the build began"
    elif deployment.state in BAD and deployment.note:
        note = redact(lasting(deployment)[:MOST_CHARACTERS])
        words = f"{words}: {shorten(note, LONGEST_DESCRIPTION - len(words) - 2)}"
    elif holds:
        words = f"{words}: {_first(holds, LONGEST_DESCRIPTION - len(words) - 2)}"
    state = SHOWN[deployment.state].commit
    return Said(state, _plain(words), state is CommitState.PENDING and not holds)


def _first(reasons: Sequence[str], room: int) -> str:
    """Return as many whole reasons as fit, and how many more there are."""
    for kept in range(len(reasons), 1, -1):
        said = "; ".join(reasons[:kept])
        said += f"; {len(reasons) - kept} more" if kept < len(reasons) else ""
        if len(said) <= room:
            return said
    more = f"; {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return shorten(reasons[0], room - len(more)) + more


def one_line(text: str, most: int) -> str:
    """Return the first non-empty line, at most `most` characters, without control characters."""
    line = marked(next((line.strip() for line in text.splitlines() if line.strip()), ""))
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _plain(text: str) -> str:
    """Return one line that every host accepts: some refuse four-byte characters."""
    return one_line(_low(text), LONGEST_DESCRIPTION)


def _low(text: str) -> str:
    return "".join(char if ord(char) < _LOW else MARK for char in text)


# ── The names of an app's commit status and environment ───────────────────────────────────────────

LONGEST_NAME = 255
"""Length that both hosts accept, in characters."""

_HASH = 8
_LOW = 0x10000
"""Some hosts refuse characters that take four bytes in UTF-8."""


def contexts(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each app's commit status, e.g. "dokploy/shop/web".

    Args:
        labels: of all apps of the pushed repository, by id.
    """
    whole = {id_: f"{OURS}{label}" for id_, label in labels.items()}
    printable = {id_: " ".join(marked(_low(name)).split()) for id_, name in whole.items()}
    return _apart(whole, printable)


def environments(labels: Mapping[str, str], apps: Mapping[str, App]) -> dict[str, str]:
    """Return the environment of each app's deployment objects, e.g. "production/shop/web".

    Each app has its own: hosts treat a newer deployment of an environment as the successor of all
    older ones, and GitLab groups environments by the text before the first slash. GitLab allows
    letters, digits, spaces and `-_/${}.`, and no slash at either end.
    """
    names = {id_: (app.project, app.name) for id_, app in apps.items()}
    whole = {
        id_: "/".join(filter(None, (environment_of(apps.get(id_)), *names.get(id_, (label,)))))
        for id_, label in labels.items()
    }
    return _apart(whole, {id_: _plain_name(name) for id_, name in whole.items()})


def preview_environment(beginning: str, label: str, number: int) -> str:
    """Return the environment of a preview's deployment objects, e.g. "preview/shop/web/pr-12".

    Two apps have none in common, unless a host does not allow their names.
    """
    whole = f"{beginning}/{label}/pr-{number}"
    return _apart({label: whole}, {label: _plain_name(whole)})[label]


def _apart(whole: Mapping[str, str], taken: Mapping[str, str]) -> dict[str, str]:
    """Make names unique: `taken` holds the part of each `whole` name that a host accepts."""
    found = {
        id_: name if name == whole[id_] and len(name) <= LONGEST_NAME else _with_hash(name, id_)
        for id_, name in taken.items()
    }
    while True:
        times = Counter(name.casefold() for name in found.values())
        shared = [
            id_
            for id_, name in found.items()
            if times[name.casefold()] > 1 and name != _with_hash(taken[id_], id_)
        ]
        if not shared:
            return found
        found |= {id_: _with_hash(taken[id_], id_) for id_ in shared}


def _with_hash(name: str, id_: str) -> str:
    short = hashlib.sha256(id_.encode(errors="backslashreplace")).hexdigest()[:_HASH]
    return f"{name[: LONGEST_NAME - _HASH - 1].rstrip()}-{short}"


def _plain_name(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9 \-_/.]", "-", name).strip("/ ") or PRODUCTION
