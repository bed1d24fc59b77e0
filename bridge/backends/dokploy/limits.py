"""Limits of one request to a Dokploy: time, size and tries."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one request, in seconds and bytes.

    Attributes:
        connect: to open a connection, and to wait for a free one.
        read: without a byte arriving.
        total: for one request and its whole answer.
        probe: for one question of how the server is, and its answer.
        connections: open at the same time.
        read_retries: how often a read is tried again; mutations never are.
    """

    connect: float = 5.0
    read: float = 20.0
    total: float = 60.0
    probe: float = 5.0
    connections: int = 16
    read_retries: int = 2
    answer_bytes: int = 16 * 2**20
