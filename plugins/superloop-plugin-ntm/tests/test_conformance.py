"""The conformance kit, for the NTM's memory."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("ntm"), ids=str)
def test_conformance(check):
    check()


# As in the code of Collier and Beel; and what differs from it and from the defaults.
FORMS = [
    {"slots": 5, "width": 3, "order": "read_first"},
    {"slots": 5, "width": 3, "read_addressing": "new", "keys": "linear", "adds": "linear"},
]


@pytest.mark.slow
@pytest.mark.parametrize("check", [check for form in FORMS for check in conformance("ntm", form)], ids=str)
def test_conformance_of_other_forms(check):
    check()


# The checks that a state at t = 0 may break, except those that compare two layers with the same one.
START_CHECKS = ("sizes", "state", "one_row", "chunks_are_the_whole", "masked_is_unpadded", "saved_and_loaded")
LEARNED = {
    "slots": 4,
    "width": 2,
    "write_heads": 2,
    "initial_memory": "learned",
    "initial_weighting": "learned",
}
RANDOM = {"slots": 4, "width": 2, "initial_memory": "random", "initial_weighting": "uniform"}
STARTS = [
    *(check for check in conformance("ntm", LEARNED) if check.name in (*START_CHECKS, "stays_finite")),
    *(check for check in conformance("ntm", RANDOM) if check.name in START_CHECKS),
]


@pytest.mark.slow
@pytest.mark.parametrize("check", STARTS, ids=str)
def test_conformance_of_other_starts(check):
    check()
