import numpy as np
import pytest
from superloop_plugin_view import plot

import superloop_core
from superloop_core import TraceError, Traces


@pytest.fixture
def traces():
    rng = np.random.default_rng(0)
    return Traces(
        arrays={
            "memo.cells": rng.random((6, 5, 4, 2)),
            "memo.actions": rng.random((6, 5, 3)) / 10,
            "memo.read": rng.random((6, 5, 2)),
        },
        labels={"memo.actions": ("push", "pop", "stay")},
    )


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]


def test_the_first_four_sequences_are_drawn_and_others_may_be_chosen(traces):
    assert titles(plot(traces))[::2] == [f"sequence {row}\nmemo actions" for row in range(4)]
    figure = plot(traces, sequences=[5, 1], names="memo.cells")
    assert titles(figure) == ["sequence 5\nmemo cells", "sequence 1\nmemo cells"]
    (first, *_) = [axes for axes in figure.axes if axes.images]
    np.testing.assert_array_equal(first.images[0].get_array(), traces["memo.cells"][5].reshape(5, 8).T)


def test_traces_are_drawn_in_the_order_of_their_names_also_those_that_are_usually_not(traces):
    figure = plot(traces, names=["memo.read", "memo.*"], sequences=[0])
    assert titles(figure) == ["sequence 0\nmemo read", "memo cells", "memo actions"]
    with pytest.raises(TraceError, match=r"no trace 'memo.cels'; did you mean 'memo.cells'"):
        plot(traces, names="memo.cels")


def test_the_labels_of_the_plugin_are_shown_or_those_that_are_given(traces):
    def labels(**options):
        figure = plot(traces, names="memo.actions", sequences=[0], **options)
        return [label.get_text() for label in figure.axes[0].get_yticklabels()]

    assert labels() == ["push", "pop", "stay"]
    assert labels(labels={"memo.actions": ["a", "b", "c"]}) == ["a", "b", "c"]


def test_a_scale_of_small_numbers_ends_at_the_largest(traces):
    figure = plot(traces, names="memo.*s", sequences=[0])
    limits = {axes.get_title(loc="left"): axes.images[0].get_clim() for axes in figure.axes if axes.images}
    largest = traces["memo.actions"][0].max()
    assert limits == {"sequence 0\nmemo cells": (0, 1), "memo actions": (0, largest)}


def test_a_path_that_leaves_the_slots_is_dotted_along_their_edge():
    position = np.array([0.0, 1.0, 2.0, 4.0, 9.0])[None, :, None]
    figure = plot({"tape.position": position, "tape.weights": np.ones((1, 5, 3))})
    (axes,) = [axes for axes in figure.axes if axes.lines]
    assert axes.get_ylim() == (2.5, -0.5)
    _, path, dotted, end = axes.lines
    np.testing.assert_array_equal(path.get_ydata(), [1, 2, np.nan, np.nan])
    np.testing.assert_array_equal(dotted.get_ydata(), [1, 2, 2.5, 2.5])
    assert (end.get_marker(), end.get_ydata()) == ("v", [2.5])


@pytest.mark.parametrize(("width", "inches"), [("column", 3.4), ("page", 7.0), (5.5, 5.5)])
@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
def test_a_figure_of_a_paper_has_its_width_its_font_and_a_vector_format(
    traces, tmp_path, width, inches, ending
):
    path = tmp_path / f"figure.{ending}"
    figure = plot(traces, sequences=[0], width=width, font="DejaVu Serif", font_size=8, path=path)
    assert figure.get_size_inches()[0] == pytest.approx(inches)
    start = path.read_bytes()[:400]
    assert {"pdf": b"%PDF", "svg": b"<?xml", "png": b"\x89PNG"}[ending] in start
    if ending == "pdf":
        assert b"DejaVuSerif" in path.read_bytes()
    figure.draw_without_rendering()
    inside = figure.bbox.padded(1)
    for axes in figure.axes:
        for text in (*axes.texts, axes.title, *axes.get_yticklabels()):
            box = text.get_window_extent()
            assert inside.x0 <= box.x0
            assert box.x1 <= inside.x1


def test_a_notebook_shows_the_picture(traces):
    assert plot(traces, sequences=[0])._repr_png_().startswith(b"\x89PNG")


def test_the_users_own_settings_change_nothing(traces, tmp_path, monkeypatch):
    import matplotlib

    plot(traces, sequences=[0], path=tmp_path / "a.png")
    with matplotlib.rc_context({"text.usetex": True, "font.size": 30, "savefig.bbox": "tight"}):
        plot(traces, sequences=[0], path=tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_model_is_traced_and_drawn():
    loop = superloop_core.Superloop(
        {"inputs": 2, "outputs": 2, "cells": [{"use": "gru", "units": 3}],
         "systems": [{"use": "register_memory", "id": "scratch", "depth": 3, "width": 2}]}
    )  # fmt: skip
    x = np.ones((1, 4, 2), "float32")
    loop(x)
    figure = plot(loop.trace(x))
    assert titles(figure) == ["scratch memory", "scratch read weights", "scratch write weights"]


def test_traces_of_one_timestep_are_drawn():
    plot({"tape.position": np.ones((1, 1, 1)), "tape.weights": np.ones((1, 1, 3))})
    plot({})
