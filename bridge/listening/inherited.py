"""Listening sockets that a process inherits: from systemd, or from itself before a restart.

Connections that arrive meanwhile wait in the kernel's queue, so none is refused. The protocol is
systemd's socket activation: https://www.freedesktop.org/software/systemd/man/sd_listen_fds.html
"""

import os
import socket
from collections.abc import MutableMapping, Sequence

FIRST = 3
"""The descriptor of the first one; the others follow."""

FDS, PID, NAMES = "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"


def inherited(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """Return the sockets that were handed to this process; take them out of the environment.

    Child processes must not take them for theirs.
    """
    count, pid = environment.pop(FDS, ""), environment.pop(PID, "")
    environment.pop(NAMES, None)
    if not count.isdecimal() or pid != str(os.getpid()):
        return []
    sockets = [socket.socket(fileno=FIRST + n) for n in range(int(count))]
    for one in sockets:
        one.set_inheritable(False)
    return sockets


def hand_over(sockets: Sequence[socket.socket], environment: MutableMapping[str, str]) -> None:
    """Prepare these sockets for the program that replaces this one by `os.exec`.

    It overwrites descriptors that may be in use: call it last.
    """
    # Copies above the targets, so that none is overwritten before it was copied itself.
    high = [os.dup(one.fileno()) for one in sockets]
    while high and min(high) < FIRST + len(high):
        high = [os.dup(one) for one in high]
    for n, descriptor in enumerate(high):
        os.dup2(descriptor, FIRST + n, inheritable=True)
    environment[FDS], environment[PID] = str(len(high)), str(os.getpid())
