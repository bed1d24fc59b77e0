"""What of requests that are none reaches the log, and what of us reaches their senders."""

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.listening.sparing import Sparing

_sparing = Sparing(logging.getLogger(__name__))


def quiet_logger(name: str) -> logging.Logger:
    """For aiohttp: what is no HTTP is its sender's fault, and no reason for a traceback.

    Nor may the log hold it: it quotes the line at fault, which may be a secret's.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_is_ours)
    return logger


def _is_ours(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):
        _sparing.info("what came is no HTTP", status=error.code)
        return False
    return True


async def nameless(_: web.Request, response: web.StreamResponse) -> None:
    """Nobody needs to know which releases run here."""
    response.headers.pop("Server", None)
