"""Services that people sign in to the console with, and how grants name their people."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bridge.core.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.core.access import Access, Person


TokenAuth = Literal["basic", "post"]
"""How a client sends its secret: in a header (`client_secret_basic`), or in the form."""


class ClientRefused(Refused):
    """A service does not accept the bridge's client id and secret, or not as they were sent."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What ties a way out to the way back; all but the address are random and used once.

    Attributes:
        back: the bridge's address that the service sends the browser to.
        verifier: of PKCE (RFC 7636); the service gets its hash first, and later itself.
        nonce: returned in an ID token (OpenID Connect Core 1.0).
    """

    back: str
    state: str
    verifier: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What the browser brings back, besides the state; `issuer`: who sent it (RFC 9207), or ""."""

    code: str
    issuer: str = ""


class SignsIn(Protocol):
    """A service that tells who somebody is."""

    @property
    def title(self) -> str:
        """Return its name for people, e.g. "GitHub"."""

    async def address(self, challenge: Challenge) -> str:
        """Return where the browser signs in.

        Raises:
            Refused: the service does not describe itself as expected.
            Unreachable: it does not answer.
        """

    async def person(self, challenge: Challenge, returned: Returned) -> "Person":
        """Exchange the code that came back for who signed in.

        Raises:
            Rejected: the code is not valid, or the person may not sign in.
            Refused: the service does not accept the bridge, or its answer can't be trusted.
            Unreachable: it does not answer.
        """

    async def check(self) -> None:
        """Ask whether the service is there, is the one that is meant, and accepts the bridge.

        Raises:
            ClientRefused: it does not accept the client id and secret.
            Refused: it is another.
            Unreachable: it does not answer.
        """


@dataclass(frozen=True, slots=True)
class Naming:
    """A form in which `who` of a grant names a service's people.

    Attributes:
        form: a regular expression for the whole name.
        says: what it names, with an example.
        folds: upper and lower case are the same there.
        group: it names several people.
    """

    form: str
    says: str
    folds: bool = False
    group: bool = False

    def fits(self, name: str) -> bool:
        return re.fullmatch(self.form, name) is not None

    def normal(self, name: str) -> str:
        """Return a name in the only form that is compared."""
        return name.lower() if self.folds else name


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInProvider:
    """What a service's record says of people who sign in there.

    Attributes:
        names: how grants name its people and their groups; they need no sign-in to be set up.
        open: returns the way to sign in, given the service's section and all grants; None if it
            is not set up. Sends nothing yet.
    """

    names: tuple[Naming, ...]
    open: "Callable[[Any, Access], SignsIn | None]"
