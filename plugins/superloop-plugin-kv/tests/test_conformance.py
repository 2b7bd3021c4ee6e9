"""The conformance kit, for the key-value memory."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("key_value"), ids=str)
def test_conformance(check):
    check()
