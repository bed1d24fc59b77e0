"""The table of planted faults fits the product; whether tests catch them, `make faults` shows."""

from collections import Counter
from pathlib import Path

from tests.faults.faults import FAULTS, Area
from tests.faults.planting import ROOT, SELECTION
from tests.worlds.rows import each_row


@each_row("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_changes_one_place_of_a_product_that_still_compiles(fault):
    text = (ROOT / "bridge" / fault.file).read_text()

    assert text.count(fault.old) == 1
    changed = text.replace(fault.old, fault.new)
    assert changed != text
    compile(changed, fault.file, "exec")


def test_there_are_five_faults_in_each_area():
    assert Counter(fault.area for fault in FAULTS) == dict.fromkeys(Area, 5)


def test_no_two_faults_have_the_same_name():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_what_is_tried_first_is_selected_anyway():
    tiers = [one for one in SELECTION if one.startswith("tests/")]

    for one in {near for fault in FAULTS for near in fault.near}:
        assert (ROOT / one).is_file(), one
        assert any(Path(one).is_relative_to(tier) for tier in tiers), one
