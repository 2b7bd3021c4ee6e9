import numpy as np
import pytest
from superloop_plugin_view import plot
from superloop_plugin_view.links import chosen_timesteps

from superloop_core import Traces, TraceView


@pytest.fixture
def links():
    trace = np.random.default_rng(0).random((2, 9, 4, 4))
    mask = np.arange(9) < np.array([[9], [5]])
    return Traces(
        arrays={"dnc.link": trace},
        views={"dnc.link": TraceView("links", "slot", "slot before")},
        reached={"mask": mask},
    )


def matrices(figure):
    return [inset for axes in figure.axes for inset in axes.child_axes if inset.images]


def test_links_are_matrices_at_some_timesteps_up_to_the_last_valid_one(links):
    found = matrices(plot(links, timesteps=3))
    assert [axes.get_title() for axes in found] == [f"t = {t}" for t in (2, 5, 8, 1, 2, 4)]
    np.testing.assert_array_equal(found[1].images[0].get_array(), links["dnc.link"][0, 5])
    np.testing.assert_array_equal(found[5].images[0].get_array(), links["dnc.link"][1, 4])
    assert len({axes.images[0].get_clim() for axes in found}) == 1


def test_the_timesteps_may_be_given(links):
    found = matrices(plot(links, timesteps=[0, 6], sequences=[0]))
    assert [axes.get_title() for axes in found] == ["t = 0", "t = 6"]


@pytest.mark.parametrize("width", [None, "column", "page"])
def test_matrices_are_square_and_do_not_overlap(links, width):
    figure = plot(links, timesteps=5, sequences=[0], width=width)
    figure.draw_without_rendering()
    boxes = [axes.get_window_extent() for axes in matrices(figure)]
    assert all(box.width == pytest.approx(box.height, rel=0.02) for box in boxes)
    assert not any(one.overlaps(other) for one in boxes for other in boxes if one is not other)


def test_fewer_timesteps_than_matrices_give_each_of_them():
    assert chosen_timesteps(2, 4) == [0, 1]
    assert chosen_timesteps(1, 4) == [0]
    assert chosen_timesteps(3, [0, 2, 5]) == [0, 2]
