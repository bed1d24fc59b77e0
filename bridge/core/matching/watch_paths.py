"""Match an app's watch paths, a list of patterns, against a push's list of files.

A list has two possible meanings, both of them the backend's own at some time:

    exclude  `micromatch(files, patterns)`: a `!` pattern takes files away that an earlier
             pattern has let in; a later pattern may let them in again. A list of nothing
             but `!` patterns starts from all files.
    any      `micromatch.some(files, patterns)`: one pattern is enough, each on its own, so
             `!docs/**` is "anything outside docs". Dokploy up to v0.30.2.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bridge.core.matching import Glob, GlobError, Meter, Picomatch

Semantics: TypeAlias = Literal["exclude", "any"]


@dataclass(frozen=True, slots=True)
class Hit:
    """What decided for a deployment.

    Attributes:
        pattern: as its owner wrote it, e.g. "apps/web/**".
        index: its place in the list, from 0.
        file: the first changed file that it let through.
    """

    pattern: str
    index: int
    file: str


def compiled(pattern: str, picomatch: Picomatch) -> Glob | GlobError:
    """Return a pattern, or why it is broken."""
    try:
        return Glob(pattern, picomatch)
    except GlobError as error:
        return error


class WatchPaths:
    """The compiled watch paths of one app.

    Attributes:
        always: there are no patterns, so every push deploys; ask this before `first_match`.

    >>> watch = WatchPaths.compile(["src/**", "!**/*.md"])
    >>> watch.first_match(["src/a.md", "src/a.py"])
    Hit(pattern='src/**', index=0, file='src/a.py')
    """

    __slots__ = ("_globs", "_semantics", "always")

    def __init__(self, globs: Sequence[Glob | GlobError], semantics: Semantics) -> None:
        """Use `compile`.

        Args:
            globs: with "any", an error may stand in for a pattern; it is raised when its
                turn comes.
        """
        self._globs = tuple(globs)
        self._semantics = semantics
        self.always = not self._globs

    @classmethod
    def compile(
        cls,
        patterns: Sequence[str] | None,
        semantics: Semantics = "exclude",
        picomatch: Picomatch = "2.3.1",
    ) -> "WatchPaths":
        """Compile a list as it is stored; None and an empty one watch everything.

        Raises:
            GlobError: one pattern is broken. With "any" only if it is the first one: a
                broken pattern does no harm there while an earlier one matches.
        """
        globs = [compiled(pattern, picomatch) for pattern in patterns or ()]
        for glob in globs if semantics == "exclude" else globs[:1]:
            if isinstance(glob, GlobError):
                raise glob
        return cls(globs, semantics)

    def first_match(self, files: Iterable[str]) -> Hit | None:
        """Find the first pattern that lets a file through, and the first such file.

        Where all patterns exclude, the first of them is named, as none of them objected.

        Raises:
            GlobError: a broken pattern's turn came, or a pattern can't be decided at a
                bounded cost.
        """
        listed = files if isinstance(files, list | tuple) else list(files)
        if self._semantics == "any":
            return self._any(listed)
        return self._unless_excluded(listed)

    def _any(self, files: Sequence[str]) -> Hit | None:
        for index, glob in enumerate(self._globs):
            if isinstance(glob, GlobError):
                raise glob
            meter = Meter()
            for file in files:
                if glob.matches(file, meter):
                    return Hit(glob.pattern, index, file)
        return None

    def _unless_excluded(self, files: Sequence[str]) -> Hit | None:
        metered = [(glob, Meter()) for glob in self._globs if isinstance(glob, Glob)]
        if metered and all(glob.excludes for glob, _ in metered):
            for file in files:
                if all(glob.matches(file, meter) for glob, meter in metered):
                    return Hit(metered[0][0].pattern, 0, file)
            return None
        for index, (glob, meter) in enumerate(metered):
            if glob.excludes:
                continue
            for file in files:
                if glob.matches(file, meter) and _stays(file, metered[index + 1 :]):
                    return Hit(glob.pattern, index, file)
        return None


def _stays(file: str, later: Sequence[tuple[Glob, Meter]]) -> bool:
    """Return whether a file that was let in still is when the later patterns have spoken."""
    for glob, meter in reversed(later):
        if glob.matches(file, meter) is not glob.excludes:
            return not glob.excludes
    return True
