import numpy as np
import pytest
from matplotlib.image import imread

TIMESTEPS = 5


def shown(panel):
    return np.asarray(panel.images[0].get_array())


def test_a_memory_shows_the_numbers_of_a_slot_below_each_other_and_zero_is_white(
    drawn, pointing, attention, registers
):
    traces = registers(2) | attention(2)
    _, memory, _, _, other, _ = drawn(pointing(), traces)
    np.testing.assert_array_equal(shown(memory), traces["scratch.memory"][0].reshape(TIMESTEPS, 8).T)
    image = memory.images[0]
    assert image.cmap(image.norm(0.0)) == pytest.approx((1, 1, 1, 1), abs=0.02)
    assert image.get_clim() == other.images[0].get_clim()  # the sequences can be compared


@pytest.mark.parametrize("number", [0, 15])
def test_no_number_of_a_slot_is_hidden_by_the_gap_between_slots(tmp_path, number, draw, pointing):
    links = np.zeros((1, TIMESTEPS, 16, 16))
    links[0, :, 5, number] = 1
    figure, _ = draw(pointing(system=""), {"dnc.link": links})
    (panel,) = [axes for axes in figure.axes if axes.images]
    pixels = imread(tmp_path / "picture.png")[::-1, :, :3]  # as figures count them, from below
    left, bottom, right, top = map(int, panel.get_window_extent().extents)
    dark = np.all(pixels[bottom:top, left:right] < 0.5, axis=-1)
    assert dark.mean() > 0.5 / 256


def test_slots_have_the_names_that_a_system_gives_them(drawn, pointing):
    traces = {"stack.actions": np.random.default_rng(0).random((1, TIMESTEPS, 3))}
    (panel,) = drawn(pointing(system=""), traces, {"stack.actions": ("push", "pop", "stay")})
    assert [label.get_text() for label in panel.get_yticklabels()] == ["push", "pop", "stay"]
    (panel,) = drawn(pointing(system=""), traces, {"stack.actions": ("push", "pop")})  # of other settings
    assert "push" not in [label.get_text() for label in panel.get_yticklabels()]
