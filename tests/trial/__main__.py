"""`python -m tests.trial [NAME…]`: the bridge beside a real Dokploy; prints every comparison.

NAME is a scenario's name or the beginning of one; without any, all run. Variables name the Dokploy:
see `variables.py`. Exit codes: 0 no difference, 1 differences, 2 a required variable is absent.
"""

import os
import sys

from tests.trial.scenarios import SCENARIOS
from tests.trial.scene import Scene
from tests.trial.stage import Result, Scenario, perform, staged
from tests.trial.variables import MUST, given


def chosen(names: list[str]) -> list[Scenario]:
    """Return the scenarios with these names or beginnings; all without any."""
    exact = {one.name for one in SCENARIOS} & set(names)
    return [
        one
        for one in SCENARIOS
        if not names
        or one.name in exact
        or any(one.name.startswith(name) for name in names if name not in exact)
    ]


def lines(result: Result) -> list[str]:
    """Return a result as lines of the table."""
    said = result.skipped and f"skipped: {result.skipped}"
    count = said or f"{len(result.differences)}"
    line = f"{result.name:28} {result.claims:34} {result.records:34} {result.took:5.0f} s  {count}"
    return [
        line.rstrip(),
        *(f"    ≠ {one}" for one in result.differences),
        *(f"      {one}" for one in result.history),
    ]


def say(text: str) -> None:
    """Write to standard output at once: a trial takes long."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(names: list[str]) -> int:
    """Run the scenarios and print the table."""
    found = given(os.environ)
    if why := found.lacks(MUST):
        sys.stderr.write(f"the trial needs a running Dokploy: {why}\n")
        return 2
    wanted = chosen(names)
    say(f"{'scenario':28} {'the bridge':34} {'the database':34}    took  differences")
    count = 0
    with staged(found, wanted) as scenes:
        for scenario in wanted:
            result = perform(scenario, scenes[scenario.name])
            count += len(result.differences)
            say("\n".join(lines(result)))
        for scene in (one for one in scenes.values() if isinstance(one, Scene)):
            for later in scene.later():
                count += 1
                say(f"{scene.service.name}: {later}")
    say(f"{count} differences")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
