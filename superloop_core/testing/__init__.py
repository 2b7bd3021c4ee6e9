"""The conformance kit: what every plugin must hold to, checked in the same way for all.

In a plugin's tests::

    import pytest
    from superloop_core.testing import conformance

    @pytest.mark.parametrize("check", conformance("my_system"), ids=str)
    def test_conformance(check):
        check()

``superloop check-plugin my_system`` runs the same checks. Each makes its own small loop of the spec's
``example``, with weights at random; none looks at a plugin's name.
"""

from superloop_core.testing.kit import Check, check_plugin, conformance
from superloop_core.testing.report import CheckFailed, Report, Result

__all__ = ["Check", "CheckFailed", "Report", "Result", "check_plugin", "conformance"]
