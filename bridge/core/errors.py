"""Errors by what to do next.

    BridgeError
    ├── Rejected          the caller is wrong; never retry
    │   ├── BadSignature      not authentic                          → 401
    │   ├── MalformedPayload  authentic, but not what the host sends → delivery failed
    │   ├── Unfit             a field can't be what was asked        → beside the field
    │   └── NotFound          no such app, delivery, …               → 404
    │       └── Ambiguous         several by that name: say which
    ├── Refused           the other side said no: show its words
    ├── Unreachable       the request never arrived: retry
    │   ├── TooEarly          what it is about is not there yet: nothing is wrong
    │   ├── KeyRefused        our key is not accepted: a person has to mend it
    │   └── WrongServer       something else answered in its place
    ├── Unanswered        it may have arrived: find out before asking again
    └── Unread            our own reader ended: try it a few times, then park it

Each message names the rule, the value received and the remedy, and never holds
secrets, SQL, tracebacks or bodies.
"""


class BridgeError(Exception):
    """Base of every error that this project raises on purpose."""


class Rejected(BridgeError):
    """What the caller sent can't be used; sending it again changes nothing."""


class BadSignature(Rejected):
    """The request is not from whom it says it is from."""


class MalformedPayload(Rejected):
    """The sender is authentic, but the body does not have the form it should have."""


class Unfit(Rejected):
    """A field can't be what was asked.

    Attributes:
        field: its name, e.g. "branch".
    """

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


class NotFound(Rejected):
    """There is nothing by that name; the message says what there is."""


class Ambiguous(NotFound):
    """There are several by that name; the message lists them and says how to tell them apart."""


class Refused(BridgeError):
    """The other side understood and said no.

    Attributes:
        service: who said it, e.g. "dokploy".
        status: its HTTP status, e.g. 404; None if there was none.
    """

    def __init__(self, service: str, words: str, *, status: int | None = None) -> None:
        super().__init__(f"{service}: {words}")
        self.service = service
        self.words = words
        self.status = status


class Unreachable(BridgeError):
    """The request never arrived, so nothing has happened; asking again is safe.

    Attributes:
        retry_after: seconds that the other side asked us to wait, if it did.
    """

    def __init__(self, service: str, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{service} can't be reached: {why}")
        self.service = service
        self.retry_after = retry_after


class TooEarly(Unreachable):
    """Nothing is wrong, it is only not the time yet.

    The other side does not know yet what it is asked about, as just after a push; or we have
    written as often as it allows.
    """

    def __init__(self, service: str, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(service, why, retry_after=retry_after)
        self.args = (f"{service}: {why}",)


class KeyRefused(Unreachable):
    """The other side does not accept our key, so nothing has happened; asking again is safe.

    It holds for whatever is asked, until a person sets another key: what waits goes on waiting.
    """

    def __init__(self, service: str, why: str) -> None:
        super().__init__(service, why)
        self.args = (f"{service} refuses the API key: {why}",)


class WrongServer(Unreachable):
    """A proxy or another server answered in its place: nothing was done."""


class Unanswered(BridgeError):
    """The request may have arrived: find out before asking again.

    Attributes:
        why: the message without the service.
    """

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"{service} did not answer as expected: {why}")
        self.service = service
        self.why = why


class Unread(BridgeError):
    """The process that reads a large body ended before it had read it."""
