"""The Git hosts: whose webhooks are taken, whose API is asked, and what is shown there."""

import logging
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bridge.app.parts import Places, revealed
from bridge.core.errors import Rejected
from bridge.core.events import PullRequestOpened, RefPushed
from bridge.githosts import APIS, HOSTS
from bridge.githosts.github.webhooks import GitHub
from bridge.githosts.gitlab.webhooks import GitLab
from bridge.githosts.publishers import Pace
from bridge.githosts.subscriptions import Plans, Use, shows_of
from bridge.pipeline.rate_limit import Turns
from bridge.ports.feedback import Limit
from bridge.ports.githosts import GitHost, HostApi
from bridge.settings import Settings

if TYPE_CHECKING:
    from bridge.ports.feedback import Shows

log = logging.getLogger(__name__)


WRITES_TO = {
    "github": (Limit(1, 1.0), Limit(80, 60.0), Limit(490, 3600.0)),
    "gitlab": (Limit(1, 1.0), Limit(60, 60.0)),
}
"""The limits of writes of one credential, by Git host; GitHub's own is 500 an hour."""

PASSING = 0.5
"""The share of these that states which will change again may use."""


def served_hosts(settings: Settings) -> dict[str, GitHost]:
    """The hosts that have a secret; the others are named in the log, with what would serve them.

    Raises:
        Rejected: a secret can't be one.
    """
    found = _with_secrets(settings)
    setting = {
        "github": "BRIDGE_GITHUB_WEBHOOK_SECRETS",
        "gitlab": "BRIDGE_GITLAB_WEBHOOK_TOKENS or BRIDGE_GITLAB_SIGNING_TOKENS",
    }
    level = logging.INFO if found else logging.WARNING
    for host in HOSTS:
        if host not in found:
            log.log(level, "%s is not served (404): set %s", host, setting[host])
    return found


def _with_secrets(settings: Settings) -> dict[str, GitHost]:
    found: dict[str, GitHost] = {}
    github, gitlab = settings.github, settings.gitlab
    try:
        if github.webhook_secrets:
            found["github"] = GitHub(revealed(github.webhook_secrets))
        if gitlab.webhook_tokens or gitlab.signing_tokens:
            found["gitlab"] = GitLab(
                revealed(gitlab.webhook_tokens), revealed(gitlab.signing_tokens)
            )
    except ValueError as error:
        raise Rejected(str(error)) from None
    return found


def known_hosts(settings: Settings) -> dict[str, GitHost]:
    """Every host, to read what other processes have kept; of one not set nobody has the secret."""
    nobodys = [token_hex(32)]
    every: dict[str, GitHost] = {"github": GitHub(nobodys), "gitlab": GitLab(nobodys, ())}
    return every | _with_secrets(settings)


def host_apis(settings: Settings) -> dict[str, HostApi]:
    """The API of each host for which a credential is set; nothing is asked of it yet.

    Raises:
        Rejected: a setting can't be used.
    """
    ours = {"web_url", "feedback", "skipped_status"}
    github = settings.github.model_dump(exclude=ours | {"webhook_secrets"})
    gitlab = settings.gitlab.model_dump(exclude=ours | {"webhook_tokens", "signing_tokens"})
    made = {"github": APIS["github"](**github), "gitlab": APIS["gitlab"](**gitlab)}
    return {host: api for host, api in made.items() if api is not None}


def homes_of(settings: Settings) -> dict[str, str]:
    """Where the Git hosts live, as clone addresses name it: for apps with custom Git sources."""
    named = {"github": web_of(settings.github.api_url), "gitlab": settings.gitlab.url}
    found = [*named.items(), *web_urls(settings).items()]
    return {urlsplit(url).netloc: host for host, url in found}


def web_urls(settings: Settings) -> dict[str, str]:
    """Return the web address of each Git host, as its webhooks give it."""
    github, gitlab = settings.github, settings.gitlab
    return {
        "github": github.web_url or web_of(github.api_url),
        "gitlab": gitlab.web_url or gitlab.url,
    }


def web_of(api_url: str) -> str:
    """Where people look at a GitHub whose API has that address."""
    parts = urlsplit(api_url)
    host = parts.netloc
    if host == "api.github.com" or host.endswith(".ghe.com"):
        host = host.removeprefix("api.")
    return f"{parts.scheme}://{host}"


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
                " nothing is shown there; if both are one server set BRIDGE_%s_WEB_URL",
                repository.host,
                repository.host.upper(),
                extra={"repository": repository.name, "says": says, "configured": web},
            )
        return False


def on_hosts(
    settings: Settings,
    apis: Mapping[str, HostApi],
    turns: Turns,
    instance: str,
    ours: Callable[[RefPushed | PullRequestOpened], bool],
) -> Places:
    """The places on the Git hosts for which a credential is set; `ours`: see `Ours`."""
    plans: list[Plans] = []
    shows: dict[str, Shows] = {}
    for host, api in apis.items():
        uses = frozenset(map(Use, getattr(settings, host).feedback))
        # Each installation of a GitHub App has limits of its own.
        apart = host == "github" and settings.github.app_id is not None
        skipped = getattr(settings, host).skipped_status
        plans.append(Plans(host, uses, apart=apart, ours=ours, skipped=skipped))
        shows |= shows_of(api, pace_of(turns, host), instance)
    return Places(tuple(plans), tuple(one.late for one in plans), shows)


def pace_of(turns: Turns, host: str) -> Pace:
    """Return the pace of writes to a Git host."""
    limits = WRITES_TO[host]
    return Pace(turns.within(limits), turns.within(limits, share=PASSING), turns.clock)
