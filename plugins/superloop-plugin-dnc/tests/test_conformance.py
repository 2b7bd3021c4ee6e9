"""The plugins hold to what every plugin of superloop must."""

import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", [*conformance("dnc"), *conformance("sam")], ids=str)
def test_conformance(check):
    check()


FORMS = [
    {"slots": 4, "width": 3, "read_heads": 2, "masked": True, "deallocate": True, "sharpened": True},
    {"slots": 4, "width": 3, "write_heads": 2, "strengths": "softplus", "clip": 20.0},
]


@pytest.mark.slow
@pytest.mark.parametrize("check", [check for form in FORMS for check in conformance("dnc", form)], ids=str)
def test_conformance_of_other_forms(check):
    check()
