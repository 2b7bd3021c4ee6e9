import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from superloop_plugin_lab.picture import draw

from superloop_core.task import Annotation, Batch

TIMESTEPS, SLOTS = 5, 3
RIGHT, WRONG = "\N{CHECK MARK}", "\N{BALLOT X}"


class Pointing:
    """A task with a target slot for each sequence; every second one is answered right."""

    traces = ()

    def __init__(self, system="tape"):
        self.system = system

    def correct(self, targets, results):
        return np.arange(len(targets)) % 2 == 0

    def annotate(self, batch, row):
        slots = tuple(f"{row}{slot}" for slot in range(SLOTS))
        return Annotation(title=f"row {row}", system=self.system, slots=slots, target=row % SLOTS)


def batch_of(rows):
    return Batch(inputs={}, targets=np.zeros(rows))


def attention(rows):
    rng = np.random.default_rng(0)
    position = np.cumsum(rng.random((rows, TIMESTEPS, 1)), axis=1)
    return {
        "cells.0.h": rng.normal(size=(rows, TIMESTEPS, 7)),
        "outputs": rng.normal(size=(rows, TIMESTEPS, 7)),
        "tape.control": rng.normal(size=(rows, TIMESTEPS, 1)),
        "tape.position": position,
        "tape.read": rng.normal(size=(rows, TIMESTEPS, 4)),
        "tape.weights": 1 / (1 + (position - np.arange(SLOTS)) ** 2),
    }


def registers(rows):
    rng = np.random.default_rng(1)
    return {
        "scratch.memory": rng.normal(size=(rows, TIMESTEPS, 4, 2)),
        "scratch.write_weights": rng.random((rows, TIMESTEPS, 4)),
    }


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved."""
    saved = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, path: (saved.append(self), save(self, path)))
    return saved


@pytest.fixture
def drawn(tmp_path, figures):
    """Draws, checks the file, and gives the panels in which there is a picture."""

    def run(task, rows, traces, slot_names=None):
        path = tmp_path / "picture.png"
        draw(task, batch_of(rows), traces, path, slot_names)
        pixels = imread(path)
        width, height = figures[-1].get_size_inches()
        assert pixels.shape[:2] == (round(height * 150), round(width * 150))
        assert len(np.unique(pixels[::4, ::4, :3].reshape(-1, 3), axis=0)) > 20
        return [axes for axes in figures[-1].axes if axes.images]

    return run


def shown(panel):
    return np.asarray(panel.images[0].get_array())


def titles(panels):
    return [panel.get_title(loc="left") for panel in panels]


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
def test_each_sequence_has_a_panel_of_its_weights_against_time(drawn, rows):
    traces = attention(rows)
    panels = drawn(Pointing(), rows, traces)
    assert titles(panels) == [f"row {row} {WRONG if row % 2 else RIGHT}" for row in range(rows)]
    for row, panel in enumerate(panels):
        np.testing.assert_array_equal(shown(panel), traces["tape.weights"][row].T)
        assert [label.get_text() for label in panel.get_yticklabels()] == [
            f"{row}{slot}" for slot in range(SLOTS)
        ]


def test_the_path_is_the_position_after_each_move_so_that_it_lies_on_the_weights(drawn):
    traces = attention(2)
    for row, panel in enumerate(drawn(Pointing(), 2, traces)):
        *paths, dot = panel.lines
        for path in paths:
            np.testing.assert_array_equal(path.get_ydata(), traces["tape.position"][row, 1:, 0])
        assert (dot.get_xdata().tolist(), dot.get_ydata().tolist()) == (
            [TIMESTEPS - 2],
            [traces["tape.position"][row, -1, 0]],
        )


def test_the_target_is_framed_and_its_label_bold(drawn):
    for row, panel in enumerate(drawn(Pointing(), 4, attention(4))):
        (frame,) = panel.patches
        assert frame.get_y() == row % SLOTS - 0.5
        bold = [label.get_text() for label in panel.get_yticklabels() if label.get_fontweight() == "bold"]
        assert bold == [f"{row}{row % SLOTS}"]


@pytest.mark.parametrize("rows", [1, 3])
def test_the_annotated_system_comes_first_and_the_other_systems_beside_it(drawn, rows):
    panels = drawn(Pointing(), rows, registers(rows) | attention(rows))
    assert titles(panels) == [
        title
        for row in range(rows)
        for title in (
            f"row {row} {WRONG if row % 2 else RIGHT}",
            "scratch memory",
            "scratch write weights",
        )
    ]


def test_a_memory_shows_the_numbers_of_a_slot_below_each_other_and_zero_is_white(drawn):
    traces = registers(2) | attention(2)
    _, memory, _, _, other, _ = drawn(Pointing(), 2, traces)
    np.testing.assert_array_equal(shown(memory), traces["scratch.memory"][0].reshape(TIMESTEPS, 8).T)
    image = memory.images[0]
    assert image.cmap(image.norm(0.0)) == pytest.approx((1, 1, 1, 1), abs=0.02)
    assert image.get_clim() == other.images[0].get_clim()  # the sequences can be compared


def test_a_system_that_the_task_does_not_annotate_has_its_slots_numbered(drawn):
    (panel,) = drawn(Pointing(system="other"), 1, attention(1))
    assert titles([panel]) == [f"row 0 {RIGHT}\ntape weights"]
    assert not panel.patches


def test_where_no_system_has_slots_the_cells_are_drawn(drawn):
    traces = attention(1)
    del traces["tape.weights"]
    panels = drawn(Pointing(), 1, traces)
    assert titles(panels) == [f"row 0 {RIGHT}\ncells 0 h"]


def test_stacks_of_one_number_are_slots_and_several_are_below_each_other(drawn):
    rng = np.random.default_rng(2)
    traces = {
        "stack.actions": rng.random((1, TIMESTEPS, 1, 2)),
        "stack.cells": rng.random((1, TIMESTEPS, 1, 4, 1)),
        "tapes.cells": rng.random((1, TIMESTEPS, 2, 4, 3)),
    }
    for panel, (name, slots) in zip(
        drawn(Pointing("none"), 1, traces), (*enumerate((2, 4, 8)),), strict=True
    ):
        trace = list(traces.values())[name][0]
        np.testing.assert_array_equal(shown(panel), trace.reshape(TIMESTEPS, -1).T)
        assert panel.get_ylim() == (slots - 0.5, -0.5)


def test_what_is_too_large_to_be_seen_is_left_out_and_so_is_what_is_seen_least(drawn):
    sizes = {
        f"memory.{letter}": size for letter, size in zip("abcdefgh", (2, 3, 1, 9, 600, 5, 4, 8), strict=True)
    }
    traces = {name: np.random.default_rng(3).random((1, TIMESTEPS, size)) for name, size in sizes.items()}
    panels = drawn(Pointing("none"), 1, traces)
    assert [title.splitlines()[-1] for title in titles(panels)] == [f"memory {name}" for name in "abdfgh"]


def test_a_sequence_ends_with_its_valid_timesteps(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, path: figures.append(self))
    batch = Batch(inputs={"lengths": np.array([3, 5])}, targets=np.zeros(2))
    draw(Pointing(), batch, attention(2), tmp_path / "picture.png")
    assert [axes.get_xlim() for axes in figures[0].axes if axes.images] == [(-0.5, 2.5), (-0.5, 4.5)]


def test_traces_of_nothing_but_zeros_are_drawn(tmp_path):
    traces = {
        "tape.weights": np.zeros((1, TIMESTEPS, SLOTS)),
        "scratch.memory": np.zeros((1, TIMESTEPS, 2, 2)),
    }
    draw(Pointing(), batch_of(1), traces, tmp_path / "zeros.png")
    assert imread(tmp_path / "zeros.png").min() < 0.5


def test_a_number_at_each_timestep_is_a_line(tmp_path, figures):
    push = np.linspace(-2, 3, TIMESTEPS).reshape(1, TIMESTEPS, 1)
    traces = {"stack.push": push, "stack.strengths": np.ones((1, TIMESTEPS, SLOTS))}
    draw(Pointing(system=""), batch_of(1), traces, tmp_path / "line.png")
    (line,) = [axes for axes in figures[0].axes if "push" in axes.get_title(loc="left")]
    assert not line.images
    np.testing.assert_allclose(line.patches[0].get_data().values, push[0, :, 0])
    low, high = line.get_ylim()
    assert low < -2 < 3 < high
    assert [axes.get_xlabel() for axes in figures[0].axes].count("stack push") == 0, "a line has no scale"


def panels_named(drawn, slot_names):
    traces = {"stack.actions": np.random.default_rng(0).random((1, TIMESTEPS, 3))}
    return drawn(Pointing(system=""), 1, traces, slot_names)


def test_slots_have_the_names_that_a_system_gives_them(drawn):
    (panel,) = panels_named(drawn, {"stack.actions": ("push", "pop", "stay")})
    assert [label.get_text() for label in panel.get_yticklabels()] == ["push", "pop", "stay"]
    (panel,) = panels_named(drawn, {"stack.actions": ("push", "pop")})  # of other settings
    assert "push" not in [label.get_text() for label in panel.get_yticklabels()]


def test_what_has_no_numbers_is_not_drawn(drawn):
    traces = registers(1) | {"scratch.vectors": np.zeros((1, TIMESTEPS, 4, 0))}
    assert len(drawn(Pointing(system=""), 1, traces)) == 2


@pytest.mark.parametrize("number", [0, 15])
def test_no_number_of_a_slot_is_hidden_by_what_stands_between_slots(tmp_path, figures, number):
    links = np.zeros((1, TIMESTEPS, 16, 16))
    links[0, :, 5, number] = 1
    draw(Pointing(system=""), batch_of(1), {"dnc.link": links}, tmp_path / "link.png")
    (panel,) = [axes for axes in figures[0].axes if axes.images]
    pixels = imread(tmp_path / "link.png")[::-1, :, :3]  # as figures count them, from below
    left, bottom, right, top = map(int, panel.get_window_extent().extents)
    dark = np.all(pixels[bottom:top, left:right] < 0.5, axis=-1)
    assert dark.mean() > 0.5 / 256


def test_traces_of_a_system_with_as_many_slots_can_be_compared_row_by_row(drawn):
    traces = {name: np.zeros((1, TIMESTEPS, 10)) for name in ("dnc.usage", "dnc.read_weights", "stack.cells")}
    for name, used in zip(traces, (7, 4, 2), strict=True):
        traces[name][:, :, :used] = 1
    panels = drawn(Pointing(system=""), 1, traces)
    assert [shown(panel).shape[0] for panel in panels] == [7, 7, 2]
    labels = [title.splitlines()[-1] for title in titles(panels)]
    assert labels == ["dnc read weights", "dnc usage", "stack cells"]


def test_what_is_not_drawn_is_told(tmp_path):
    sizes = {"memory.large": 600, **{f"memory.{letter}": 9 - i for i, letter in enumerate("abcdefg")}}
    traces = {name: np.ones((1, TIMESTEPS, size)) for name, size in sizes.items()}
    traces |= {"cells.0.h": np.ones((1, TIMESTEPS, 600)), "memory.read": np.ones((1, TIMESTEPS, 3))}
    told = draw(Pointing(system=""), batch_of(1), traces, tmp_path / "a.png")
    assert told == ["memory.g", "memory.large"]
    assert draw(Pointing(), batch_of(1), attention(1), tmp_path / "b.png") == []


def test_many_traces_of_several_sequences_stand_in_rows_of_three(tmp_path, figures):
    traces = {f"memory.{letter}": np.random.default_rng(0).random((2, TIMESTEPS, 4)) for letter in "abcde"}
    draw(Pointing(system=""), batch_of(2), traces, tmp_path / "picture.png")
    panels = [axes for axes in figures[0].axes if axes.images]
    places = [(axes.get_subplotspec().rowspan.start, axes.get_subplotspec().colspan.start) for axes in panels]
    assert places == [(row, column) for row in range(4) for column in range(3) if (row % 2, column) != (1, 2)]
