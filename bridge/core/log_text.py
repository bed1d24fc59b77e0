"""Logs as text that grows: its lines, and which of them are new."""

_ENOUGH = 50


def lines_of(text: str) -> list[str]:
    """The lines; of one that was written over and over (a progress bar) how it ends."""
    if not text.strip():
        return []  # the server answers with a line break where it has no log
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.rstrip("\r").rpartition("\r")[2] for line in lines]


def news(before: str, now: str) -> list[str]:
    """The lines of a tail that an earlier one did not have.

    Once a log is longer than a tail, its beginning moves: then what was seen is looked for by
    its end, and when that has scrolled away, all is new.
    """
    if now.startswith(before):
        return lines_of(now[len(before) :])
    old, new = lines_of(before), lines_of(now)
    seen = old[-_ENOUGH:]
    if not seen:
        return new
    for end in range(len(new), len(seen) - 1, -1):
        if new[end - len(seen) : end] == seen:
            return new[end:]
    return new
