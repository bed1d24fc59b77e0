"""Compare the bridge's claims with Dokploy's database. Pure.

Every claim must be true, and every record in the database must be claimed:

- `done`, `unhealthy`: exactly one record of its own is done, and id, commit and times are that
  record's; only after a fault it may say instead that somebody has built its commit, and pin none;
- `failed`: its record says error, and the note holds the reason;
- `cancelled`, `superseded`: nothing of its own is done, nor goes on;
- `unknown`: honest only where the database can't tell either;
- any other state is a difference: nobody was told how the deployment ended.

A record belongs to a claim if its first title and description name the claim's delivery.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

from tests.trial.database import Record

Claim = Mapping[str, Any]
"""One entry of `deployments --json`."""

TOKEN = re.compile(r"\[br-[0-9a-f]+\]")
CLOSING = "check the logs for details"
"""Part of the line that closes the log of every failed build; it gives no reason."""

DOUBT = "the backend does not say wh"
"""Part of a note that says which commit is live, but not whose deployment built it."""

FINAL = {"done", "failed", "cancelled", "superseded", "unknown", "unhealthy"}
WITHIN = 60.0
"""Seconds in which an outcome must be told, and a lost deployment requested again."""


@dataclass
class Wanted:
    """The outcome that a scenario expects.

    Attributes:
        states: the honest end states by delivery; every expected deployment has an entry.
        reasons: words that the note of a failed deployment must hold, by delivery.
        live: the commit that the newest finished build must have.
        persons: titles of deployments that people made in Dokploy.
        killed: deliveries whose builds were interrupted on purpose; Dokploy records `error`.
        others: differences that the scenario itself has found.
    """

    states: dict[str, set[str]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    live: str | None = None
    persons: set[str] = field(default_factory=set)
    killed: set[str] = field(default_factory=set)
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """Both sides at the end of a scenario.

    Attributes:
        told_at: monotonic time at which each claim was first seen in a final state, by its id.
        harm_over_at: monotonic time at which everything worked again; 0 without a fault.
        stuck: ids of records whose builds have ended without a true word in the database: they
            stay `running` although Dokploy's queue is empty, or a restart made them `cancelled`,
            or they say `error` although their service was updated.
    """

    claims: Sequence[Claim]
    records: Sequence[Record]
    told_at: Mapping[str, float] = field(default_factory=dict)
    harm_over_at: float = 0.0
    stuck: frozenset[str] = frozenset()


def differences(wanted: Wanted, found: Outcome) -> list[str]:
    """Return each difference as a sentence; none where all is true."""
    return [
        *wanted.others,
        *_pairs(wanted, found),
        *(text for claim in found.claims for text in _of_claim(claim, wanted, found)),
        *_tokens(found),
        *_unclaimed(wanted, found),
        *_live(wanted, found),
    ]


def own_records(claim: Claim, records: Sequence[Record]) -> list[Record]:
    """Return the records that came with the words of a claim's delivery, oldest first."""
    words = f"delivery {claim['delivery']};"
    return [one for one in records if one.app_id == claim["app_id"] and words in f"{one.words};"]


# ── one claim ────────────────────────────────────────────────────────────────


def _of_claim(claim: Claim, wanted: Wanted, found: Outcome) -> list[str]:
    mine = own_records(claim, found.records)
    honest = wanted.states.get(claim["delivery"], set())
    state = claim["state"]
    name = f"{state} {(claim['commit'] or claim['action'])[:7]}"
    checks = {
        "done": _done,
        "failed": _failed,
        "cancelled": _cancelled,
        "superseded": _superseded,
        "unknown": _unknown,
        "unhealthy": _done,
    }
    said: list[str] = []
    if honest and state not in honest:
        rows = ", ".join(one.status for one in mine) or "none"
        wish = " or ".join(sorted(honest))
        said.append(f"wanted {wish}; Dokploy's records of it: {rows}; note: {claim['note']}")
    if state not in checks:
        said.append("it has not been told how it ended")
    else:
        said += checks[state](claim, mine, wanted, found)
    said += _times(claim) + _lateness(claim, mine, found)
    return [f"{name}: {text}" for text in said]


def _done(claim: Claim, mine: list[Record], _: Wanted, found: Outcome) -> list[str]:
    if claim["action"] == "rollback" and not mine:
        return []  # Dokploy serves what it has kept without a record; the containers tell
    if claim.get("backend_id") is None and DOUBT in claim["note"]:
        return _done_by_somebody(claim, found)
    built = [one for one in mine if one.status == "done"]
    if not built:
        built = [one for one in mine if one.id in found.stuck]
    if len(built) != 1:
        return [f"Dokploy has {len(built)} records of it that are done"]
    others = [one for one in mine if one is not built[0]]
    said = [
        f"another record of it is {one.status}, and no restart ended it"
        for one in others
        if not cut_off(one) or one.id in found.stuck
    ]
    return said + _same_record(claim, built[0], found)


def _done_by_somebody(claim: Claim, found: Outcome) -> list[str]:
    if not found.harm_over_at:
        return ["nothing went wrong, and still it says that Dokploy can't tell them apart"]
    commit, asked = claim["deployed_commit"], claim["created_at"]
    built = [
        one
        for one in found.records
        if one.app_id == claim["app_id"]
        and one.status == "done"
        and one.last["finishedAt"] >= asked
        and commit in (None, one.commit)
    ]
    return [] if built else [f"nobody has built {commit} since"]


def _failed(claim: Claim, mine: list[Record], wanted: Wanted, found: Outcome) -> list[str]:
    if not mine:
        return ["Dokploy has no record of it"]
    record = mine[-1]
    said = []
    if record.status == "error" and record.id in found.stuck:
        said.append("its service was updated, as its log says")
    if record.status != "error" and record.id not in found.stuck:
        said.append(f"Dokploy's record says {record.status}")
    if claim["delivery"] in wanted.killed:
        said.append("it was cancelled, and that worked")
    reason = wanted.reasons.get(claim["delivery"])
    if CLOSING in claim["note"]:
        said.append(f"the reason is the log's closing line: {claim['note']}")
    elif reason and reason not in claim["note"]:
        said.append(f"the reason {reason!r} is not in {claim['note']!r}")
    return said + _same_record(claim, record, found)


def _cancelled(claim: Claim, mine: list[Record], wanted: Wanted, _: Outcome) -> list[str]:
    said = [
        f"Dokploy's record {one.id} of it is {one.status}"
        for one in mine
        if one.status != "cancelled"
        and not (one.status == "error" and claim["delivery"] in wanted.killed)
    ]
    if claim["deployed_commit"] is not None:
        said.append(f"it names {claim['deployed_commit'][:7]} as deployed")
    return said


def _superseded(claim: Claim, mine: list[Record], _: Wanted, found: Outcome) -> list[str]:
    said = [f"Dokploy's record of it is {one.status}" for one in mine if not cut_off(one)]
    by = [one for one in found.claims if one["id"] == claim["superseded_by"]]
    if not by or by[0]["id"] <= claim["id"] or by[0]["app_id"] != claim["app_id"]:
        said.append(f"it is superseded by {claim['superseded_by']}, which is no newer deployment")
    return said


def _unknown(claim: Claim, mine: list[Record], _: Wanted, found: Outcome) -> list[str]:
    told = [one for one in mine if one.id not in found.stuck]
    return [f"Dokploy can tell: its record is {one.status}" for one in told]


def cut_off(record: Record) -> bool:
    """Return whether a restart of Dokploy ended it; such a record has no end time."""
    return record.status == "cancelled" and record.last["finishedAt"] is None


def _same_record(claim: Claim, record: Record, found: Outcome) -> list[str]:
    commit, ended = claim["deployed_commit"], record.id not in found.stuck
    built = record.commit if record.status == "done" else None
    if claim["action"] == "redeploy" and built is None and record.status == "done":
        built = _checked_out(record, found)
    if not ended:  # the record can't tell whether its commit is live
        built = commit if record.commit in (None, commit) else record.commit
    pairs = {
        "backend_id": (claim.get("backend_id"), record.id),
        "deployed_commit": (commit, built),
        "started_at": (claim["started_at"], record.last["startedAt"]),
    }
    if ended:
        at = claim.get("live_at") or claim["finished_at"]  # it may be verified after its end there
        pairs["finished_at"] = (at, record.last["finishedAt"])
    return [f"{name} {said} ≠ {real}" for name, (said, real) in pairs.items() if said != real]


def _checked_out(redeploy: Record, found: Outcome) -> str | None:
    """Return the commit that was fetched last; the record of a redeploy does not name it."""
    began = redeploy.first["createdAt"]
    fetched = [
        (one.first["createdAt"], one.commit)
        for one in found.records
        if one.app_id == redeploy.app_id and one.commit and one.first["createdAt"] < began
    ]
    return max(fetched)[1] if fetched else None


# ── times ────────────────────────────────────────────────────────────────────


def _times(claim: Claim) -> list[str]:
    names = ("created_at", "asked_at", "started_at", "finished_at")
    known = [(name, datetime.fromisoformat(claim[name])) for name in names if claim[name]]
    return [
        f"{later} {after.time()} is before {earlier} {before.time()}"
        for (earlier, before), (later, after) in pairwise(known)
        if after < before
    ]


def _lateness(claim: Claim, mine: list[Record], found: Outcome) -> list[str]:
    said = []
    told = found.told_at.get(claim["id"], 0.0)
    due = max([found.harm_over_at, *(one.changed_at for one in mine)])
    if due and told - due > WITHIN:
        said.append(f"told {told - due:.0f} s after it was so")
    for one in mine:
        late = one.seen_at - found.harm_over_at
        if found.harm_over_at and late > WITHIN:
            said.append(f"asked for again {late:.0f} s after Dokploy was back")
    return said


# ── all together ─────────────────────────────────────────────────────────────


def _pairs(wanted: Wanted, found: Outcome) -> list[str]:
    """Each expected delivery has one deployment, and no other delivery has any."""
    made = [claim["delivery"] for claim in found.claims]
    said = [
        f"delivery {delivery[:8]} made {made.count(delivery)} deployments, not 1"
        for delivery in wanted.states
        if made.count(delivery) != 1
    ]
    others = [claim for claim in found.claims if claim["delivery"] not in wanted.states]
    return said + [
        f"an unwanted deployment of {one['delivery'][:8]}: {one['note']}" for one in others
    ]


def _tokens(found: Outcome) -> list[str]:
    """Each request has a token of its own, the same in title and description."""
    said, seen = [], dict[str, str]()
    for one in found.records:
        titles = TOKEN.findall(str(one.first["title"]))
        descriptions = TOKEN.findall(str(one.first["description"]))
        if titles != descriptions:
            said.append(f"record {one.id}: token {titles} in the title, {descriptions} below")
        for token in titles:
            if token in seen:
                said.append(f"records {seen[token]} and {one.id} have the same token {token}")
            seen[token] = one.id
    return said


def _unclaimed(wanted: Wanted, found: Outcome) -> list[str]:
    owned = {one.id for claim in found.claims for one in own_records(claim, found.records)}
    pinned = [claim.get("backend_id") for claim in found.claims if claim.get("backend_id")]
    said = [f"record {id_} is claimed twice" for id_ in set(pinned) if pinned.count(id_) > 1]
    for one in found.records:
        by_hand = one.first["title"] in wanted.persons
        if by_hand and one.id in pinned:
            said.append(f"a person's record {one.id} is claimed")
        elif not by_hand and one.id not in owned:
            said.append(f"record {one.id} ({one.status}) is nobody's: {one.words!r}")
    return said


def _live(wanted: Wanted, found: Outcome) -> list[str]:
    if wanted.live is None:
        return []
    built = [one for one in found.records if one.status == "done" or one.id in found.stuck]
    last = built[-1].commit if built else None
    if built and (built[-1].id in found.stuck or (found.harm_over_at and last is None)):
        return []  # its commit is not written down, as its end may not be
    return [] if last == wanted.live else [f"live is {last}, not the pushed {wanted.live}"]
