"""Mistakes that a maintainer could make, five in each area; `make test` has to notice each.

Each breaks one promise, in the product's text: a comparison, a condition, a scope or a key is wrong
or missing. Those of `tests/chaos/planted.py` are coarser, and for the ledgers of a running fleet.
"""

from dataclasses import dataclass
from enum import StrEnum


class Area(StrEnum):
    """What a fault breaks."""

    INGEST = "ingest"
    MATCHING = "matching"
    GATES = "gates"
    ROLLBACK = "rollback"
    PREVIEWS = "previews"


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in the product.

    Attributes:
        name: what goes wrong for a user.
        file: below `bridge/`; `old` occurs in it once, and `new` replaces it.
        near: tests that are tried first, since they probably notice.
    """

    area: Area
    name: str
    file: str
    old: str
    new: str
    near: tuple[str, ...] = ()


FAULTS = (
    # ── ingest ────────────────────────────────────────────────────────────────────────────────────
    Fault(
        Area.INGEST,
        "a delivery that is sent again is decided again",
        "storage/inbox/sqlite.py",
        "AND state = 'failed' RETURNING seq",
        "AND state <> 'kept' RETURNING seq",
        near=("tests/contract/test_inbox.py",),
    ),
    Fault(
        Area.INGEST,
        "a delivery that another process has kept is kept once more",
        "storage/inbox/sqlite_file.py",
        "if last > self._seen:",
        "if not self._newest:",
        near=("tests/contract/test_sqlite_ids.py",),
    ),
    Fault(
        Area.INGEST,
        "a push back to an earlier commit is lost where the host gives no ids",
        "pipeline/deciding/ingest.py",
        "envelope.event_id or str(int(now // NAMELESS_WINDOW))",
        'envelope.event_id or ""',
        near=("tests/integration/test_ingest.py",),
    ),
    Fault(
        Area.INGEST,
        "a webhook passes if one of its two signatures fits",
        "githosts/base/payloads.py",
        "not all(map(fits, envelope.proof))",
        "not any(map(fits, envelope.proof))",
        near=("tests/unit/githosts/test_gitea.py",),
    ),
    Fault(
        Area.INGEST,
        "requests that are over still take memory from those that arrive",
        "listening/arriving.py",
        "            del self._all[one]\n            self._used -= one.got\n",
        "            del self._all[one]\n",
        near=("tests/unit/test_listening.py",),
    ),
    # ── matching ──────────────────────────────────────────────────────────────────────────────────
    Fault(
        Area.MATCHING,
        "an app with a rule for its branch deploys its backend's branch as well",
        "core/decision.py",
        "if app.rules.branch is None and app.branch == push.ref.name:",
        "if app.source is not None and app.source.branch == push.ref.name:",
        near=("tests/unit/test_rules.py",),
    ),
    Fault(
        Area.MATCHING,
        "an app deploys no more once another one gives up the same watch path",
        "core/matching/watch_index.py",
        "if not entry.users and entry.pattern in self._entries:",
        "if entry.pattern in self._entries:",
        near=("tests/unit/globs/test_watch_index.py",),
    ),
    Fault(
        Area.MATCHING,
        "a tag that is moved does not deploy again where only newer ones do",
        "core/rules.py",
        "its is not None and its > version]",
        "its is not None and its >= version]",
        near=("tests/unit/test_rules.py",),
    ),
    Fault(
        Area.MATCHING,
        "a push by two webhooks deploys twice if another branch moves alike in between",
        "storage/journal/pushes.py",
        ".where(there).group_by(_P.c.ref_key, *kind)",
        ".where(there).group_by(*kind)",
        near=("tests/contract/journal/test_pushes.py",),
    ),
    Fault(
        Area.MATCHING,
        "files beyond the twentieth commit of a push to GitLab are not looked at",
        "githosts/gitlab/webhooks.py",
        "return listed >= MOST_COMMITS if total is None else total > listed",
        "return listed > MOST_COMMITS if total is None else total > listed",
        near=("tests/unit/githosts/test_gitlab.py",),
    ),
    # ── gates ─────────────────────────────────────────────────────────────────────────────────────
    Fault(
        Area.GATES,
        "a lock that has just expired holds for ever",
        "core/gates/locks.py",
        "return self.until is not None and now >= self.until",
        "return self.until is not None and now > self.until",
        near=("tests/unit/gates/test_gates.py",),
    ),
    Fault(
        Area.GATES,
        "a fork's green check lets the same commit of the repository pass",
        "storage/journal/ci.py",
        "(_C.c.host == repository.host) & of_repository",
        "(_C.c.host == repository.host)",
        near=("tests/contract/journal/test_due.py",),
    ),
    Fault(
        Area.GATES,
        "a lock that is released while it is judged goes on holding",
        "storage/journal/held.py",
        '"look_at": found.look_at if marked else next_look(holds, at),',
        '"look_at": next_look(holds, at),',
        near=("tests/contract/journal/test_due.py",),
    ),
    Fault(
        Area.GATES,
        "a freeze ends an hour early where the clocks are set back",
        "core/gates/freezes.py",
        "moment(self._last_day(day), self.ends, self.zone, last=True)",
        "moment(self._last_day(day), self.ends, self.zone)",
        near=("tests/unit/gates/test_freezes.py",),
    ),
    Fault(
        Area.GATES,
        "an approval is for the push that was shown, though a newer one has replaced it",
        "pipeline/gates/commands.py",
        "        held = await self._as_it_is(held)\n        proposal",
        "        proposal",
        near=("tests/integration/test_gates.py",),
    ),
    # ── rollback ──────────────────────────────────────────────────────────────────────────────────
    Fault(
        Area.ROLLBACK,
        "a rollback leads to the version from which somebody has just gone back",
        "core/health/rollback.py",
        "return own[0].left or not shown",
        "return not shown",
        near=("tests/unit/health/test_rollback.py",),
    ),
    Fault(
        Area.ROLLBACK,
        "a rollback restores another build of the same commit",
        "core/health/rollback.py",
        "return same[0] if len(same) == 1 and one.deployed_commit is not None else None",
        "return same[0] if same and one.deployed_commit is not None else None",
        near=("tests/unit/health/test_rollback.py",),
    ),
    Fault(
        Area.ROLLBACK,
        "an app goes back by itself only once",
        "pipeline/deploying/auto_rollback.py",
        'id_ = f"rollback-{unhealthy.id}"',
        'id_ = f"rollback-{unhealthy.app_id}"',
        near=("tests/integration/deployer/test_auto_rollback.py",),
    ),
    Fault(
        Area.ROLLBACK,
        "the newest push counts as live although an older one was held and went live later",
        "storage/journal/deployment_rows.py",
        "        .order_by(t.c.live_at.desc(), t.c.id.desc())\n        .limit(1)\n",
        "        .order_by(t.c.seq.desc())\n        .limit(1)\n",
        near=("tests/contract/journal/test_serving.py",),
    ),
    Fault(
        Area.ROLLBACK,
        "a pinned app goes back to the commit that was pushed, not to the one that was live",
        "pipeline/deploying/rollback_plan.py",
        "commit = (to.deployed_commit or to.commit) if",
        "commit = (to.commit or to.deployed_commit) if",
        near=("tests/unit/health/test_rollback.py",),
    ),
    # ── previews ──────────────────────────────────────────────────────────────────────────────────
    Fault(
        Area.PREVIEWS,
        "a pull request counts as the repository's own once its fork is deleted",
        "githosts/base/payloads.py",
        "own=self.head.repository is not None and self.head.repository == base,",
        "own=self.head.repository is None or self.head.repository == base,",
        near=("tests/unit/githosts/test_access.py",),
    ),
    Fault(
        Area.PREVIEWS,
        "every commit of a fork is built once one was approved",
        "core/previews/verdict.py",
        "if not preview.pull.own and preview.approved != commit:",
        "if not preview.pull.own and not preview.approved:",
        near=("tests/unit/previews/test_previews.py",),
    ),
    Fault(
        Area.PREVIEWS,
        "a push that comes while its preview is looked at is never built",
        "storage/journal/previews.py",
        "            same = _T.c.version == seen.version\n"
        '            facts["look_at"] = sa.case((same, facts["look_at"]), else_=_T.c.look_at)\n',
        '            facts["look_at"] = sa.literal(facts["look_at"])\n',
        near=("tests/contract/journal/test_previews.py",),
    ),
    Fault(
        Area.PREVIEWS,
        "a preview is decided by the watch paths that its app had before",
        "pipeline/previews/previews.py",
        "about = (preview.id, pull.head_sha, pull.base, app.watched)",
        "about = (preview.id, pull.head_sha, pull.base)",
        near=("tests/integration/previews/test_sweeping.py",),
    ),
    Fault(
        Area.PREVIEWS,
        "a pull request that its host lists late is missed by the sweep",
        "pipeline/previews/sweep.py",
        "known.until - OVERLAP",
        "known.until",
        near=("tests/integration/previews/test_sweeping.py",),
    ),
)
