"""A deployment's log: redacted before it reaches the disk, and followed by whoever listens."""

import asyncio
import io
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from bridge.backends.embedded.building.redaction import redact

_LINE_LIMIT = 64 * 1024
_CHUNK = 64 * 1024


class Growth:
    """Tells listeners that a log has grown; one for all logs."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def announce(self, path: str) -> None:
        """Wake who waits for this log."""
        for event in self._waiting.get(path, ()):
            event.set()

    async def follow(self, path: Path) -> AsyncGenerator[str, None]:
        """What is in the log and then what comes, for ever; ends only with its reader."""
        event = asyncio.Event()
        self._waiting.setdefault(str(path), set()).add(event)
        offset = 0
        try:
            while True:
                event.clear()  # before reading, so that no growth in between is missed
                chunk, offset = await asyncio.to_thread(_read_from, path, offset)
                if chunk:
                    yield chunk
                else:
                    await event.wait()
        finally:
            waiting = self._waiting[str(path)]
            waiting.discard(event)
            if not waiting:
                del self._waiting[str(path)]


class Log:
    """Writes one log. Lines are redacted whole, since a secret may lie across two chunks."""

    def __init__(self, path: Path, growth: Growth, *, limit: int) -> None:
        self._path = path
        self._growth = growth
        self._limit = limit
        self._written = 0
        self._full = False
        self._secrets: tuple[str, ...] = ()
        self._open_line = ""

    async def open(self) -> None:
        """Make the file; whoever reads the deployment may read it."""
        await asyncio.to_thread(_touch, self._path)

    def hide(self, secrets: Iterable[str]) -> None:
        """From here on these values are replaced (see `redaction.secret_values`)."""
        self._secrets = tuple(secrets)

    def redacted(self, text: str) -> str:
        """A text for other places, such as the record, without what is hidden here."""
        return redact(text, self._secrets)

    async def say(self, line: str) -> None:
        """Add a line of our own."""
        await self.flush()
        await self._write(redact(line, self._secrets) + "\n")

    async def feed(self, text: str) -> None:
        """Add a command's output as it comes, in pieces of any size."""
        text = self._open_line + text
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        if end == 0 and len(text) > _LINE_LIMIT:
            end = len(text)
        whole, self._open_line = text[:end], text[end:]
        if whole:
            await self._write(redact(whole, self._secrets))

    async def flush(self) -> None:
        """Write a last line that has no end."""
        rest, self._open_line = self._open_line, ""
        if rest:
            await self._write(redact(rest, self._secrets) + "\n")

    async def _write(self, text: str) -> None:
        if self._full:
            return
        self._written += len(text)
        if self._written > self._limit:
            self._full = True
            text = f"The log is longer than {self._limit} characters; the rest is left out.\n"
        await asyncio.to_thread(_append, self._path, text)
        self._growth.announce(str(self._path))


async def tail(path: Path, lines: int) -> str:
    """The last lines of a log; "\\n" without a file, as the real server answers then."""
    return await asyncio.to_thread(_tail, path, lines)


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8", errors="replace", newline="") as file:
        file.write(text)


def _read_from(path: Path, offset: int) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(_CHUNK)
    except FileNotFoundError:
        return "", offset
    whole = _whole_characters(chunk)
    return whole.decode(errors="replace"), offset + len(whole)


def _whole_characters(chunk: bytes) -> bytes:
    """Without the beginning of a character whose rest is not read yet."""
    for back in range(1, min(4, len(chunk)) + 1):
        byte = chunk[-back]
        if byte & 0b1100_0000 == 0b1100_0000:  # a first byte; how many belong to it?
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return chunk[:-back] if back < size else chunk
        if byte < 0b1000_0000:
            break
    return chunk


def _tail(path: Path, lines: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, io.SEEK_END)
            position = file.tell()
            data = b""
            while position and data.count(b"\n") <= lines:
                step = min(_CHUNK, position)
                position -= step
                file.seek(position)
                data = file.read(step) + data
    except FileNotFoundError:
        return "\n"
    found = data.decode(errors="replace").rstrip("\n").split("\n")
    return "\n".join(found[-lines:]) + "\n"
