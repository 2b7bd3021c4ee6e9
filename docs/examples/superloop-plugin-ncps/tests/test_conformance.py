"""The plugin holds to what every plugin of superloop must."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("cfc"), ids=str)
def test_conformance(check):
    check()
