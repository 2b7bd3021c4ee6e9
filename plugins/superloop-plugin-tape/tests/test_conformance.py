"""The conformance kit, for tapes that jump by the length and by a source, and for the Baby-NTM."""

import attrs
import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", [*conformance("tape"), *conformance("baby_ntm")], ids=str)
def test_conformance(check):
    check()


SOURCE_CHECKS = (
    "weights",
    "gradients_match",
    "masked_is_unpadded",
    "chunks_are_the_whole",
    "xla_is_eager",
    "saved_and_loaded",
)


def checks_of_a_tape_with_a_source():
    checks = conformance(
        "tape", {"slots": 8, "width": 3, "tapes": 2, "jump": "source", "value_layers": [4, 5]}
    )
    record = checks[0].record
    # Only a jump by the length has an expected failure.
    record = attrs.evolve(record, spec=attrs.evolve(record.spec, expected_failures={}))
    return [attrs.evolve(check, record=record) for check in checks if check.name in SOURCE_CHECKS]


@pytest.mark.parametrize("check", checks_of_a_tape_with_a_source(), ids=str)
def test_conformance_of_a_tape_that_jumps_by_a_source(check):
    check()
