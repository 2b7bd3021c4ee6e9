"""Sizes of a loop against sums worked out by hand."""

import pytest

from superloop_core.config import read_loop
from superloop_core.describe.size import measure
from superloop_core.registry import load_registry


def sizes_of(timesteps=None, **loop):
    return measure(read_loop({"inputs": 2} | loop, load_registry()), timesteps)


def test_each_part_has_the_sizes_of_its_equations():
    size = sizes_of(
        outputs=3,
        cells=[{"use": "sgu", "units": 5}, {"use": "lstm", "units": 4, "layers": 2, "dropout": 0.5}],
        systems=[
            {"use": "register_memory", "id": "scratch", "depth": 4, "width": 2},
            {"use": "stack", "depth": 3, "width": 2, "stacks": 2},
        ],
    )
    parts = {part.path: part for part in size.parts}
    known = {n: (p.input_size, p.output_size, p.state_size, p.weights) for n, p in parts.items()}
    # The cells' input is the loop's input and both read vectors: 2 + 2 + 4.
    assert known["cells.0"][:3] == (8, 5, 5)
    assert known["cells.1"] == (5, 4, 8, 4 * 4 * (5 + 4 + 1))
    assert known["cells.2"] == (4, 4, 8, 4 * 4 * (4 + 4 + 1))
    control, read, state, weights = known["scratch"]
    assert (read, state) == (2, 4 * 2 + 2)  # the registers, and the read vector
    assert weights == (4 + 1) * control  # the control projection
    control, read, state, weights = known["stack"]
    assert (read, state) == (4, 2 * 3 * 2 + 4)
    assert weights == (4 + 1) * control
    assert known["outputs"] == (4, 3, 0, 3 * (4 + 1))
    assert size.output_size == 3
    assert size.weights == sum(part.weights for part in size.parts)
    assert size.state_size == sum(part.state_size for part in size.parts)


def test_an_output_that_reads_the_systems_has_their_read_vectors_as_inputs():
    size = sizes_of(
        outputs=3,
        outputs_read_systems=True,
        cells=[{"use": "gru", "units": 4}],
        systems=[{"use": "stack", "depth": 3, "width": 2}],
    )
    assert (size.parts[-1].input_size, size.parts[-1].weights) == (6, 3 * 7)


def test_a_learned_initial_state_and_read_vector_count_as_weights():
    def weights(system=(), cell=()):
        cells = [{"use": "gru", "units": 3, **dict(cell)}]
        systems = [{"use": "register_memory", "depth": 4, "width": 2, **dict(system)}]
        return sizes_of(cells=cells, systems=systems).weights

    plain = weights()
    assert weights(cell={"learn_initial_state": True}) == plain + 3
    assert weights(system={"learn_initial_read": True}) == plain + 2
    assert weights(system={"learn_initial_state": True}) == plain + 4 * 2


@pytest.mark.parametrize("use", ["neural_stack", "nondeterministic_stack"])
def test_the_state_of_a_memory_that_grows_needs_the_number_of_timesteps(use):
    cells = [{"use": "gru", "units": 3}]
    unknown = sizes_of(cells=cells, systems=[{"use": use}])
    assert unknown.state_size is None
    assert unknown.memory(10, 8) is None
    # The nondeterministic stack has a bottom symbol besides.
    capacity = {"neural_stack": 10, "nondeterministic_stack": 11}[use]
    known = sizes_of(cells=cells, systems=[{"use": use, "capacity": capacity}])
    assert sizes_of(timesteps=10, cells=cells, systems=[{"use": use}]) == known


def test_memory_grows_with_timesteps_and_batch_size():
    size = sizes_of(cells=[{"use": "gru", "units": 3}])
    one, two = size.memory(10, 8), size.memory(20, 16)
    assert one["weights"] == two["weights"] == size.weights * 16
    assert two["states"] == 4 * one["states"]


def test_a_loop_far_larger_than_any_memory_is_measured_all_the_same():
    size = sizes_of(cells=[{"use": "lstm", "units": 1_000_000}])
    assert size.weights == 4 * 1_000_000 * (2 + 1_000_000 + 1)
