"""Checks of a set-up: what `doctor` and the setup page say of each service."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Protocol

from bridge.core.apps import App


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but not as it should, or not for long."""
    ERROR = "error"
    """Something that the settings ask for does not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, without secrets.

    Attributes:
        check: its permanent name for scripts, e.g. "backend.key" or "host.hook.path".
        about: the service, repository, app or channel, e.g. "dokploy" or "github my-org/site".
        says: what was found, in a sentence.
        remedy: "" if nothing is to be done.
    """

    level: Level
    check: str
    about: str
    says: str
    remedy: str = ""

    @property
    def words(self) -> str:
        """Return what was found and what to do about it."""
        return "; ".join(filter(None, (self.says, self.remedy)))


@dataclass(frozen=True, slots=True)
class Checked:
    """What a provider's checks are given.

    Attributes:
        name: the server's name, e.g. "github" or "gitea/second"; a chat's key.
        settings: its section.
        public_url: the bridge's own address for others; None if it is not set.
        apps: of a backend: its apps, with our own rules applied.
        repositories: of a Git host: those that apps deploy from, e.g. "my-org/mono"; among them:
        awaited: those for whose checks (CI) an app waits.
        previewed: those whose pull requests have previews.
        pinned: those in which branches of pinned apps, or of previews of forks, are moved.
        backends: of a Git host: the addresses of the backends, whose own webhooks deploy as well.
        channels: of a chat: those that our rules name, besides those of its section.
    """

    name: str
    settings: Any
    public_url: str | None = None
    apps: Sequence[App] = field(default=())
    repositories: Sequence[str] = field(default=())
    awaited: Sequence[str] = field(default=())
    previewed: Sequence[str] = field(default=())
    pinned: Sequence[str] = field(default=())
    backends: Sequence[str] = field(default=())
    channels: Sequence[str] = field(default=())


class Checks(Protocol):
    """The checks of a provider, each independent of the others as far as possible."""

    def __call__(self, checked: Checked, /) -> AsyncIterator[Finding]:
        """Yield findings as they come.

        Raises BridgeError: the service can't be asked any further; the message says why.
        """


NAMES: Mapping[str, str] = {
    "settings": "the settings fit together",
    "settings.unmatched": "what the settings name is there",
    "bridge.running": "a bridge runs on these data",
    "bridge.settings": "a command has the settings of the running bridge",
    "bridge.data": "the data can be used",
    "bridge.disk": "there is room for the data",
    "bridge.filesystem": "the data are on a local disk",
    "bridge.postgres": "the database is reached",
    "bridge.postgres.version": "the database is new enough",
    "bridge.postgres.connections": "the database has connections left",
    "bridge.postgres.sessions": "no pooler shares the database's sessions",
    "bridge.connecting": "the proxy and the authorities in the environment can be used",
    "bridge.secret_key": "secrets can be stored sealed",
    "bridge.hosts": "any Git host is served",
    "bridge.url": "the public URL leads to this bridge",
    "bridge.url.unset": "the public URL is set",
    "bridge.url.http": "the public URL is encrypted",
    "bridge.url.reach": "the public URL can be reached",
    "bridge.url.tls": "the certificate of the public URL is trusted",
    "bridge.url.certificate": "the certificate of the public URL lasts",
    "bridge.url.redirect": "the public URL does not redirect",
    "bridge.url.gateway": "the proxy reaches the bridge",
    "bridge.url.other": "no other bridge answers at the public URL",
    "bridge.url.answer": "nothing else answers at the public URL",
    "bridge.url.body": "the proxy takes large webhooks",
    "app.auto_deploy": "the backend does not deploy an app's pushes, too",
    "app.source": "an app's Git host is served",
    "app.pin": "a pinned app is built from a branch of its own",
    "app.previews": "pull requests of an app can have the previews of its rule",
    "app.previews.forks": "no CI runs a fork's commit with a repository's secrets unasked",
    "app.previews.twice": "pull requests of an app have one preview, not two",
    "app.verify": "an app that is verified can be looked at",
    "app.rollback": "the backend keeps what may have to be rolled back by itself",
    "backend.reach": "the backend answers",
    "backend.server": "what answers is the backend",
    "backend.answer": "the backend answers what is asked",
    "backend.key": "the backend accepts the key",
    "backend.key.expiry": "the key lasts",
    "backend.rate_limit": "the key has no rate limit",
    "backend.role": "the key's role suffices",
    "backend.version": "the backend's version has all that is used",
    "backend.query": "the backend answers each query that is used",
    "backend.apps": "the key sees apps",
    "backend.ids": "no other backend has apps of the same ids",
    "backend.clock": "the backend's clock agrees with ours",
    "host.token": "the host accepts the credential",
    "host.token.expiry": "the credential lasts",
    "host.scopes": "the credential has the scopes that are used",
    "host.permissions": "the credential may write what is shown",
    "host.installation": "the host's App is installed for a repository",
    "host.repository": "a repository is there",
    "host.clock": "the host's clock agrees with ours",
    "host.hook": "a repository's pushes are sent here",
    "host.hook.missing": "a repository has a webhook to this bridge",
    "host.hook.elsewhere": "a repository's webhook leads to the public URL",
    "host.hook.unseen": "a repository's webhooks can be seen",
    "host.hook.path": "a webhook leads to the right path",
    "host.hook.http": "a webhook is encrypted",
    "host.hook.off": "a webhook is switched on",
    "host.hook.events": "a webhook sends all events that are used",
    "host.hook.content_type": "a webhook sends JSON",
    "host.hook.tls": "a webhook checks our certificate",
    "host.hook.secret": "a webhook has a secret",
    "host.hook.delivery": "a webhook's last delivery was accepted",
    "host.hook.twice": "a repository has one webhook to this bridge",
    "host.hook.backend": "no webhook leads to a backend",
    "host.checks.name": "the checks that rules name are there",
    "host.identity": "the accounts that `identities` names are there",
    "chat.token": "the chat accepts the credential",
    "chat.workspace": "the credential is of the right workspace",
    "chat.scopes": "the credential has the scopes that are used",
    "chat.channel": "a channel is there",
    "chat.member": "the bridge is in a channel",
    "chat.socket": "requests can arrive without a public URL",
    "chat.clock": "the chat's clock agrees with ours",
    "backend.settings": "the backend's settings can be used",
    "host.settings": "the host's settings can be used",
    "chat.settings": "the chat's settings can be used",
    "host.reach": "the host answers",
    "chat.reach": "the chat answers",
    "bridge.time": "the bridge's own checks end in time",
    "backend.time": "the backend answers everything in time",
    "host.time": "the host answers everything in time",
    "chat.time": "the chat answers everything in time",
    "console.reach": "a service to sign in with answers",
    "console.issuer": "what answers is the service to sign in with",
    "console.client": "a service to sign in with accepts the bridge's client id and secret",
    "console.callback": "the address that people come back to is known",
}
"""The permanent names of all checks, each with what is so if it is ok."""

ORDER = ("settings", "bridge", "app", "backend", "host", "chat", "console")
"""How findings are sorted: by the beginning of their check's name."""


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings by what they are about."""
    return sorted(findings, key=_place)


def summed(findings: Sequence[Finding]) -> str:
    """Return how many there are of each level, e.g. "1 error, 0 warnings, 12 ok"."""

    def count(level: Level) -> int:
        return sum(one.level is level for one in findings)

    def many(number: int, what: str) -> str:
        return f"{number} {what}" if number == 1 else f"{number} {what}s"

    wrong = f"{many(count(Level.ERROR), 'error')}, {many(count(Level.WARNING), 'warning')}"
    return f"{wrong}, {count(Level.OK)} ok"


def _place(one: Finding) -> tuple[int, str, str, str]:
    return ORDER.index(one.check.partition(".")[0]), one.about, one.check, one.says


# ── Findings that all services share ────────────────────────────────────────────────────────────

CLOCK_WARNING = 30.0
"""Seconds of a wrong clock from which on it is a warning."""

SOON = 14 * 86_400.0
"""Seconds before the end of a credential from which on it is a warning."""


def ahead_in(headers: Mapping[str, str], now: float) -> float | None:
    """Return the seconds by which a service's clock is ahead of ours; None if it does not say.

    Args:
        headers: of an answer that came just now, their names in lower case.
    """
    try:
        return parsedate_to_datetime(headers["date"]).timestamp() - now
    except (KeyError, ValueError):
        return None


def clock_finding(
    check: str, about: str, ahead: float | None, *, refused_at: float | None = None
) -> Iterator[Finding]:
    """Yield whether our clock agrees with a service's; nothing if its clock is not known.

    Args:
        ahead: seconds by which the service's clock is ahead of ours.
        refused_at: seconds from which on one of the two refuses the other's requests.
    """
    if ahead is None:
        return
    if abs(ahead) <= CLOCK_WARNING:
        yield Finding(Level.OK, check, about, "its clock and this machine's agree")
        return
    which = "behind" if ahead > 0 else "ahead of"
    says = f"this machine's clock is {abs(ahead):.0f} s {which} its clock"
    level = Level.WARNING
    if refused_at is not None and abs(ahead) >= refused_at:
        says += f": requests are refused from {refused_at:.0f} s on"
        level = Level.ERROR
    yield Finding(level, check, about, says, "set this machine's clock by NTP")


def expiry_finding(
    check: str, about: str, what: str, until: float, now: float, remedy: str
) -> Finding:
    """Return when a credential ends: soon is a warning, the past an error."""
    left = until - now
    days = f"{left / 86_400:.0f} days" if left >= 2 * 86_400 else f"{max(left, 0) / 3600:.0f} hours"
    if left <= 0:
        return Finding(Level.ERROR, check, about, f"{what} has expired", remedy)
    level = Level.WARNING if left < SOON else Level.OK
    says = f"{what} expires in {days}"
    return Finding(level, check, about, says, remedy if level is Level.WARNING else "")
