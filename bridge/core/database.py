"""The parameters of all our Postgres connections. Pure."""

from typing import Any

SCHEMES = ("postgres://", "postgresql://")
"""The schemes of a `DATABASE_URL`."""

LOST_AFTER = 10
"""Seconds without an answer after which a connection counts as lost."""

_SETTINGS = {
    # The locks of a process that was paused in a transaction must not block the others.
    "idle_in_transaction_session_timeout": "10s",
    # A machine that vanishes closes no connection: its session's locks expire after five seconds.
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
}

SESSION = "SELECT " + ", ".join(f"set_config('{n}', '{v}', false)" for n, v in _SETTINGS.items())
"""The first query of each connection that is kept open, outside a transaction.

Poolers refuse these settings as parameters of the connection.
"""


def connect_arguments(part: str) -> dict[str, Any]:
    """Return the arguments of `psycopg.connect` besides the URL.

    Args:
        part: the part of the bridge that connects, for `pg_stat_activity`.
    """
    return {
        "application_name": f"dokploy-bridge {part}",
        "connect_timeout": 5,
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": LOST_AFTER * 1000,
    }
