"""`emulate`: GitHub and Slack as others have read their documents, with Apps and scopes.

It is the npm package `emulate`.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.recording_backend import free_port
from tests.oracles.node_tools import NEWEST, Unavailable, environment, missing, node, node_bin

READY = "Ready."


@contextmanager
def emulated(service: str, seed: dict[str, Any], folder: Path) -> Iterator[str]:
    """The address of a service with that seed."""
    try:
        program, found = node(NEWEST), environment(NEWEST)
        emulate = node_bin("emulate", "emulate")
    except Unavailable as why:
        missing(f"no emulator of {service}: {why}")
    file, log = folder / f"{service}.json", folder / f"{service}.log"
    file.write_text(json.dumps(seed))
    port = free_port()
    command = [str(program), str(emulate), "start", "-s", service, "-p", str(port)]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, "--seed", str(file)], stdout=said, stderr=said, env=found, cwd=folder
        )
    try:
        for _ in range(300):
            if READY in log.read_text(errors="replace"):
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        assert process.poll() is None, log.read_text(errors="replace")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()
