"""The inbox: what needs somebody, each with its acts, as far as a visitor sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from bridge.console.pages.deployments import back_words
from bridge.console.records import Records
from bridge.console.render import Button
from bridge.console.visitors import Visitor
from bridge.core.access import Right
from bridge.core.apps import App
from bridge.core.health.fate import note_now
from bridge.core.health.serving import Serving
from bridge.core.holds import Gate
from bridge.core.lifecycle import Deployment, State
from bridge.core.masking import redact
from bridge.core.previews.preview import Preview, PreviewState
from bridge.core.previews.verdict import NEEDS, Act, possible
from bridge.core.refused import Missed, causes
from bridge.core.words import many
from bridge.pipeline.deciding.catchup import MOST, hook_troubles
from bridge.ports.checks import Level
from bridge.ports.inbox import DeliveryState
from bridge.views.previews import why_of
from bridge.views.proposal import proposal_of, proposed_of

MOST_APPS = 15
MOST_FAILED = 5
MOST_TWICE = 5
MOST_REFUSED = 200
MOST_CAUSES = 5
MOST_HOOKS = 5
MOST_PREVIEWS = 5
MOST_UNMATCHED = 5
MOST_HELD = 10
MOST_LOCKS = 5

STUCK = 3
"""Failures in a row of a preview's next step, after which somebody is told."""

MOST_READ = 200
"""The newest deployments, of all or in a state, to look through for apps."""

LATELY = 24 * 3600.0
"""Seconds for which a refused webhook or a failed delivery needs somebody."""


@dataclass(frozen=True, slots=True)
class Need:
    """A problem that needs somebody.

    Attributes:
        tone, word: its tag.
        says: what is wrong.
        link: the page with more; `button`: what it leads to.
        at: when that was so, if it may have changed since; None if it is so now.
        mine: False if only others may do something about it.
        acts: what the visitor may do at once; without any, the link is the button.
        differs: the words of a link to the page `compare`, which shows what would change.
        leaves: the app whose version does not work, which the visitor may roll back.
    """

    tone: str
    word: str
    says: str
    link: str
    button: str = "See why"
    at: float | None = None
    mine: bool = True
    acts: Sequence[Button] = field(default=())
    differs: str = ""
    compare: str | None = None
    leaves: App | None = None


async def needs_of(
    records: Records, visitor: Visitor, seen: Mapping[str, App], open_: Sequence[Deployment]
) -> list[Need]:
    """Return what needs somebody, what waits for the visitor's approval first.

    Args:
        seen: the apps that the visitor may view, by id.
        open_: the open deployments.
    """
    needs = _to_approve(records, visitor, seen, open_)
    needs += await _of_deployments(records, visitor, seen)
    needs += await _failed(records, visitor, seen)
    needs += await _locked(records, visitor, seen)
    needs += _of_apps(list(seen.values()))
    needs += await _of_previews(records, visitor)
    if records.sees_all(visitor):
        needs += await _of_settings(records)
        needs += await _of_webhooks(records)
        needs += await _of_hooks(records)
        needs += await _of_feedback(records)
    return await _with_ways_back(records, needs)


def _to_approve(
    records: Records, visitor: Visitor, seen: Mapping[str, App], open_: Sequence[Deployment]
) -> list[Need]:
    """Return what the visitor may approve, and what it would change."""
    found = []
    for one in open_:
        proposal, app = proposal_of(one), seen.get(one.app_id)
        if proposal is None or app is None or not records.may(visitor, Right.APPROVE, app):
            continue
        waits = next(hold for hold in one.holds if hold.proposal is proposal)
        shown = proposed_of(proposal, app, records.links)
        message = f" {shown.says.words}" if shown.says.words else ""
        by = f", by {shown.author.words}" if shown.author.words else ""
        fields = {"app": app.id, "deployment": one.id, "commit": proposal.commit}
        approve = Button(f"Approve {shown.commit.words}", "approve", fields, tone="main")
        need = Need(
            "held",
            "approval",
            f"{one.app}: {shown.commit.words}{message}{by}. {waits.says}",
            f"/console/deployments/{one.id}",
            at=one.held_at,
            acts=[approve],
            differs="" if shown.live is None else f"{shown.count} since {shown.live.words}",
            compare=shown.compare,
        )
        found.append(need)
    rest = Need(
        "held",
        "approval",
        "{} more wait for an approval",
        "/console/deployments?state=held",
        "All held",
    )
    return _first(found, MOST_HELD, rest)


async def _with_ways_back(records: Records, needs: Sequence[Need]) -> list[Need]:
    """Add *Roll back* to the acts of those that are about an app with a version to go back to."""
    apps = {one.leaves.id: one.leaves for one in needs if one.leaves is not None}
    targets = await records.journal.rollback_targets(list(apps.values()))
    return [
        replace(one, acts=[_back(target, one), *one.acts])
        if one.leaves is not None and (target := targets.get(one.leaves.id))
        else one
        for one in needs
    ]


def _back(target: Deployment, need: Need) -> Button:
    fields = {"app": target.app_id, "to": target.id}
    tone = "main" if need.word == State.UNHEALTHY else ""
    return Button(back_words(target), "rollback", fields, tone=tone)


def _again(app: App) -> Button:
    return Button("Redeploy", "redeploy", {"app": app.id})


async def _of_deployments(
    records: Records, visitor: Visitor, seen: Mapping[str, App]
) -> list[Need]:
    """Return the apps that serve what is unhealthy, or of which nobody knows what they serve."""
    those: list[Deployment] = []
    asked: dict[str, App] = {}
    for state in (State.UNHEALTHY, State.UNKNOWN):
        newest = await records.journal.deployments(limit=MOST_READ, state=state)
        those += newest
        apps = [seen[id_] for id_ in dict.fromkeys(one.app_id for one in newest) if id_ in seen]
        ranked = sorted(apps, key=lambda app: not records.may(visitor, Right.DEPLOY, app))
        asked |= {app.id: app for app in ranked[:MOST_APPS]}
    serving = await records.journal.serving(list(asked.values()))
    troubled = [
        one for one in those if one.app_id in asked and _troubles(one, serving.get(one.app_id))
    ]
    fates = await records.journal.fates(troubled)
    found = []
    for one in troubled:
        app, fate, unhealthy = asked[one.app_id], fates.get(one.id), one.state is State.UNHEALTHY
        mine = records.may(visitor, Right.DEPLOY, app)
        says = f"; {fate.says}" if fate is not None and fate.says else ""
        need = Need(
            "bad" if unhealthy else "held",
            one.state,
            f"{one.app}: {note_now(one, fate)}{says}",
            f"/console/deployments/{one.id}",
            mine=mine,
            acts=[_again(app)] if mine and unhealthy else [],
            leaves=app if mine and unhealthy else None,
        )
        found.append(need)
    return found


async def _failed(records: Records, visitor: Visitor, seen: Mapping[str, App]) -> list[Need]:
    """Return the apps whose newest deployments failed, until one succeeds."""
    found = []
    for one in await records.journal.failing(MOST_READ):
        if (app := seen.get(one.app_id)) is None:
            continue
        mine = records.may(visitor, Right.DEPLOY, app)
        note = redact(note_now(one, None)).removeprefix(f"{one.state}: ")
        says = f"{one.app}: {note or 'its build failed'}"
        need = Need(
            "bad",
            one.state,
            says,
            f"/console/deployments/{one.id}",
            at=one.finished_at,
            mine=mine,
            acts=[_again(app)] if mine else [],
            leaves=app if mine else None,
        )
        found.append(need)
    link = "/console/deployments?state=failed"
    return _first(found, MOST_FAILED, Need("bad", "failed", "{} more failed", link, "All failed"))


async def _locked(records: Records, visitor: Visitor, seen: Mapping[str, App]) -> list[Need]:
    """Return the apps that a rollback has locked, so that no push undoes it."""
    locks = [one for one in await records.journal.locks() if one.of_rollback]
    found = []
    for one in locks:
        app_id = one.scope.partition("/")[2]
        if app_id in seen:
            mine = records.may(visitor, Right.LOCK, seen[app_id])
            fields = {"scope": one.scope.replace("/", ":", 1), "seen": f"{Gate.LOCK}:{one.key}"}
            acts = [Button("Unlock", "unlock", fields)] if mine else []
            link = f"/console/apps/{app_id}"
            found.append(Need("held", "locked", one.says, link, "See the app", one.at, mine, acts))
    rest = Need("held", "locked", "{} more apps are locked", "/console/apps", "All apps")
    return _first(found, MOST_LOCKS, rest)


def _troubles(one: Deployment, serving: Serving | None) -> bool:
    """Return whether a deployment is what its app serves, or leaves that in doubt."""
    if serving is None:
        return one.state is State.UNKNOWN
    if one.state is State.UNKNOWN:
        return not serving.known and serving.doubt is not None and serving.doubt.id == one.id
    return serving.ours is not None and serving.ours.id == one.id


async def _of_previews(records: Records, visitor: Visitor) -> list[Need]:
    """Return the previews that are held, or whose next step fails again and again."""
    those, _ = await records.previews(visitor)
    waiting = [one for one in those if one.state is PreviewState.HELD or one.failures >= STUCK]
    found = [_of_preview(records, visitor, one) for one in waiting]
    rest = Need(
        "held", "held", "{} other previews are held or fail", "/console/previews", "Previews"
    )
    return _first(found, MOST_PREVIEWS, rest)


def _of_preview(records: Records, visitor: Visitor, one: Preview) -> Need:
    held = one.state is PreviewState.HELD
    waits = Act.APPROVE in possible(one)
    mine = not waits or records.may_see(visitor, one.app, NEEDS[Act.APPROVE])
    commit = one.pull.head_sha
    fields = {"preview": one.id, "commit": commit}
    warns = "The code of this commit, from outside, is built and runs on your server."
    approve = Button(f"Approve {commit[:7]}", "previews approve", fields, warns, "main")
    return Need(
        "held",
        "held" if held else "failing",
        f"{one.label}: {why_of(one)}",
        f"/console/previews?{urlencode({'app': one.app})}",
        "Open preview",
        mine=mine,
        acts=[approve] if waits and mine else [],
    )


def _of_apps(seen: Sequence[App]) -> list[Need]:
    twice = [app for app in seen if app.deploys_twice]
    found = [
        Need(
            "held",
            "warning",
            f"{app.label} has Auto Deploy on at its backend: every push deploys twice",
            f"/console/apps/{app.id}",
            "See the app",
        )
        for app in twice
    ]
    says = "{} more apps have Auto Deploy on: `dokploy-bridge adopt --all` switches it off"
    return _first(found, MOST_TWICE, Need("held", "warning", says, "/console/apps", "All apps"))


async def _of_settings(records: Records) -> list[Need]:
    """Return what the settings name and is not there, such as a misspelt app."""
    found = await records.unmatched()
    needs = [
        Need(
            "bad" if one.level is Level.ERROR else "held",
            "settings",
            one.words,
            "/console/apps",
            "All apps",
        )
        for one in found
    ]
    says = "{} more settings name nothing that is there: `dokploy-bridge doctor` lists all"
    return _first(needs, MOST_UNMATCHED, Need("bad", "settings", says, "/console/apps", "All apps"))


def _first(found: list[Need], most: int, rest: Need) -> list[Need]:
    """Return the first ones, the visitor's before others', and `rest` with how many are left."""
    left_out = len(found) - most
    if left_out <= 0:
        return found
    ranked = sorted(found, key=lambda one: not one.mine)
    mine = ranked[most].mine
    return [*ranked[:most], replace(rest, says=rest.says.format(left_out), mine=mine)]


async def _of_webhooks(records: Records) -> list[Need]:
    since = records.clock() - LATELY
    found = []
    failed = await records.inbox.ended(DeliveryState.FAILED, MOST_FAILED, before=2**62)
    for one in failed:
        if one.received_at >= since:
            says = f"{one.event} of {one.host}: {one.error or 'no reason is known'}"
            found.append(Need("bad", "failed", says, f"/console/deliveries/{one.seq}"))
    refused = await records.journal.refused(limit=MOST_REFUSED, since=since)
    each = causes(refused, Missed(), {}, records.clock(), records.hosts)
    for cause in each[:MOST_CAUSES]:
        webhooks = many(cause.count, "webhook")
        says = f"{webhooks} in the last 24 hours: {cause.newest.why}"
        found.append(Need("bad", "refused", says, "/console/refused", at=cause.newest.last))
    if (more := len(each) - MOST_CAUSES) > 0:
        says = f"webhooks for {many(more, 'more reason')}"
        found.append(Need("bad", "refused", says, "/console/refused"))
    if len(refused) == MOST_REFUSED:
        says = f"only the newest {MOST_REFUSED} kinds are counted here"
        found.append(Need("bad", "refused", says, "/console/refused"))
    return found


async def _of_hooks(records: Records) -> list[Need]:
    """Return the webhooks that their hosts have disabled, or can't deliver."""
    troubles = await hook_troubles(records.journal, records.clock())
    found = [
        Need(
            "bad",
            "failing" if one.failed else "disabled",
            one.says,
            f"/console/deliveries?{urlencode({'repo': one.repository})}",
            "Its deliveries",
            at=one.at,
        )
        for one in troubles[:MOST_HOOKS]
    ]
    if (more := len(troubles) - MOST_HOOKS) > 0:
        many = f"more than {more}" if len(troubles) == MOST else more
        says = f"{many} other webhooks do not arrive: `dokploy-bridge doctor` lists all"
        found.append(Need("bad", "webhook", says, "/console/deliveries", "Deliveries"))
    return found


async def _of_feedback(records: Records) -> list[Need]:
    found = []
    for one in await records.journal.feedback(limit=MOST_FAILED, failing=True):
        word = "parked" if one.parked else "failing"
        says = f"{one.subscription.kind} can't be updated: {one.error}"
        found.append(Need("held", word, says, "/console/audit"))
    return found
