"""The conformance kit, for the key-value memory."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("key_value"), ids=str)
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
