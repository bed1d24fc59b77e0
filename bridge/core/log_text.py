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
    """The lines of a tail that an earlier, perhaps shorter, tail did not have.

    A tail begins anywhere, so what was seen is looked for by its end; what can't be found
    any more has scrolled away, and all is new.
    """
    old, new = lines_of(before), lines_of(now)
    seen = old[-_ENOUGH:]
    if not seen:
        return new
    for end in range(len(new), len(seen) - 1, -1):
        if new[end - len(seen) : end] == seen:
            return new[end:]
    return new
