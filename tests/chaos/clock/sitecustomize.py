"""A clock that can be set while a process runs: its offset, in seconds, stands in a file.

Only processes whose `PYTHONPATH` leads here have it; see `tests/chaos/cluster.py`.
"""

import os
import time
from pathlib import Path

_true_time = time.time
_file = Path(os.environ["CHAOS_CLOCK"])
_seen = {"changed": 0.0, "offset": 0.0}


def _offset() -> float:
    changed = _file.stat().st_mtime
    if changed != _seen["changed"]:
        _seen.update(changed=changed, offset=float(_file.read_text() or 0))
    return _seen["offset"]


def _time() -> float:
    return _true_time() + _offset()


time.time = _time
