"""The conformance kit, for the superloop as a cell and as a system, and for adaptive computation time."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", [*conformance("superloop"), *conformance("act")], ids=str)
def test_conformance(check):
    check()
