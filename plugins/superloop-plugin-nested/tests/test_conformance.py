"""The conformance kit, for the superloop as a cell and as a system."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("superloop"), ids=str)
def test_conformance(check):
    check()
