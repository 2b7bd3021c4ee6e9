"""The conformance kit, for the key-value memory and its presets."""

import pytest

from superloop_core.testing import conformance

NAMES = ("key_value", "deltanet", "gated_deltanet", "kda", "deltaproduct")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()


DPFP = [
    check
    for check in conformance("key_value", {"key_size": 3, "width": 2, "feature_map": "dpfp", "norm": "sum"})
    if check.name in ("gradients_match", "stays_finite")
]


@pytest.mark.parametrize("check", DPFP, ids=str)
def test_conformance_with_dpfp(check):
    check()
