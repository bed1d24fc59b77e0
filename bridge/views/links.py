"""Links of a deployment: its repository, its site, its backend, its pull requests. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from bridge.core.apps import App
from bridge.core.events import Repository, kind_of
from bridge.core.gates.locks import Lock
from bridge.core.health.fate import Fate
from bridge.core.holds import proposal_in
from bridge.core.lifecycle import Deployment
from bridge.core.refs import Pages, normalise_url
from bridge.views.values import Link, Text

APP_NAME = 200
LONGEST_ADDRESS = 400
MOST_PULLS = 3
"""The most pull requests to link to; a commit seldom belongs to more than one."""

_SHA = re.compile(r"[0-9a-f]{7,64}").fullmatch
_ADDRESS = re.compile(r"https?://[^\s<>|]+").fullmatch


@dataclass(frozen=True, slots=True)
class ConsolePages:
    """The console's pages, as others reach them.

    Attributes:
        address: the bridge's public address; "" if it has none, or serves no console.
    """

    address: str = ""

    def deployment(self, id_: str) -> str | None:
        """Return a deployment's page; None if there is none."""
        return self._page(f"deployments/{quote(id_, safe='')}")

    @property
    def home(self) -> str | None:
        """The first page; None if there is none."""
        return self._page("")

    def delivery(self, seq: int) -> str | None:
        """Return a delivery's page; None if there is none."""
        return self._page(f"deliveries/{seq}")

    def previews(self, app: str = "") -> str | None:
        """Return the page of an app's previews, or of all; None if there is none."""
        return self._page(f"previews?app={quote(app, safe='')}" if app else "previews")

    def _page(self, path: str) -> str | None:
        return f"{self.address.rstrip('/')}/console/{path}".rstrip("/") if self.address else None


NO_CONSOLE = ConsolePages()


@dataclass(frozen=True, slots=True)
class Links:
    """The web pages of repositories; a link is never taken from a payload.

    Attributes:
        hosts: the web address of each server of a Git host, by its name, and its pages of
            repositories.
        backends: each backend's title, by its name.
        console: the console's pages.
    """

    hosts: Mapping[str, tuple[str, Pages]] = field(default_factory=dict)
    backends: Mapping[str, str] = field(default_factory=dict)
    console: ConsolePages = NO_CONSOLE

    def commit(self, app: App | None, sha: str | None) -> str | None:
        """Return the page of a commit of an app's repository; None if it is not known for sure."""
        home = self._repository(app)
        if home is None or sha is None or not _SHA(sha):
            return None
        page, pages = home
        return page + pages.commit.format(sha=sha) if len(page) < LONGEST_ADDRESS else None

    def compare(self, app: App | None, old: str | None, new: str | None) -> str | None:
        """Return the page that compares two commits; None if it is unknown, or empty."""
        home = self._repository(app)
        if home is None or old is None or new is None or not (_SHA(old) and _SHA(new)):
            return None
        page, pages = home
        return None if same_commit(old, new) else page + pages.compare.format(old=old, new=new)

    def pull_request(self, app: App | None, number: int) -> tuple[str, str] | None:
        """Return the page of a pull request, and the sign before its number."""
        home = self._repository(app)
        if home is None:
            return None
        page, pages = home
        return page + pages.pull_request.format(number=number), pages.sign

    def environment(self, app: App | None, name: str) -> str | None:
        """Return the page of an environment's deployments; None if it is not known for sure."""
        home = self._repository(app)
        if home is None:
            return None
        page, pages = home
        return page + pages.environment.format(name=quote(name, safe=""))

    def repository_at(self, repository: Repository) -> str | None:
        """Return the page of a repository at its host; None if it is not known for sure."""
        if repository.host not in self.hosts:
            return None
        page = f"{self.hosts[repository.host][0].rstrip('/')}/{quote(repository.name)}"
        return page if len(page) < LONGEST_ADDRESS else None

    def pull_at(self, repository: Repository, number: int) -> tuple[str | None, str]:
        """Return the page of a pull request of a repository, and the sign before its number."""
        page = self.repository_at(repository)
        if page is None:
            return None, Pages().sign
        pages = self.hosts[repository.host][1]
        return page + pages.pull_request.format(number=number), pages.sign

    def _repository(self, app: App | None) -> tuple[str, Pages] | None:
        source = app.source if app else None
        if source is None:
            return None
        if source.url is not None:
            return self._by_address(source.url)
        homes = [home for name, home in self.hosts.items() if kind_of(name) == source.type.value]
        if len(homes) != 1 or not source.repository:
            return None  # of several servers, only its address would tell which one it is
        url, pages = homes[0]
        return f"{url.rstrip('/')}/{quote(source.repository)}", pages

    def _by_address(self, address: str) -> tuple[str, Pages] | None:
        for url, pages in self.hosts.values():
            if address.startswith(prefix := normalise_url(url) + "/"):
                return f"{url.rstrip('/')}/{quote(address.removeprefix(prefix))}", pages
        return None


NO_LINKS = Links()


@dataclass(frozen=True, slots=True)
class Around:
    """Facts that a deployment's own record lacks.

    Attributes:
        pulls: the numbers of the pull requests that show it.
        before: the app's previously live commit.
        last_good: a rollback of the app would lead to it.
        fate: what has become of it; None unless it went live.
        left: of a rollback the version that it led away from; "" if that is not known.
        lock: the lock that a rollback has left, which holds what comes next.
        overtaken: another version is checked out by now.
    """

    pulls: tuple[int, ...] = ()
    before: str | None = None
    last_good: bool = False
    fate: Fate | None = None
    left: str = ""
    lock: Lock | None = None
    overtaken: bool = False


NOTHING_KNOWN = Around()


def places_of(
    deployment: Deployment, app: App | None, links: Links, around: Around
) -> tuple[Link, ...]:
    """Return all known links."""
    if app is None:
        return ()
    changed = links.compare(app, *_range_of(deployment, around))
    pulls = ((number, links.pull_request(app, number)) for number in around.pulls[:MOST_PULLS])
    found = (
        (app.url if deployment.served else None, "Site"),
        (
            _page_of(app) if deployment.asked_at is not None else None,
            links.backends.get(app.backend, app.backend),
        ),
        *((found[0], f"{found[1]}{number}") for number, found in pulls if found),
        (changed, "What changed"),
        (links.console.deployment(deployment.id), "Details"),
    )
    return tuple(
        Link(Text(label, APP_NAME), url) for url, label in found if url and _may_be_linked(url)
    )


def _range_of(deployment: Deployment, around: Around) -> tuple[str | None, str | None]:
    """Return the commits between which it changes something: of what waits, from what is live."""
    proposal = proposal_in(deployment.holds)
    if proposal is not None:
        return proposal.live, proposal.commit
    return around.before, deployment.deployed_commit or deployment.commit


def address_of(url: str | None) -> Link | None:
    """Return the link to an address of an app, without its scheme; None if it is no address."""
    if url is None or not _may_be_linked(url):
        return None
    return Link(Text(url.partition("://")[2].rstrip("/"), APP_NAME), url)


def same_commit(one: str, other: str) -> bool:
    """Return whether two ids, possibly shortened, mean the same commit."""
    return one.startswith(other) or other.startswith(one)


def _page_of(app: App) -> str | None:
    """Return the page of an app's deployments in the backend, else the app's page."""
    page = app.page
    return f"{page}?tab=deployments" if page and "/services/" in page and "?" not in page else page


def _may_be_linked(url: str) -> bool:
    return len(url) <= LONGEST_ADDRESS and _ADDRESS(url) is not None
