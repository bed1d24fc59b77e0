"""The variables of a trial: the Dokploy to run beside, and the commands that harm it.

| variable | holds |
|---|---|
| `BRIDGE_TRIAL_DOKPLOY_URL`, `BRIDGE_TRIAL_DOKPLOY_KEY` | its address, and an owner's API key |
| `BRIDGE_TRIAL_DATABASE_URL` | its PostgreSQL, e.g. `postgres://dokploy@127.0.0.1:5432/dokploy` |
| `BRIDGE_TRIAL_STOP`, `_KILL`, `_START` | commands that stop it (SIGTERM), kill it, start it |
| `BRIDGE_TRIAL_DB_STOP`, `_DB_START` | commands that stop and start its database |
| `BRIDGE_TRIAL_GITHUB`, `_GITLAB` | a folder from which its first account of that host \
clones: `OWNER/NAME` is `OWNER/NAME.git` there |
| `BRIDGE_TRIAL_KILL_BUILD` | `1` permits interrupting every Docker build on its host |

The first three are required; a scenario that needs another variable is skipped without it.
Dokploy must reach this machine's loopback, since the trial serves its repositories there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PREFIX = "BRIDGE_TRIAL_"
MUST = ("DOKPLOY_URL", "DOKPLOY_KEY", "DATABASE_URL")
MAY = ("STOP", "KILL", "START", "DB_STOP", "DB_START", "GITHUB", "GITLAB", "KILL_BUILD")


@dataclass(frozen=True)
class Given:
    """The values of the variables, by name without prefix."""

    values: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    def lacks(self, needs: tuple[str, ...]) -> str:
        """Return which of these variables are not set, as a sentence; "" if all are."""
        absent = [PREFIX + name for name in needs if not self.values.get(name)]
        return f"{', '.join(absent)} not set" if absent else ""


def given(environment: Mapping[str, str]) -> Given:
    """Read the variables that are set."""
    values = {name: environment.get(PREFIX + name, "") for name in (*MUST, *MAY)}
    return Given({name: value for name, value in values.items() if value})
