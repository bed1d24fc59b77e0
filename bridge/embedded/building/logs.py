"""A deployment's log: redacted before it reaches the disk, and followed by whoever listens."""

import asyncio
import io
import re
from collections.abc import AsyncGenerator, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from bridge.core.configuration.variables import statements, written_value
from bridge.embedded.places import words

HIDDEN = "***"

_CREDENTIALS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,20}://)[^\s/@'\"]+@")
_SECRET_NAME = re.compile(
    r"(TOKEN|SECRET|PASSW|PWD|KEY|CREDENTIAL|AUTH|PRIVATE|DSN|DATABASE_URL)", re.IGNORECASE
)
_PLAIN = frozenset(
    words(
        "production development staging testing test preview local localhost true false default"
        " public debug info warning error verbose"
    )
)
_LONG_ENOUGH = 6
_TOO_SHORT = 2
"""So few characters stand everywhere: hiding them would hide the log and no secret."""

_PLAIN_NUMBER = re.compile(r"[\d.]*")


def strip_credentials(text: str) -> str:
    """`https://user:token@host/` becomes `https://***@host/`, wherever it stands."""
    return _CREDENTIALS.sub(rf"\1{HIDDEN}@", text)


def secret_values(env: Mapping[str, str], secrets: Iterable[str]) -> tuple[str, ...]:
    """What must never be shown, longest first.

    Build secrets always; environment values unless they plainly are none ("production",
    "3000"). Values of several lines also line by line, since logs are shown by lines.
    """
    hidden = [value for name, value in env.items() if _is_secret(name, value)]
    hidden.extend(secrets)
    lines = {line.strip() for value in hidden for line in value.splitlines()}
    long = [line for line in lines if len(line) > _TOO_SHORT]
    forms = {*long, *(quote(line, safe="") for line in long)}
    return tuple(sorted(forms, key=len, reverse=True))


def redact(text: str, secrets: Iterable[str]) -> str:
    """Replace every secret and every credential in an address.

    Args:
        secrets: as `secret_values` gives them.
    """
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, HIDDEN)
    return strip_credentials(text)


def _is_secret(name: str, value: str) -> bool:
    if not value or value.lower() in _PLAIN:
        return False
    if _SECRET_NAME.search(name):
        return True
    return len(value) >= _LONG_ENOUGH and not _PLAIN_NUMBER.fullmatch(value)


# ── A deployment's log: redacted before it reaches the disk, and followed by whoever listens ────

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
        self._folders: re.Pattern[str] | None = None
        self._open_line = ""

    async def open(self) -> None:
        """Make the file; whoever reads the deployment may read it."""
        await asyncio.to_thread(_touch, self._path)

    def hide(self, secrets: Iterable[str]) -> None:
        """From here on these values are replaced (see `redaction.secret_values`)."""
        self._secrets = tuple(secrets)

    def leave_out(self, folders: Iterable[Path]) -> None:
        """Write paths inside of these folders from there on: where they lie is nobody's business.

        Programs such as `git submodule` tell whole paths whatever they are given.
        """
        known = {str(path) for folder in folders for path in (folder, folder.resolve())}
        longest_first = sorted(known, key=len, reverse=True)
        self._folders = re.compile(f"(?:{'|'.join(map(re.escape, longest_first))})(/|(?![\\w.-]))")

    def redacted(self, text: str) -> str:
        """A text for other places, such as the record, without what is hidden here."""
        text = redact(text, self._secrets)
        if self._folders is None:
            return text
        return self._folders.sub(lambda found: "" if found[1] else ".", text)

    async def say(self, line: str) -> None:
        """Add a line of our own."""
        await self.flush()
        await self._write(self.redacted(line) + "\n")

    async def feed(self, text: str) -> None:
        """Add a command's output as it comes, in pieces of any size."""
        text = self._open_line + text
        end = max(text.rfind("\n"), text.rfind("\r")) + 1
        if end == 0 and len(text) > _LINE_LIMIT:
            end = len(text)
        whole, self._open_line = text[:end], text[end:]
        if whole:
            await self._write(self.redacted(whole))

    async def flush(self) -> None:
        """Write a last line that has no end."""
        rest, self._open_line = self._open_line, ""
        if rest:
            await self._write(self.redacted(rest) + "\n")

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


# ── Environment variables as people write them: lines of KEY=VALUE. Pure ────────────────────────

_REFERENCE = re.compile(r"\$\{\{\s*(?:(project|environment)\.)?([A-Za-z0-9_.][\w.-]*)\s*\}\}")
_QUOTES = ("'", '"', "`")


def parse_variables(text: str | None) -> dict[str, str]:
    """Read lines of KEY=VALUE as Dokploy does; later ones win.

    Empty lines, comments and lines without a proper key are left out. Quotes around a value
    are taken off; a value in quotes may go over several lines, one in double quotes knows `\\n`.
    """
    return {key: _unquoted(written_value(raw)) for key, raw in statements(text) if key}


def resolve(
    variables: Mapping[str, str], *, project: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, str]:
    """Put in what `${{project.KEY}}`, `${{environment.KEY}}` and `${{KEY}}` stand for.

    A reference to nothing is left as it is written. References are not followed further.
    """
    scopes = {"project": project, "environment": environment, None: variables}

    def value_of(match: re.Match[str]) -> str:
        return scopes[match[1]].get(match[2], match[0])

    return {key: _REFERENCE.sub(value_of, value) for key, value in variables.items()}


def as_env_file(variables: Mapping[str, str]) -> str:
    """Lines for an `.env` file that the usual readers take back as they were."""
    return "".join(f"{key}={_quoted(value)}\n" for key, value in variables.items())


def _quoted(value: str) -> str:
    if re.fullmatch(r"[\w./:@%+,=-]*", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        inner = value[1:-1]
        return _unescaped(inner) if value[0] == '"' else inner
    return value


def _unescaped(text: str) -> str:
    known = {"n": "\n", '"': '"', "\\": "\\"}
    return re.sub(r"\\(.)", lambda match: known.get(match[1], match[0]), text)
