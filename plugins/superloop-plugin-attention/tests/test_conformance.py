"""The conformance kit, for the three kinds of attention."""

import pytest

from superloop_core.testing import conformance

NAMES = ("attention", "content_attention", "location_attention")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()


ADDITIVE = [
    check
    for check in conformance("content_attention", {"width": 3, "key_size": 4, "score": "additive"})
    if check.name in ("gradients_match", "stays_finite")
]


@pytest.mark.parametrize("check", ADDITIVE, ids=str)
def test_conformance_with_an_additive_score(check):
    check()
