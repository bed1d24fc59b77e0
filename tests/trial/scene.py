"""One scenario's app: act on it, look at it from both sides, and compare at the end."""

import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from tests.trial.bridge import BridgeProcess
from tests.trial.comparing import (
    CLOSING,
    FINAL,
    WITHIN,
    Claim,
    Outcome,
    Wanted,
    cut_off,
    differences,
)
from tests.trial.database import Database, Record
from tests.trial.dokploy import Dokploy, Service, until
from tests.trial.repositories import Repo, Repositories
from tests.trial.serving import (
    RECONCILED_WITHIN,
    Container,
    Served,
    carried_out,
    running_of,
    served,
    unlike,
)
from tests.trial.variables import Given
from tests.worlds.bridge import ZERO

SETTLES_WITHIN = 180.0
"""Seconds that a scenario may take to end; an outcome told after a minute is a difference."""

QUIET, QUIET_AFTER_HARM = 2.0, 15.0
"""Seconds without any change after which a scenario is over.

Dokploy may carry out an unanswered call more than 10 s later (docs/dokploy.md)."""


@dataclass(frozen=True)
class Pushed:
    """A push and the id of its delivery."""

    delivery: str
    commit: str


@dataclass
class Trial:
    """Everything that scenarios share."""

    given: Given
    database: Database
    dokploy: Dokploy
    repositories: Repositories
    bridge: BridgeProcess
    project: str
    environment: str
    cleanup: ExitStack = field(default_factory=ExitStack)


@dataclass
class Scene:
    """One scenario's app with its repository, and the outcome that the scenario expects."""

    trial: Trial
    service: Service
    repo: Repo
    wanted: Wanted = field(default_factory=Wanted)
    harm_over_at: float = 0.0
    acted_at: float = 0.0
    told_at: dict[str, float] = field(default_factory=dict)
    compared: set[tuple[str, str]] = field(default_factory=set)

    # ── acting ───────────────────────────────────────────────────────────────

    def push(self, *wanted: str, live: bool = True, **commit: Any) -> Pushed:
        """Commit, push and deliver the webhook.

        Args:
            wanted: the honest end states; none for a skip.
            live: whether the commit must be live at the end.
        """
        before = self.repo.head("main")
        after = self.repo.commit_files(**commit)
        pushed = self.tell("refs/heads/main", before, after, *wanted)
        if wanted and live and "done" in wanted:
            self.wanted.live = after
        if commit.get("fail"):
            self.wanted.reasons[pushed.delivery] = commit["fail"]
        return pushed

    def tell(self, ref: str, before: str, after: str, *wanted: str) -> Pushed:
        """Deliver the webhook of a push."""
        payload = self.repo.payload(ref, before, after)
        pushed = Pushed(self.trial.bridge.hook(self.repo.host, payload), after)
        if wanted:
            self.wanted.states[pushed.delivery] = set(wanted)
        return pushed

    def tag(self, name: str, *wanted: str) -> Pushed:
        """Tag the head, push the tag and deliver the webhook."""
        self.repo.repository.git("tag", name)
        return self.tell(f"refs/tags/{name}", ZERO, self.repo.head(name), *wanted)

    def ask(self, action: str, *wanted: str) -> str:
        """Ask by the command line; return the delivery's id."""
        told = self.trial.bridge.json(action, self.service.label)
        if wanted:
            self.wanted.states[told["delivery"]] = set(wanted)
        return str(told["delivery"])

    def by_hand(self) -> str:
        """Deploy in Dokploy itself, past the bridge; return the record's title."""
        title = f"by hand {uuid.uuid4().hex[:6]}"
        self.wanted.persons.add(title)
        self.trial.dokploy.deploy_by_hand(self.service, title)
        return title

    def harmed(self, harm: Callable[[], None]) -> None:
        """Do the harm, and note the time of the recovery."""
        harm()
        self.harm_over_at = time.monotonic()

    def acted(self) -> None:
        """Note that something else was done, which the bridge has to notice."""
        self.acted_at = time.monotonic()

    def expect(self, true: object, sentence: str) -> None:
        """Note a difference unless it is true."""
        if not true:
            self.wanted.others.append(sentence)

    # ── looking ──────────────────────────────────────────────────────────────

    def claims(self) -> list[Claim]:
        """Return the bridge's claims about the app's deployments, oldest first."""
        rows = self.trial.bridge.json("deployments", "-a", self.service.id, "-n", "100")
        for one in rows:
            if one["state"] in FINAL:
                self.told_at.setdefault(one["id"], time.monotonic())
        return list(reversed(rows))

    def claim(self, delivery: str) -> Claim | None:
        """Return the claim about a delivery's deployment, if there is one."""
        return next((one for one in self.claims() if one["delivery"] == delivery), None)

    def delivery(self, id_: str) -> Any:
        """Wait until a delivery is decided; return it with its decisions."""

        def decided() -> Any:
            found = self.trial.bridge.json("deliveries", "show", id_)
            return found if found["state"] != "kept" else None

        return until(decided, WITHIN, f"delivery {id_} is decided")

    def records(self) -> list[Record]:
        """Return the app's records in Dokploy's database, oldest first."""
        return self.trial.database.of([self.service.id])

    def record(self, named: str, *statuses: str, within: float = WITHIN) -> Record:
        """Wait for a status of the newest record that these words name; return the record."""

        def found() -> Record | None:
            mine = [one for one in self.records() if named in one.words]
            return next((one for one in reversed(mine) if one.status in statuses), None)

        record: Record = until(
            found, within, f"a record of {named[:12]} is {' or '.join(statuses)}"
        )
        return record

    def building(self, named: str) -> Record:
        """Wait until the build has cloned, so that it holds no later push; return its record."""
        record = self.record(named, "running")
        log = {"deploymentId": record.id, "tail": 200}
        until(
            lambda: "\nBuilding " in str(self.trial.dokploy.get("deployment.readLogs", **log)),
            WITHIN,
            f"{named[:12]} is cloned",
        )
        return record

    def state(self, delivery: str, *states: str, within: float = WITHIN) -> Claim:
        """Wait until the bridge claims one of these states; return the claim."""

        def found() -> Claim | None:
            claim = self.claim(delivery)
            return claim if claim is not None and claim["state"] in states else None

        claimed: Claim = until(
            found, within, f"the bridge says {' or '.join(states)} of {delivery[:8]}"
        )
        return claimed

    def job(self, delivery: str, state: str, within: float = WITHIN) -> None:
        """Wait until Dokploy's queue shows the delivery's job in this state."""

        def found() -> bool:
            jobs = self.trial.dokploy.queue(self.service)
            words = [(one["state"], str(one["data"].get("descriptionLog"))) for one in jobs]
            return any(state == seen and delivery in text for seen, text in words)

        until(found, within, f"a job of {delivery[:8]} is {state}")

    def live(self) -> Any:
        """Return what the bridge says is live; None for nothing."""
        listed = self.trial.bridge.json("apps")
        return next(one["live"] for one in listed if one["id"] == self.service.id)

    def served(self) -> Served | None:
        """Return what Dokploy serves, by its witnesses."""
        records = self.records()
        logs = {one.id: self.log(one) for one in records}
        container = self.container()
        found = served(records, logs, container, self.wanted.persons)
        row = self.trial.database.service(self.service.kind, self.service.id)
        stopped = container is None and row.get("applicationStatus") == "idle"
        return found and replace(found, stopped=stopped)

    def log(self, record: Record) -> str:
        """Return a record's log."""
        return str(
            self.trial.dokploy.get("deployment.readLogs", deploymentId=record.id, tail=10000)
        )

    def container(self) -> Container | None:
        """Return the app's running container; None if none can be seen."""
        name = self.trial.database.service(self.service.kind, self.service.id)["appName"]
        found = self.trial.dokploy.get("docker.getContainersByAppNameMatch", appName=name)
        running = [
            one["containerId"]
            for one in found
            if one["name"].partition(".")[0] == name and one["state"] == "running"
        ]
        if not running:
            return None
        shown = self.trial.dokploy.get("docker.getConfig", containerId=running[0])
        return running_of(shown) if shown else None

    def unlike(self) -> list[str]:
        """Return the differences between what is said to be live and what is."""
        return unlike(self.live(), self.served(), self.repo.head("main"))

    # ── the end ──────────────────────────────────────────────────────────────

    def differences(self) -> list[str]:
        """Wait for the end; return all differences between the bridge and Dokploy."""
        found = differences(self.wanted, self._outcome())
        self.compared = self._standing()
        return found + self.noticed()

    def noticed(self) -> list[str]:
        """Return what is said to be live, and is not, once the bridge has had time to look."""
        end = max(self._changed_at(), self.harm_over_at, self.acted_at) + RECONCILED_WITHIN
        while (found := self.unlike()) and time.monotonic() < end:
            time.sleep(1)
        return found

    def later(self) -> list[str]:
        """Return the records that came or changed after the comparison.

        A record that was still running then is cancelled by any later restart of Dokploy.
        """
        cut_off = {(id_, "cancelled") for id_, status in self.compared if status == "running"}
        return [
            f"after the comparison a record became {status}: {id_}"
            for id_, status in sorted(self._standing() - self.compared - cut_off)
        ]

    def summary(self) -> tuple[str, str]:
        """Return the states of the claims and of the records."""
        records = ", ".join(one.status for one in self.records())
        return ", ".join(one["state"] for one in self.claims()), records

    def history(self) -> list[str]:
        """Return the bridge's history of each deployment."""
        found = []
        for claim in self.claims():
            shown = self.trial.bridge.json("deployments", "show", claim["id"])
            name = (claim["commit"] or claim["action"])[:7]
            found += [
                f"{name} {one['at']} {one['state']}: {one['note']}" for one in shown["changes"]
            ]
        return found

    def _standing(self) -> set[tuple[str, str]]:
        return {(one.id, one.status) for one in self.records()}

    def _outcome(self) -> Outcome:
        end = time.monotonic() + SETTLES_WITHIN
        while True:
            self.trial.database.look()
            claims = self.claims()
            now = time.monotonic()
            told = [one for one in claims if one["id"] in self.told_at]
            jobs = self.trial.dokploy.queue(self.service)
            if now > end or (len(told) == len(claims) and not jobs and self._quiet(now)):
                break
            time.sleep(1)
        stuck = frozenset(one.id for one in self.records() if not jobs and self._is_stuck(one))
        return Outcome(claims, self.records(), self.told_at, self.harm_over_at, stuck)

    def _is_stuck(self, record: Record) -> bool:
        """Return whether a build has ended, and its record does not tell how, or lies."""
        if record.status == "error":
            return carried_out(record, self.log(record))
        if not cut_off(record):
            return record.status == "running"
        return CLOSING in self.log(record)

    def _quiet(self, now: float) -> bool:
        changed = self._changed_at()
        return now - changed > QUIET and now - self.harm_over_at > QUIET_AFTER_HARM

    def _changed_at(self) -> float:
        return max([0.0, *(one.changed_at for one in self.records())])
