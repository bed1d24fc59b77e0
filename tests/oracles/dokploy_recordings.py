"""What a real Dokploy v0.30.2 was asked and answered, row by row."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "fixtures" / "dokploy"


def recording(name: str) -> list[dict[str, Any]]:
    """The rows of `recorded` or `recorded-2`, in their order."""
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
