"""`why`: the recorded decisions about an app."""

import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.backend import known_app, warn_of_owed
from bridge.cli.context import Config, Json, Limit, kept_in, run, settings_of
from bridge.cli.deployments import AppName, tail_lines, whole_log
from bridge.cli.forms import decision_form, decision_line, say_decisions, times
from bridge.cli.show import (
    STYLES,
    Listing,
    ago,
    clean,
    clock,
    console,
    hint,
    indented,
    iso,
    on_terminal,
    say_json,
)
from bridge.cli.why_preview import names_preview, why_preview
from bridge.core.errors import NotFound, Rejected
from bridge.core.log_text import short_branch, shorten
from bridge.githosts import HOSTS
from bridge.views.deployment_lists import became, ended_form
from bridge.views.triggers import source_of, waits_form, waits_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.app.storage import Stores
    from bridge.cli.backend import Known
    from bridge.core.apps import Source
    from bridge.core.lifecycle import Deployment
    from bridge.core.refused import Cause, RefusedWebhooks
    from bridge.ports.outcomes import Explained
    from bridge.settings import Settings


RECENT = 7 * 86_400.0
"""Seconds for which a refused webhook may explain a missing push."""

SEARCHED = 20_000
"""The number of newest counts to search for missing pushes: all that are kept, so a flood hides
nothing."""

LONGEST_PATH = 48
"""The most characters of a path in a sentence; the list shows the whole kept path."""

_MORE = "see `dokploy-bridge deliveries --refused`"

NONE = "no webhook has been refused in the last 30 days"

_COMMIT = re.compile(r"[0-9a-fA-F]{1,64}").fullmatch

COLUMNS = ("last", "times", "reason", "from", "*path", "*why")


async def list_refused(stores: "Stores", limit: int, since: float | None, *, json: bool) -> None:
    """Show which webhooks were refused, newest first."""
    names = await stores.journal.repositories()
    found = await stores.journal.refused(limit=limit, since=since)
    now = time.time()
    listing: Listing[RefusedWebhooks] = Listing(
        form=lambda one: refused_form(one, names),
        columns=COLUMNS,
        row=lambda one: _row(one, names, now),
        line=lambda one: _line(one, names),
        side=4,
    )
    listing.say(found, NONE, json=json)


@dataclass(frozen=True, slots=True)
class Suspects:
    """Refused webhooks that may explain a missing push.

    Attributes:
        head: their number, and since when.
        causes: in words, likeliest first.
    """

    head: str
    causes: "Sequence[str]"

    def tell(self) -> None:
        """Report them to a person, each of several causes on its own line."""
        if len(self.causes) == 1:
            hint(clean(f"{self.head}, {self.causes[0]}; {_MORE}"), "yellow")
            return
        hint(f"{self.head}, likeliest first:", "yellow")
        for cause in self.causes:
            hint(clean(cause), "yellow", indent=2)
        hint(_MORE, "yellow")


async def suspects(
    settings: "Settings",
    stores: "Stores",
    source: "Source | None",
    now: float,
    since: float = 0.0,
) -> Suspects | None:
    """Return recent refused webhooks that may explain a missing push; None if there are none.

    Args:
        source: the source of the app that misses a push; None if unknown.
        since: ignore webhooks that were refused earlier.
    """
    from bridge.core.refused import MOST_CAUSES, causes, missed_by
    from bridge.githosts.server import homes_of

    refused = await stores.journal.refused(limit=SEARCHED, since=max(since, now - RECENT))
    if not refused:
        return None
    names = await stores.journal.repositories()
    servers = settings.host_servers()
    missed = missed_by(source, names, HOSTS, homes_of(servers.values()))
    found = causes(refused, missed, names, now, servers)
    if not found:
        return None
    count = sum(one.count for one in found)
    what = "1 webhook was refused" if count == 1 else f"{count} webhooks were refused"
    when = "since then" if since > now - RECENT else "in the last 7 days"
    head = f"{what} {when}"
    if len(found) == 1:
        one = found[0].newest
        told = [f"the newest {ago(one.last, now)} at {_path(one)} ({_said_of(one, names)})"]
    else:
        told = [_told(one, names, now) for one in found[:MOST_CAUSES]]
    return Suspects(head, told)


def _told(cause: "Cause", names: "Mapping[str, str]", now: float) -> str:
    """E.g. `17 at /hooks/github, the newest 30 s ago (no signature; claims to be from o/r)`."""
    one = cause.newest
    newest = "the newest " if cause.count > 1 else ""
    when = f"{newest}{ago(one.last, now)}"
    return f"{cause.count} at {_path(one)}, {when} ({_said_of(one, names)})"


def _path(one: "RefusedWebhooks") -> str:
    return shorten(clean(one.path), LONGEST_PATH)


def _said_of(one: "RefusedWebhooks", names: "Mapping[str, str]") -> str:
    return "; ".join(filter(None, [one.why, _whose(one, names)]))


def refused_form(one: "RefusedWebhooks", names: "Mapping[str, str]") -> dict[str, Any]:
    """Return the machine form of refused webhooks of one minute."""
    return {
        "host": one.host or None,
        "reason": one.reason,
        "path": one.path,
        "network": one.network,
        "repository": names.get(_key(one)),
        "repository_id": one.repository or None,
        "count": one.count,
        "minute": iso(one.minute),
        "last_at": iso(one.last),
        "why": one.why,
    }


def _key(one: "RefusedWebhooks") -> str:
    return f"{one.host} {one.repository}"


def _whose(one: "RefusedWebhooks", names: "Mapping[str, str]") -> str:
    """Return the repository that it claims; the claim is unchecked."""
    if not one.repository:
        return ""
    return f"claims to be from {names.get(_key(one)) or f'repository {one.repository}'}"


def _row(one: "RefusedWebhooks", names: "Mapping[str, str]", now: float) -> list[str]:
    whose = _whose(one, names)
    why = f"{one.why} ({whose})" if whose else one.why
    return [ago(one.last, now), str(one.count), one.reason, one.network, one.path, why]


def _line(one: "RefusedWebhooks", names: "Mapping[str, str]") -> str:
    whose = _whose(one, names)
    line = f"{iso(one.last)} {one.reason} {one.path} from {one.network} {times(one.count)}"
    return clean(f"{line}, {whose}: {one.why}" if whose else f"{line}: {one.why}")


# ── `why`: the recorded decisions about an app ──────────────────────────────────────────────────


def why(
    app: AppName,
    commit: Annotated[
        str | None, typer.Argument(metavar="COMMIT", help="Only for this commit.")
    ] = None,
    config: Config = None,
    json: Json = False,
    limit: Limit = 10,
) -> None:
    """Explain why an app was deployed, or why it was not.

    Given a pull request, e.g. shop/web#12, it explains its preview.
    """
    if names_preview(app):
        run(why_preview(config, app, limit, json=json))
        return
    if commit is not None and not _COMMIT(commit):
        raise Rejected(
            f"{clean(shorten(commit, 60))!r} is no commit: give 1 to 64 digits of 0-9 a-f, e.g."
            " 18f234f; without a commit, `why` shows the newest of all branches"
        )
    run(_why(settings_of(config), app, commit and commit.lower(), limit, json))


async def _why(settings: "Settings", name: str, commit: str | None, limit: int, json: bool) -> None:
    from bridge.core.rules import ruled
    from bridge.settings import book_of

    async with kept_in(settings) as stores:
        await warn_of_owed(stores)
        known = await _app_named(stores, name)
        app = ruled(known.app, book_of(settings))
        found = await stores.journal.explained(app.id, commit=commit, limit=limit)
        ended = await _deployments(stores, app.id, found)
        since = found[0].at if found else 0.0
        refused = await suspects(settings, stores, app.source, time.time(), since)
    if not found:
        what = f"commit {commit}" if commit else "anything"
        words = [
            f"no delivery has contained {what} for {app.label}",
            (
                f"`dokploy-bridge deliveries` lists what came, and {app.label} deploys from"
                f" {source_of(app)}"
            ),
        ]
        if refused:
            refused.tell()
        raise NotFound("; ".join(words))
    if json:
        now = None if known.gone else waits_form(app)
        say_json([_explained_form(one, ended.get(one.seq)) | {"now": now} for one in found])
        return
    if not known.gone:
        hint(clean(f"now {waits_in_words(app, short=sys.stderr.isatty())}"))
    if on_terminal():
        _say(found, ended)
    else:
        for one in found:
            line = decision_line(one.decision, ended.get(one.seq))
            typer.echo(clean(f"{iso(one.at)} {_subject(one)} {line}"))
    if refused and commit is None:
        refused.tell()


async def _app_named(stores: "Stores", name: str) -> "Known":
    """Return the app; if the name is a repository's, point to its pushes."""
    try:
        return await known_app(stores.journal, name)
    except NotFound as error:
        names = (await stores.journal.repositories()).values()
        if (same := next((one for one in names if one.lower() == name.lower()), None)) is None:
            raise
        told = f"`dokploy-bridge deliveries --repo {same}` shows what came of its pushes"
        raise NotFound(f"{error}; {same} is a repository: {told}") from None


def _say(found: "Sequence[Explained]", ended: "Mapping[int, Deployment]") -> None:
    """Show decisions on a terminal, and why the newest deployment failed."""
    newest = next((ended[one.seq] for one in found if one.seq in ended), None)
    for one in found:
        console().print(clean(_heading(one)), style="bold")
        say_decisions([decision_form(one.decision)])
        if (deployment := ended.get(one.seq)) is None:
            continue
        style = STYLES.get(deployment.state, "")
        console().print(indented(clean(became(deployment, short=True)), 2), style=style or None)
        if deployment is newest and (tail := tail_lines(deployment)):
            for line in [*tail, clean(whole_log(deployment))]:
                begin = len(line) - len(line.lstrip())
                console().print(indented(line, 2 + begin), style="dim")


async def _deployments(
    stores: "Stores", app_id: str, found: "Sequence[Explained]"
) -> "dict[int, Deployment]":
    """Return the deployments of the decisions, by the delivery's seq."""
    from bridge.core.lifecycle import deployment_id

    ids = [deployment_id(one.seq, app_id) for one in found if one.decision.deploy]
    made = [await stores.journal.deployment(id_) for id_ in ids]
    return {one.seq: one for one in made if one is not None}


def _explained_form(one: "Explained", deployment: "Deployment | None") -> dict[str, Any]:
    return decision_form(one.decision) | {
        "delivery": one.delivery,
        "seq": one.seq,
        "at": iso(one.at),
        "ref": one.ref,
        "commit": one.commit,
        "deployment": deployment and ended_form(deployment),
    }


def _subject(one: "Explained", *, short: bool = False) -> str:
    if one.ref is None:
        return one.delivery or f"#{one.seq}"
    ref = one.ref.removeprefix("refs/heads/")
    return f"{short_branch(ref) if short else ref}@{(one.commit or '')[:7]}"


def _heading(one: "Explained") -> str:
    moment = time.strftime("%Y-%m-%d ", time.localtime(one.at)) + clock(one.at)
    return f"{moment}  {_subject(one, short=True)}"
