"""The conformance kit, for the NTM's memory."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("ntm"), ids=str)
def test_conformance(check):
    check()
