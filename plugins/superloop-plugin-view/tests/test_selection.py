import numpy as np
import pytest
from superloop_plugin_view.selection import by_slots, choose_traces

from superloop_core import Traces, TraceView

TIMESTEPS = 5


def of_sizes(sizes):
    return Traces(arrays={name: np.ones((1, TIMESTEPS, size)) for name, size in sizes.items()})


def test_traces_too_large_and_those_with_the_fewest_slots_are_left_out():
    sizes = dict(zip("abcdefgh", (2, 3, 1, 9, 600, 5, 4, 8), strict=True))
    selection = choose_traces(of_sizes({f"memory.{name}": size for name, size in sizes.items()}))
    assert selection.drawn == [f"memory.{name}" for name in "dhfgba"]
    assert selection.left_out == ["memory.c", "memory.e"]


@pytest.mark.parametrize("size", [3, 600])
def test_cells_are_selected_only_without_a_system_that_has_slots(size):
    selection = choose_traces(of_sizes({"cells.0.h": 7, "memory.slots": size, "memory.read": 3}))
    assert selection.drawn == (["memory.slots"] if size == 3 else ["cells.0.h"])
    assert selection.left_out == ([] if size == 3 else ["memory.slots"])


def test_a_trace_without_numbers_is_not_selected():
    selection = choose_traces(of_sizes({"scratch.memory": 4, "scratch.vectors": 0}))
    assert (selection.drawn, selection.left_out) == (["scratch.memory"], [])


def test_unused_last_slots_are_cut_off_to_the_same_number_for_all_traces_of_a_system():
    traces = of_sizes({"dnc.usage": 10, "dnc.read_weights": 10, "stack.cells": 10, "tape.weights": 10})
    for trace, used in zip(traces.values(), (7, 4, 2, 1), strict=True):
        trace[:, :, used:] = 0
    assert [trace.shape[2] for trace in by_slots(traces, {"tape"}).values()] == [7, 7, 2, 10]


def test_links_are_cut_in_both_axes_to_the_slots_of_their_part():
    links, usage = np.zeros((1, TIMESTEPS, 9, 9)), np.zeros((1, TIMESTEPS, 9))
    links[0, 3, 1, 5] = usage[0, 3, 2] = 1
    traces = Traces(
        arrays={"dnc.link": links, "dnc.usage": usage}, views={"dnc.link": TraceView("links", "to", "from")}
    )
    assert [trace.shape for trace in by_slots(traces).values()] == [(1, TIMESTEPS, 6, 6), (1, TIMESTEPS, 6)]


def test_a_memory_within_a_cell_is_chosen_and_the_cells_own_traces_are_not():
    sizes = {"cells.0.memo.cells": 4, "cells.0.h": 7, "one.cells.0.memo.cells": 3, "one.cells.0.h": 7}
    traces = Traces(arrays=dict(of_sizes(sizes)), loops={"": "a", "one.": "one"})
    assert choose_traces(traces).drawn == ["cells.0.memo.cells", "one.cells.0.memo.cells"]
