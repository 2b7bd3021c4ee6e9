"""The conformance kit, for the three kinds of attention."""

import pytest

from superloop_core.testing import conformance

NAMES = ("attention", "content_attention", "location_attention")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()
