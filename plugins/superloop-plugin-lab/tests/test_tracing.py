import numpy as np
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.tracing import compute_traces


def test_every_trace_is_computed_with_the_weights_of_the_layer(small):
    experiment = read_experiment(small)
    batch = experiment.task.sample(np.random.default_rng(0), 3)
    traces = compute_traces(experiment.network, batch)
    expected = experiment.model.predict_on_batch(dict(batch.inputs))
    assert {"cells.0.h", "tape.control", "tape.weights", "outputs"} <= traces.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(traces[name], array, rtol=1e-5, atol=1e-6)
    assert all(isinstance(trace, np.ndarray) and trace.shape[:2] == (3, 6) for trace in traces.values())
