"""`apps` lists the apps; `app create` and `app delete` work on the embedded backend."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bridge.backends import titles
from bridge.cli.configure import How, Yes, agree, option
from bridge.cli.context import Config, Json, run, settings_of
from bridge.cli.deployments import AppName
from bridge.cli.show import (
    clean,
    hint,
    say,
    say_json,
)
from bridge.core.errors import Rejected
from bridge.views.apps import app_form

if TYPE_CHECKING:
    from bridge.core.apps import Rules

TWICE = "auto-deploy is on at the backend, so every push deploys twice: `adopt` turns it off"

RULED_MARK = "†"
RULED = f"{RULED_MARK} by our own rules, not by the backend's record"


class _Group(TyperGroup):
    """The commands of the embedded backend's apps; listing any backend's is a word of its own."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find a command; for one that lists, name the one that does."""
        if args and args[0] in ("list", "ls", "show"):
            raise Rejected(f"there is no `app {args[0]}`; did you mean `dokploy-bridge apps`?")
        return super().resolve_command(ctx, args)


group = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    help="Create and delete apps of the embedded backend, over its API if it runs,"
    f" else directly in the data directory. Apps of a {titles()} are made in {titles()}.",
)


@group.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, e.g. web.")],
    repo: Annotated[
        str, typer.Option("--repo", help="Clone address, or a folder with a Git repository.")
    ],
    branch: Annotated[str, typer.Option("--branch", help="The branch it deploys.")] = "main",
    publish: Annotated[
        str, typer.Option("--publish", help="Folder of the repository that is served.")
    ] = ".",
    watch: Annotated[
        list[str] | None,
        typer.Option("--watch", help="Deploy only when a file matches, e.g. 'web/**'. Repeatable."),
    ] = None,
    trigger: Annotated[str | None, option("trigger")] = None,
    tags: Annotated[str | None, option("tags")] = None,
    project: Annotated[str, typer.Option("--project", help="The project it is in.")] = "default",
    spa: Annotated[
        bool, typer.Option("--spa", help="Unknown addresses get the front page.")
    ] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    """Create a static site at the embedded backend from a Git repository."""
    from bridge.cli.backend import person
    from bridge.cli.embedded import create_site
    from bridge.cli.new_site import NewSite
    from bridge.core.matching.lint import lint

    rules = _rules_of(trigger, tags)
    site = NewSite(name, repo, branch, publish, tuple(watch or ()), project, spa, rules)
    made, url = run(create_site(settings_of(config), site, by=person()))
    if json:
        say_json(app_form(made, None) | {"url": url})
        return
    where = f"; after its first deployment it is at {url}" if url else ""
    say(f"made {made.label}{where}")
    for finding in lint(made.watched):
        if finding.level != "note":
            hint(clean(f"{finding.level}: {finding.words}"))
    hint(f"deploy it now: dokploy-bridge deploy {made.label} --follow")


def _rules_of(trigger: str | None, tags: str | None) -> "Rules | None":
    """Return the bridge's own rules for a new app; raise Rejected if they contradict each other."""
    from bridge.core.apps import Rules, Trigger
    from bridge.core.matching.lint import lint
    from bridge.core.refs import unmatchable

    if trigger is not None and trigger not in tuple(Trigger):
        raise Rejected(f"--trigger must be push or tag, not {trigger[:40]!r}")
    if tags is not None and trigger != Trigger.TAG:
        raise Rejected("--tags selects the tags that deploy: give --trigger tag with it")
    if tags is not None:
        if not tags.strip():
            raise Rejected("--tags is empty; give a glob, e.g. 'v*', or leave it out")
        if why := unmatchable(tags, "tag"):
            raise Rejected(f"--tags {tags[:40]!r}: {why}")
        for one in lint([tags]):
            if one.level == "error":
                raise Rejected(f"--tags {tags[:40]!r}: {one.sentence} {one.remedy}")
    return None if trigger is None else Rules(trigger=Trigger(trigger), tags=tags)


@group.command()
def delete(
    name: AppName,
    config: Config = None,
    yes: Yes = False,
) -> None:
    """Delete an app of the embedded backend, with its site and its logs."""
    from bridge.cli.backend import person
    from bridge.cli.embedded import delete_app, find_embedded

    settings = settings_of(config)
    if not yes:
        app = run(find_embedded(settings, name))
        name = app.id
        hint(clean(f"this deletes {app.label} with its site and its logs"))
    agree("delete it?", How(config, yes=yes))
    gone = run(delete_app(settings, name, by=person()))
    say(f"deleted {clean(gone.label)}")
