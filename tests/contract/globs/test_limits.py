"""No pattern holds us up: the same as in the unit tests, on many more of them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.globs.test_engines import PATHS, PATTERNS, REPEATED, answer_in_time


@pytest.mark.slow
@settings(max_examples=1_500, suppress_health_check=list(HealthCheck))
@given(PATTERNS | REPEATED | st.text(max_size=1024), PATHS | st.text(min_size=1, max_size=4096))
def test_no_pattern_takes_long_or_raises_anything_but_a_glob_error(pattern, path):
    answer_in_time(pattern, path)
