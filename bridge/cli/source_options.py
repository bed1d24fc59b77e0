"""The options that say where an app's code comes from, and when it deploys."""

from typing import Annotated, Any

import typer

HELD_HERE = "When it deploys"


def _here(name: str, help_: str) -> Any:
    return typer.Option(name, help=help_, rich_help_panel=HELD_HERE)


Account = Annotated[
    str | None,
    typer.Option(
        "--account", "--provider-id", help="Id of the Git account; `provider accounts` lists them."
    ),
]
Owner = Annotated[str | None, typer.Option("--owner", help="User, organisation or group.")]
Repository = Annotated[str | None, typer.Option("--repository", help="Its name, e.g. mono.")]
Branch = Annotated[str | None, typer.Option("--branch", help="The branch that is built.")]
BuildPath = Annotated[
    str | None, typer.Option("--build-path", help="Folder of the repository that is built.")
]
Watch = Annotated[
    list[str] | None,
    typer.Option(
        "--watch",
        "--watch-paths",
        help="Deploy only when a file matches, e.g. 'web/**'. Repeatable.",
    ),
]
Submodules = Annotated[
    bool | None, typer.Option("--submodules/--no-submodules", help="Clone submodules too.")
]
Triggers = Annotated[str | None, _here("--trigger", "push or tag.")]
Branches = Annotated[
    str | None, _here("--branches", "Pushes to these branches deploy, e.g. 'release/*'.")
]
Tags = Annotated[str | None, _here("--tags", "Only tags like this deploy, e.g. 'v*'.")]
Versions = Annotated[str | None, _here("--versions", "Only versions in it, e.g. '>=1.2 <2'.")]
TagPrefix = Annotated[str | None, _here("--tag-prefix", "What stands before a version.")]
Prereleases = Annotated[str | None, _here("--prereleases", "deploy, skip or only.")]
OnlyNewer = Annotated[
    bool | None, _here("--only-newer/--no-only-newer", "Never an older version after a newer one.")
]
SkipDirectives = Annotated[
    bool | None, _here("--skip-directives/--no-skip-directives", r"Whether \[skip ci] counts.")
]
Forget = Annotated[
    list[str] | None, typer.Option("--forget", help="Take this field away, e.g. only_newer.")
]
