"""Where each setting comes from: a variable, a line of the file, or set-up."""

from collections.abc import Mapping
from dataclasses import dataclass, field

KeyPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """Where each setting comes from; equal settings may come from different places.

    Attributes:
        file: its name for people.
        lines: the line of each section, setting and entry of the file.
        said_by: for each path, the variable or `BY_SETUP` that set it; the file set the others.
    """

    file: str = field(default="", compare=False)
    lines: Mapping[KeyPath, int] = field(default_factory=dict, compare=False)
    said_by: Mapping[KeyPath, str] = field(default_factory=dict, compare=False)

    def named(self, path: KeyPath) -> str:
        """Return the name of a setting with where it comes from."""
        return _with(".".join(path), self._said(path) or self._line(path))

    def in_file(self, path: KeyPath) -> str:
        """Return the name of a setting with its line, if the file sets it."""
        return _with(".".join(path), "" if self._said(path) else self._line(path))

    def told(self, words: str) -> str:
        """Return words that begin with a setting and a colon, with its line; see `in_file`."""
        name, colon, rest = words.partition(": ")
        return f"{self.in_file(tuple(name.split('.')))}{colon}{rest}"

    def _said(self, path: KeyPath) -> str:
        """Return the variable, or `BY_SETUP`, that set this or what it is in."""
        return next((self.said_by[one] for one in _around(path) if one in self.said_by), "")

    def _line(self, path: KeyPath) -> str:
        """Return the line of a setting, or of what it is in."""
        line = next((self.lines[one] for one in _around(path) if one in self.lines), None)
        return f"{self.file}, line {line}" if line is not None else ""


def _around(path: KeyPath) -> list[KeyPath]:
    return [path[:n] for n in range(len(path), 0, -1)]


def _with(name: str, place: str) -> str:
    return f"{name} ({place})" if place else name


NOWHERE = Places()
