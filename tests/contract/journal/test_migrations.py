"""Migrations of the journal, from every earlier release."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bridge.core.access import Right
from bridge.core.errors import Rejected
from bridge.core.holds import Gate, Hold
from bridge.core.lifecycle import NoteKind, State
from bridge.core.people import NOBODY, Actor, Cause, Origin
from bridge.ports.outcomes import BEGUN, DONE, Audited, Result, Stage
from bridge.storage import migrations, tables
from bridge.storage.engines import sqlite_engine
from bridge.storage.journal.deployment_rows import all_of, read_change
from bridge.storage.journal.gates import locks_where
from bridge.storage.journal.rows import audit_row, read_audited
from bridge.storage.journal.transitions import deployment_row
from bridge.storage.postgres import postgres_engine
from tests.fakes.journey import deployment
from tests.worlds.earlier import EARLIER, make_earlier


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database of each kind."""
    if request.param == "postgres":
        made = postgres_engine(request.getfixturevalue("empty_postgres"))
    else:
        made = sqlite_engine(tmp_path / "journal.sqlite")
    yield made
    made.dispose()


@pytest.mark.parametrize("before", ["", *EARLIER])
def test_every_start_ends_with_the_tables_as_they_are_described(
    engine: sa.Engine, before: str
) -> None:
    if before:
        make_earlier(engine, before)
    (newest,) = ScriptDirectory(str(Path(migrations.__file__).parent)).get_heads()
    for first in (True, False):
        assert migrations.migrate(engine) is first
        with engine.connect() as connection:
            context = MigrationContext.configure(connection)
            assert context.get_current_revision() == migrations.HEAD == newest
            assert compare_metadata(context, tables.metadata) == []


@pytest.mark.parametrize("before", EARLIER)
def test_no_row_of_an_earlier_release_is_lost(engine: sa.Engine, before: str) -> None:
    make_earlier(engine, before)
    earlier = sa.MetaData()
    earlier.reflect(engine)
    those = [one for one in earlier.sorted_tables if one.name not in ("alembic_version", "meta")]
    with engine.begin() as db:
        for table in those:
            db.execute(sa.insert(table), [_row(table, n) for n in (1, 2, 3)])
    held = {table.name: _rows(engine, table) for table in those}

    migrations.migrate(engine)

    assert all(len(rows) == 3 for rows in held.values())
    assert {table.name: _rows(engine, table) for table in those} == held


def _row(table: sa.Table, number: int) -> dict[str, object]:
    """A row of some values, each of its column's type."""
    of = {int: number, float: float(number), str: str(number), bytes: b"%d" % number, bool: True}
    return {column.name: of[column.type.python_type] for column in table.columns}


def _rows(engine: sa.Engine, table: sa.Table) -> set[tuple[object, ...]]:
    """The keys of a table's rows, as they were when it was read."""
    with engine.connect() as db:
        return set(map(tuple, db.execute(sa.select(*table.primary_key.columns))))


def test_how_often_a_build_was_interrupted_is_read_from_the_history_of_an_earlier_release(
    engine: sa.Engine,
) -> None:
    make_earlier(engine, "0012")
    restarted = "the backend was restarted while it built; asked again"
    lost = "the backend has lost it before it began, as a restart does; asked again"
    for seq, notes in enumerate([(lost, restarted), (lost,), ()]):
        row = deployment_row(deployment(seq, asked_again=len(notes)))
        _insert(engine, "deployments", row)
        for note in notes:
            line = {"deployment": row["id"], "at": 1.0, "state": "waiting", "note": note}
            _insert(engine, "changes", line)

    migrations.migrate(engine)

    t = tables.deployments
    with engine.begin() as db:
        found = db.execute(sa.select(t.c.interrupted, t.c.maybe_asked).order_by(t.c.seq)).all()
    assert [tuple(row) for row in found] == [(1, False), (0, False), (0, False)]


ORIGINS = {
    "push": Origin(Cause.PUSH),
    "tag": Origin(Cause.TAG),
    "push, found by reconciliation": Origin(Cause.PUSH, found=True),
    "tag, found by reconciliation, replayed by slack: Ada": Origin(
        Cause.TAG, Actor("slack", "Ada"), found=True
    ),
    "push, replayed by cli: ada": Origin(Cause.PUSH, Actor("cli", "ada")),
    "cli: ada": Origin(Cause.ASKED, Actor("cli", "ada")),
    "slack: Ada: the first (U0ADA)": Origin(Cause.ASKED, Actor("slack", "Ada: the first", "U0ADA")),
    "preview: shop/web #12": Origin(Cause.ASKED, Actor("preview", "shop/web #12")),
    "the bridge": Origin(Cause.ASKED, Actor(name="the bridge")),
}


def test_what_led_to_a_deployment_is_read_from_the_text_of_an_earlier_release(
    engine: sa.Engine,
) -> None:
    make_earlier(engine, "0012")
    for seq, text in enumerate(ORIGINS):
        _insert(engine, "deployments", deployment_row(deployment(seq)) | {"trigger": text})
        row = audit_row(Audited(1.0, NOBODY, "deploy", "", "", ())) | {"by": text}
        _insert(engine, "audit", row)

    migrations.migrate(engine)

    a, t = tables.audit, tables.deployments
    with engine.begin() as db:
        found = all_of(db, sa.select(t).order_by(t.c.seq))
        said = db.execute(sa.select(a).order_by(a.c.number)).mappings()
        by = [read_audited(dict(one)).by for one in said]
        db.execute(sa.update(t).values(cause=None))  # as an older process beside ours has it
        again = all_of(db, sa.select(t).order_by(t.c.seq))
    assert [one.origin for one in found] == list(ORIGINS.values())
    assert [one.trigger for one in found] == list(ORIGINS)
    assert [str(one) for one in by] == list(ORIGINS)
    assert again == found


BACK = "it goes back to 1111111 by itself"
HELD_BACK = f"{BACK} once nothing holds it: shop/web is locked by Ada: a\nrelease"
LATER = "whether it goes back by itself is decided later: dokploy can't be reached"
NOTES = [
    ("done", "commit 1111111 is live", NoteKind.LIVE, ""),
    ("done", "image shop/web:2 is live; verified", NoteKind.LIVE, ""),
    ("verifying", "1111111 is served again, as it was built then", NoteKind.AGAIN, ""),
    ("done", "the backend does not say which commit is live; verified", NoteKind.UNTOLD, ""),
    ("done", "rebuilt what was checked out; nothing was fetched", None, ""),
    ("waiting", "waits for the backend: dokploy can't be reached", NoteKind.AWAY, ""),
    ("waiting", "waits for its turn", None, ""),
    ("unhealthy", f"commit 2222222 is live, but 502; {BACK}", NoteKind.LIVE, BACK),
    ("unhealthy", f"commit 2222222 is live, but 502; {HELD_BACK}", NoteKind.LIVE, HELD_BACK),
    ("unhealthy", f"commit 2222222 is live, but 502; {LATER}", NoteKind.LIVE, LATER),
    ("unhealthy", "commit 2222222 is live, but 502; not rolled back: x", NoteKind.LIVE, ""),
]


def test_what_a_note_says_is_read_from_the_text_of_an_earlier_release(engine: sa.Engine) -> None:
    make_earlier(engine, "0012")
    for seq, (state, note, _, _) in enumerate(NOTES):
        row = deployment_row(deployment(seq, state=State(state), note=note))
        _insert(engine, "deployments", row)
        line = {"deployment": row["id"], "at": 1.0, "state": state, "note": note}
        _insert(engine, "changes", line)

    migrations.migrate(engine)

    c, t = tables.changes, tables.deployments
    with engine.begin() as db:
        found = all_of(db, sa.select(t).order_by(t.c.seq))
        lines = [
            read_change(one) for one in db.execute(sa.select(c).order_by(c.c.number)).mappings()
        ]
    for those in (found, lines):
        said = [(str(one.state), one.note, one.note_kind, one.way_back) for one in those]
        assert said == NOTES


RESULTS = {
    "begun": BEGUN,
    "done": DONE,
    "waits for the backend: dokploy: no": Result(
        Stage.WAITS, "waits for the backend: dokploy: no", "dokploy: no"
    ),
    "Refused: dokploy: no": Result.failed(Stage.REFUSED, "Refused", "dokploy: no"),
    "refused: shop/web is gone": Result.failed(Stage.REFUSED, "refused", "shop/web is gone"),
    "Unanswered: dokploy did not answer": Result.failed(
        Stage.UNSURE, "Unanswered", "dokploy did not answer"
    ),
    "outcome unknown: a bug": Result.failed(Stage.UNSURE, "outcome unknown", "a bug"),
    "HalfMade: only a part": Result.failed(Stage.PARTLY, "HalfMade", "only a part"),
    "NotKept: it reads back differently": Result.failed(
        Stage.PARTLY, "NotKept", "it reads back differently"
    ),
    "kept as 7": Result(Stage.TOLD, "kept as 7"),
    "a reason: with a colon": Result(Stage.TOLD, "a reason: with a colon"),
}


def test_what_a_result_means_is_read_from_the_text_of_an_earlier_release(
    engine: sa.Engine,
) -> None:
    make_earlier(engine, "0012")
    for text in RESULTS:
        note = Audited(1.0, Actor("cli", "ada"), "provider set", "", "", ())
        _insert(engine, "audit", audit_row(note) | {"outcome": text})

    migrations.migrate(engine)

    a = tables.audit
    with engine.begin() as db:
        found = db.execute(sa.select(a).order_by(a.c.number)).mappings().all()
        db.execute(sa.update(a).values(stage="", why=""))  # as an older process beside ours has it
        again = db.execute(sa.select(a).order_by(a.c.number)).mappings().all()
    for rows in (found, again):
        assert [read_audited(dict(row)).result for row in rows] == list(RESULTS.values())


ORDER = "api has not deployed it yet; api is building it"
HOLDS = {
    Gate.CHECKS: ("waits for checks of 1111111: lint, test", "waits for checks of 1111111"),
    Gate.APPROVAL: ("needs 1 approval of 1111111, has 0", "needs 1 approval of 1111111, has 0"),
    Gate.LOCK: ("shop/web is locked by Ada: a release", ""),
    Gate.ORDER: ("api has not deployed it yet; api is building it: #7", ORDER),
}


def test_locks_and_holds_of_an_earlier_release_say_what_they_are(engine: sa.Engine) -> None:
    make_earlier(engine, "0012")
    _upgrade_to(engine, "0031")
    holds = [Hold(gate, f"{gate}:1", says, Right.OVERRIDE) for gate, (says, _) in HOLDS.items()]
    row = deployment_row(deployment(1, state=State.HELD))
    earlier = [{k: v for k, v in asdict(one).items() if k != "headline"} for one in holds]
    _insert(engine, "deployments", row | {"holds": json.dumps(earlier)})
    for scope, reason in (("all", "rolled back by deployment #7; unlock it"), ("app/a", "mine")):
        lock = {"scope": scope, "label": "x", "owner": "cli:ada", "name": "ada", "at": 1.0}
        _insert(engine, "locks", lock | {"reason": reason})

    migrations.migrate(engine)

    with engine.begin() as db:
        locks = {one.scope: one.of_rollback for one in locks_where(db, sa.true())}
        (held,) = all_of(db, sa.select(tables.deployments))
    assert locks == {"all": True, "app/a": False}
    assert [one.headline for one in held.holds] == [told for _, told in HOLDS.values()]


def _upgrade_to(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as db:
        config.attributes["connection"] = db
        command.upgrade(config, revision)


def _insert(engine: sa.Engine, table: str, row: Mapping[str, object]) -> None:
    """Add a row, without the columns that its table does not have yet."""
    with engine.begin() as db:
        there = {column["name"] for column in sa.inspect(db).get_columns(table)}
        one = {name: value for name, value in row.items() if name in there}
        columns = ", ".join(f'"{name}"' for name in one)
        values = ", ".join(f":{name}" for name in one)
        db.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), one)


def test_a_journal_of_a_newer_release_is_left_alone_and_says_so(tmp_path: Path) -> None:
    engine = sqlite_engine(tmp_path / "journal.sqlite")
    migrations.migrate(engine)
    with engine.begin() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(Rejected, match="9999"):
        migrations.migrate(engine)
    engine.dispose()
