"""What only the command line has of `logs`: secrets as they are, and a log that grows."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.context import ENDED_BADLY
from bridge.cli.show import clean_line, say_json
from bridge.core.chat.calls import Call
from bridge.core.log_text import news
from bridge.operations.base import Context
from bridge.ports.clock import Sleep
from bridge.views.values import iso
from bridge.views.view import Log

if TYPE_CHECKING:
    from bridge.cli.views import Links
    from bridge.core.apps import App
    from bridge.pipeline.feedback.build_logs import BuildLogs
    from bridge.ports.backends import BackendDeployment

LOOK = 0.5
"""Seconds between polls of a growing log."""

FollowLog = Annotated[
    bool, typer.Option("--follow", "-f", help="Continue until the deployment ends.")
]
Raw = Annotated[
    bool,
    typer.Option(
        "--raw", help="As the backend has it, with values of variables and other secrets."
    ),
]


async def follow_log(ctx: Context, links: "Links", lines: int, *, json: bool) -> int:
    """Show a log until its deployment has ended; return the exit code.

    Args:
        lines: the most to show of what is there already.
    """
    from bridge.cli.views import data_of, show
    from bridge.operations.build_logs import LogData
    from bridge.operations.calls import carry_out
    from bridge.pipeline.feedback.build_logs import WHOLE

    given = {**ctx.call.given, "lines": str(WHOLE)}
    view = await carry_out(replace(ctx, call=Call(ctx.call.name, given)))
    data, logs = view.data, ctx.desk.logs
    assert isinstance(data, LogData)
    if not json:
        parts = [
            replace(one, lines=one.lines[-lines:]) for one in view.parts if isinstance(one, Log)
        ]
        show(replace(view, parts=parts), links, json=False)
    app = next((one for one in ctx.seen() if one.id == data.app_id), None)
    record = await logs.record(app, data.deployment) if logs and app and data.deployment else None
    if logs is not None and app is not None and record is not None:
        tell = None if json else _print
        raw = given.get("raw") is True
        record, log = await followed(logs, app, record, data.log, tell, raw=raw)
        status, finished = str(record.status), iso(record.finished_at)
        data = replace(data, status=status, finished_at=finished, log=log)
    if json:
        say_json(data_of(replace(data, log=data.log[-lines:])))
    return ENDED_BADLY if record is not None and data.status in ("error", "cancelled") else 0


async def followed(
    logs: "BuildLogs",
    app: "App",
    record: "BackendDeployment",
    shown: tuple[str, ...],
    tell: Callable[[list[str]], None] | None,
    sleep: Sleep = asyncio.sleep,
    *,
    raw: bool = False,
) -> "tuple[BackendDeployment, tuple[str, ...]]":
    """Print new lines until a deployment has ended; return its end and its whole log.

    Args:
        shown: the lines that were printed before.
    """
    from bridge.pipeline.feedback.build_logs import WHOLE

    while True:
        now = await logs.record(app, record.id)
        # Read after the status: the log of an ended one is complete.
        whole = tuple(await logs.text(app, record, WHOLE, raw=raw))
        if tell is not None:
            tell(news(_text(shown), _text(whole)))
        shown = whole or shown
        if now is None or now.status != "running":
            return now or record, shown
        await sleep(LOOK)


def _text(lines: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _print(lines: list[str]) -> None:
    for line in lines:
        typer.echo(clean_line(line))
