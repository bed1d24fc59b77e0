"""The Git hosts: whose webhooks are taken, whose API is asked, and what is shown there."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.app.parts import Publishers
from bridge.core.errors import Rejected
from bridge.core.events import PullRequestOpened, RefPushed
from bridge.githosts import HOSTS
from bridge.githosts.publishers import WriteTurns
from bridge.githosts.subscriptions import Plans, Use, shows_of
from bridge.pipeline.rate_limit import RateLimiter
from bridge.ports.githosts import GitHost, HostApi, Pages
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.ports.feedback import Publisher

log = logging.getLogger(__name__)


PASSING = 0.5
"""The share of its limits that states which will change again may use."""


def served_hosts(settings: Settings) -> dict[str, GitHost]:
    """Return the hosts that have a secret; log of the others what would serve them.

    Raises:
        Rejected: a secret can't be one.
    """
    found = _with_secrets(settings)
    level = logging.INFO if found else logging.WARNING
    for host, provider in HOSTS.items():
        if host not in found:
            secrets = " or ".join(provider.variable(one.setting) for one in provider.secrets)
            log.log(level, "%s is not served (404): set %s", host, secrets)
    return found


def _with_secrets(settings: Settings) -> dict[str, GitHost]:
    try:
        return {
            host: provider.webhooks(given)
            for host, provider in HOSTS.items()
            if provider.serves(given := settings.host_settings(host))
        }
    except ValueError as error:
        raise Rejected(str(error)) from None


def known_hosts(settings: Settings) -> dict[str, GitHost]:
    """Return every host, to read what other processes have kept."""
    return {host: one.reader() for host, one in HOSTS.items()} | _with_secrets(settings)


def host_apis(settings: Settings) -> dict[str, HostApi]:
    """Return the API of each host for which a credential is set; nothing is asked of it yet.

    Raises:
        Rejected: a setting can't be used.
    """
    made = {host: one.api(settings.host_settings(host)) for host, one in HOSTS.items()}
    return {host: api for host, api in made.items() if api is not None}


def homes_of(settings: Settings) -> dict[str, str]:
    """Return where the Git hosts live, as clone addresses name it: for custom Git sources."""
    return {
        urlsplit(url).netloc: host
        for host, one in HOSTS.items()
        for given in (settings.host_settings(host),)
        for url in (*one.homes(given), one.web_url(given))
    }


def web_urls(settings: Settings) -> dict[str, str]:
    """Return the web address of each Git host, as its webhooks give it."""
    return {host: one.web_url(settings.host_settings(host)) for host, one in HOSTS.items()}


def pages_of(settings: Settings) -> dict[str, tuple[str, Pages]]:
    """Return the web address of each Git host, and where it has the pages of a repository."""
    return {host: (url, HOSTS[host].pages) for host, url in web_urls(settings).items()}


class Ours:
    """Tells repositories of the configured hosts from those of others.

    Another server can have a repository of the same name, or of the same number: neither is
    asked about it, nor written to. A push that was found there is surely theirs.
    """

    def __init__(self, settings: Settings) -> None:
        self._web = web_urls(settings)
        self._told: set[str] = set()

    def __call__(self, event: RefPushed | PullRequestOpened) -> bool:
        """Return whether an event is of the host that is configured."""
        repository = event.repository
        if isinstance(event, RefPushed) and event.found:
            return True
        if repository.is_at(web := self._web[repository.host]):
            return True
        if repository.host not in self._told:
            self._told.add(repository.host)
            says = repository.web_url or ", ".join(sorted(repository.urls)[:3]) or "nothing"
            log.warning(
                "a webhook's repository is not at the configured %s: its API is not asked and"
                " nothing is shown there; if both are one server set %s",
                repository.host,
                HOSTS[repository.host].variable("web_url"),
                extra={"repository": repository.name, "says": says, "configured": web},
            )
        return False


def on_hosts(
    settings: Settings,
    apis: Mapping[str, HostApi],
    rate_limiter: RateLimiter,
    instance: str,
    ours: Callable[[RefPushed | PullRequestOpened], bool],
) -> Publishers:
    """Return the places on the Git hosts for which a credential is set; `ours`: see `Ours`."""
    plans: list[Plans] = []
    publishers: dict[str, Publisher] = {}
    for host, api in apis.items():
        given = settings.host_settings(host)
        plan = Plans(
            host,
            frozenset(map(Use, given.feedback)),
            key=api.key,
            apart=HOSTS[host].own_limits(given),
            ours=ours,
            skipped=given.skipped_status,
        )
        plans.append(plan)
        publishers |= shows_of(api, pace_of(rate_limiter, host), instance)
    return Publishers(tuple(plans), tuple(one.late for one in plans), publishers)


def pace_of(rate_limiter: RateLimiter, host: str) -> WriteTurns:
    """Return the pace of writes to a Git host."""
    limits = HOSTS[host].limits
    return WriteTurns(
        rate_limiter.within(limits), rate_limiter.within(limits, share=PASSING), rate_limiter.clock
    )
