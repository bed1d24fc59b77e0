"""What is said about refused webhooks, of which nothing is verified: for people, for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from bridge.core.refused import RefusedWebhooks
from bridge.views.values import Code, Moment, Phrase, Text, iso, joined
from bridge.views.view import Column, Row, Table, View

WORD, WHY = 120, 500

NONE = "no webhook has been refused in the last 30 days"
COLUMNS = (
    *map(Column, ("last", "times", "reason", "from")),
    *(Column(one, long=True) for one in ("path", "why")),
)


def refused_list(refused: Sequence[RefusedWebhooks], names: Mapping[str, str]) -> View:
    """List refused webhooks, newest first; `names`: of repositories that have pushed."""
    data = [_form(one, names) for one in refused]
    if not refused:
        return View((NONE,), data=data, empty=True)
    rows = [_row(one, names) for one in refused]
    table = Table(COLUMNS, rows, ("Refused webhooks, of which nothing is verified",))
    return View(("Refused webhooks",), parts=[table], data=data)


def _row(one: RefusedWebhooks, names: Mapping[str, str]) -> Row:
    claim = whose(one, names)
    times = "once" if one.count == 1 else f"{one.count} times"
    why, at = Text(f"{one.why} ({claim})" if claim else one.why, WHY), Moment(one.last, since=True)
    path, network = Text(one.path, WORD), Text(one.network, WORD)
    line: Phrase = (at, f" {one.reason} ", path, " from ", network, f" {times}")
    claimed: Phrase = (", ", Text(claim, WORD)) if claim else ()
    return Row(
        ((at,), (str(one.count),), (one.reason,), (network,), (path,), (why,)),
        line=(*line, *claimed, ": ", Text(one.why, WHY)),
        says=[joined((Code(path),), (one.reason,), (times,), ("from ", network), (at,)), (why,)],
    )


def _form(one: RefusedWebhooks, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "host": one.host or None,
        "reason": one.reason,
        "path": one.path,
        "network": one.network,
        "repository": repository_of(one, names),
        "repository_id": one.repository or None,
        "count": one.count,
        "minute": iso(one.minute),
        "last_at": iso(one.last),
        "why": one.why,
    }


def whose(one: RefusedWebhooks, names: Mapping[str, str]) -> str:
    """Return the repository that it claims to be from; the claim is unchecked."""
    if not one.repository:
        return ""
    return f"claims to be from {repository_of(one, names) or f'repository {one.repository}'}"


def repository_of(one: RefusedWebhooks, names: Mapping[str, str]) -> str | None:
    """Return the name of that repository; None unless it has pushed before."""
    return names.get(f"{one.host} {one.repository}")
