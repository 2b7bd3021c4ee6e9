from types import SimpleNamespace

import pytest
from superloop_plugin_lab import experiment as module
from superloop_plugin_lab.experiment import PURPOSES, read_experiment


def test_no_two_purposes_share_their_sequences(small):
    experiment = read_experiment(small)
    drawn = [experiment.generator(name).random() for name in PURPOSES]
    assert len(set(drawn)) == 4
    assert experiment.generator("train").random() == drawn[0]


def test_a_second_metric_of_a_kind_is_numbered(small):
    metric = {"use": "final_distance"}
    experiment = read_experiment(small | {"metrics": [metric, metric, metric]})
    assert list(experiment.metrics) == ["final_distance", "final_distance_2", "final_distance_3"]


@pytest.mark.parametrize("name", ["loss", "steps", "final", "step", "length", "run"])
def test_a_metric_named_as_another_figure_is_numbered(name):
    part = SimpleNamespace(use=name, settings=None)
    registry = SimpleNamespace(
        resolve=lambda kind, use: SimpleNamespace(name=use, spec=SimpleNamespace(create=lambda settings: use))
    )
    config = SimpleNamespace(tables={"metrics": (part, part)})
    assert list(module._make_metrics(config, registry)) == [f"{name}_2", f"{name}_3"]
