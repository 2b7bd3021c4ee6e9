"""The conformance kit, for tapes that jump by the length and by a source."""

import attrs
import pytest

from superloop_core.testing import conformance


@pytest.mark.parametrize("check", conformance("tape"), ids=str)
def test_conformance(check):
    check()


BY_SOURCE = (
    "gradients_match",
    "masked_is_unpadded",
    "chunks_are_the_whole",
    "xla_is_eager",
    "saved_and_loaded",
)


@pytest.mark.parametrize("check", [c for c in conformance("tape") if c.name in BY_SOURCE], ids=str)
def test_conformance_of_a_tape_that_jumps_by_a_source(check):
    spec = check.record.spec
    spec = attrs.evolve(spec, example=spec.example | {"jump": "source"}, expected_failures={})
    attrs.evolve(check, record=attrs.evolve(check.record, spec=spec))()
