"""The watch-path language, exactly as micromatch 4.0.8 over picomatch interprets a pattern.

    glob ──translate──► JavaScript's regular expression ──parse──► tree ──► matcher

Other packages only need `Glob(pattern).matches(path)`. Nothing here does I/O. Every match has a
bounded cost or is refused with a `GlobError`.
"""

from bridge.core.matching.automaton import Meter
from bridge.core.matching.glob import Glob
from bridge.core.matching.regex import GlobError, GlobThrows, GlobUnsupported
from bridge.core.matching.translate import MAX_LENGTH, MAX_NESTING, Picomatch

__all__ = [
    "MAX_LENGTH",
    "MAX_NESTING",
    "Glob",
    "GlobError",
    "GlobThrows",
    "GlobUnsupported",
    "Meter",
    "Picomatch",
]
