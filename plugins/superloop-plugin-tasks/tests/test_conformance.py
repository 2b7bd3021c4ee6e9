"""The plugins pass the conformance kit."""

import pytest
from superloop_plugin_tasks import FAMILIES

from superloop_core.testing import conformance

OF_FAMILIES = [spec.name for family in FAMILIES for spec in family.SPECS]
NAMES = ("last_two_before_nine", "final_distance", "token_accuracy", "wrong_bits", *OF_FAMILIES)


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()
