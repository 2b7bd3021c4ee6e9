"""The conformance kit, for the two memories and the cell."""

import pytest

from superloop_core.testing import conformance

NAMES = ("lmu", "ffm", "lru")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()


RING = {"r_min": 0.9, "r_max": 0.999, "max_phase": 0.5}
OTHERS = [
    check
    for name, settings in (
        ("ffm", {"channels": 3, "contexts": 2, "width": 3, "shortest": 5.0, "trained": False}),
        ("lru", {"units": 4, "modes": 3, "activation": "gelu"} | RING),
    )
    for check in conformance(name, settings)
    if check.name in ("gradients_reach", "gradients_match", "mixed_precision", "saved_and_loaded")
]


@pytest.mark.parametrize("check", OTHERS, ids=str)
def test_conformance_with_other_settings(check):
    check()
