"""Structured logs: one JSON object a line for machines, a readable line on a terminal.

A record has a static message and the fields given as `extra`; both are written on one line,
whatever they contain, so nobody can forge a line. Values of fields with the name of a secret are
hidden.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from bridge.core.log_text import escaped
from bridge.core.masking import HIDDEN, redact, without_known
from bridge.core.trace import current

QUIET = ("dbos", "httpx", "httpcore", "aiohttp", "sqlalchemy", "asyncio")
"""Loggers of libraries, which log only warnings and errors."""

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_SECRET = re.compile(r"(?i)secret|token|passw|api_?key|authorization|signature|private_?key")


def set_up_logs(format_: str, level: str, stream: TextIO | None = None) -> bool:
    """Send all logs to standard error (or `stream`); return True if they are for people.

    Args:
        format_: "json", "console", or "auto": console on a terminal.
    """
    stream = stream or sys.stderr
    for_people = format_ == "console" or (format_ == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(ConsoleLines(colours=stream.isatty()) if for_people else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    return for_people


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": redact(record.getMessage()),
        }
        line |= {name: value for name, value in fields_of(record).items() if name not in line}
        if record.exc_info:
            line["exception"] = redact(self.formatException(record.exc_info))
        return json.dumps(line)


class ConsoleLines(logging.Formatter):
    """A line for people: time, level, event, fields as name=value; a traceback below it."""

    COLOURS: Mapping[int, str] = {
        logging.DEBUG: "\x1b[2m",
        logging.WARNING: "\x1b[33m",
        logging.ERROR: "\x1b[31m",
        logging.CRITICAL: "\x1b[1;31m",
    }

    def __init__(self, *, colours: bool) -> None:
        super().__init__()
        self._colours = colours

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        head = f"{clock} {record.levelname.lower():<8}"
        event = escaped(redact(record.getMessage()))
        line = f"{self._painted(head, record.levelno)} {event}"
        for name, value in fields_of(record).items():
            line += f" {self._dim(f'{name}=')}{escaped(str(value))}"
        if record.exc_info:
            line += "\n" + redact(self.formatException(record.exc_info))
        return without_known(line)

    def _painted(self, text: str, level: int) -> str:
        colour = self.COLOURS.get(level, "")
        return f"{colour}{text}\x1b[0m" if self._colours and colour else text

    def _dim(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self._colours else text


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the fields given as `extra`, with secrets hidden, and the delivery in question."""
    given = {
        name: _shown(name, value) for name, value in vars(record).items() if name not in _STANDARD
    }
    trace = current()
    return given | {"trace": trace} if trace else given


def _shown(name: str, value: Any) -> Any:
    """Return a value without secrets, as JSON can have it; names within it stay."""
    if _SECRET.search(name):
        return HIDDEN
    match value:
        case None | bool():
            return value
        case int() | float():
            return value if without_known(str(value)) == str(value) else HIDDEN
        case Mapping():
            return {str(key): _shown(str(key), one) for key, one in value.items()}
        case list() | tuple():
            return [_shown(name, one) for one in value]
        case _:
            return redact(str(value))
