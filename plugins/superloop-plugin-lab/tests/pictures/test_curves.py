import os
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from superloop_plugin_lab.evaluation import Evaluation
from superloop_plugin_lab.measurement import Measurement
from superloop_plugin_lab.pictures import curves
from superloop_plugin_lab.pictures.curves import check_plot, draw_curves, run_names

from superloop_core import ConfigError


def rows_of(run, lengths=(4, 8), trained=(1, 4), sequences=100, **metrics):
    return [
        Evaluation(
            run=Path(run), trained=trained, length=length, timesteps=length, sequences=sequences,
            measured=Measurement(loss=1.0, accuracy=1 / length, metrics=metrics),
        )
        for length in lengths
    ]  # fmt: skip


@pytest.fixture
def panels_of(figures, tmp_path):
    """Draws rows, and gives the panels and the texts of the legend."""

    def draw(rows):
        draw_curves(rows, tmp_path / "curves.png")
        figure = figures[-1]
        return figure.axes, [text.get_text() for text in figure.legends[0].get_texts()]

    return draw


def test_each_run_has_a_line_of_its_accuracy_by_length_and_an_entry_in_the_legend(panels_of):
    (panel,), legend = panels_of([*rows_of("runs/a", (8, 4)), *rows_of("runs/b", (2,))])
    assert legend == ["a", "b"]
    lines = [line for line in panel.lines if not line.get_label().startswith("_")]
    assert [line.get_xydata().tolist() for line in lines] == [[[4, 0.25], [8, 0.125]], [[2, 0.5]]]
    assert lines[0].get_color() != lines[1].get_color()


def test_two_runs_of_one_name_are_shown_with_their_paths():
    rows = [*rows_of("runs/a"), *rows_of("other/a"), *rows_of("runs/b")]
    assert list(run_names(rows).values()) == ["runs/a", "other/a", "b"]


NAMES = ("_a", "$b$", "c$^", r"\alpha_d", "e[b]", os.fsdecode(b"f\xff"))


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_any_name_of_a_run_is_drawn_as_it_is(figures, tmp_path, monkeypatch, ending):
    monkeypatch.setitem(matplotlib.rcParams, "text.usetex", True)  # of the user's; LaTeX may be missing
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "black")
    draw_curves([row for name in NAMES for row in rows_of(f"runs/{name}")], tmp_path / f"curves.{ending}")
    (legend,) = figures[-1].legends
    assert [text.get_text() for text in legend.get_texts()] == [*NAMES[:-1], "f\N{REPLACEMENT CHARACTER}"]
    assert not any(text.get_parse_math() for text in legend.get_texts())
    assert figures[-1].axes[0].get_facecolor() == (1, 1, 1, 1)
    assert matplotlib.rcParams["text.usetex"]


def test_a_plot_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    def half(self, path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    (tmp_path / "a.png").write_text("old")
    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(ConfigError, match=r"a\.png: cannot be written: No space left on device; free space"):
        draw_curves(rows_of("a"), tmp_path / "a.png")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.png", "old")]


def test_accuracy_by_token_has_a_panel_of_its_own_and_other_metrics_have_none(panels_of):
    rows = [*rows_of("a", token_accuracy=0.9, wrong_bits=3.0), *rows_of("b")]
    panels, _ = panels_of(rows)
    assert [panel.get_ylabel() for panel in panels] == ["sequence accuracy", "token accuracy"]
    assert [line.get_label() for line in panels[1].lines] == ["a"]


def test_trained_lengths_are_shaded_if_all_runs_agree(panels_of):
    (panel,), _ = panels_of([*rows_of("a"), *rows_of("b")])
    (shade,) = panel.patches
    assert (shade.get_x(), shade.get_width()) == (0.5, 4)
    assert [text.get_text() for text in panel.texts] == ["trained on 1 to 4"]
    low, high = panel.get_xlim()
    assert low <= 0.5
    assert high >= 8


def test_the_longest_trained_length_of_each_run_is_marked_if_they_differ(panels_of):
    (panel,), legend = panels_of([*rows_of("a"), *rows_of("b", trained=(1, 6))])
    assert legend == ["a, trained to 4", "b, trained to 6"]
    dotted = [line.get_xdata()[0] for line in panel.lines if line.get_label().startswith("_")]
    assert dotted == [4, 6]
    assert not panel.patches


def test_lengths_that_are_not_measured_take_no_space(panels_of):
    (panel,), _ = panels_of([*rows_of("a", trained=(1, 400))])
    assert panel.get_xlim()[1] < 10


def test_an_interval_contains_the_accuracy_and_narrows_with_more_sequences():
    accuracy = np.array([0.0, 0.3, 1.0])
    few, many = (curves._interval(accuracy, np.full(3, size)) for size in (10, 1000))
    for low, high in (few, many):
        assert np.all((low <= accuracy + 1e-9) & (accuracy <= high + 1e-9))
        assert np.all((low >= -1e-9) & (high <= 1 + 1e-9))
    assert np.all(many[1] - many[0] < few[1] - few[0])
    np.testing.assert_allclose([low[1] for low in few], [0.1078, 0.6032], atol=1e-3)  # Wilson's, 3 of 10


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_single_length_is_drawn(tmp_path, ending):
    path = tmp_path / f"curves.{ending}"
    draw_curves(rows_of("a", (4,), trained=(4, 4)), path)
    assert path.stat().st_size > 1000
    if ending == "png":
        assert imread(path).min() < 0.5


def test_a_plot_that_cannot_be_written_is_rejected_before_anything_is_measured(run, tmp_path):
    with pytest.raises(ConfigError, match=r"--plot a\.gif: the file name must end in \.png or"):
        check_plot(Path("a.gif"), [run.path])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        check_plot(tmp_path / "file/a.png", [run.path])
    with pytest.raises(ConfigError, match="cannot be written"):
        draw_curves(rows_of("a"), tmp_path / "nowhere/a.png")


def test_a_plot_of_a_task_without_a_length_is_rejected(run, tmp_path):
    (tmp_path / "config.toml").write_bytes(run.config.read_bytes().replace(b"length = 4\n", b""))
    (tmp_path / "model.keras").write_bytes(run.model.read_bytes())
    with pytest.raises(ConfigError, match="has no setting 'length' to draw against"):
        check_plot(tmp_path / "a.png", [tmp_path])
