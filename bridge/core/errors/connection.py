"""Explain why a connection failed, in words that somebody can act on. Pure.

Every client library wraps the system's error in its own classes, with messages that say little:
"All connection attempts failed". The cause is somewhere in the chain. It is identified by its class
name, so `core` imports neither sockets nor TLS.
"""

import errno
from collections.abc import Iterator

_MOST_CAUSES = 30

_WORDS: tuple[tuple[frozenset[str], str], ...] = (
    (
        frozenset({"SSLError", "SSLEOFError", "SSLZeroReturnError"}),
        "it does not speak TLS as expected: is https right in its address?",
    ),
    (
        frozenset({"ClientHttpProxyError", "ClientProxyConnectionError", "ProxyError"}),
        "the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY can't be reached, or can't reach it",
    ),
    (frozenset({"gaierror"}), "the host's name in its address can't be resolved (DNS)"),
    (
        frozenset({"ConnectionRefusedError"}),
        "nothing listens at its address (connection refused)",
    ),
    (
        frozenset({"ConnectTimeout", "ConnectTimeoutError", "ConnectionTimeoutError"}),
        "it did not take the connection in time",
    ),
    (frozenset({"TooManyRedirects"}), "it redirects in a circle"),
    (
        frozenset({"InvalidUrlRedirectClientError", "NonHttpUrlRedirectClientError"}),
        "it redirects to an address that can't be one",
    ),
    (frozenset({"PoolTimeout"}), "all connections to it were busy for too long"),
    (
        frozenset({"ReadTimeout", "ReadTimeoutError", "SocketTimeoutError", "WriteTimeout"}),
        "it did not answer in time",
    ),
    (
        frozenset(
            {
                "BrokenPipeError",
                "ClientPayloadError",
                "ConnectionResetError",
                "IncompleteRead",
                "ReadError",
                "RemoteDisconnected",
                "RemoteProtocolError",
                "ServerDisconnectedError",
                "WriteError",
            }
        ),
        "it closed the connection before its answer was complete",
    ),
)
"""Explanations by error names, the most specific first."""

_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL})


def why_not_connected(error: BaseException) -> str | None:
    """Return why a connection failed or broke; None if the chain of causes does not show it.

    The text completes "X can't be reached: …". It contains no address: chats and comments show it,
    and a backend's address is often private.
    """
    causes = list(_causes(error))
    for one in causes:
        if type(one).__name__ == "CannotConnect":
            return str(one)
        if type(one).__name__ == "SSLCertVerificationError":
            why = getattr(one, "verify_message", "")
            return f"its certificate is not trusted{why and f': {why}'}"
    if any(isinstance(one, OSError) and one.errno in _NO_ROUTE for one in causes):
        return "there is no route to its address from here"
    names = {type(one).__name__ for one in causes}
    return next((words for known, words in _WORDS if names & known), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, the outermost first."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MOST_CAUSES:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = [one.__cause__, one.__context__, *one.args, *getattr(one, "exceptions", ())]
        inner += [getattr(one, name, None) for name in ("os_error", "reason")]
        waiting += [other for other in inner if isinstance(other, BaseException)]
