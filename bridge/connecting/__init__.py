"""Connect to other services: who we say we are, the proxy, whom we trust, how long we wait.

Libraries, and Git, read the environment differently: one knows no proxy, another no NO_PROXY, and
each has a variable of its own for certificates. So the environment is read here, once, and each
client is told. Every client is made here (tests/unit/test_architecture.py).
"""

from bridge import __version__

AGENT = f"dokploy-bridge/{__version__}"
"""Who we say we are, as `User-Agent`."""

CONNECT_SECONDS = 5.0
"""How long a connection may take, unless a client says otherwise."""

READ_SECONDS = 20.0
"""How long nothing may arrive, unless a client says otherwise."""

WHOLE_SECONDS = 15.0
"""How long a short request to a chat may take, with its whole answer."""


class CannotConnect(OSError):
    """A proxy or a file with certificates can't be used; nothing was sent. The message says why."""
