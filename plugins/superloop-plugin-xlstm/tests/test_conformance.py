"""The conformance kit, for sLSTM and mLSTM."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", [*conformance("slstm"), *conformance("mlstm")], ids=str)
def test_conformance(check):
    check()


EXPONENTIAL = [
    check
    for name, example in (("slstm", {"units": 4}), ("mlstm", {"key_size": 3, "width": 2}))
    for check in conformance(name, {**example, "forget_gate": "exponential"})
    if check.name in ("gradients_match", "stays_finite", "stays_finite_in_training")
]


@pytest.mark.parametrize("check", EXPONENTIAL, ids=str)
def test_conformance_with_exponential_forget_gates(check):
    check()
