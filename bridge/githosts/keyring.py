"""Verify a server's webhooks with several secrets, each with the repositories it speaks for."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.core.errors import BadSignature, NotServed, UnknownSecret
from bridge.core.events import Event
from bridge.core.hooks import SignedBy
from bridge.ports.githosts import Binds, Body, Envelope, GitHost


@dataclass(frozen=True, slots=True)
class Key:
    """A secret.

    Attributes:
        host: verifies webhooks signed with it.
        signed_by: None if it speaks for every repository.
        hint: what its webhooks say of themselves, unverified, e.g. the webhook's id; "" if they say
            nothing. A key with a hint is only tried for webhooks that have the same hint, or none.
    """

    host: GitHost
    signed_by: SignedBy | None = None
    hint: str = ""


class Keyring:
    """A `GitHost` with any number of secrets, some of which speak only for some repositories.

    Without a hint every secret would be tried, each with a pass over the body.
    """

    def __init__(
        self, name: str, parser: GitHost, given: Sequence[Key], hint_in: Callable[..., str]
    ) -> None:
        """Take the parts.

        Args:
            parser: interprets what was accepted.
            given: the secrets in the settings; `made` replaces all others.
            hint_in: returns the hint in a webhook's headers.
        """
        self.name = name
        self._parser = parser
        self._given = tuple(given)
        self._hint_in = hint_in
        self._every = self._given
        self._always: tuple[Key, ...] = ()
        self._by_hint: Mapping[str, Sequence[Key]] = {}
        self.made(())

    @property
    def serves(self) -> bool:
        """Return whether it has a secret."""
        return bool(self._every)

    def made(self, keys: Iterable[Key]) -> None:
        """Replace the secrets that are not in the settings."""
        self._every = (*self._given, *keys)
        by_hint = defaultdict[str, list[Key]](list)
        for one in self._every:
            by_hint[one.hint].append(one)
        self._always = tuple(by_hint.pop("", ()))
        self._by_hint = by_hint

    def open(self, headers: Mapping[str, str], now: float) -> Envelope:
        """Read the headers with each secret that may have signed the webhook."""
        if not self._every:
            raise NotServed(f"{self.name} is not served here: no secret is set for it")
        hint = self._hint_in(headers)
        known = self._by_hint.get(hint, ())
        opened: list[tuple[Key, Envelope]] = []
        error: BadSignature | None = None
        for key in (*known, *self._always) if hint else self._every:
            try:
                opened.append((key, key.host.open(headers, now)))
            except BadSignature as failed:
                error = error or failed
        if opened:
            return replace(opened[0][1], keys=tuple(opened))
        if hint and not known:
            raise UnknownSecret(str(error) if error else f"no secret of {self.name} has signed it")
        raise error or UnknownSecret(f"no secret of {self.name} has signed it")

    def fetched(self, headers: Mapping[str, str]) -> Envelope:
        """See `GitHost.fetched`."""
        return self._parser.fetched(headers)

    def verify(self, envelope: Envelope, body: Body) -> SignedBy | None:
        """See `GitHost.verify`; return the first secret that fits."""
        error: BadSignature | None = None
        for key, opened in envelope.keys:
            try:
                key.host.verify(opened, body)
            except BadSignature as failed:
                error = error or failed
            else:
                signed_by: SignedBy | None = key.signed_by
                return signed_by
        raise error or UnknownSecret(f"no secret of {self.name} has signed it")

    def parse(self, event: str, headers: Mapping[str, str], body: Body) -> Event:
        """See `GitHost.parse`."""
        return self._parser.parse(event, headers, body)

    def bind(self, event: Event) -> Event:
        """See `Binds`."""
        return self._parser.bind(event) if isinstance(self._parser, Binds) else event
