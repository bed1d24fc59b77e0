"""Records to rows and back, and inserts of many rows."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, fields
from typing import Any, TypeVar

import sqlalchemy as sa

from bridge.core.apps import App, AppKind, Prereleases, Rules, Source, SourceType, Trigger
from bridge.core.checks import CheckPolicy, Need, Otherwise
from bridge.core.configuration.difference import Changed
from bridge.core.decision import Decision, Reason
from bridge.core.events import subject_of
from bridge.core.people import Actor
from bridge.core.policies import VerifyPolicy
from bridge.ports.feedback import Pending
from bridge.ports.outcomes import Audited, Explained, Result, Stage, Subscription
from bridge.storage import tables
from bridge.storage.engines import on_postgres


def app_row(app: App) -> dict[str, Any]:
    """Return an app as a row of `apps`."""
    return {
        "id": app.id,
        "backend": app.backend,
        "label": app.label,
        "data": json.dumps(_record(app), sort_keys=True),
        "gone": False,
    }


def _record(app: App) -> dict[str, Any]:
    """Return the backend's record; the bridge's own rules have a separate table."""
    record = asdict(app)
    del record["rules"]
    return record


def read_app(row: Mapping[str, Any]) -> App:
    """Return an app from a row of `apps`, with its stored rules.

    Fields that only a newer release writes are ignored: both work on one journal during an upgrade.
    """
    data = known(App, json.loads(row["data"]))
    source = data.pop("source")
    paths = data.pop("watch_paths")
    return App(
        **data
        | {
            "kind": AppKind(data["kind"]),
            "trigger": Trigger(data["trigger"]),
            "source": source and _source(source),
            "watch_paths": None if paths is None else tuple(paths),
            "rules": read_rules(row["rules"]),
        }
    )


def _source(said: dict[str, Any]) -> Source:
    return Source(**known(Source, said) | {"type": SourceType(said["type"])})


def known(record: type[Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what this release knows of what a newer one may have written of a record."""
    names = {one.name for one in fields(record)}
    return {name: value for name, value in said.items() if name in names}


def rules_text(rules: Rules) -> str:
    """Return the rules that are set, as the text of a column."""
    said = {one.name: getattr(rules, one.name) for one in fields(rules)}
    if rules.checks is not None:
        said["checks"] = asdict(rules.checks)
    if rules.verify is not None:
        said["verify"] = asdict(rules.verify)
    return json.dumps({name: value for name, value in said.items() if value is not None})


def read_rules(text: str | None) -> Rules:
    """Return rules from a column of `rules`; none if there is no row."""
    said = known(Rules, json.loads(text)) if text else {}
    if "trigger" in said:
        said["trigger"] = Trigger(said["trigger"])
    if "prereleases" in said:
        said["prereleases"] = Prereleases(said["prereleases"])
    for several in ("watch_paths", "after"):
        if several in said:
            said[several] = tuple(said[several])
    if "checks" in said:
        said["checks"] = _read_checks(said["checks"])
    if "verify" in said:
        verify = said["verify"]
        statuses = tuple((low, high) for low, high in verify["status"])
        said["verify"] = VerifyPolicy(**verify | {"status": statuses})
    return Rules(**said)


def _read_checks(said: Mapping[str, Any]) -> CheckPolicy:
    kinds: dict[str, Callable[[Any], Any]] = {
        "need": Need,
        "names": tuple,
        "of_apps": tuple,
        "ignore": tuple,
        "none": Otherwise,
        "late": Otherwise,
    }
    return CheckPolicy(**{name: kinds.get(name, float)(value) for name, value in said.items()})


_ACTOR = ("actor_door", "actor_name", "actor_id")


def audit_row(new: Audited) -> dict[str, Any]:
    """Return a change as a row of `audit`; the database numbers it."""
    return {
        "at": new.at,
        **actor_row(new.by),
        "by": str(new.by),
        "what": new.what,
        "app_id": new.app_id,
        "app": new.app,
        "difference": json.dumps([[one.field, one.before, one.after] for one in new.difference]),
        **result_row(new.result),
        "seq": new.seq,
        "undoing": new.undoing,
        "undoes": new.undoes,
    }


def result_row(result: Result) -> dict[str, str]:
    """Return the columns of a result."""
    return {"outcome": result.says, "stage": result.stage, "why": result.why}


def read_audited(row: Mapping[str, Any]) -> Audited:
    """Return a change from a row of `audit`."""
    changes = json.loads(row["difference"])
    difference = tuple(Changed(name, _value(old), _value(new)) for name, old, new in changes)
    facts, actor = split_actor(row)
    by = actor if actor.name else Actor.read(row["by"])
    says, stage, why = (facts.pop(name) for name in ("outcome", "stage", "why"))
    # An older process beside ours fills in the text alone.
    result = Result(Stage(stage), says, why) if stage else Result.read(says)
    return Audited(**facts | {"difference": difference, "by": by, "result": result})


def actor_row(actor: Actor) -> dict[str, str]:
    """Return an actor as columns."""
    return dict(zip(_ACTOR, astuple(actor), strict=True))


def split_actor(row: Mapping[str, Any] | sa.RowMapping) -> tuple[dict[str, Any], Actor]:
    """Return an actor from its columns, and the other columns of the row.

    A process of an older release, beside ours during an upgrade, stores nobody.
    """
    facts = dict(row)
    return facts, Actor(*(facts.pop(name) for name in _ACTOR))


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def decision_row(seq: int, decision: Decision, at: float) -> dict[str, Any]:
    """Return a decision as a row of `decisions`."""
    return {
        "seq": seq,
        "app_id": decision.app_id,
        "app": decision.app,
        "reason": decision.reason,
        "evidence": decision.evidence,
        "at": at,
    }


def read_decision(row: Mapping[str, Any]) -> Decision:
    """Return a decision from a row of `decisions`."""
    return Decision(row["app_id"], row["app"], Reason(row["reason"]), row["evidence"])


def read_explained(row: Mapping[str, Any]) -> Explained:
    """Return a decision with the push that it was about, if there was one."""
    ref = None if row["ref_key"] is None else str(row["ref_key"]).rpartition(" ")[2]
    return Explained(
        seq=row["seq"],
        at=row["at"],
        decision=read_decision(row),
        delivery=row["delivery"],
        ref=ref,
        commit=row["commit"] or row["after"],
        message=row["said"] or subject_of(row["message"]),
        author=row["by"] or row["author"] or "",
    )


def place_text(value: Mapping[str, Any]) -> str:
    """Return a place, or its cursor, as the text of a column."""
    return json.dumps(dict(value), sort_keys=True)


def read_place(text: str) -> dict[str, Any]:
    """Return a place, or its cursor, from a column."""
    found: dict[str, Any] = json.loads(text)
    return found


def read_raised(row: Mapping[str, Any], follows: tuple[str, ...]) -> Pending:
    """Return a subscription from a row of `feedback`, with the keys it follows."""
    return Pending(
        Subscription(
            row["id"], row["kind"], row["lane"], follows, read_place(row["place"]), row["rank"]
        ),
        read_place(row["memory"]),
        wanted=row["wanted"],
        due_at=row["due_at"],
        shown=row["shown"],
        attempts=row["attempts"],
        failing_since=row["failing_since"],
        error=row["error"],
        parked=row["parked"],
    )


T = TypeVar("T")

MANY = 500
"""Values in one statement: a database takes some thousands, and the text of each is compiled."""


def insert_into(db: sa.Connection, table: sa.Table) -> Any:
    """Return an insert that can say what to do with existing rows.

    Only the dialect in use is imported: each command waits for it, and Postgres's is large.
    """
    if on_postgres(db):
        from sqlalchemy.dialects.postgresql import insert as of_postgres

        return of_postgres(table)
    from sqlalchemy.dialects.sqlite import insert as of_sqlite

    return of_sqlite(table)


def add_new(
    db: sa.Connection, table: sa.Table, values: Sequence[dict[str, Any]]
) -> list[tuple[Any, ...]]:
    """Insert rows with new keys; return these keys.

    Two processes may add the same row at once, so checking first is not enough.
    """
    if not values:
        return []
    query = insert_into(db, table).on_conflict_do_nothing()
    query = query.returning(*table.primary_key.columns)
    return [tuple(key) for key in db.execute(query, list(values))]


def write_note(db: sa.Connection, key: str, value: str) -> None:
    """Store a note, replacing the last one."""
    t = tables.meta
    if not add_new(db, t, [{"key": key, "value": value}]):
        db.execute(sa.update(t).where(t.c.key == key).values(value=value))


def batched(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Return the values in parts that fit into one statement."""
    return (values[start : start + MANY] for start in range(0, len(values), MANY))
