"""The plugins hold to what every plugin of superloop must."""

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
def test_a_tape_that_jumps_as_its_source_says_is_held_to_what_the_length_excuses_too(check):
    spec = check.record.spec
    spec = attrs.evolve(spec, example=spec.example | {"jump": "source"}, expected_failures={})
    attrs.evolve(check, record=attrs.evolve(check.record, spec=spec))()
