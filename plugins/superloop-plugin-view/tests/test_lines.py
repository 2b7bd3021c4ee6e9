import numpy as np

TIMESTEPS, SLOTS = 5, 3


def test_the_path_is_the_position_after_each_move_so_that_it_lies_on_the_weights(drawn, pointing, attention):
    traces = attention(2)
    for row, panel in enumerate(drawn(pointing(), traces)):
        *paths, dot = panel.lines
        for path in paths:
            np.testing.assert_array_equal(path.get_ydata(), traces["tape.position"][row, 1:, 0])
        assert (dot.get_xdata().tolist(), dot.get_ydata().tolist()) == (
            [TIMESTEPS - 2],
            [traces["tape.position"][row, -1, 0]],
        )


def test_a_number_at_each_timestep_is_a_line(draw, pointing):
    push = np.linspace(-2, 3, TIMESTEPS).reshape(1, TIMESTEPS, 1)
    traces = {"stack.push": push, "stack.strengths": np.ones((1, TIMESTEPS, SLOTS))}
    figure, _ = draw(pointing(system=""), traces)
    (line,) = [axes for axes in figure.axes if "push" in axes.get_title(loc="left")]
    assert not line.images
    np.testing.assert_allclose(line.patches[0].get_data().values, push[0, :, 0])
    low, high = line.get_ylim()
    assert low < -2 < 3 < high
    assert [axes.get_xlabel() for axes in figure.axes].count("stack push") == 0, "a line has no scale"
