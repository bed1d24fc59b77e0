"""The revisions of the stored data after the first release, oldest first.

A revision changes what an earlier release has made; it never changes itself. `tables` describes
the result of all.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from bridge.core.origin import Actor, Origin

if TYPE_CHECKING:
    from alembic.operations import Operations


COUNT = """
UPDATE deployments SET interrupted = (
    SELECT count(*) FROM changes WHERE changes.deployment = deployments.id
    AND changes.note = 'the backend was restarted while it built; asked again'
) WHERE asked_again > 0
"""


def _what_was_asked(op: "Operations") -> None:
    """Count interrupted builds apart from lost ones, and remember a request without an answer.

    The history of an open deployment tells how often its build was interrupted before.
    """
    number = sa.Column("interrupted", sa.Integer, nullable=False, server_default="0")
    op.add_column("deployments", number)
    maybe = sa.Column("maybe_asked", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("deployments", maybe)
    op.execute(COUNT)


def _behind_a_newer_tag(op: "Operations") -> None:
    """Remember which deployment of a newer tag a deployment comes behind."""
    op.add_column("deployments", sa.Column("behind", sa.Text))


def _settings_of_setup(op: "Operations") -> None:
    """Store the settings that were made by set-up, one-time links, and signed-in browsers."""
    op.create_table(
        "stored_settings",
        sa.Column("path", sa.Text, primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("until", sa.Float(53), nullable=False),
    )


def _hooks_of_our_own(op: "Operations") -> None:
    """Store the webhooks that the bridge makes, with their sealed secrets."""
    op.create_table(
        "hooks",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("sealed_next", sa.Text),
        sa.Column("sealed_last", sa.Text),
        sa.Column("hook", sa.Text),
        sa.Column("signs", sa.Boolean),
        sa.Column("made_at", sa.Float(53), nullable=False),
    )


def _gates(op: "Operations") -> None:
    """Hold deployments: what holds them, and locks, freezes, approvals and checks."""
    for column in (
        sa.Column("person", sa.Text, nullable=False, server_default=""),
        sa.Column("head", sa.Text),
        sa.Column("not_before", sa.Float(53)),
        sa.Column("holds", sa.Text, nullable=False, server_default="[]"),
        sa.Column("held_at", sa.Float(53)),
        sa.Column("look_at", sa.Float(53)),
        sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("lifts", sa.Text, nullable=False, server_default="[]"),
    ):
        op.add_column("deployments", column)
    op.create_index("deployments_by_look", "deployments", ["look_at"])
    op.create_table(
        "locks",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("until", sa.Float(53)),
    )
    op.create_table(
        "freezes",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("allow", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("until", sa.Float(53)),
    )
    op.create_table(
        "approvals",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("commit", sa.Text, primary_key=True),
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
    )
    op.create_index("approvals_by_age", "approvals", ["at"])
    op.create_table(
        "ci",
        sa.Column("host", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("commit", sa.Text, primary_key=True),
        sa.Column("branch", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("reported", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float(53)),
    )
    op.create_index("ci_by_due", "ci", ["due_at"])


def _reminders_of_locks(op: "Operations") -> None:
    """Remind the owners of locks, also of earlier ones, and release locks with a merge."""
    for column in (
        sa.Column("merge", sa.Text),
        sa.Column("channel", sa.Text, nullable=False, server_default=""),
        sa.Column("remind_at", sa.Float(53)),
        sa.Column("look_at", sa.Float(53)),
        sa.Column("looks", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("locks", column)
    op.execute("UPDATE locks SET remind_at = at + 86400 WHERE until IS NULL")


def _pinned(op: "Operations") -> None:
    """Bind a deployment to one commit."""
    op.add_column("deployments", sa.Column("pinned", sa.Text))


def _health(op: "Operations") -> None:
    """Keep when a deployment went live, and what a rollback goes back to.

    What is done went live when it ended.
    """
    op.add_column("deployments", sa.Column("live_at", sa.Float(53)))
    for name in ("target", "way", "image", "fingerprint"):
        op.add_column("deployments", sa.Column(name, sa.Text))
    deployments = sa.table(
        "deployments", sa.column("state"), sa.column("live_at"), sa.column("finished_at")
    )
    done = sa.update(deployments).where(deployments.c.state == "done")
    op.execute(done.values(live_at=deployments.c.finished_at))


def _reports(op: "Operations") -> None:
    """Find what apps serve, and what has ended since a time, in an index.

    What an earlier release called done went live when it ended.
    """
    op.create_index("deployments_by_live", "deployments", ["app_id", "live_at", "id"])
    op.create_index("deployments_by_end", "deployments", ["finished_at", "id"])
    t = sa.table("deployments", sa.column("state"), sa.column("live_at"), sa.column("finished_at"))
    served = t.c.state.in_(("done", "unhealthy")) & t.c.live_at.is_(None)
    op.execute(sa.update(t).where(served).values(live_at=t.c.finished_at))


def _console(op: "Operations") -> None:
    """Keep who signed in, with the session; find pushes by repository, branch and author.

    Sessions of the setup page have no person.
    """
    for name in ("about", "whose"):
        column = sa.Column(name, sa.Text, nullable=False, server_default="")
        op.add_column("sessions", column)
    op.add_column("pushes", sa.Column("repository", sa.Text))
    op.add_column("pushes", sa.Column("ref", sa.Text))
    t = sa.table("pushes", sa.column("ref_key"), sa.column("repository"), sa.column("ref"))
    find = sa.func.instr if op.get_bind().dialect.name == "sqlite" else sa.func.strpos
    # A `ref_key` is host, repository and ref, and only refs begin like this.
    place = find(t.c.ref_key, " refs/")
    repository = sa.func.substr(t.c.ref_key, 1, place - 1)
    ref = sa.func.substr(t.c.ref_key, place + 1)
    known = sa.update(t).where(t.c.ref_key.contains(" refs/"))
    op.execute(known.values(repository=repository, ref=ref))
    op.create_index("pushes_by_repository", "pushes", ["repository", "seq"])
    op.create_index("pushes_by_name", "pushes", ["ref", "seq"])
    op.create_index("pushes_by_author", "pushes", ["author", "seq"])


def _previews(op: "Operations") -> None:
    """Keep previews of pull requests."""
    op.create_table(
        "previews",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("described", sa.Text, nullable=False),
        sa.Column("app_id", sa.Text, nullable=False),
        sa.Column("app", sa.Text, nullable=False),
        sa.Column("backend", sa.Text, nullable=False),
        sa.Column("pull", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("made", sa.Text),
        sa.Column("url", sa.Text),
        sa.Column("asked", sa.Text),
        sa.Column("branch", sa.Text),
        sa.Column("approved", sa.Text),
        sa.Column("approver", sa.Text, nullable=False),
        sa.Column("stopped", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("active_at", sa.Float(53), nullable=False),
        sa.Column("look_at", sa.Float(53)),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("pushes", sa.BigInteger, nullable=False),
        sa.Column("rules", sa.Text, nullable=False),
    )
    op.create_index("previews_by_pull", "previews", ["host", "key", "number"])
    op.create_index("previews_by_app", "previews", ["app_id"])
    op.create_index("previews_by_made", "previews", ["made"])
    op.create_index("previews_by_look", "previews", ["look_at"])


def _native_previews(op: "Operations") -> None:
    """Keep what is known of the previews that backends make by themselves."""
    op.create_table(
        "native_previews",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("app_id", sa.Text, nullable=False),
        sa.Column("active_at", sa.Float(53), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("native_previews_by_app", "native_previews", ["app_id"])


def _hook_of_a_push(op: "Operations") -> None:
    """Keep which webhook has reported a push; of earlier pushes it is not known."""
    op.add_column("pushes", sa.Column("hook", sa.Text))


def _serving(op: "Operations") -> None:
    """Store what backends were last seen to serve, and verdicts in a column of their own.

    Earlier verdicts are read from the ends of the notes.
    """
    op.create_table(
        "looks",
        sa.Column("app_id", sa.Text, primary_key=True),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("newest", sa.Text),
        sa.Column("doubt", sa.Text),
        sa.Column("told", sa.Text),
        sa.Column("record", sa.Text),
        sa.Column("deployment", sa.Text),
        sa.Column("commit", sa.Text),
        sa.Column("since", sa.Float(53)),
        sa.Column("evidence", sa.Text),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
    )
    op.add_column("deployments", sa.Column("verdict", sa.Text))
    op.add_column("deployments", sa.Column("evidence", sa.Text))
    op.add_column("deployments", sa.Column("back_to", sa.Text))
    op.add_column("deployments", sa.Column("images", sa.Text))
    names = ("state", "note", "verdict", "evidence", "live_at", "way")
    t = sa.table("deployments", *(sa.column(one) for one in names))
    served = t.c.live_at > 0
    says = sa.case(
        (t.c.state == "unhealthy", "unhealthy"),
        (t.c.note.like("%; verified"), "verified"),
        else_="unverified",
    )
    op.execute(sa.update(t).where(served & (t.c.state != "verifying")).values(verdict=says))
    word = sa.case((t.c.way == "kept", "answer"), else_="record")
    op.execute(sa.update(t).where(served).values(evidence=word))


def _back_from(op: "Operations") -> None:
    """Keep from which deployment the bridge goes back by itself.

    Of earlier ones it is read from the ids of the bridge's own rollbacks.
    """
    op.add_column("deployments", sa.Column("back_from", sa.Text))
    op.execute(
        "UPDATE deployments SET back_from = substr(delivery, 10)"
        " WHERE action = 'rollback' AND \"trigger\" = 'the bridge' AND delivery LIKE 'rollback-%'"
    )


def _stopped(op: "Operations") -> None:
    """Keep which apps were last seen stopped at their backends."""
    stopped = sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("looks", stopped)


def _accounts_of_approvals(op: "Operations") -> None:
    """Keep by which further accounts those who approve are known.

    It is NULL for approvals that were given before people were told apart.
    """
    op.add_column("approvals", sa.Column("accounts", sa.Text))


def _accounts_of_those_who_ask(op: "Operations") -> None:
    """Keep by which further accounts those who ask for deployments are known."""
    op.add_column(
        "deployments", sa.Column("accounts", sa.Text, nullable=False, server_default="[]")
    )


_ACTOR = ("actor_door", "actor_name", "actor_id")
_MANY = 1000
"""Rows to fill in with one statement."""


def _facts_beside_texts(op: "Operations") -> None:
    """Keep who led to a deployment or a change, and what notes say, as facts beside the text.

    The facts about earlier rows are read from their text.
    """
    op.add_column("deployments", sa.Column("cause", sa.Text))
    found = sa.Column("found", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("deployments", found)
    for table in ("deployments", "audit"):
        for name in _ACTOR:
            actor = sa.Column(name, sa.Text, nullable=False, server_default="")
            op.add_column(table, actor)
    for table in ("deployments", "changes"):
        op.add_column(table, sa.Column("note_kind", sa.Text))
        op.add_column(table, sa.Column("way_back", sa.Text, nullable=False, server_default=""))
    _fill(op, "deployments", "id", "trigger", _of_origin)
    _fill(op, "audit", "number", "by", _of_actor)
    for table, key in (("deployments", "id"), ("changes", "number")):
        for kind, notes in _KINDS.items():
            t = sa.table(table, sa.column("note"), sa.column("note_kind"))
            says = sa.or_(*(t.c.note.like(one) for one in notes)) & t.c.note_kind.is_(None)
            op.execute(sa.update(t).where(says).values(note_kind=kind))
        _fill(op, table, key, "note", _of_note, "state = 'unhealthy'")


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
    op: "Operations",
    table: str,
    key: str,
    text: str,
    read: Callable[[str], dict[str, Any]],
    only: str = "1 = 1",
) -> None:
    """Fill in what the text of each row says."""
    names = (key, text, *read(""))
    t = sa.table(table, *(sa.column(name) for name in names))
    db = op.get_bind()
    change = sa.update(t).where(t.c[key] == sa.bindparam("its_key"))
    rows = db.execute(sa.select(t.c[key], t.c[text]).where(sa.text(only))).all()
    for begin in range(0, len(rows), _MANY):
        some = rows[begin : begin + _MANY]
        values = [read(said) | {"its_key": its_key} for its_key, said in some]
        db.execute(change.values({name: sa.bindparam(name) for name in names[2:]}), values)


REVISIONS: Mapping[str, Callable[["Operations"], None]] = {
    "0013": _what_was_asked,
    "0014": _behind_a_newer_tag,
    "0015": _settings_of_setup,
    "0016": _hooks_of_our_own,
    "0017": _gates,
    "0018": _reminders_of_locks,
    "0019": _pinned,
    "0020": _health,
    "0021": _reports,
    "0022": _console,
    "0023": _previews,
    "0024": _native_previews,
    "0025": _hook_of_a_push,
    "0026": _serving,
    "0027": _back_from,
    "0028": _stopped,
    "0029": _accounts_of_approvals,
    "0030": _accounts_of_those_who_ask,
    "0031": _facts_beside_texts,
}
"""By their names, which count up; each is a step from the one before."""

HEAD = max(REVISIONS)
