"""Exit with 0 if the bridge in this container is ready; else print what it answered.

The image's health check. It reads the port where the bridge does, but only from the variables:
importing the bridge for its settings would cost more than the question.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException

PATIENCE = 8.0
"""Seconds; the bridge gives each of its parts five."""

port = int(os.environ.get("BRIDGE_PORT", "").strip() or os.environ.get("PORT", "").strip() or 8080)
try:
    asked = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    asked.request("GET", "/readyz")
    answer = asked.getresponse()
    print(answer.read().decode(errors="replace"), end="")
except (OSError, HTTPException) as error:
    print(f"no answer on port {port}: {error}")
    sys.exit(1)
sys.exit(answer.status != 200)
