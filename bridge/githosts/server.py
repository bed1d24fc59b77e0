"""Bind a server's webhooks to its own repositories; reject what they say about others."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from urllib.parse import urlsplit

from bridge.core.errors import Rejected
from bridge.core.events import Repository
from bridge.core.refs import is_on_disk, normalise_url
from bridge.ports.providers import HostServer


class OwnRepositories:
    """Tells which repositories are one server's, and what is true of them.

    Whoever has a secret can sign anything: names and ids of another server's repositories, or any
    clone address. So the server must be the right one, and the addresses follow from the name.
    """

    def __init__(self, server: HostServer) -> None:
        self._server = server
        self._homes = _homes(server.addresses)
        self._own = lru_cache(1024)(self._as_here)

    def __call__(self, repository: Repository) -> Repository:
        """Return a repository as this server has it; raise Rejected if it is another server's.

        An address on a disk is at no server, so any may name it.
        """
        return self._own(repository)

    def _as_here(self, repository: Repository) -> Repository:
        server = self._server
        # A body made by hand may say nothing, or name a path on our own disk.
        says = repository.web_url or not all(map(is_on_disk, repository.urls))
        if says and not any(repository.is_at(address) for address in server.addresses):
            raise Rejected(self._elsewhere(repository))
        here = {f"{home}{repository.name.lower()}" for home in self._homes}
        return replace(
            repository,
            host=server.name,
            urls=frozenset(here | set(filter(is_on_disk, repository.urls))),
            web_url=f"{server.web_url.rstrip('/')}/{repository.name}",
        )

    def _elsewhere(self, repository: Repository) -> str:
        server = self._server
        says = repository.web_url or ", ".join(sorted(repository.urls)[:3])
        others = f", or add its server to `{server.provider.further}`"
        return (
            f"the repository {repository.name} is at {says[:200]}, which is not the configured"
            f" {server.provider.title} at {server.web_url}; if both are one server, set"
            f" {server.setting('web_url')}{others if server.provider.further else ''}; then replay"
        )


def _homes(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return the prefixes of a server's normalised clone addresses."""
    whole = map(normalise_url, addresses)
    return tuple(sorted({f"{prefix}/" for prefix in (*whole, *names_of(addresses))}))


def names_of(addresses: Iterable[str]) -> set[str]:
    """Return the names of a server's hosts, as in its clone addresses for SSH: without a port."""
    names = {urlsplit(address).hostname or "" for address in addresses}
    return {f"[{name}]" if ":" in name else name for name in names if name}


def homes_of(servers: Iterable[HostServer]) -> dict[str, str]:
    """Return servers by the beginnings of their normalised clone addresses; see `home_of`.

    A host's bare name counts only if it is that of one server: SSH addresses have no port.
    """
    servers = list(servers)
    whole = {normalise_url(url): server.name for server in servers for url in server.addresses}
    bare = defaultdict[str, set[str]](set)
    for server in servers:
        for name in names_of(server.addresses):
            bare[name].add(server.name)
    return {name: min(owners) for name, owners in bare.items() if len(owners) == 1} | whole
