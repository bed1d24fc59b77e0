"""What the workflow engine says, in our log."""

import logging

import sqlalchemy as sa
from dbos._error import DBOSAwaitedWorkflowCancelledError


class _Words(logging.Filter):
    """What DBOS says, in our log: one line, without statements and their values.

    Leaves out what it says of a flow that was dropped just as it began: we dropped it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info and record.exc_info[1]
        if isinstance(error, DBOSAwaitedWorkflowCancelledError):
            return False
        message = record.getMessage()
        if isinstance(error, sa.exc.SQLAlchemyError):
            message, record.exc_info = f"{message} {error}", None
        record.msg, record.args = " ".join(message.partition("[SQL")[0].split()), ()
        return not (
            "was cancelled during execution" in message
            or "is no longer owned by this execution" in message
        )


_WORDS = _Words()


def take_log() -> None:
    """DBOS writes to the console by itself, in a form of its own."""
    logger = logging.getLogger("dbos")
    logger.addFilter(_WORDS)
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
    logger.propagate = True


def give_log_back() -> None:
    """Leave what it says as it is, since we have stopped it."""
    logging.getLogger("dbos").removeFilter(_WORDS)
