"""The plugin holds to what every plugin of superloop must."""

import pytest
from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("my_system"), ids=str)
def test_conformance(check):
    check()
