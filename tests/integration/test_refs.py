"""Names of refs, compared with what Git itself refuses."""

import subprocess

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.core.refs import unmatchable_prefix


@given(st.text("va1/.*?[@{^~: \\-\x00\x7f\u00e4", max_size=6))
@example("v.lock/")
@example("a/.")
@example("@{")
@settings(max_examples=150)
def test_a_prefix_is_refused_where_git_refuses_a_version_behind_it(prefix):
    asked = ["git", "check-ref-format", f"refs/tags/{prefix}1.2.3"]
    known = "\0" not in prefix and subprocess.run(asked, check=False).returncode == 0

    assert (unmatchable_prefix(prefix) is None) == known
