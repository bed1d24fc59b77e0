"""How a Postgres is reached: what every connection of ours asks for. Pure."""

from typing import Any

SCHEMES = ("postgres://", "postgresql://")
"""What a `DATABASE_URL` begins with."""

LOST_AFTER = 10
"""Seconds until a connection whose other end answers nothing we sent counts as lost."""

_SESSION = {
    # A process that was stopped in the middle must not hold up the others with its locks.
    "idle_in_transaction_session_timeout": "10s",
    # A machine that vanished says no goodbye: its session's locks go after five seconds.
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
}


def connect_arguments(part: str) -> dict[str, Any]:
    """Return what goes with the url into `psycopg.connect`.

    Args:
        part: which part of the bridge connects, for `pg_stat_activity`.
    """
    return {
        "application_name": f"dokploy-bridge {part}",
        "connect_timeout": 5,
        "keepalives_idle": 2,
        "keepalives_interval": 1,
        "keepalives_count": 3,
        "tcp_user_timeout": LOST_AFTER * 1000,
        "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
    }
