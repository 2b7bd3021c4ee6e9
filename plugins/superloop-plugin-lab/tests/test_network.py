"""The model around the loop: what the table [model] makes."""

import h5py
import numpy as np
import pytest
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.step import compiled_step, new_optimizer
from superloop_plugin_lab.tracing import compute_traces

from superloop_core import Annotation, Batch, ConfigError, Sizes, Superloop, TaskSpec, load_model

TOKENS, OUTPUTS = 5, 3


class Tokens:
    """A task whose inputs are tokens, of several lengths; the target is the token itself."""

    traces = ()
    sizes = Sizes(inputs=0, outputs=TOKENS, tokens=TOKENS)

    def __init__(self, settings):
        del settings

    def sample(self, rng, batch_size):
        inputs = rng.integers(0, TOKENS, (batch_size, 4)).astype("int32")
        lengths = rng.integers(1, 5, batch_size).astype("int32")
        return Batch(inputs={"inputs": inputs, "lengths": lengths}, targets=inputs)

    def loss(self, targets, results):
        from keras import ops

        return ops.mean(ops.sparse_categorical_crossentropy(targets, results["outputs"], from_logits=True))

    def correct(self, targets, results):
        from keras import ops

        return ops.all(ops.cast(ops.argmax(results["outputs"], axis=-1), "int32") == targets, axis=-1)

    def annotate(self, batch, row):
        del batch, row
        return Annotation(title="tokens", system="")


class Numbers(Tokens):
    """The same with numbers as inputs, and a data tape."""

    sizes = Sizes(inputs=2, outputs=TOKENS)
    source = "tape_data"

    def sample(self, rng, batch_size):
        batch = super().sample(rng, batch_size)
        inputs = dict(batch.inputs, inputs=rng.normal(size=(batch_size, 4, 2)).astype("float32"))
        inputs[self.source] = rng.normal(size=(batch_size, 3, 2)).astype("float32")
        return Batch(inputs=inputs, targets=batch.targets)


GRU, TAPE = {"use": "gru", "units": 3}, {"use": "attention", "id": "tape", "width": 2}
TABLES = {"task": {"use": "last_two_before_nine"}, "train": {"xla": False}}


@pytest.fixture
def read(monkeypatch):
    """Reads an experiment with a table [model]."""

    def make(task, model, **loop):
        create = TaskSpec.create
        monkeypatch.setattr(
            TaskSpec, "create", lambda spec, own: task(own) if spec.kind == "task" else create(spec, own)
        )
        return read_experiment(TABLES | {"loop": {"cells": [GRU]} | loop, "model": model}, to_train=True)

    return make


def assert_equal_weights(one, other):
    def check(name, node):
        if isinstance(node, h5py.Dataset):
            np.testing.assert_array_equal(node[()], other[name][()])

    one.visititems(check)


def drawn(experiment, rows=3):
    return experiment.task.sample(np.random.default_rng(1), rows)


def outputs_of(experiment, batch):
    return np.asarray(experiment.model(dict(batch.inputs))["outputs"])


def test_tokens_are_one_hot_without_an_embedding(read):
    experiment = read(Tokens, {})
    batch = drawn(experiment)
    one_hot = np.eye(TOKENS, dtype="float32")[batch.inputs["inputs"]]
    direct = experiment.layer({"inputs": one_hot, "lengths": batch.inputs["lengths"]})
    np.testing.assert_allclose(outputs_of(experiment, batch), direct, rtol=1e-6)
    assert experiment.config.loop.inputs == experiment.config.loop.outputs == TOKENS


def test_a_tied_embedding_is_both_the_first_and_the_last_layer(read):
    experiment = read(Tokens, {"embedding": 2, "tied": True})
    assert (experiment.config.loop.inputs, experiment.config.loop.outputs) == (2, 2)
    batch = drawn(experiment)
    vectors = experiment.model.get_layer("embedding").get_weights()[0]  # (tokens, 2)
    feed = {"inputs": vectors[batch.inputs["inputs"]], "lengths": batch.inputs["lengths"]}
    np.testing.assert_allclose(
        outputs_of(experiment, batch), experiment.layer(feed) @ vectors.T, rtol=1e-5, atol=1e-7
    )
    assert len(experiment.model.trainable_weights) == 1 + len(experiment.layer.trainable_weights)


@pytest.mark.slow
def test_loops_in_a_row_are_each_the_input_of_the_next(read):
    second = {"cells": [GRU], "systems": [{"use": "stack", "depth": 2, "width": 2}]}
    experiment = read(Numbers, {"loops": [second, {"cells": [{"use": "lstm", "units": 2}]}]}, systems=[TAPE])
    first, one, two = experiment.network.loops
    assert [loop.config.inputs for loop in (first, one, two)] == [2, 3, 3]
    assert (first.config.outputs, two.config.outputs) == (0, TOKENS)
    batch = drawn(experiment)
    lengths = {"lengths": batch.inputs["lengths"]}
    h = one({"inputs": np.asarray(first(dict(batch.inputs))), **lengths})
    np.testing.assert_allclose(
        outputs_of(experiment, batch), two({"inputs": np.asarray(h), **lengths}), rtol=1e-5, atol=1e-7
    )
    traces = compute_traces(experiment.network, batch)
    assert {"tape.position", "loops.1.stack.cells", "loops.2.cells.0.c"} <= set(traces)
    np.testing.assert_allclose(traces["loops.1.outputs"], h, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(traces["outputs"], outputs_of(experiment, batch), rtol=1e-5, atol=1e-7)


def test_a_task_may_read_traces_of_every_loop(read):
    class Reading(Numbers):
        traces = ("tape.position", "loops.1.stack.read")

    stack = {"cells": [GRU], "systems": [{"use": "stack", "depth": 2, "width": 2}]}
    experiment = read(Reading, {"loops": [stack]}, systems=[TAPE])
    results = experiment.model(dict(drawn(experiment).inputs))
    assert {name: tensor.shape[2:] for name, tensor in results.items()} == {
        "outputs": (TOKENS,),
        "tape.position": (1,),
        "loops.1.stack.read": (2,),
    }


@pytest.mark.slow
def test_a_task_that_reads_traces_by_patterns_can_be_trained(read):
    class Reading(Numbers):
        traces = ("tape.pos*", "loops.1.stack.rea*")

        def loss(self, targets, results):
            from keras import ops

            read = ops.mean(results["tape.position"] ** 2) + ops.mean(results["loops.1.stack.read"] ** 2)
            return super().loss(targets, results) + read

    stack = {"cells": [GRU], "systems": [{"use": "stack", "depth": 2, "width": 2}]}
    experiment = read(Reading, {"loops": [stack]}, systems=[TAPE])
    outputs, batch = {"outputs", "tape.position", "loops.1.stack.read"}, drawn(experiment)
    assert outputs <= set(experiment.model(dict(batch.inputs)))
    step = compiled_step(experiment, new_optimizer(experiment))
    losses = [step(dict(batch.inputs), batch.targets)[0] for _ in range(20)]
    assert losses[-1] < losses[0]


def test_each_loop_may_have_sources_of_its_own(read):
    class Two(Numbers):
        def sample(self, rng, batch_size):
            batch = super().sample(rng, batch_size)
            return Batch(
                inputs=batch.inputs | {"other_data": batch.inputs["tape_data"]}, targets=batch.targets
            )

    other = {"cells": [GRU], "systems": [TAPE | {"id": "other"}]}
    experiment = read(Two, {"loops": [other]}, systems=[TAPE])
    batch = drawn(experiment)
    changed = dict(batch.inputs, other_data=batch.inputs["other_data"] + 1)
    assert np.abs(experiment.model(changed)["outputs"] - outputs_of(experiment, batch)).max() > 1e-4
    with pytest.raises(ConfigError, match="two inputs of the model would be called 'tape_data'; give"):
        read(Numbers, {"loops": [other | {"systems": [TAPE]}]}, systems=[TAPE])


@pytest.mark.parametrize(
    "model",
    [
        {"head": "dense"},
        {"embedding": 2, "tied": True, "output_dropout": 0.1},
        {"bidirectional": True, "head": "dense"},
        {"bidirectional": True, "loops": [{"cells": [GRU]}, {"cells": [GRU]}], "embedding": 2},
    ],
    ids=["head", "tied", "bidirectional", "all"],
)
def test_padding_changes_nothing_and_a_saved_model_answers_the_same(model, read, tmp_path):
    experiment = read(Tokens, model)
    batch = drawn(experiment)
    tokens, lengths = batch.inputs["inputs"], batch.inputs["lengths"]
    outputs = outputs_of(experiment, batch)
    padded = np.where(np.arange(4) < lengths[:, None], tokens, 0).astype("int32")
    other = np.where(np.arange(4) < lengths[:, None], tokens, 1).astype("int32")
    for row, length in enumerate(lengths):
        for one in (padded, other):
            again = experiment.model({"inputs": one, "lengths": lengths})["outputs"]
            np.testing.assert_allclose(again[row, :length], outputs[row, :length], rtol=1e-5, atol=1e-6)
        alone = {"inputs": tokens[row : row + 1, :length], "lengths": lengths[row : row + 1]}
        np.testing.assert_allclose(
            experiment.model(alone)["outputs"][0], outputs[row, :length], rtol=1e-5, atol=1e-6
        )
    experiment.model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(dict(batch.inputs))["outputs"], outputs)


def test_a_loop_in_both_directions_sees_the_future(read):
    def effect_of_the_last_token(model):
        experiment = read(Tokens, model | {"head": "dense"})
        tokens = np.zeros((1, 4), "int32")
        changed, lengths = np.array([[0, 0, 0, 1]], "int32"), np.array([4], "int32")
        before, after = (
            experiment.model({"inputs": one, "lengths": lengths})["outputs"] for one in (tokens, changed)
        )
        return float(np.abs(before[0, 0] - after[0, 0]).max())

    assert effect_of_the_last_token({}) == 0
    assert effect_of_the_last_token({"bidirectional": True}) > 1e-4


def test_dropout_is_for_training_only(read):
    experiment = read(Numbers, {"input_dropout": 0.5, "head": "dense", "output_dropout": 0.5}, systems=[TAPE])
    feed = dict(drawn(experiment).inputs)
    still = [np.asarray(experiment.model(feed, training=False)["outputs"]) for _ in range(2)]
    noisy = [np.asarray(experiment.model(feed, training=True)["outputs"]) for _ in range(2)]
    np.testing.assert_array_equal(*still)
    assert np.abs(noisy[0] - noisy[1]).max() > 1e-4


@pytest.mark.slow
def test_a_model_trains_resumes_and_is_measured(tmp_path, small, train_to, superloop):
    loops = [{"cells": [GRU], "systems": [{"use": "stack", "depth": 2, "width": 2}]}]
    model = {"input_dropout": 0.1, "head": "dense", "loops": loops}
    loop = {"cells": [GRU | {"dropout": 0.1}]}
    config = {"loop": loop, "task": {"use": "copy", "length": 3, "width": 2}, "model": model}
    config["train"] = small["train"] | {"schedule": "constant"}
    whole = train_to(config, tmp_path / "whole")
    part = train_to(config | {"train": config["train"] | {"steps": 3}}, tmp_path / "part")
    code, *_ = superloop("resume", part.path, "--steps", 7)
    assert code == 0
    for name in ("best", "last"):
        with h5py.File(whole.weights(name)) as one, h5py.File(part.weights(name)) as other:
            assert_equal_weights(one, other)
    code, out, _ = superloop("eval", part.path, "--length", 3, "--sequences", 8, "--json")
    assert code == 0, out
    code, out, _ = superloop("trace", part.path, "--out", tmp_path / "traces.npz")
    assert code == 0, out
    with np.load(tmp_path / "traces.npz") as traces:
        assert traces["loops.1.stack.cells"].shape == (4, 7, 1, 2, 2)


def test_a_plain_table_is_the_loop_alone(small):
    plain = read_experiment(small | {"model": {}})
    assert [layer.name for layer in plain.model.layers] == ["tape_data", "superloop"]
    assert isinstance(plain.layer, Superloop)


PROBLEMS = {
    "'embedding' must be 0, as the task's inputs are no tokens: 2": (Numbers, {"embedding": 2}),
    "must have 5 outputs, as the task says: 10; set head = \"dense\"": (
        Numbers, {"bidirectional": True}, {"outputs": 5},
    ),
    "'tied' needs loop.outputs = 2, the size of the embedding: 5": (
        Tokens, {"embedding": 2, "tied": True}, {"outputs": 5},
    ),
    "loop: 'inputs' must be the size of the embedding (2), or be left out: 5": (
        Tokens, {"embedding": 2}, {"inputs": 5},
    ),
    "model: 'tied' needs an embedding >= 1: 0": (Tokens, {"tied": True}),
    "model: 'head' must be 'none' where tied = true: 'dense'": (
        Tokens, {"embedding": 2, "tied": True, "head": "dense"},
    ),
    "model: 'output_dropout' must be 0 where nothing comes after it": (Tokens, {"output_dropout": 0.5}),
    "model.loops[0]: 'inputs' must be the outputs of the loop before (3), or be left out: 7": (
        Tokens, {"loops": [{"inputs": 7, "cells": [GRU]}]},
    ),
    "model.loops[0]: 'timesteps' must be left out": (Tokens, {"loops": [{"timesteps": 4, "cells": [GRU]}]}),
    "loop: 'suppress_output' must be 0 in a loop before another: 1": (
        Tokens, {"loops": [{"cells": [GRU]}]}, {"suppress_output": 1},
    ),
    "model.loops[0]: needs a cell": (Tokens, {"loops": [{"outputs": 2}]}),
    "model: 'loops' must be a list of": (Tokens, {"loops": 3}),
}  # fmt: skip


@pytest.mark.parametrize("message", PROBLEMS)
def test_what_does_not_fit_is_refused_with_the_values(message, read):
    task, model, *loop = PROBLEMS[message]
    with pytest.raises(ConfigError) as refused:
        read(task, model, **{"systems": [TAPE] if task is Numbers else [], **(loop[0] if loop else {})})
    assert message in str(refused.value)


def test_a_bidirectional_loop_has_no_traces_for_a_task(small):
    with pytest.raises(
        ConfigError, match=r"'bidirectional' gives no traces of the loop, .* 'tape\.position'"
    ):
        read_experiment(small | {"model": {"bidirectional": True}})
