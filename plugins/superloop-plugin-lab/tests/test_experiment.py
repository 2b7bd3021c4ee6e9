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
