"""The order of apps: who waits for whom, and what of the earlier ones matters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bridge.core.apps import App
from bridge.core.events import Action
from bridge.core.health.serving import Serving
from bridge.core.lifecycle import LOSABLE, Deployment, State
from bridge.core.rules import label_matches

_COMING = {
    State.HELD: "holds it",
    State.FAILED: "failed to build it",
    **dict.fromkeys((State.WAITING, *LOSABLE), "is building it"),
}


@dataclass(frozen=True, slots=True)
class Earlier:
    """An app that must be live before another one.

    Attributes:
        serving: what it serves; None if it never served anything.
        newest: its newest deployment, of those neither superseded nor cancelled.
        served: the newest deployments that it has served, newest first.
    """

    app_id: str
    serving: Serving | None = None
    newest: Deployment | None = None
    served: Sequence[Deployment] = ()

    @property
    def commits(self) -> list[str]:
        """The commits to compare: what it serves, and the last one that was no rollback."""
        last = next((one for one in self.served if one.action is not Action.ROLLBACK), None)
        runs = self.serving.commit if self.serving else None
        those = (runs, last.deployed_commit if last else None)
        return list(dict.fromkeys(one for one in those if one is not None))

    @property
    def since(self) -> float | None:
        """Since when it serves that, and is not being verified any more."""
        if self.serving is None or (since := self.serving.since) is None:
            return None
        ours = self.serving.ours
        verified = ours.finished_at if ours is not None and ours.served else None
        return max(since, verified or since)

    @property
    def version_since(self) -> float | None:
        """Since when it serves that version, however often it was built again."""
        serving = self.serving
        if serving is None or serving.commit is None or serving.seen is not None:
            return serving.since if serving else None
        since = serving.since
        for one in self.served:
            if one.deployed_commit != serving.commit:
                break
            since = one.live_at
        return since

    @property
    def doubt(self) -> Deployment | None:
        """The deployment since which it is not known what it serves; None if that is known."""
        if self.serving is not None:
            return None if self.serving.known else self.serving.doubt
        return self.newest if self.newest and self.newest.state is State.UNKNOWN else None

    def coming(self, commit: str | None) -> str:
        """Return what its newest deployment does with a commit; "" if it brings another one."""
        one = self.newest
        if one is None or commit is None or (one.head or one.commit) != commit:
            return ""
        return _COMING.get(one.state, "")


def earlier_of(app: App, apps: Iterable[App]) -> dict[str, str]:
    """Return the ids of the apps that must be live before this one, by label.

    A name in `after` that fits no app stands for itself, with the id "", and holds. An app does
    not wait for itself.
    """
    others = {one.label: one.id for one in apps if one.id != app.id}
    found: dict[str, str] = {}
    for pattern in app.rules.after or ():
        fits = {label: id_ for label, id_ in others.items() if label_matches(pattern, label)}
        found |= fits or ({} if label_matches(pattern, app.label) else {pattern: ""})
    return found


def differing(before: Mapping[str, App], now: Mapping[str, App]) -> list[str]:
    """Return the ids of the apps that gates judge otherwise.

    These are the apps that differ, and those whose rules name one of them as an earlier app. If a
    name differs, all whose rules name earlier apps are among them.
    """
    found = {id_ for id_ in before.keys() | now.keys() if before.get(id_) != now.get(id_)}
    renamed = {app.label for app in before.values()} != {app.label for app in now.values()}
    waiting = [app for app in now.values() if app.rules.after] if found else []
    return sorted(
        found.union(
            app.id
            for app in waiting
            if renamed or not found.isdisjoint(earlier_of(app, now.values()).values())
        )
    )
