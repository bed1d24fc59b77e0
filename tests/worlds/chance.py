"""What tests draw at random: the same in each run, unless `SEED` says otherwise (`make fuzz`)."""

import os
import random

import pytest

SEED = int(os.environ.get("SEED") or 1)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Return what a test draws from; a failure names the seed."""
    request.node.add_report_section("setup", "seed", f"SEED={SEED} draws the same again")
    return random.Random(SEED)
