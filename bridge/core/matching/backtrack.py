r"""Backtracking, as in the original, for expressions that refer back to a group: `(*)/\1`.

The text of a group can't be a state of an automaton, so these expressions are tried choice by
choice, in JavaScript's order. Every step counts against the limit; a path that exceeds it is
refused.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

from bridge.core.matching.automaton import Meter, has_unit, is_word
from bridge.core.matching.graph import MAX_NODES, TooLarge, groups_in
from bridge.core.matching.regex import (
    Alt,
    At,
    Back,
    Chars,
    Group,
    Look,
    Node,
    Place,
    Ranges,
    Repeat,
    Seq,
)

STEP_COST = 4  # a step takes about as long as four node visits

Memory: TypeAlias = tuple[int, ...]
"""For each group where its text starts, ends, and where it was entered; then loop marks."""


class _Do(IntEnum):
    READ = 0
    SPLIT = 1
    JUMP = 2
    STORE = 3
    CLOSE = 4
    FORGET = 5
    MOVED = 6
    AT = 7
    LOOK = 8
    AGAIN = 9
    ACCEPT = 10


@dataclass(slots=True)
class _Line:
    """One instruction; which fields mean something depends on `do`."""

    do: _Do
    first: int = 0
    second: int = 0
    back: bool = False
    negative: bool = False
    ranges: Ranges = ()
    place: Place = Place.START


@dataclass(slots=True)
class _Program:
    """An expression as a list of instructions."""

    lines: list[_Line] = field(default_factory=list)
    slots: int = 0
    written: int = 0

    def add(self, line: _Line) -> _Line:
        if len(self.lines) >= MAX_NODES:
            raise TooLarge
        self.lines.append(line)
        return line

    def write(self, node: Node, *, back: bool) -> None:
        """Append the instructions for `node`, reading backwards if `back`."""
        self.written += 1
        if self.written > 4 * MAX_NODES:
            raise TooLarge
        match node:
            case Seq(parts):
                for part in reversed(parts) if back else parts:
                    self.write(part, back=back)
            case Alt(options):
                self._alternatives(options, back=back)
            case Repeat():
                self._repeat(node, back=back)
            case Group(number, body):
                self.add(_Line(_Do.STORE, first=3 * number + 2))
                self.write(body, back=back)
                self.add(_Line(_Do.CLOSE, first=3 * number))
            case _:
                self._leaf(node, back=back)

    def _leaf(self, node: Chars | At | Look | Back, *, back: bool) -> None:
        match node:
            case Chars(ranges):
                self.add(_Line(_Do.READ, back=back, ranges=ranges))
            case At(place):
                self.add(_Line(_Do.AT, place=place))
            case Look(body, behind, negative):
                look = self.add(_Line(_Do.LOOK, negative=negative))
                self.write(body, back=behind)
                self.add(_Line(_Do.ACCEPT))
                look.second = len(self.lines)
            case Back(number):
                self.add(_Line(_Do.AGAIN, first=3 * number, back=back))

    def _alternatives(self, options: tuple[Node, ...], *, back: bool) -> None:
        exits = []
        for option in options[:-1]:
            split = self.add(_Line(_Do.SPLIT, first=len(self.lines) + 1))
            self.write(option, back=back)
            exits.append(self.add(_Line(_Do.JUMP)))
            split.second = len(self.lines)
        self.write(options[-1], back=back)
        for jump in exits:
            jump.first = len(self.lines)

    def _repeat(self, repeat: Repeat, *, back: bool) -> None:
        endless = repeat.most is None
        for _ in range(repeat.least - endless):
            self._round(repeat, back=back)
        if repeat.most is None:
            self._loop(repeat, back=back)
            return
        splits = []
        for _ in range(repeat.most - repeat.least):
            splits.append(self._optional_round(repeat, back=back))  # noqa: PERF401 - it writes
        for split in splits:
            self._leave(repeat, split)

    def _loop(self, repeat: Repeat, *, back: bool) -> None:
        """Write an endless loop; with one copy of its body, or nesting would double each."""
        mark = self._new_slot()
        entry = None
        if repeat.least:
            # The first round may read nothing: its mark is no position.
            self.add(_Line(_Do.FORGET, first=mark, second=mark + 1))
            entry = self.add(_Line(_Do.JUMP))
        start = len(self.lines)
        split = self.add(_Line(_Do.SPLIT, first=start + 1))
        self.add(_Line(_Do.STORE, first=mark))
        if entry:
            entry.first = len(self.lines)
        self._round(repeat, back=back)
        self.add(_Line(_Do.MOVED, first=mark))
        self.add(_Line(_Do.JUMP, first=start))
        self._leave(repeat, split)

    def _round(self, repeat: Repeat, *, back: bool) -> None:
        # Each round starts with its groups forgotten.
        groups = groups_in(repeat.body)
        if groups:
            self.add(_Line(_Do.FORGET, first=3 * min(groups), second=3 * max(groups) + 3))
        self.write(repeat.body, back=back)

    def _optional_round(self, repeat: Repeat, *, back: bool) -> _Line:
        """Write a round that need not be, and that has to read something if it is."""
        split = self.add(_Line(_Do.SPLIT, first=len(self.lines) + 1))
        mark = self._new_slot()
        self.add(_Line(_Do.STORE, first=mark))
        self._round(repeat, back=back)
        self.add(_Line(_Do.MOVED, first=mark))
        return split

    def _new_slot(self) -> int:
        self.slots += 1
        return self.slots - 1

    def _leave(self, repeat: Repeat, split: _Line) -> None:
        split.second = len(self.lines)
        if repeat.lazy:
            split.first, split.second = split.second, split.first


class Backtracker:
    """Decides for one expression; keeps nothing between questions."""

    def __init__(self, expression: Node) -> None:
        """Compile.

        Raises:
            TooLarge.
        """
        program = _Program(slots=3 * (max(groups_in(expression), default=0) + 1))
        program.write(expression, back=False)
        program.add(_Line(_Do.ACCEPT))
        self._lines = program.lines
        self._memory: Memory = (-1,) * program.slots

    def matches(self, path: str, meter: Meter) -> bool:
        """Return whether the expression matches somewhere in `path`.

        Raises:
            TooCostly.
        """
        return any(
            self._run(path, 0, at, self._memory, meter) is not None for at in range(len(path) + 1)
        )

    def _run(self, path: str, line: int, at: int, memory: Memory, meter: Meter) -> Memory | None:
        """Run from `line` until an ACCEPT; give the memory of the first way that gets there."""
        choices = [(line, at, memory)]
        while choices:
            number, at, memory = choices.pop()
            while True:
                meter.spend(STEP_COST)
                line_ = self._lines[number]
                number += 1
                match line_.do:
                    case _Do.ACCEPT:
                        return memory
                    case _Do.SPLIT:
                        choices.append((line_.second, at, memory))
                        number = line_.first
                    case _Do.JUMP:
                        number = line_.first
                    case _Do.LOOK:
                        found = self._run(path, number, at, memory, meter)
                        if (found is None) is not line_.negative:
                            break
                        number = line_.second
                        memory = memory if line_.negative or found is None else found
                    case _Do.READ | _Do.AGAIN | _Do.AT | _Do.MOVED:
                        moved = _moved(line_, path, at, memory)
                        if moved < 0:
                            break
                        at = moved
                    case _:
                        meter.spend(len(memory) // 16)
                        memory = _remembered(line_, at, memory)
        return None


def _moved(line: _Line, path: str, at: int, memory: Memory) -> int:
    """Return the position after a step that may fail; -1 if it fails."""
    if line.do is _Do.READ:
        place = at - 1 if line.back else at
        if not 0 <= place < len(path) or not has_unit(line.ranges, ord(path[place])):
            return -1
        return at - 1 if line.back else at + 1
    if line.do is _Do.MOVED:
        return -1 if memory[line.first] == at else at
    if line.do is _Do.AT:
        return at if _is_at(line.place, path, at) else -1
    start, end = memory[line.first], memory[line.first + 1]
    text = path[start:end] if start >= 0 else ""
    if line.back:
        return at - len(text) if path[:at].endswith(text) else -1
    return at + len(text) if path.startswith(text, at) else -1


def _is_at(place: Place, path: str, at: int) -> bool:
    if place is Place.START:
        return at == 0
    if place is Place.END:
        return at == len(path)
    before = at > 0 and is_word(path[at - 1])
    behind = at < len(path) and is_word(path[at])
    return (before is not behind) is (place is Place.WORD_EDGE)


def _remembered(line: _Line, at: int, memory: Memory) -> Memory:
    slot = line.first
    if line.do is _Do.STORE:
        return (*memory[:slot], at, *memory[slot + 1 :])
    if line.do is _Do.FORGET:
        return (*memory[:slot], *[-1] * (line.second - slot), *memory[line.second :])
    entered = memory[slot + 2]
    return (*memory[:slot], min(entered, at), max(entered, at), *memory[slot + 2 :])
