"""The journal's schema; brought up to date at start-up.

Tables are as `tables` describes them; a revision names what it has added to them since the release
before, and fills in what earlier rows lack.

The revision covers all stored data, not only the journal: an incompatible change of the inbox's or
the workflows' tables needs a revision here as well, even if it is empty. An older release then
refuses to start, instead of failing at every webhook.
"""

import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateColumn

from bridge.core.errors import Rejected
from bridge.core.origin import Actor, Origin
from bridge.storage.engines import WRITES, lock
from bridge.storage.tables import metadata

FIRST_RELEASE = "0012"
"""The revision of the first release; those before it only added tables, columns and indexes."""

_version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Earlier releases used Alembic, and read the revision here."""


def migrate(engine: sa.Engine) -> bool:
    """Bring the journal's tables to `HEAD`; return whether anything was done.

    Safe from any number of processes at once: one does it, the others wait.

    Raises:
        Rejected: a newer release has made them.
    """
    with engine.connect() as connection:
        if refuse_newer(connection) == HEAD:
            return False
    with engine.connect() as connection:
        db = connection.execution_options(**{WRITES: True})
        with db.begin():
            lock(db, "migrate")
            if (revision := refuse_newer(db)) == HEAD:  # another process was faster
                return False
            _upgrade(db, revision)
    return True


def refuse_newer(db: sa.Connection) -> str | None:
    """Return the revision of the tables; None if there are none.

    Raises:
        Rejected: a newer release has made them.
    """
    if not sa.inspect(db).has_table("alembic_version"):
        return None
    revision: str | None = db.scalar(sa.select(_version.c.version_num))
    if revision is not None and revision > HEAD:
        raise Rejected(
            f"the data was written by a newer release (its tables are at {revision}, this"
            f" release knows {HEAD}): run that release, or restore the copy from before the"
            " upgrade (docs/upgrading.md)"
        )
    return revision


def _upgrade(db: sa.Connection, since: str | None) -> None:
    if since is None or since < FIRST_RELEASE:
        _complete(db)
    else:
        newer = [one for one in REVISIONS if one.name > since]
        _complete(db, {name for one in newer for name in one.adds.split()})
        for one in newer:
            one.fill(db)
    _version.create(db, checkfirst=True)
    db.execute(sa.delete(_version))
    db.execute(sa.insert(_version).values(version_num=HEAD))


def _complete(db: sa.Connection, only: Container[str] | None = None) -> None:
    """Add the tables, columns and indexes that are missing, or those of these names."""

    def is_meant(name: str) -> bool:
        return only is None or name in only

    there = sa.inspect(db)
    for table in metadata.sorted_tables:
        if not there.has_table(table.name):
            if is_meant(table.name):
                table.create(db)
            continue
        columns = {column["name"] for column in there.get_columns(table.name)}
        for column in table.columns:
            if column.name not in columns and is_meant(f"{table.name}.{column.name}"):
                described = CreateColumn(column).compile(dialect=db.dialect)
                db.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {described}"))
        indexes = {index["name"] for index in there.get_indexes(table.name)}
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            if index.name not in indexes and is_meant(str(index.name)):
                index.create(db)


# ── revisions ───────────────────────────────────────────────────────────────────────────────────


def _nothing(_db: sa.Connection) -> None:
    """Earlier rows lack nothing."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A change of the stored data; it never changes itself.

    Attributes:
        name: they count up.
        adds: tables, columns as `table.column`, and indexes of tables that were there before.
        fill: writes what earlier rows lack.
    """

    name: str
    adds: str
    fill: Callable[[sa.Connection], None] = _nothing


def _count_interrupted(db: sa.Connection) -> None:
    """Read from the history how often the build of an open deployment was interrupted."""
    query = """
    UPDATE deployments SET interrupted = (
        SELECT count(*) FROM changes WHERE changes.deployment = deployments.id
        AND changes.note = 'the backend was restarted while it built; asked again'
    ) WHERE asked_again > 0
    """
    db.execute(sa.text(query))


def _remind(db: sa.Connection) -> None:
    """Remind the owners of earlier locks as well."""
    db.execute(sa.text("UPDATE locks SET remind_at = at + 86400 WHERE until IS NULL"))


def _live_since_the_end(db: sa.Connection) -> None:
    """Take what an earlier release called done as live since it ended."""
    t = sa.table("deployments", *map(sa.column, ("state", "live_at", "finished_at")))
    served = t.c.state.in_(("done", "unhealthy")) & t.c.live_at.is_(None)
    db.execute(sa.update(t).where(served).values(live_at=t.c.finished_at))


def _split_ref_keys(db: sa.Connection) -> None:
    """Read repository and ref from a push's key, which is host, repository and ref."""
    t = sa.table("pushes", *map(sa.column, ("ref_key", "repository", "ref")))
    find = sa.func.instr if db.dialect.name == "sqlite" else sa.func.strpos
    place = find(t.c.ref_key, " refs/")  # only refs begin like this
    known = sa.update(t).where(t.c.ref_key.contains(" refs/"))
    repository = sa.func.substr(t.c.ref_key, 1, place - 1)
    db.execute(known.values(repository=repository, ref=sa.func.substr(t.c.ref_key, place + 1)))


def _read_verdicts(db: sa.Connection) -> None:
    """Read verdicts from the ends of the notes."""
    names = ("state", "note", "verdict", "evidence", "live_at", "way")
    t = sa.table("deployments", *map(sa.column, names))
    served = t.c.live_at > 0
    says = sa.case(
        (t.c.state == "unhealthy", "unhealthy"),
        (t.c.note.like("%; verified"), "verified"),
        else_="unverified",
    )
    db.execute(sa.update(t).where(served & (t.c.state != "verifying")).values(verdict=says))
    word = sa.case((t.c.way == "kept", "answer"), else_="record")
    db.execute(sa.update(t).where(served).values(evidence=word))


def _read_back_from(db: sa.Connection) -> None:
    """Read from the ids of the bridge's own rollbacks what they went back from."""
    query = """
    UPDATE deployments SET back_from = substr(delivery, 10)
    WHERE action = 'rollback' AND "trigger" = 'the bridge' AND delivery LIKE 'rollback-%'
    """
    db.execute(sa.text(query))


def _read_facts(db: sa.Connection) -> None:
    """Read who led to a deployment or a change, and what notes say, from their texts."""
    _fill(db, "deployments", "id", "trigger", _of_origin)
    _fill(db, "audit", "number", "by", _of_actor)
    for table, key in (("deployments", "id"), ("changes", "number")):
        for kind, notes in _KINDS.items():
            t = sa.table(table, sa.column("note"), sa.column("note_kind"))
            says = sa.or_(*(t.c.note.like(one) for one in notes)) & t.c.note_kind.is_(None)
            db.execute(sa.update(t).where(says).values(note_kind=kind))
        _fill(db, table, key, "note", _of_note, "state = 'unhealthy'")


_ACTOR = ("actor_door", "actor_name", "actor_id")
_MANY = 1000
"""Rows to fill in with one statement."""

_KINDS = {
    "live": ("commit % is live%", "image % is live%"),
    "again": ("% is served again, as it was built then%",),
    "untold": ("the backend does not say which commit is live%",),
    "away": ("waits for the backend%",),
}
_WAY_BACK = re.compile(
    r"; (it goes back to .{1,300}? by itself( once nothing holds it: .*)?"
    r"|whether it goes back by itself is decided later: .*)$",
    re.DOTALL,
)


def _of_note(text: str) -> dict[str, Any]:
    found = _WAY_BACK.search(text)
    return {"way_back": found[1] if found else ""}


def _of_origin(text: str) -> dict[str, Any]:
    origin = Origin.read(text)
    return _actor(origin.actor) | {"cause": str(origin.cause), "found": origin.found}


def _of_actor(text: str) -> dict[str, Any]:
    return _actor(Actor.read(text))


def _actor(actor: Actor) -> dict[str, Any]:
    return dict(zip(_ACTOR, (actor.door, actor.name, actor.id), strict=True))


def _fill(
    db: sa.Connection,
    table: str,
    key: str,
    text: str,
    read: Callable[[str], dict[str, Any]],
    only: str = "1 = 1",
) -> None:
    """Fill in what the text of each row says."""
    names = (key, text, *read(""))
    t = sa.table(table, *(sa.column(name) for name in names))
    change = sa.update(t).where(t.c[key] == sa.bindparam("its_key"))
    rows = db.execute(sa.select(t.c[key], t.c[text]).where(sa.text(only))).all()
    for begin in range(0, len(rows), _MANY):
        some = rows[begin : begin + _MANY]
        values = [read(said) | {"its_key": its_key} for its_key, said in some]
        db.execute(change.values({name: sa.bindparam(name) for name in names[2:]}), values)


REVISIONS = (
    Revision("0013", "deployments.interrupted deployments.maybe_asked", _count_interrupted),
    Revision("0014", "deployments.behind"),
    Revision("0015", "stored_settings sessions"),
    Revision("0016", "hooks"),
    Revision(
        "0017",
        "deployments.person deployments.head deployments.not_before deployments.holds"
        " deployments.held_at deployments.look_at deployments.starts deployments.lifts"
        " deployments_by_look locks freezes approvals ci",
    ),
    Revision(
        "0018", "locks.merge locks.channel locks.remind_at locks.look_at locks.looks", _remind
    ),
    Revision("0019", "deployments.pinned"),
    Revision(
        "0020",
        "deployments.live_at deployments.target deployments.way deployments.image"
        " deployments.fingerprint",
    ),
    Revision("0021", "deployments_by_live deployments_by_end", _live_since_the_end),
    Revision(
        "0022",
        "sessions.about sessions.whose pushes.repository pushes.ref pushes_by_repository"
        " pushes_by_name pushes_by_author",
        _split_ref_keys,
    ),
    Revision("0023", "previews"),
    Revision("0024", "native_previews"),
    Revision("0025", "pushes.hook"),
    Revision(
        "0026",
        "looks deployments.verdict deployments.evidence deployments.back_to deployments.images",
        _read_verdicts,
    ),
    Revision("0027", "deployments.back_from", _read_back_from),
    Revision("0028", "looks.stopped"),
    Revision("0029", "approvals.accounts"),
    Revision("0030", "deployments.accounts"),
    Revision(
        "0031",
        "deployments.cause deployments.found deployments.note_kind deployments.way_back"
        " deployments.actor_door deployments.actor_name deployments.actor_id"
        " audit.actor_door audit.actor_name audit.actor_id changes.note_kind changes.way_back",
        _read_facts,
    ),
)
"""Those since the first release, oldest first."""

HEAD = REVISIONS[-1].name
"""The newest revision."""
