import numpy as np
import pytest
from matplotlib.image import imread

TIMESTEPS, SLOTS = 5, 3
RIGHT, WRONG = "\N{CHECK MARK}", "\N{BALLOT X}"


def shown(panel):
    return np.asarray(panel.images[0].get_array())


def titles(panels):
    return [panel.get_title(loc="left") for panel in panels]


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_each_sequence_has_a_panel_of_its_weights_against_time(drawn, rows, pointing, attention):
    traces = attention(rows)
    panels = drawn(pointing(), traces)
    assert titles(panels) == [f"row {row} {WRONG if row % 2 else RIGHT}" for row in range(rows)]
    for row, panel in enumerate(panels):
        np.testing.assert_array_equal(shown(panel), traces["tape.weights"][row].T)
        assert [label.get_text() for label in panel.get_yticklabels()] == [
            f"{row}{slot}" for slot in range(SLOTS)
        ]


@pytest.mark.parametrize("rows", [1, 3])
def test_the_annotated_system_comes_first_and_others_beside_it(drawn, rows, pointing, attention, registers):
    panels = drawn(pointing(), registers(rows) | attention(rows))
    assert titles(panels) == [
        title
        for row in range(rows)
        for title in (
            f"row {row} {WRONG if row % 2 else RIGHT}",
            "scratch memory",
            "scratch write weights",
        )
    ]


def test_lines_come_first(draw, pointing, attention):
    traces = attention(2)
    forecasts = [np.where(np.arange(TIMESTEPS) < 1, np.nan, traces["outputs"][row, :, 0]) for row in range(2)]
    lines = [{"level": np.arange(TIMESTEPS) + row, "2 ahead": forecasts[row]} for row in range(2)]
    figure, _ = draw(pointing(), traces, lines=lines)
    panels = figure.axes[:4]  # of lines and of weights, by turns
    assert titles(panels)[::2] == [f"row 0 {RIGHT}\noutputs", f"row 1 {WRONG}\noutputs"]
    true, forecast = panels[2].lines
    assert [line.get_label() for line in (true, forecast)] == ["level", "2 ahead"]
    np.testing.assert_array_equal(true.get_ydata(), [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(forecast.get_ydata()[1:], traces["outputs"][1, 1:, 0])


def test_without_a_system_that_has_slots_the_cells_are_drawn(drawn, pointing, attention):
    traces = attention(1)
    del traces["tape.weights"]
    panels = drawn(pointing(), traces)
    assert titles(panels) == [f"row 0 {RIGHT}\ncells 0 h"]


def test_stacks_of_one_number_are_slots_and_several_are_below_each_other(drawn, pointing):
    rng = np.random.default_rng(2)
    traces = {
        "stack.actions": rng.random((1, TIMESTEPS, 1, 2)),
        "stack.cells": rng.random((1, TIMESTEPS, 1, 4, 1)),
        "tapes.cells": rng.random((1, TIMESTEPS, 2, 4, 3)),
    }
    for panel, (name, slots) in zip(drawn(pointing("none"), traces), (*enumerate((2, 4, 8)),), strict=True):
        trace = list(traces.values())[name][0]
        np.testing.assert_array_equal(shown(panel), trace.reshape(TIMESTEPS, -1).T)
        assert panel.get_ylim() == (slots - 0.5, -0.5)


def test_a_sequence_ends_with_its_valid_timesteps(draw, pointing, attention):
    figure, _ = draw(pointing(), attention(2), lengths=np.array([3, 5]))
    assert [axes.get_xlim() for axes in figure.axes if axes.images] == [(-0.5, 2.5), (-0.5, 4.5)]


def test_traces_of_zeros_are_drawn(tmp_path, draw, pointing):
    traces = {
        "tape.weights": np.zeros((1, TIMESTEPS, SLOTS)),
        "scratch.memory": np.zeros((1, TIMESTEPS, 2, 2)),
    }
    draw(pointing(), traces)
    assert imread(tmp_path / "picture.png").min() < 0.5


def test_many_traces_of_several_sequences_stand_in_rows_of_three(draw, pointing):
    traces = {f"memory.{letter}": np.random.default_rng(0).random((2, TIMESTEPS, 4)) for letter in "abcde"}
    figure, _ = draw(pointing(system=""), traces)
    panels = [axes for axes in figure.axes if axes.images]
    places = [(axes.get_subplotspec().rowspan.start, axes.get_subplotspec().colspan.start) for axes in panels]
    assert places == [(row, column) for row in range(4) for column in range(3) if (row % 2, column) != (1, 2)]


def test_traces_that_are_not_drawn_are_returned(draw, pointing, attention):
    sizes = {"memory.large": 600, **{f"memory.{letter}": 9 - i for i, letter in enumerate("abcdefg")}}
    traces = {name: np.ones((1, TIMESTEPS, size)) for name, size in sizes.items()}
    traces |= {"cells.0.h": np.ones((1, TIMESTEPS, 600)), "memory.read": np.ones((1, TIMESTEPS, 3))}
    assert draw(pointing(system=""), traces)[1] == ["memory.g", "memory.large"]
    assert draw(pointing(), attention(1))[1] == []


def test_the_picture_is_blank_if_every_trace_is_too_large(draw, pointing):
    figure, left_out = draw(pointing(system=""), {"cells.0.h": np.ones((2, TIMESTEPS, 600))})
    assert left_out == ["cells.0.h"]
    assert not any(axes.images for axes in figure.axes)
