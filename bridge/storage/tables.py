"""The journal's tables; a change needs a migration in `migrations/versions`.

Times are seconds since 1970. JSON is kept as text. The schema is the same on SQLite and Postgres.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

apps = sa.Table(
    "apps",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("backend", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("gone", sa.Boolean, nullable=False, default=False),
)

pushes = sa.Table(
    "pushes",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("ref_key", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("after", sa.Text, nullable=False),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("moment", sa.Text),
    sa.Column("repeats", sa.BigInteger),
    sa.Column("hook", sa.Text),
    sa.Column("author", sa.Text),
    sa.Column("repository", sa.Text),
    sa.Column("ref", sa.Text),
    sa.Column("message", sa.Text),
    sa.Index("pushes_by_ref", "ref_key", "seq"),
    sa.Index("pushes_by_move", "after", "at"),
    sa.Index("pushes_by_repository", "repository", "seq"),
    sa.Index("pushes_by_name", "ref", "seq"),
    sa.Index("pushes_by_author", "author", "seq"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Index("decisions_by_app", "app_id", "seq"),
)

deployments = sa.Table(
    "deployments",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("app_id", sa.Text, nullable=False),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("ref", sa.Text),
    sa.Column("commit", sa.Text),
    sa.Column("message", sa.Text),
    sa.Column("author", sa.Text),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("token", sa.Text, nullable=False),
    sa.Column("known_before", sa.Text, nullable=False),
    sa.Column("backend_id", sa.Text),
    sa.Column("deployed_commit", sa.Text),
    sa.Column("superseded_by", sa.Text),
    sa.Column("created_at", sa.Float(53), nullable=False),
    sa.Column("intent_at", sa.Float(53)),
    sa.Column("asked_at", sa.Float(53)),
    sa.Column("started_at", sa.Float(53)),
    sa.Column("finished_at", sa.Float(53)),
    sa.Column("asked_again", sa.Integer, nullable=False, server_default="0"),
    sa.Column("interrupted", sa.Integer, nullable=False, server_default="0"),
    sa.Column("maybe_asked", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("cancel", sa.Text),
    sa.Column("log_tail", sa.Text),
    sa.Column("behind", sa.Text),
    sa.Column("person", sa.Text, nullable=False, server_default=""),
    sa.Column("accounts", sa.Text, nullable=False, server_default="[]"),
    sa.Column("head", sa.Text),
    sa.Column("not_before", sa.Float(53)),
    sa.Column("holds", sa.Text, nullable=False, server_default="[]"),
    sa.Column("held_at", sa.Float(53)),
    sa.Column("look_at", sa.Float(53)),
    sa.Column("starts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lifts", sa.Text, nullable=False, server_default="[]"),
    sa.Column("live_at", sa.Float(53)),
    sa.Column("target", sa.Text),
    sa.Column("way", sa.Text),
    sa.Column("image", sa.Text),
    sa.Column("fingerprint", sa.Text),
    sa.Column("pinned", sa.Text),
    sa.Column("verdict", sa.Text),
    sa.Column("evidence", sa.Text),
    sa.Column("back_to", sa.Text),
    sa.Column("images", sa.Text),
    sa.Column("back_from", sa.Text),
    sa.Column("cause", sa.Text),
    sa.Column("found", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("actor_door", sa.Text, nullable=False, server_default=""),
    sa.Column("actor_name", sa.Text, nullable=False, server_default=""),
    sa.Column("actor_id", sa.Text, nullable=False, server_default=""),
    sa.Column("note_kind", sa.Text),
    sa.Column("way_back", sa.Text, nullable=False, server_default=""),
    sa.Column("answer", sa.Text),
    sa.Index("deployments_by_app", "app_id", "seq"),
    sa.Index("deployments_by_app_state", "app_id", "state", "seq"),
    sa.Index("deployments_by_seq", "seq"),
    sa.Index("deployments_by_state", "state", "seq"),
    sa.Index("deployments_by_successor", "superseded_by"),
    sa.Index("deployments_by_look", "look_at"),
    sa.Index("deployments_by_live", "app_id", "live_at", "id"),
    sa.Index("deployments_by_end", "finished_at", "id"),
)
"""`look_at` is None unless it is held, and something is to be looked at; see `journal.held`."""

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("deployment", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("note_kind", sa.Text),
    sa.Column("way_back", sa.Text, nullable=False, server_default=""),
    sa.Column("gates", sa.Text, nullable=False, server_default=""),
    sa.Index("changes_by_deployment", "deployment", "number"),
)
"""`gates` names those that held it since then; "" for lines from before they were kept."""

looks = sa.Table(
    "looks",
    metadata,
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
    sa.Column("stopped", sa.Boolean, nullable=False, server_default=sa.false()),
)
"""What each app was last seen to serve at its backend; see `core.health.serving.Look`."""

rules = sa.Table(
    "rules",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
)
"""Rules that people set for single apps; `bridge.yaml` overrides them (docs/notes/0009)."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("app_id", sa.Text, nullable=False),
    sa.Column("app", sa.Text, nullable=False),
    sa.Column("difference", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("seq", sa.BigInteger),
    sa.Column("undoing", sa.Text, nullable=False, server_default=""),
    sa.Column("undoes", sa.Integer),
    sa.Column("actor_door", sa.Text, nullable=False, server_default=""),
    sa.Column("actor_name", sa.Text, nullable=False, server_default=""),
    sa.Column("actor_id", sa.Text, nullable=False, server_default=""),
    sa.Column("stage", sa.Text, nullable=False, server_default=""),
    sa.Column("why", sa.Text, nullable=False, server_default=""),
    sa.Index("audit_by_app", "app_id", "number"),
    sa.Index("audit_by_seq", "seq", unique=True),
)
"""Who changed what. Secrets are only in `undoing`, which is sealed (docs/notes/0011)."""

drafts = sa.Table(
    "drafts",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Index("drafts_by_age", "at"),
)
"""Previewed changes that were not carried out yet (docs/notes/0011)."""

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("memory", sa.Text, nullable=False),
    sa.Column("wanted", sa.BigInteger, nullable=False),
    sa.Column("shown", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("due_at", sa.Float(53)),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("failing_since", sa.Float(53)),
    sa.Column("error", sa.Text),
    sa.Column("parked", sa.Boolean, nullable=False),
    sa.Column("rank", sa.Integer, nullable=False, server_default="0"),
    sa.Index("feedback_due", "due_at"),
)
"""Subscriptions: places that show something. `wanted` counts changes, `shown` is the published
count; `due_at` is None if there is nothing to do."""

follows = sa.Table(
    "follows",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("target", sa.Text, primary_key=True),
    sa.Index("follows_by_target", "target"),
)
"""The keys that a subscription follows: `ports.about_deployment`, `ports.about_delivery`."""

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("until", sa.Float(53), nullable=False),
)
"""Tasks that run once in a cluster, and the process that runs each."""

repositories = sa.Table(
    "repositories",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
)
"""The newest name of each repository, by host and id (the beginning of `ref_key`)."""

refused = sa.Table(
    "refused",
    metadata,
    sa.Column("minute", sa.Float(53), primary_key=True),
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, primary_key=True),
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("network", sa.Text, primary_key=True),
    sa.Column("repository", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("last", sa.Float(53), nullable=False),
    sa.Index("refused_by_age", "last"),
)
"""Counts of refused webhooks, by minute and reason; see `core.refused`."""

stored_settings = sa.Table(
    "stored_settings",
    metadata,
    sa.Column("path", sa.Text, primary_key=True),
    sa.Column("sealed", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
)
"""The settings that were made by set-up, by their paths, e.g. "github.token"."""

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("until", sa.Float(53), nullable=False),
    sa.Column("about", sa.Text, nullable=False, server_default=""),
    sa.Column("whose", sa.Text, nullable=False, server_default=""),
)
"""One-time links and signed-in browsers, by the hash of their secret; see `ports.sessions`."""

hooks = sa.Table(
    "hooks",
    metadata,
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
"""The webhooks that the bridge has made at Git hosts; see `ports.hooks`."""

locks = sa.Table(
    "locks",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("until", sa.Float(53)),
    sa.Column("merge", sa.Text),
    sa.Column("channel", sa.Text, nullable=False, server_default=""),
    sa.Column("remind_at", sa.Float(53)),
    sa.Column("look_at", sa.Float(53)),
    sa.Column("looks", sa.Integer, nullable=False, server_default="0"),
    sa.Column("of_rollback", sa.Boolean, nullable=False, server_default=sa.false()),
)
"""Who keeps others from deploying what: at most one lock for each scope. `look_at` is when to look
at the pull request whose merge ends it, `looks` how often that was done since its last event."""

freezes = sa.Table(
    "freezes",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("allow", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("until", sa.Float(53)),
)
"""Freezes by command; those of `bridge.yaml` are not stored."""

approvals = sa.Table(
    "approvals",
    metadata,
    sa.Column("app_id", sa.Text, primary_key=True),
    sa.Column("commit", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("at", sa.Float(53), nullable=False),
    sa.Column("accounts", sa.Text),  # NULL: given before approvals were judged by person
    sa.Index("approvals_by_age", "at"),
)

ci = sa.Table(
    "ci",
    metadata,
    sa.Column("host", sa.Text, primary_key=True),
    sa.Column("repository", sa.Text, primary_key=True),
    sa.Column("commit", sa.Text, primary_key=True),
    sa.Column("branch", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("since", sa.Float(53), nullable=False),
    sa.Column("reported", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("due_at", sa.Float(53)),
    sa.Index("ci_by_due", "due_at"),
)
"""The checks of commits for which deployments wait. `reported` counts the events about them;
`due_at` is when to read them from the host, None if nobody waits."""

previews = sa.Table(
    "previews",
    metadata,
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
    sa.Index("previews_by_pull", "host", "key", "number"),
    sa.Index("previews_by_app", "app_id"),
    sa.Index("previews_by_number", "number"),
    sa.Index("previews_by_made", "made"),
    sa.Index("previews_by_look", "look_at"),
)
"""The previews of pull requests; see `core.previews.preview`. `version` counts the reports of the
pull request, `look_at` is when to look at it next."""

native_previews = sa.Table(
    "native_previews",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("app_id", sa.Text, nullable=False),
    sa.Column("active_at", sa.Float(53), nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Index("native_previews_by_app", "app_id"),
)
"""The previews that backends make by themselves; see `core.previews.native`."""
