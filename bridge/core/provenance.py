"""Accept a repository's name and number only from the secret of its webhook, or from its Git host.

Whoever has a secret can sign any body. What counts is therefore what the secret speaks for, and
what the host itself says; both parts must be of one repository, since some apps are found by its
name and others by its number.
"""

from dataclasses import replace

from bridge.core.errors import Rejected
from bridge.core.events import Repository
from bridge.core.hooks import Scope, ScopeKind
from bridge.core.refs import is_on_disk


def spoken_for(scope: Scope, repository: Repository) -> Repository | None:
    """Return a repository if its secret alone vouches for it; None: its host has to.

    Raises:
        Rejected: it speaks for no such repository.
    """
    if not scope.covers(repository):
        raise Rejected(_not_covered(scope, repository))
    if scope.kind is ScopeKind.REPOSITORY and scope.id and scope.names(repository):
        return _at_host(repository)
    return None


def confirmed(scope: Scope, repository: Repository, told: Repository | None) -> Repository:
    """Return a repository as far as its secret and its host vouch for it.

    Args:
        told: what the host has by that name; None if it can't be asked or shows nothing. Then only
            the name is known, and stands for the number.

    Raises:
        Rejected: the secret does not speak for it, or the host contradicts its number.
    """
    if told is None:
        if not scope.names(repository):
            raise Rejected(_renamed(scope, repository))
        return _at_host(replace(repository, id=repository.name.lower(), owner_id=""))
    if told.id != repository.id:
        raise Rejected(
            f"it calls {repository.name} number {repository.id}, and at {repository.host} that is"
            f" number {told.id}: nothing is deployed for it"
        )
    if not scope.covers(told):
        raise Rejected(_not_covered(scope, repository))
    return _at_host(repository)


def _at_host(repository: Repository) -> Repository:
    """Return a repository without paths on our own disk, for which no such secret speaks."""
    urls = frozenset(url for url in repository.urls if not is_on_disk(url))
    return replace(repository, urls=urls)


def _not_covered(scope: Scope, repository: Repository) -> str:
    return (
        f"it is signed with the secret of {scope}, which speaks for no other repository, and"
        f" it names {repository.name}: give that repository a webhook with a secret of its own"
        " (`dokploy-bridge hooks install`)"
    )


def _renamed(scope: Scope, repository: Repository) -> str:
    return (
        f"it is signed with the secret of {scope}, and it names {repository.name}; whether that is"
        f" its new name, {repository.host} does not say: let the bridge's credential there see it,"
        " or create its webhook again (`dokploy-bridge hooks install`), then replay"
    )
