"""The conformance kit, for the tasks and the metric."""

import pytest

from superloop_core.testing import conformance

NAMES = ("classification", "regression", "tagging", "forecasting", "next_token", "absolute_error")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()
