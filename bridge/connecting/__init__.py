"""Connect to other services: who we say we are, the proxy, whom we trust, how long we wait.

Libraries, and Git, read the environment differently: one knows no proxy, another no NO_PROXY, and
each has a variable of its own for certificates. So the environment is read here, once, and each
client is told. Every client is made here (tests/unit/test_architecture.py).
"""

from bridge import __version__

AGENT = f"dokploy-bridge/{__version__}"
"""The `User-Agent` of every request."""

CONNECT_SECONDS = 5.0
"""Seconds until a connection is given up, unless a client sets its own."""

READ_SECONDS = 20.0
"""Seconds without a byte until an answer is given up, unless a client sets its own."""

WHOLE_SECONDS = 15.0
"""Seconds for a short request to a chat, with its whole answer."""


class CannotConnect(OSError):
    """A proxy or a file with certificates can't be used; nothing was sent. The message says why."""
