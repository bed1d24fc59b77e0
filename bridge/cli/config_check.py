"""The machine form of `config check`, and its lines for people."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bridge.app.doctor.collect import examine_services, has_api
from bridge.app.doctor.settings import Remark, remarks
from bridge.app.providers import places_of
from bridge.backends import EMBEDDED
from bridge.cli.context import run
from bridge.cli.serve import hosts_of
from bridge.core.errors import Rejected
from bridge.ports.checks import Finding, Level
from bridge.settings import Settings


def checked(read: Callable[[], Settings]) -> dict[str, Any]:
    """Return the machine form of a check.

    Args:
        read: returns the settings; raises Rejected if they are unreadable.
    """
    try:
        settings = read()
    except Rejected as error:
        return _form([Remark("error", str(error))], [], None)
    backend = ", ".join(places_of(settings)) or EMBEDDED
    return _form(list(remarks(settings)), hosts_of(settings), backend)


def _form(those: Sequence[Remark], hosts: list[str], backend: str | None) -> dict[str, Any]:
    return {
        "ok": all(one.level != "error" for one in those),
        "remarks": [{"level": one.level, "message": one.message} for one in those],
        "hosts": hosts,
        "backend": backend,
    }


# ── `--online`: what `doctor` finds at the services ─────────────────────────────────────────────


def online(settings: Settings) -> dict[str, Any]:
    """Return the machine form of what is found at all services, whole and by their kind."""
    tried, found = run(examine_services(settings))
    servers = settings.host_servers()
    asked = {name for name, one in servers.items() if has_api(one)}
    return {
        "online": [asdict(one) for one in tried],
        "online_hosts": [
            {"host": host, "url": servers[host].web_url, **_state(those)}
            for (host, place), those in _by_place(found, "host")
            if not place and host in asked
        ],
        "channels": [
            {"chat": chat, "channel": channel, **_state(those)}
            for (chat, channel), those in _by_place(found, "chat")
            if channel
        ],
        "webhooks": [
            {"host": host, "repository": place, **_state(those)}
            for (host, place), those in _by_place(found, "host")
            if place
        ],
        "findings": [asdict(one) for one in found],
    }


def _by_place(
    found: Iterable[Finding], kind: str
) -> Iterator[tuple[tuple[str, str], list[Finding]]]:
    """Yield the findings of each service of a kind, and of each place in it, e.g. a repository."""
    places: dict[tuple[str, str], list[Finding]] = {}
    for one in found:
        if one.check.startswith(f"{kind}."):
            service, _, place = one.about.partition(" ")
            places.setdefault((service, place), []).append(one)
    yield from places.items()


STATES: Mapping[str, str] = {
    "reach": "away",
    "time": "away",
    "unseen": "unseen",
    "missing": "unseen",
    "elsewhere": "unseen",
    "token": "refused",
    "repository": "refused",
    "channel": "refused",
    "member": "refused",
}
"""The state of a place by the last word of a check; other errors are "trouble"."""


def _state(found: Sequence[Finding]) -> dict[str, str]:
    """Return the state of a place, and what is wrong with it."""
    wrong = [one for one in found if one.level is not Level.OK]
    states = [STATES.get(one.check.rpartition(".")[2], _other(one)) for one in wrong]
    state = next((one for one in states if one != "ok"), "ok")
    return {"state": state, "why": "; ".join(one.words for one in wrong)}


def _other(finding: Finding) -> str:
    return "trouble" if finding.level is Level.ERROR else "ok"
