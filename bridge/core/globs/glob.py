"""A compiled pattern."""

from bridge.core.globs.anchors import Outline
from bridge.core.globs.automaton import Meter, TooCostly
from bridge.core.globs.dialect import TooDeep, parse
from bridge.core.globs.errors import GlobUnsupported
from bridge.core.globs.escapes import BadExpression
from bridge.core.globs.graph import TooLarge
from bridge.core.globs.literals import outline_of
from bridge.core.globs.matcher import Matcher
from bridge.core.globs.syntax import NOTHING, Node
from bridge.core.globs.translate import Picomatch, translate
from bridge.core.globs.units import to_units


class Glob:
    """A pattern as micromatch understands it, ready to be asked.

    Attributes:
        pattern: as written.
        source: the regular expression that picomatch would build.
        expression: the same, parsed; matches nothing where JavaScript would not compile it.
        excludes: a list takes it as an exclusion: `!glob` or `!(glob)…`.

    >>> Glob("apps/**/*.ts").matches("apps/web/index.ts")
    True
    """

    __slots__ = ("_matcher", "excludes", "expression", "pattern", "source")

    def __init__(self, pattern: str, version: Picomatch = "2.3.1") -> None:
        """Translate `pattern`.

        Raises:
            GlobThrows: micromatch throws at it.
            GlobUnsupported: we refuse it; the reason says why.
        """
        translation = translate(to_units(pattern), version, written=pattern)
        self.pattern = pattern
        self.source = translation.source
        self.excludes = translation.excludes
        self.expression = self._parsed()
        self._matcher: Matcher | None = None

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"

    def _parsed(self) -> Node:
        try:
            return parse(self.source)
        except BadExpression:
            # picomatch swallows the error and puts a never matching expression there.
            return NOTHING
        except TooDeep:
            raise self._refusal("it is nested too deep", "too_deep") from None

    @property
    def outline(self) -> Outline:
        """What a path must have to match, as far as the expression tells."""
        return outline_of(self.expression)

    def matches(self, path: str, meter: Meter | None = None) -> bool:
        """Tell whether `micromatch.isMatch(path, pattern)`.

        Args:
            meter: limits the work on many paths together; one path has its own limit.
        Raises:
            GlobUnsupported: the answer can't be had at a bounded cost.
        """
        if not path or path == self.pattern:
            return bool(path)
        try:
            if self._matcher is None:
                self._matcher = Matcher(self.expression)
            return self._matcher.matches(to_units(path), meter)
        except TooCostly:
            why = "deciding it would take too long; write it simpler"
        except TooLarge:
            why = "it stands for too large an expression; write it simpler"
        raise self._refusal(why, "too_costly")

    def _refusal(self, why: str, code: str) -> GlobUnsupported:
        return GlobUnsupported(self.pattern, why, code=code)
