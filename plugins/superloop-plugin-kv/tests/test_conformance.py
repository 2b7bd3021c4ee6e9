"""The conformance kit, for all systems of this distribution."""

import pytest

from superloop_core.testing import conformance

KEY_VALUE = ("key_value", "deltanet", "gated_deltanet", "kda", "deltaproduct")
NAMES = (*KEY_VALUE, "rwkv7", "mesa", "self_referential")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()


FEW = ("gradients_match", "stays_finite", "stays_finite_in_training")
OTHERS = [
    ("key_value", {"key_size": 3, "width": 2, "feature_map": "dpfp", "norm": "sum"}, FEW[:2]),
    ("mesa", {"key_size": 3, "width": 2, "feature_map": "linear"}, FEW[:2]),
    ("rwkv7", {"key_size": 3, "width": 2, "limit": 0.5}, FEW),
    ("self_referential", {"inputs": 3, "width": 2, "softmax": False}, FEW),
    ("self_referential", {"inputs": 3, "width": 2, "limit": 0.5}, FEW),
]
CHECKS = [
    pytest.param(check, id=f"{check}-{number}")
    for number, (name, settings, checks) in enumerate(OTHERS)
    for check in conformance(name, settings)
    if check.name in checks
]


@pytest.mark.parametrize("check", CHECKS)
def test_conformance_with_other_settings(check):
    check()
