"""The conformance kit, for the register memory."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("register_memory"), ids=str)
def test_conformance(check):
    check()
