import numpy as np
import pytest
from matplotlib.figure import Figure
from superloop_plugin_lab.pictures.bands import draw_bands

CURVES = [{0: 0.1, 10: 0.2}, {0: 0.3, 10: 0.8}, {0: 0.5}]


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Draws groups, and returns the panel."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path: (figures.append(figure), path.touch()))

    def draw(groups, **settings):
        names = {"option": "--curves", "figure_name": "validation_accuracy", "axis": "training step"}
        draw_bands(groups, tmp_path / "c.png", **names | settings)
        (axes,) = figures.pop().axes
        return axes

    return draw


def edges(axes):
    """The lower and the upper edge of the band, by place."""
    (band,) = axes.collections
    points = band.get_paths()[0].vertices
    return {
        float(x): (points[points[:, 0] == x, 1].min(), points[points[:, 0] == x, 1].max()) for x in (0, 10)
    }


def test_a_band_is_one_standard_deviation_around_the_mean_of_the_runs_that_are_there(drawn):
    axes = drawn({"a": CURVES})
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), [0.3, 0.5])
    np.testing.assert_allclose(edges(axes)[0], (0.1, 0.5))
    np.testing.assert_allclose(edges(axes)[10], (0.5 - 0.18**0.5, 0.5 + 0.18**0.5))
    assert axes.get_xlabel() == "training step"
    assert axes.get_ylabel() == "validation accuracy, mean"


def test_a_band_of_quantiles_is_the_middle_half_around_the_median(drawn):
    axes = drawn({"a": [{0: value, 10: 1.0} for value in (0.0, 0.1, 0.2, 0.3, 1.0)]}, band="quantiles")
    np.testing.assert_allclose(edges(axes)[0], (0.1, 0.3))
    assert axes.get_lines()[0].get_ydata()[0] == 0.2


def test_a_run_alone_has_no_band_and_a_loss_is_not_drawn_in_percent(drawn):
    axes = drawn({"a": CURVES[:1], "b": CURVES[1:2]}, figure_name="train_loss")
    assert not axes.collections
    assert len(axes.get_lines()) == 2
    assert axes.get_ylim()[1] < 1
