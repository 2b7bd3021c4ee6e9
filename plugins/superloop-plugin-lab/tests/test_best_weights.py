import pytest
from superloop_plugin_lab.best_weights import BestWeights
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.measurement import Measurement


@pytest.mark.parametrize(
    ("accuracy", "loss", "better"),
    [(0.9, 9.0, True), (0.8, 4.0, True), (0.8, 5.0, False), (0.8, 6.0, False), (0.3, 1.0, False)],
)
def test_a_higher_accuracy_is_better_and_of_two_equals_the_lower_loss(small, accuracy, loss, better):
    model = read_experiment(small).model
    best = BestWeights()
    assert best.update(1, Measurement(accuracy=0.8, loss=5.0), model)
    assert best.update(2, Measurement(accuracy=accuracy, loss=loss), model) == better
    assert best.step == (2 if better else 1)
