"""Share the name of an app as an argument, and the history of deployments on a terminal."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.completion import complete_app
from bridge.cli.show import (
    MARKS,
    STYLES,
    clean,
    clean_line,
    clock,
)
from bridge.views.deployment_lists import note_of, tail_of

if TYPE_CHECKING:
    from bridge.core.lifecycle import Change, Deployment
    from bridge.views.view import Log

AppName = Annotated[
    str,
    typer.Argument(
        metavar="APP", help="Its label (project/app), name, or id.", autocompletion=complete_app
    ),
]


def change_line(change: "Change") -> str:
    """E.g. `12:00:01 running    builds`."""
    return f"{clock(change.at)} {change.state:<10} {clean(note_of(change))}".rstrip()


def change_text(change: "Change") -> Any:
    """Return the same in colours, for a terminal."""
    from rich.text import Text

    style = STYLES.get(change.state, "")
    return Text.assemble(
        (f"{clock(change.at)} ", "dim"),
        (f"{MARKS[change.state]} {change.state:<10} ", style),
        clean(note_of(change)),
    )


def tail_lines(deployment: "Deployment") -> list[str]:
    """Return the end of a failed deployment's log, below a heading; [] if none is kept."""
    return [line for tail in tail_of(deployment) for line in titled(tail)]


def titled(log: "Log") -> list[str]:
    """Return the lines of a log, below its heading."""
    return [log.title, *(f"  {clean_line(line)}" for line in log.lines)]


def whole_log(deployment: "Deployment") -> str:
    """Return the command that shows the whole log."""
    what = "its build's log" if deployment.state == "unhealthy" else "the whole log"
    return f"{what}: dokploy-bridge logs {deployment.app} --deployment {deployment.seq}"
