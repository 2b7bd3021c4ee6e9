"""The conformance kit, for the ring and the gated slots."""

import pytest

from superloop_core.testing import conformance

NAMES = ("ring", "gated_slots")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()


STEPPED = ("loop_closes", "gradients_reach", "gradients_match", "chunks_are_the_whole", "stays_finite")
SIZES = {"slots": 3, "key_size": 3, "width": 2}
OTHERS = [
    check
    for name, settings in (
        ("ring", {"read_first": True}),
        ("ring", {"updates": 3, "beta": 4.0}),
        ("gated_slots", {"strength": "untied", "damping": 1.0}),
    )
    for check in conformance(name, SIZES | settings)
    if check.name in STEPPED
]


@pytest.mark.parametrize("check", OTHERS, ids=str)
def test_conformance_with_other_settings(check):
    check()
