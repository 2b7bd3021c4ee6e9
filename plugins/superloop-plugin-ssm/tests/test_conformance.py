"""The conformance kit, for the two memories and the cell."""

import pytest

from superloop_core.testing import conformance

NAMES = ("lmu", "ffm", "lru")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()


OTHERS = [
    check
    for name, settings in (
        ("ffm", {"trained": False, "shortest": 5.0}),
        ("lru", {"modes": 3, "activation": "gelu", "r_min": 0.9, "r_max": 0.999, "max_phase": 0.5}),
    )
    for check in conformance(name, settings)
    if check.name in ("gradients_reach", "gradients_match", "mixed_precision", "saved_and_loaded")
]


@pytest.mark.parametrize("check", OTHERS, ids=str)
def test_conformance_with_other_settings(check):
    check()
