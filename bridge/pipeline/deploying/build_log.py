"""Read in the log of a build how it ended."""

import asyncio
from dataclasses import dataclass

from bridge.core.errors import BridgeError
from bridge.core.failure import Failure, failure_in, without_a_log
from bridge.core.masking import NOTHING, Mask
from bridge.core.tracking import EndInLog, end_in
from bridge.ports.backends import BackendDeployment

Tail = str | BridgeError
"""The end of a log, or why it can't be read."""


UNREAD = "can't be read, so they can't be hidden"


@dataclass(frozen=True, slots=True)
class BuildLog:
    """The end of a build's log.

    Attributes:
        mask: hides the values of the app's variables, or why they can't be read. Then nothing of
            the log is shown, as it may hold them.
    """

    tail: Tail
    mask: Mask | BridgeError = NOTHING


async def why_failed(log: BuildLog, record: BackendDeployment) -> Failure:
    """Return why a build has failed; in a thread, as no output may block the event loop."""
    if isinstance(log.mask, BridgeError):
        words = (
            f"the build failed; its log may hold values of variables, which {UNREAD}: {log.mask}"
        )
        return await asyncio.to_thread(without_a_log, words)
    if isinstance(log.tail, BridgeError):
        words = record.error or f"the build failed; its log can't be read: {log.tail}"
        return await asyncio.to_thread(without_a_log, words, log.mask)
    return await asyncio.to_thread(failure_in, log.tail, record.error, log.mask)


def end_by_log(tail: Tail, failure: Failure) -> EndInLog:
    """Return how a build has ended by its log; one that can't be read says nothing else."""
    if isinstance(tail, BridgeError):
        return EndInLog(True, f"its log can't be read: {tail}")
    return end_in(tail, failure)
