import json
import shutil

import numpy as np
import pytest
from superloop_plugin_lab import evaluation
from superloop_plugin_lab.diagnosis import TrainingError
from superloop_plugin_lab.evaluation import evaluate_run, open_run, trace_run
from superloop_plugin_lab.report import print_evaluations

from superloop_core import ConfigError, Traces, WeightsError, load_model

pytestmark = pytest.mark.slow


def test_measuring_again_with_the_seed_of_the_run_repeats_the_final_figures(run):
    (row,) = evaluate_run(run.path, sequences=256)
    final = json.loads(run.metrics.read_text().splitlines()[-1])
    assert row.measured.accuracy == final["test_accuracy"]
    assert row.measured.loss == final["test_loss"]
    assert (row.length, row.timesteps, row.sequences) == (4, 6, 256)


def test_another_seed_draws_other_sequences(run):
    losses = {next(evaluate_run(run.path, sequences=64, seed=seed)).measured.loss for seed in (1, 1, 2)}
    assert len(losses) == 2


def test_longer_sequences_get_more_timesteps(run):
    rows = list(evaluate_run(run.path, [4, 5, 12], sequences=16))
    assert [(row.length, row.timesteps) for row in rows] == [(4, 6), (5, 8), (12, 18)]


def test_a_longer_sequence_is_measured_with_the_same_weights(run):
    trained, longer = open_run(run.path), open_run(run.path, length=12)
    for one, other in zip(trained.model.get_weights(), longer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    batch = longer.task.sample(longer.generator("final"), 3)
    assert batch.inputs["tape_data"].shape == (3, 12, 10)
    assert longer.model.predict_on_batch(dict(batch.inputs))["tape.position"].shape == (3, 18, 1)


def test_all_lengths_are_measured_with_the_weights_that_there_were_at_first(run, tmp_path):
    expected = [row.measured.loss for row in evaluate_run(run.path, [4, 5], sequences=16)]
    folder = shutil.copytree(run.path, tmp_path / "run")
    rows = evaluate_run(folder, [4, 5], sequences=16)
    first = next(rows)
    (folder / "model.keras").unlink()  # as if a live run replaced it
    assert [first.measured.loss, next(rows).measured.loss] == expected


def test_a_length_that_is_not_finite_is_named_with_the_next_move(run, monkeypatch):
    def fail(*_):
        raise TrainingError("not finite on test sequences: the loss")

    monkeypatch.setattr(evaluation, "measure", fail)
    with pytest.raises(TrainingError, match=r", length 9: not finite .*; measure shorter sequences"):
        next(evaluate_run(run.path, [9]))


def test_an_override_changes_what_is_measured(run):
    plain, distance = (
        next(evaluate_run(run.path, sequences=64, overrides=overrides)).measured.loss
        for overrides in ((), ["loop.systems.tape.kernel=inverse_distance"])
    )
    assert plain != distance


def test_an_override_of_the_shapes_of_the_weights_is_rejected(run):
    with pytest.raises(WeightsError, match=r"holds other weights than the model's: .* undo --set"):
        open_run(run.path, overrides=["loop.cells.0.layers=2"])


def test_a_broken_model_is_rejected(run, tmp_path):
    (tmp_path / "config.toml").write_bytes(run.config.read_bytes())
    (tmp_path / "model.keras").write_bytes(run.model.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"model\.keras: cannot be loaded"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.toml", "not a folder that `superloop train` wrote: no config.toml"),
        ("model.keras", "training ended before a model was saved: no model.keras"),
    ],
)
def test_a_folder_without_a_config_or_a_model_is_rejected(run, tmp_path, missing, message):
    for file in {run.config, run.model}:
        if file.name != missing:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ConfigError, match=message):
        open_run(tmp_path)
    with pytest.raises(ConfigError, match="no such folder; give"):
        open_run(tmp_path / "nowhere")


def test_a_trace_file_holds_every_trace_the_inputs_and_the_targets(run, tmp_path):
    arrays, picture, _ = trace_run(run.path, tmp_path / "traces.npz", sequences=3)
    with np.load(arrays) as traces:
        shapes = {name: traces[name].shape for name in traces if not name.startswith("__")}
        assert shapes == {
            "inputs.tape_data": (3, 4, 10),
            "targets": (3,),
            "outputs": (3, 6, 4),
            "cells.0.h": (3, 6, 4),
            "cells.0.c": (3, 6, 4),
            "cells.0.output": (3, 6, 4),
            "tape.control": (3, 6, 1),
            "tape.position": (3, 6, 1),
            "tape.read": (3, 6, 10),
            "tape.weights": (3, 6, 4),
        }
        np.testing.assert_array_equal(traces["tape.position"][:, 0], 0)
        distance = traces["tape.position"][:, 1:] - np.arange(4)  # the weights are those after the move
        np.testing.assert_allclose(traces["tape.weights"][:, :-1], 1 / (1 + distance**2), rtol=1e-5)
    assert picture == tmp_path / "traces.png"
    assert picture.is_file()
    loaded = Traces.load(arrays)
    assert loaded.kinds["tape.weights"] == "weights"
    assert set(loaded.inputs) == {"tape_data"}


def test_a_trace_file_holds_the_results_of_the_model(run, tmp_path):
    trace_run(run.path, tmp_path / "traces.npz", sequences=3, seed=5)
    with np.load(tmp_path / "traces.npz") as traces:
        results = open_run(run.path).model.predict_on_batch({"tape_data": traces["inputs.tape_data"]})
        np.testing.assert_allclose(traces["tape.position"], results["tape.position"], rtol=1e-5, atol=1e-6)


def test_a_trace_file_of_a_loop_with_registers_holds_their_memory(run_with_registers, tmp_path):
    trace_run(run_with_registers.path, tmp_path / "traces.npz", sequences=1)
    with np.load(tmp_path / "traces.npz") as traces:
        assert traces["scratch.memory"].shape == (1, 6, 3, 2)
        np.testing.assert_allclose(traces["scratch.write_weights"].sum(axis=-1), 1, rtol=1e-5)


def test_longer_sequences_have_longer_traces(run, tmp_path):
    trace_run(run.path, tmp_path / "traces.npz", sequences=1, length=8)
    with np.load(tmp_path / "traces.npz") as traces:
        assert traces["tape.weights"].shape == (1, 12, 8)


def test_a_trace_creates_its_folder(run, tmp_path):
    arrays, picture, _ = trace_run(run.path, tmp_path / "new/deep/traces", sequences=1)
    assert arrays == tmp_path / "new/deep/traces.npz"
    assert picture.is_file()


def test_a_trace_that_cannot_be_written_is_rejected(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--out .*: cannot be written"):
        trace_run(run.path, tmp_path / "file/traces.npz", sequences=1)


def test_the_metrics_of_a_config_are_measured_recorded_and_printed(small, train_to, tmp_path, capsys):
    metric = {"use": "final_distance"}
    folder = train_to(small | {"metrics": [metric, metric]}, tmp_path / "run")
    shown = capsys.readouterr().out
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    measured, final = next(line for line in lines if "validation_loss" in line), lines[-1]
    assert measured["validation_final_distance"] == measured["validation_final_distance_2"] > 0
    assert f"final_distance {final['test_final_distance']:.4g}" in " ".join(shown.split())

    (row,) = evaluate_run(folder.path, sequences=256)
    assert row.measured.figures["final_distance"] == final["test_final_distance"]
    assert 0 < row.measured.metrics["final_distance"] ** 2 <= row.measured.loss + 1e-6  # Jensen
    print_evaluations([row], as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["final_distance"] == final["test_final_distance"]
    print_evaluations([row], as_json=False)
    assert "final_distance_2" in capsys.readouterr().out


def test_a_length_is_that_of_every_sequence_and_without_one_lengths_are_as_in_training(echo_run):
    drawn = type(open_run(echo_run.path).task)
    for length, lengths in ((None, {2, 3, 4, 5, 6}), (4, {4}), (9, {9})):
        (row,) = evaluate_run(echo_run.path, [length] if length else [], sequences=64)
        assert set(drawn.drawn.tolist()) == lengths
        assert (row.length, row.timesteps, row.trained) == (length or 6, length or 6, (2, 6))


def test_figures_at_a_length_are_those_of_the_trained_weights(echo_run):
    (row,) = evaluate_run(echo_run.path, [9], sequences=32)
    experiment = open_run(echo_run.path, length=9)
    batch = experiment.task.sample(experiment.generator("final"), 32)
    outputs = load_model(echo_run.path).predict_on_batch(dict(batch.inputs))["outputs"]
    right = (outputs.argmax(axis=-1) == batch.targets) | (batch.targets < 0)
    assert row.measured.accuracy == right.all(axis=1).mean()
    by_symbol = [own[asked].mean() for own, asked in zip(right, batch.targets >= 0, strict=True)]
    np.testing.assert_allclose(row.measured.metrics["echo_accuracy"], np.mean(by_symbol), rtol=1e-5)


def test_a_metric_that_the_config_does_not_name_can_be_measured(run, echo_run):
    (row,) = evaluate_run(run.path, sequences=16, metrics=["final_distance", "final_distance"])
    assert list(row.measured.metrics) == ["final_distance"]
    (row,) = evaluate_run(echo_run.path, sequences=16, metrics=["echo_accuracy"])
    assert list(row.measured.metrics) == ["echo_accuracy"]
    with pytest.raises(ConfigError, match=f"^{echo_run.path}: task: no trace"):
        list(evaluate_run(echo_run.path, sequences=16, metrics=["final_distance"]))
