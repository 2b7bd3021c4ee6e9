"""The conformance kit, for TTT-Linear and Titans."""

import pytest

from superloop_core.testing import conformance

HIDDEN = {"key_size": 3, "width": 2, "hidden_size": 4}


@pytest.mark.parametrize("check", [*conformance("ttt_linear"), *conformance("titans")], ids=str)
def test_conformance(check):
    check()


@pytest.mark.parametrize("check", conformance("titans", HIDDEN), ids=str)
def test_conformance_with_a_hidden_layer(check):
    check()
