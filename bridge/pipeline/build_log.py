"""Read in the log of a build how it ended."""

import asyncio

from bridge.core.errors import BridgeError
from bridge.core.failure import Failure, failure_in, without_a_log
from bridge.core.tracking import EndInLog, end_in
from bridge.ports.backends import BackendDeployment

Tail = str | BridgeError
"""The end of a log, or why it can't be read."""


async def why_failed(tail: Tail, record: BackendDeployment) -> Failure:
    """Return why a build has failed; in a thread, as no output may block the event loop."""
    if isinstance(tail, BridgeError):
        words = record.error or f"the build failed; its log can't be read: {tail}"
        return await asyncio.to_thread(without_a_log, words)
    return await asyncio.to_thread(failure_in, tail, record.error)


def end_by_log(tail: Tail, failure: Failure) -> EndInLog:
    """Return how a build has ended by its log; one that can't be read says nothing else."""
    if isinstance(tail, BridgeError):
        return EndInLog(True, f"its log can't be read: {tail}")
    return end_in(tail, failure)
