"""The plugins hold to what every plugin of superloop must."""

import pytest

from superloop_core.testing import conformance

NAMES = ("stack", "neural_stack", "neural_queue", "neural_deque", "nondeterministic_stack")


@pytest.mark.parametrize("check", [check for name in NAMES for check in conformance(name)], ids=str)
def test_conformance(check):
    check()


FORMS = {
    "stack": {
        "depth": 4,
        "width": 3,
        "stacks": 2,
        "read": "attention",
        "superposition": "joint",
        "empty": -1,
    },
    "neural_stack": {"capacity": 4, "width": 2, "stacks": 2, "max_pop": 3.0},
    "nondeterministic_stack": {"states": 2, "symbols": 2, "capacity": 4, "width": 2, "bottom": "fixed"},
}
ABOUT_STATES_AND_WEIGHTS = (
    "sizes",
    "gradients_match",
    "masked_is_unpadded",
    "chunks_are_the_whole",
    "xla_is_eager",
    "stays_finite",
    "stays_finite_in_training",
)


@pytest.mark.parametrize(
    "check",
    [
        check
        for name, settings in FORMS.items()
        for check in conformance(name, settings)
        if check.name in ABOUT_STATES_AND_WEIGHTS
    ],
    ids=str,
)
def test_conformance_of_other_forms(check):
    check()
