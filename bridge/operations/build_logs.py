"""The backend's logs of deployments: show one, and delete those of an app."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.core.access import Right
from bridge.core.errors import NotFound, Rejected
from bridge.core.events import COMMAND_HOST
from bridge.core.lifecycle import Deployment
from bridge.operations.arguments import App, Known, KnownApp, LogLines, LogOf, Raw, Seen
from bridge.operations.base import Context, operation
from bridge.operations.deploying import DEPLOYING
from bridge.operations.reading import LOOK, deployment_named
from bridge.operations.typed import called
from bridge.views.deployments import APP_NAME
from bridge.views.states import verdict_of
from bridge.views.values import Strong, Text, iso, many
from bridge.views.view import Ask, Log, View

if TYPE_CHECKING:
    from bridge.pipeline.deploying.configure import Configurer
    from bridge.pipeline.feedback.build_logs import BuildLog

SAYS = 500
MOST_SEARCHED = 1000
"""The newest deployments of a deleted app that are searched for what was kept of a log."""

# ── one log ───────────────────────────────────────────────────────────────────────────────────────


@operation(
    "logs",
    family=LOOK,
    asks_backends=True,
    examples=("logs shop/web --follow", "logs shop/web --deployment 4711 --lines 1000"),
)
async def logs(
    ctx: Context,
    app: KnownApp,
    deployment: LogOf = None,
    lines: LogLines = 200,
    raw: Raw = False,
) -> View:
    """Show the backend's log of an app's newest deployment, or of another; secrets are masked."""
    if raw and ctx.desk.door != COMMAND_HOST:
        raise Rejected("secrets in logs are shown on the command line only")
    if app.gone:
        return shown(await _kept(ctx, app, deployment, lines))
    if ctx.desk.logs is None:
        raise Rejected("no backend can be asked for logs here")
    ours = await _ours(ctx, app, deployment)
    return shown(await ctx.desk.logs.read(app.app, deployment, ours, lines, raw=raw))


async def _ours(ctx: Context, app: Known, id_: str | None) -> Deployment | None:
    """Return the deployment that is meant, if the journal has it."""
    try:
        return None if id_ is None else await deployment_named(ctx, id_, app)
    except NotFound:  # it may be an id at the backend
        return None


async def _kept(ctx: Context, app: Known, id_: str | None, lines: int) -> "BuildLog":
    """Return the kept end of a deleted app's log; raise NotFound if there is none."""
    from bridge.pipeline.feedback.build_logs import kept

    label, app_id = app.app.label, app.app.id
    found = await ctx.desk.journal.deployments(limit=MOST_SEARCHED, app_id=app_id)
    if id_ is not None:
        names = id_.removeprefix("#")
        found = [one for one in found if names in (str(one.seq), one.id, one.backend_id)]
    newest = next((one for one in found if one.log_kept), None)
    if newest is None:
        lists = f"`dokploy-bridge deployments --app {app_id}` lists what was deployed"
        raise NotFound(f"{label} is gone from the backends; {lists}")
    return kept(app.app, newest, lines, f"{label} is gone from the backends, and its logs with it")


@dataclass(frozen=True, slots=True)
class LogData:
    """The end of a log, with the backend's record of its deployment; times as ISO 8601."""

    app: str
    app_id: str
    deployment: str | None
    status: str
    created_at: str | None
    finished_at: str | None
    log: tuple[str, ...]


def shown(log: "BuildLog") -> View:
    """Show the end of a log."""
    app, ours, times = log.app, log.ours, (iso(log.created_at), iso(log.finished_at))
    data = LogData(app.label, app.id, log.id, log.status, *times, log.lines)
    about = f"deployment {log.id} of {app.label}: {log.status}"
    if log.forgotten and ours is not None:
        about = f"{log.forgotten}; the end of the log of deployment {ours.seq} was kept:"
    sign = None if ours is None else ours.state
    if not log.lines:
        none = f"{about}; it has no log, or no longer"
        return View((Text(none, SAYS),), sign, data=data, empty=True, name="Log")
    verdict = f": {log.status}" if ours is None else f" {verdict_of(ours)}"
    return View(
        (Strong(Text(app.label, APP_NAME)), verdict),
        sign,
        says=[("The end of the log; what looks like a secret is hidden.",)],
        notes=[(Text(about, SAYS),)],
        parts=[Log(log.lines)],
        data=data,
        name="Log",
    )


# ── all logs of an app ────────────────────────────────────────────────────────────────────────────


async def plan_clear(ctx: Context, app: App, seen: Seen = None) -> View | None:
    """Say what it deletes, unless they have seen that."""
    if seen is not None:
        return None
    await _configurer(ctx, app).check_clearable(app)
    what = f"this deletes the whole log folder of {app.label}, the logs of all its deployments"
    call = called("clear", {"app": app.id, "seen": "all"})
    question = f"Delete the logs of {app.label}?"
    return View(
        (),
        remarks=[(Text(what, SAYS),)],
        data={"app": app.label, "app_id": app.id},
        asks=Ask(call, question, "Delete", danger=True),
    )


@operation(
    "clear",
    family=DEPLOYING,
    needs=Right.CONFIGURE,
    acts=True,
    recorded=True,
    plan=plan_clear,
    asks_backends=True,
    examples=("clear shop/web",),
)
async def clear(ctx: Context, app: App) -> View:
    """Delete the logs of all of an app's deployments; their records stay.

    The backend deletes the app's whole log folder. It is refused while a deployment of the app
    waits or runs.
    """
    done = await _configurer(ctx, app).clear(app, by=ctx.actor.by)
    count, left = len(done.removed), len(done.kept)
    what = "the log of 1 deployment" if count == 1 else f"the logs of {many(count, 'deployment')}"
    still = f"; {left} still have theirs" if left else ""
    return View(
        (f"removed {what} of ", Strong(Text(app.label, APP_NAME)), f"{still}; their records stay"),
        data={
            "app": app.label,
            "app_id": app.id,
            "removed_logs": done.removed,
            "kept_logs": done.kept,
        },
    )


def _configurer(ctx: Context, app: App) -> "Configurer":
    """Return what changes an app at its backend; raise Rejected if nothing can."""
    if (there := ctx.desk.configurers) is None:
        raise Rejected(f"apps of {app.backend} can't be configured from here; do it there")
    return there.of(app)
