"""Errors by what to do next.

    BridgeError
    ├── Rejected          the caller is wrong; never retry
    │   ├── BadSignature      not authentic                          → 401
    │   │   └── UnknownSecret     well-formed, by a secret that is none of ours
    │   ├── MalformedPayload  authentic, but not what the host sends → delivery failed
    │   ├── Unfit             a field's value is impossible          → beside the field
    │   └── NotFound          no such app, delivery, …               → 404
    │       ├── Ambiguous         several by that name: say which
    │       └── NotServed         a Git host without a secret
    ├── Refused           the other side said no: show its words
    ├── Unreachable       the request never arrived: retry
    │   ├── TooEarly          its subject does not exist yet: nothing is wrong
    │   ├── KeyRefused        our key is not accepted: a person has to replace it
    │   └── WrongServer       another kind of server answered
    ├── Unanswered        it may have arrived: find out before retrying
    └── Unread            our own reader process died: try a few times, then park it

Each message names the rule, the value received and the remedy, and never contains
secrets, SQL, tracebacks or bodies.
"""


class BridgeError(Exception):
    """Base of every error that this project raises on purpose."""


class Rejected(BridgeError):
    """The caller's input can't be used; sending it again changes nothing.

    Attributes:
        says: what is wrong; remedy: what to do about it. The message is both.
    """

    def __init__(self, says: str = "", remedy: str = "") -> None:
        super().__init__(f"{says}; {remedy}" if remedy else says)
        self.says = says
        self.remedy = remedy


class BadSignature(Rejected):
    """The request is not authentic."""


class UnknownSecret(BadSignature):
    """The request has the right form, and no secret that we know has signed it."""


class MalformedPayload(Rejected):
    """The sender is authentic, but the body has the wrong form."""


class Unfit(Rejected):
    """A field's requested value is impossible.

    Attributes:
        field: its name, e.g. "branch".
    """

    def __init__(self, field: str, words: str) -> None:
        super().__init__(words)
        self.field = field


class NotFound(Rejected):
    """There is nothing by that name; the message lists what exists."""


class NotServed(NotFound):
    """There is no secret for a Git host's webhooks."""


class Ambiguous(NotFound):
    """There are several by that name; the message lists them and says how to name one."""


class Refused(BridgeError):
    """The other side understood and said no.

    Attributes:
        service: the name of the other side, e.g. "dokploy".
        status: its HTTP status, e.g. 404; None if there was none.
    """

    def __init__(self, service: str, words: str, *, status: int | None = None) -> None:
        super().__init__(f"{service}: {words}")
        self.service = service
        self.words = words
        self.status = status


class Unreachable(BridgeError):
    """The request never arrived, so nothing has happened; a retry is safe.

    Attributes:
        retry_after: seconds that the other side told us to wait, if any.
    """

    def __init__(self, service: str, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{service} can't be reached: {why}")
        self.service = service
        self.retry_after = retry_after


class TooEarly(Unreachable):
    """Nothing is wrong, but it is too early.

    The other side does not know the subject yet, as just after a push; or we have reached its
    rate limit.
    """

    def __init__(self, service: str, why: str, *, retry_after: float | None = None) -> None:
        super().__init__(service, why, retry_after=retry_after)
        self.args = (f"{service}: {why}",)


class KeyRefused(Unreachable):
    """The other side does not accept our key, so nothing has happened; a retry is safe.

    It affects every request until a person sets another key; waiting work keeps waiting.
    """

    def __init__(self, service: str, why: str) -> None:
        super().__init__(service, why)
        self.args = (f"{service} refuses the API key: {why}",)


class WrongServer(Unreachable):
    """A proxy or another server answered in its place: nothing was done."""


class Unanswered(BridgeError):
    """The request may have arrived: find out before retrying.

    Attributes:
        why: the message without the service.
    """

    def __init__(self, service: str, why: str) -> None:
        super().__init__(f"{service} did not answer as expected: {why}")
        self.service = service
        self.why = why


class Unread(BridgeError):
    """The process that reads a large body died before it was done."""
