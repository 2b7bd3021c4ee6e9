import numpy as np
import pytest
from superloop_plugin_lab.pictures.selection import select_traces

TIMESTEPS = 5


def of_sizes(sizes):
    return {name: np.ones((1, TIMESTEPS, size)) for name, size in sizes.items()}


def test_traces_too_large_and_those_with_the_fewest_slots_are_left_out():
    sizes = dict(zip("abcdefgh", (2, 3, 1, 9, 600, 5, 4, 8), strict=True))
    selection = select_traces(of_sizes({f"memory.{name}": size for name, size in sizes.items()}), ())
    assert selection.drawn == [f"memory.{name}" for name in "dhfgba"]
    assert selection.left_out == ["memory.c", "memory.e"]


@pytest.mark.parametrize("size", [3, 600])
def test_cells_are_selected_only_without_a_system_that_has_slots(size):
    selection = select_traces(of_sizes({"cells.0.h": 7, "memory.slots": size, "memory.read": 3}), ())
    assert selection.drawn == (["memory.slots"] if size == 3 else ["cells.0.h"])
    assert selection.left_out == ([] if size == 3 else ["memory.slots"])


def test_a_trace_without_numbers_is_not_selected():
    selection = select_traces(of_sizes({"scratch.memory": 4, "scratch.vectors": 0}), ())
    assert (selection.drawn, selection.left_out) == (["scratch.memory"], [])


def test_unused_last_slots_are_cut_off_to_the_same_number_for_all_traces_of_a_system():
    traces = of_sizes({"dnc.usage": 10, "dnc.read_weights": 10, "stack.cells": 10, "tape.weights": 10})
    for trace, used in zip(traces.values(), (7, 4, 2, 1), strict=True):
        trace[:, :, used:] = 0
    selection = select_traces(traces, {"tape"})
    assert [trace.shape[2] for trace in selection.traces.values()] == [7, 7, 2, 10]
