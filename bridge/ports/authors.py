"""Who wrote commits, and who pushed them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from bridge.core.people import Writer

AuthorsOf = Callable[[int], Awaitable[frozenset[tuple[str, Writer]]]]
"""Returns the authors and pushers of a delivery, by its seq, each with its Git host.

Returns nobody for a delivery that is not a push.
"""


@dataclass(frozen=True, slots=True)
class Authored:
    """Who wrote some commits.

    Attributes:
        writers: None if the host can't list all commits; `note` says why, for people.
        onward: the head is built on the base; else it may bring back what was taken away since.
    """

    writers: frozenset[Writer] | None
    note: str = ""
    onward: bool = True


@runtime_checkable
class TellsAccounts(Protocol):
    """A Git host that tells which account has a login; errors are those of `HostApi`.

    Attributes:
        hides_accounts: an account may be there though it tells of none.
    """

    hides_accounts: bool

    async def number_of(self, repository: str, login: str) -> str | None:
        """Return an account's number; None if no account has this login (any more).

        Asks with the credential of the repository.
        """


@runtime_checkable
class TellsAuthors(Protocol):
    """A Git host that tells who wrote commits; errors are those of `HostApi`."""

    async def authors(self, repository: str, base: str | None, head: str) -> Authored:
        """Return who wrote and committed what `head` contains and `base` does not, by account.

        Args:
            base: None for the head alone. If the host does not know it any more, not all can be
                listed.

        Raises NotFound: the host does not know the head (yet).
        """
