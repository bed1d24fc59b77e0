"""The watch-path language: exactly what micromatch 4.0.8 over picomatch makes of a pattern.

    glob ──translate──► JavaScript's regular expression ──parse──► tree ──► matcher

`Glob(pattern).matches(path)` is all that others need. Nothing here does I/O, and every
question is answered at a bounded cost or refused with a `GlobError`.
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
