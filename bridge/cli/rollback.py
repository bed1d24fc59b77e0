"""`rollback`: go back to an earlier version, after saying how and what it does not restore."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import person_key, reached
from bridge.cli.configure import How, Yes, agree
from bridge.cli.context import Config, Follow, Json, run, settings_of
from bridge.cli.deploy import Wish, request
from bridge.cli.deployments import AppName
from bridge.cli.show import clean, hint, say, say_json
from bridge.views.holds import HoldData

if TYPE_CHECKING:
    from bridge.pipeline.deploying.rollback_plan import Plan


def rollback(
    app: AppName,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="VERSION",
            help="A commit, tag, image or deployment; by default the previous healthy version.",
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done and exit.")] = False,
    config: Config = None,
    follow: Follow = False,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Go back to an earlier version of an app, and lock the app."""
    code = run(_rollback(app, to, How(config, json, yes), plan_only=plan, follow=follow))
    if code:
        raise typer.Exit(code)


async def _rollback(name: str, to: str | None, how: How, *, plan_only: bool, follow: bool) -> int:
    from bridge.app.commands import looks_of
    from bridge.core.events import Action
    from bridge.core.rules import ruled
    from bridge.pipeline.deploying.rollback_plan import Ways
    from bridge.settings import book_of
    from bridge.settings.gates import freezes_of

    settings = settings_of(how.config)
    async with reached(settings, name) as reach:
        app = ruled(reach.app, book_of(settings))
        looks = looks_of(settings, reach.stores.journal, time.time)
        locks, freezes = settings.rollback.lock, freezes_of(settings.freezes)
        ways = Ways({app.backend: reach.backend}, looks, locks=locks, freezes=freezes)
        plan = await ways.plan(app, to, person=person_key())
        if plan_only and how.json:
            say_json(plan_form(plan))
        if not how.json:
            say(clean(f"{app.label}: {plan.says}"))
            for one in plan.warns:
                hint(clean(f"  {one}"))
        if plan_only:
            return 0
        agree("do it?", how)
        wish = Wish(
            Action.ROLLBACK,
            app.id,
            app.label,
            deployment=plan.way.to.id,
            way=plan.way.rung,
            commit=plan.way.commit or "",
            image=plan.way.image or "",
        )
        return await request(settings, reach.stores, wish, follow=follow, json=how.json)


def plan_form(plan: "Plan") -> dict[str, Any]:
    """Return a plan in the form of `--json`."""
    to = plan.way.to
    return {
        "app": plan.app.label,
        "way": str(plan.way.rung),
        "to": {"deployment": to.id, "commit": to.deployed_commit, "image": plan.way.image},
        "from": plan.served
        and {
            "deployment": plan.served.ours.id if plan.served.ours else None,
            "commit": plan.served.commit,
        },
        "does": plan.says,
        "holds": [asdict(HoldData.of(one)) for one in plan.holds],
        "notes": list(plan.warns),
    }
