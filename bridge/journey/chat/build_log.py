"""The end of a deployment's log, fit to be shown to many: read late, cut short, redacted."""

import asyncio
from collections.abc import Mapping

from bridge.core.errors import BridgeError
from bridge.core.lifecycle import Deployment
from bridge.core.log_text import end_of, lines_of
from bridge.core.redaction import redact
from bridge.ports.backends import Backend
from bridge.ports.journal import Journal

LINES = 40
ABOVE = 60
MOST = 200_000
"""Characters of a tail that are looked at."""

LONGEST_LINE = 1000
"""Characters; a build may print a whole file in one line."""


class BuildLogs:
    """Reads what the backend wrote down while it deployed."""

    def __init__(self, backends: Mapping[str, Backend], journal: Journal) -> None:
        self._backends = backends
        self._journal = journal

    async def tail(self, deployment: Deployment, lines: int = LINES) -> str:
        """Its last lines; "" where there are none, or the backend can't tell just now."""
        app = await self._journal.app(deployment.app_id)
        backend = self._backends.get(app.backend) if app else None
        if app is None or backend is None or deployment.backend_id is None:
            return ""
        try:
            records = await backend.deployments(app)
            record = next((one for one in records if one.id == deployment.backend_id), None)
            # More than is shown: a secret of several lines is known by how it begins.
            text = await backend.log_tail(record, lines + ABOVE) if record else ""
        except BridgeError:
            return ""
        # In a thread, since no line that a build prints may hold up the others.
        return await asyncio.to_thread(_shown, text, lines)


def _shown(text: str, lines: int) -> str:
    shown = lines_of(redact(end_of(text, MOST)))[-lines:]
    return "\n".join(line[:LONGEST_LINE] for line in shown)
