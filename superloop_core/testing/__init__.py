"""The conformance kit: the checks that every plugin must pass.

In a plugin's tests::

    import pytest
    from superloop_core.testing import conformance

    @pytest.mark.parametrize("check", conformance("my_system"), ids=str)
    def test_conformance(check):
        check()

``superloop check-plugin my_system`` runs the same checks. Each makes a small loop of the spec's
``example`` with random weights; none looks at a plugin's name.
"""

from superloop_core.testing.badge import badge
from superloop_core.testing.kit import Check, check_plugin, conformance
from superloop_core.testing.report import CheckFailed, Report, Result

__all__ = ["Check", "CheckFailed", "Report", "Result", "badge", "check_plugin", "conformance"]
