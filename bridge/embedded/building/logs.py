"""The log of a deployment: redact it, write it, read its end, and follow it as it grows."""

import asyncio
import io
import re
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from bridge.core.masking import NOTHING, Mask, within_colours

_LINE_LIMIT = 64 * 1024
_CHUNK = 64 * 1024
_LONGEST_SECRET = 4096


class Growth:
    """Tell readers that a log has grown; one object for all logs."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}

    def announce(self, path: str) -> None:
        for event in self._waiting.get(path, ()):
            event.set()

    async def follow(self, path: Path) -> AsyncGenerator[str, None]:
        """Yield the log's content and then everything that is added; never ends by itself."""
        event = asyncio.Event()
        self._waiting.setdefault(str(path), set()).add(event)
        offset = 0
        try:
            while True:
                event.clear()  # before reading, so no growth in between is missed
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
    """Write one log. Whole lines are redacted, since a secret may span two chunks."""

    def __init__(self, path: Path, growth: Growth, *, limit: int) -> None:
        self._path = path
        self._growth = growth
        self._limit = limit
        self._written = 0
        self._full = False
        self._mask = NOTHING
        self._folders: re.Pattern[str] | None = None
        self._open_line = ""

    async def open(self) -> None:
        await asyncio.to_thread(self._path.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(self._path.touch)

    def hide(self, mask: Mask) -> None:
        self._mask = mask

    def leave_out(self, folders: Iterable[Path]) -> None:
        """Write paths in these folders relative to them, to hide their location.

        Programs such as `git submodule` always print whole paths.
        """
        known = {str(path) for folder in folders for path in (folder, folder.resolve())}
        longest_first = sorted(known, key=len, reverse=True)
        self._folders = re.compile(f"(?:{'|'.join(map(re.escape, longest_first))})(/|(?![\\w.-]))")

    def redacted(self, text: str) -> str:
        """Redact a text for use elsewhere, e.g. in the record."""
        text = within_colours(text, self._mask)
        if self._folders is None:
            return text
        return self._folders.sub(lambda found: "" if found[1] else ".", text)

    async def say(self, line: str) -> None:
        await self.flush()
        await self._write(line + "\n")

    async def feed(self, text: str) -> None:
        """Add a piece of a command's output, of any size."""
        text = self._open_line + text
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        if end == 0 and len(text) > _LINE_LIMIT:
            # Hidden before it is split, and its end once more, where a secret may go on.
            text = await asyncio.to_thread(self.redacted, text)
            end = max(0, len(text) - _LONGEST_SECRET)
        whole, self._open_line = text[:end], text[end:]
        if whole:
            await self._write(whole)

    async def flush(self) -> None:
        rest, self._open_line = self._open_line, ""
        if rest:
            await self._write(rest + "\n")

    async def _write(self, text: str) -> None:
        if self._full:
            return
        # In a thread, because no output of a build may block the event loop.
        await asyncio.to_thread(self._redact_and_append, text)
        self._growth.announce(str(self._path))

    def _redact_and_append(self, text: str) -> None:
        text = self.redacted(text)
        self._written += len(text)
        if self._written > self._limit:
            self._full = True
            text = f"The log is longer than {self._limit} characters; the rest is left out.\n"
        with self._path.open("a", encoding="utf-8", errors="replace", newline="") as file:
            file.write(text)


async def tail(path: Path, lines: int) -> str:
    r"""Return the last lines of a log; "\n" if there is no file, as Dokploy answers."""
    return await asyncio.to_thread(_tail, path, lines)


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
    """Drop the first bytes of a character whose last bytes have not been read yet."""
    for back in range(1, min(4, len(chunk)) + 1):
        byte = chunk[-back]
        if byte & 0b1100_0000 == 0b1100_0000:  # a first byte; how many follow it?
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
