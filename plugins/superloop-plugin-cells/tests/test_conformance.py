"""The conformance kit, for the ten cells."""

import pytest

from superloop_core.testing import conformance

NAMES = (
    "sgu",
    "lstm",
    "gru",
    "simple_rnn",
    "peephole_lstm",
    "layer_norm_lstm",
    "min_gru",
    "indrnn",
    "dense",
    "keras",
)


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()
