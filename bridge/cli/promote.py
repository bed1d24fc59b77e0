"""`promote`: bring the version that runs in one app to another."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import live_app, person_key, warn_of_troubles
from bridge.cli.completion import complete_app
from bridge.cli.configure import How, Yes, agree
from bridge.cli.context import Config, Follow, Json, kept_in, run, settings_of
from bridge.cli.deploy import Wish, request
from bridge.cli.deployments import AppName
from bridge.cli.show import clean, hint, say, say_json
from bridge.core.errors import Rejected
from bridge.views.holds import HoldData

if TYPE_CHECKING:
    from bridge.core.gates.promotion import Promotion
    from bridge.core.lifecycle import Deployment
    from bridge.settings import Settings

FROM = "from"


def promote(
    app: AppName,
    source: Annotated[
        list[str],
        typer.Argument(
            metavar="from APP", help="The app whose version it gets.", autocompletion=complete_app
        ),
    ],
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done and exit.")] = False,
    config: Config = None,
    follow: Follow = False,
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Bring the version that runs in one app to another: its image, or its commit built again."""
    words = source[1:] if source[0] == FROM else source
    if len(words) != 1:
        raise Rejected("name the app whose version it gets: promote APP from APP")
    code = run(_promote(app, words[0], How(config, json, yes), plan_only=plan, follow=follow))
    if code:
        raise typer.Exit(code)


async def _promote(name: str, source: str, how: How, *, plan_only: bool, follow: bool) -> int:
    from bridge.app.commands import looks_of
    from bridge.core.events import Action
    from bridge.core.rules import ruled
    from bridge.pipeline.deploying.rollback_plan import Ways, version_asked
    from bridge.settings import book_of
    from bridge.settings.gates import freezes_of

    settings = settings_of(how.config)
    async with kept_in(settings) as stores:
        await warn_of_troubles(settings, stores)
        book = book_of(settings)
        to, from_ = [ruled(await live_app(stores.journal, one), book) for one in (name, source)]
        looks = looks_of(settings, stores.journal, time.time)
        ways = Ways({}, looks, freezes=freezes_of(settings.freezes))
        found = await ways.promotion(from_, to, person_key())
        compare = _compare(found, settings)
        if plan_only and how.json:
            say_json(promotion_form(found, compare))
        if not how.json:
            say(clean(found.says))
            for one in _news(found):
                hint(clean(f"  {one}"))
            if compare:
                hint(compare, whole=True)
            for one in found.warns:
                hint(clean(f"  {one}"))
        if plan_only:
            return 0
        agree("do it?", how)
        version = version_asked(found.version, found.rung)
        wish = Wish(
            Action.DEPLOY,
            to.id,
            to.label,
            deployment=found.version.id,
            way=version["way"],
            commit=version["commit"],
            image=version["image"],
        )
        return await request(settings, stores, wish, follow=follow, json=how.json)


def _compare(found: "Promotion", settings: "Settings") -> str | None:
    """Return the page that compares what both apps have; None if it is not known for sure."""
    from bridge.app.providers import pages_of
    from bridge.chats.facts.links import Links

    has = found.served.commit if found.served else None
    return Links(pages_of(settings)).compare(found.from_, has, found.version.deployed_commit)


def _news(found: "Promotion") -> list[str]:
    """Return what the first app has that the second one has not, a line each."""
    if found.news is None:
        return [
            f"{found.to.label} runs a version that {found.from_.label} is not known to have had"
        ]
    return [_line(one) for one in found.news]


def _line(one: "Deployment") -> str:
    first = (one.message or "").split("\n", 1)[0]
    by = f" ({one.author})" if one.author else ""
    return f"{(one.deployed_commit or one.image or '?')[: 40 if one.image else 7]} {first}{by}"


def promotion_form(found: "Promotion", compare: str | None) -> dict[str, Any]:
    """Return a promotion in the form of `--json`."""
    news = (
        None
        if found.news is None
        else [
            {"commit": one.deployed_commit, "message": one.message, "author": one.author}
            for one in found.news
        ]
    )
    return {
        "app": found.to.label,
        "from": found.from_.label,
        "way": str(found.rung),
        "version": {
            "deployment": found.version.id,
            "commit": found.version.deployed_commit,
            "image": found.version.image,
        },
        "does": found.says,
        "holds": [asdict(HoldData.of(one)) for one in found.holds],
        "notes": list(found.warns),
        "news": news,
        "compare": compare,
    }
