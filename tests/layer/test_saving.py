"""What load_model makes from a file, and what it asks for."""

import sys
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from superloop_core import Superloop, WeightsError, load_model
from superloop_core.layer import check_keras_config, load_weights
from superloop_core.layer.keras_config import BASES

LOOP = {"inputs": 3, "cells": [{"use": "gru", "units": 4}]}


def save(model, path):
    model.save(path)
    return path


def feed(model, batch=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, *model.inputs[0].shape[1:])).astype("float32")


def assert_same(model, loaded):
    given = feed(model)
    for one, other in zip(keras.tree.flatten(model(given)), keras.tree.flatten(loaded(given)), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def many():
    """A model of functions, operations, wrappers and settings that Keras saves in many ways."""
    inputs = keras.Input((5, 3))
    x = keras.layers.Dense(
        4,
        activation="gelu",
        kernel_initializer=keras.initializers.Orthogonal(0.5, seed=1),
        kernel_regularizer=keras.regularizers.L1L2(1e-4, 1e-4),
        kernel_constraint=keras.constraints.MaxNorm(2),
    )(inputs)
    x = keras.layers.Activation(keras.activations.tanh)(x) * 2 + keras.ops.mean(x, axis=1, keepdims=True)
    x = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True, unroll=True))(x)
    cells = [keras.layers.GRUCell(3), keras.layers.LSTMCell(3)]
    x = keras.layers.RNN(cells, return_sequences=True, unroll=True)(x)
    x = keras.layers.TimeDistributed(keras.layers.Dense(3, activation="relu"))(x)
    x = keras.layers.BatchNormalization()(keras.layers.LayerNormalization()(x))
    x = Superloop(LOOP | {"systems": [{"use": "stack", "depth": 3, "width": 2}]}, traces="all")(x)["outputs"]
    x = keras.Sequential([keras.layers.Dropout(0.1), keras.layers.Dense(2)], name="head")(x)
    model = keras.Model(inputs, keras.ops.concatenate([x, -x], axis=-1))
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, 10**9)
    model.compile(
        keras.optimizers.AdamW(schedule),
        keras.losses.Huber(0.5),
        metrics=["mae", keras.metrics.MeanMetricWrapper(keras.losses.mean_squared_error)],
    )
    model.optimizer.build(model.trainable_variables)
    model.optimizer.iterations.assign(7)
    return model


def test_a_model_of_many_kinds_of_objects_of_keras_loads(many, tmp_path):
    loaded = load_model(save(many, tmp_path / "a.keras"))
    assert_same(many, loaded)
    assert loaded.optimizer.iterations == 7


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.StringLookup(vocabulary=["a", "b"]),
        keras.layers.IntegerLookup(vocabulary=[1, 2]),
        keras.layers.TextVectorization(vocabulary=["a", "b"]),
    ],
)
def test_a_vocabulary_of_words_is_no_file(layer):
    config = keras.saving.serialize_keras_object(layer)
    assert check_keras_config(config) == []


@keras.saving.register_keras_serializable("superloop_tests")
class Doubled(keras.layers.Layer):
    def call(self, inputs):
        return 2 * inputs


def test_a_registered_layer_of_the_user_loads(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Doubled()(inputs))
    assert_same(model, load_model(save(model, tmp_path / "a.keras")))


def test_a_layer_of_the_scope_around_loads(tmp_path):
    class Tripled(keras.layers.Layer):
        def call(self, inputs):
            return 3 * inputs

    inputs = keras.Input((3,))
    model = keras.Model(inputs, Tripled()(inputs))
    path = save(model, tmp_path / "a.keras")
    with pytest.raises(WeightsError, match="Tripled' is no class of Keras"):
        load_model(path)
    with keras.saving.custom_object_scope({"Tripled": Tripled}):
        assert_same(model, load_model(path))


MODULE = """
import keras

@keras.saving.register_keras_serializable("acme")
class Halved(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2
"""


def test_a_layer_of_another_package_loads_once_its_package_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "acme_layers").mkdir()
    (tmp_path / "acme_layers/__init__.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    import acme_layers

    inputs = keras.Input((3,))
    model = keras.Model(inputs, acme_layers.Halved()(inputs))
    path = save(model, tmp_path / "a.keras")
    monkeypatch.delitem(sys.modules, "acme_layers")
    monkeypatch.delitem(keras.saving.get_custom_objects(), "acme>Halved")
    with pytest.raises(WeightsError, match=r"load_model\(path, allow=\['acme_layers'\]\)"):
        load_model(path)
    assert "acme_layers" not in sys.modules
    with pytest.raises(WeightsError, match="is not registered in this process"):
        load_model(path, allow=["other"])
    assert_same(model, load_model(path, allow=["acme_layers"]))
    monkeypatch.delitem(keras.saving.get_custom_objects(), "acme>Halved")


def test_a_package_that_is_allowed_and_cannot_be_imported_is_named(tmp_path):
    config = {"module": "acme_gone.layers", "class_name": "X", "config": {}, "registered_name": "acme>X"}
    (problem,) = check_keras_config(config, allow=["acme_gone"])
    assert "No module named 'acme_gone'" in str(problem)


def test_every_problem_is_listed_with_its_place():
    config = {"layers": [{"class_name": "Lambda", "config": {}}, {"x": {"class_name": "Y", "config": {}}}]}
    problems = check_keras_config(config, "config.json")
    assert sorted(problem.where for problem in problems) == [
        "config.json.layers[0]",
        "config.json.layers[1].x",
    ]


def test_weights_of_a_model_are_read_into_one_made_in_code(tmp_path):
    inputs = keras.Input((5, 3))
    model, other = (keras.Model(inputs, Superloop(LOOP)(inputs)) for _ in range(2))
    path = save(model, tmp_path / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    for name in ("a.keras", "a.weights.h5"):
        other.set_weights([np.zeros(weight.shape) for weight in other.weights])
        load_weights(other, tmp_path / name)
        assert_same(model, other)
    assert zipfile.is_zipfile(path)


def test_weights_of_a_compiled_model_are_read_without_its_optimizer(tmp_path):
    inputs = keras.Input((3,))
    model, other = (keras.Model(inputs, keras.layers.Dense(2)(inputs)) for _ in range(2))
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    load_weights(other, save(model, tmp_path / "a.keras"))
    assert_same(model, other)


def test_other_weights_are_refused_and_none_is_changed(tmp_path):
    inputs = keras.Input((5, 3))
    small = keras.Model(inputs, Superloop(LOOP)(inputs))
    units = {"cells": [{"use": "gru", "units": 5}]}
    large, deep = (
        keras.Model(inputs, Superloop(LOOP | cells)(inputs))
        for cells in (units, {"cells": [*LOOP["cells"], *units["cells"]]})
    )
    before = small.get_weights()
    for model in (large, deep):
        with pytest.raises(
            WeightsError,
            match=r"a\.keras: holds other weights than the model's: .* in the file, .* to the model",
        ):
            load_weights(small, save(model, tmp_path / "a.keras"))
    (tmp_path / "a.keras").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"a\.keras: cannot be loaded: File is not a zip file"):
        load_weights(small, tmp_path / "a.keras")
    with pytest.raises(WeightsError, match=r"b\.keras: cannot be read: No such file.*; check the path"):
        load_weights(small, tmp_path / "b.keras")
    for one, other in zip(before, small.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@keras.saving.register_keras_serializable("test_saving")
class Nested(keras.layers.Layer):
    """A layer whose parts are in a list of lists, which Keras skips where a file has none of its name."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = [[keras.layers.Dense(2)]]

    def build(self, shape):
        self.parts[0][0].build(shape)

    def call(self, inputs):
        return self.parts[0][0](inputs)


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
@pytest.mark.parametrize("way", ["load_model", "load_weights"])
def test_weights_under_another_name_are_refused_where_keras_would_keep_random_ones(way, tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Nested()(inputs))
    path, renamed = save(model, tmp_path / "a.keras"), tmp_path / "b.keras"
    with zipfile.ZipFile(path) as archive:
        archive.extract("model.weights.h5", tmp_path)
    with h5py.File(tmp_path / "model.weights.h5", "a") as file:
        file.move("layers/nested/parts", "layers/nested/blocks")
    members = {"model.weights.h5": (tmp_path / "model.weights.h5").read_bytes()}
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(renamed, "w") as other:
        for name in archive.namelist():
            other.writestr(name, members.get(name) or archive.read(name))
    # Keras 3.15.0 refuses them by itself.
    rule = r"nested/blocks/.* in the file, unknown to the model|expected 2 variables, but received 0"
    with pytest.raises(WeightsError, match=rule):
        load_model(renamed) if way == "load_model" else load_weights(model, renamed)


@pytest.mark.parametrize("key", ["config", "dtype", "inbound_nodes", "build_config"])
def test_nothing_hides_in_the_table_of_a_loop(key):
    hidden = {"class_name": "Lambda", "config": {}, "module": "keras.layers", "registered_name": None}
    saved = {"class_name": "Superloop", "registered_name": "superloop_core>Superloop"}
    config = {"config": LOOP | ({"hidden": hidden} if key == "config" else {})}
    config |= {"dtype": hidden} if key == "dtype" else {}
    others = {} if key in ("config", "dtype") else {key: [{"args": [hidden]}]}
    problems = check_keras_config(saved | {"config": config} | others)
    assert any("'keras.layers.Lambda' runs code" in problem.what for problem in problems)


def test_a_setting_of_a_plugin_may_be_named_like_an_argument_of_keras():
    loop = LOOP | {"systems": [{"use": "mine", "vocabulary": "ascii", "num_classes": 2 * 10**6}]}
    saved = {"class_name": "Superloop", "registered_name": "superloop_core>Superloop"}
    assert check_keras_config(saved | {"config": {"config": loop}}) == []


@pytest.mark.parametrize("name", ["m.h5", "m.weights.h5", "m.hdf5", "m.txt"])
def test_a_file_that_is_no_keras_file_is_refused_with_the_next_move(tmp_path, name):
    inputs = keras.Input((5, 3))
    keras.Model(inputs, Superloop(LOOP)(inputs)).save(tmp_path / "m.keras")
    (tmp_path / "m.keras").rename(tmp_path / name)
    with pytest.raises(WeightsError, match=r"only \.keras files are read; for weights, .* for|only \.keras"):
        load_model(tmp_path / name)


def admitted():
    """The names of all of Keras's classes that load_model makes."""
    found = set(BASES)
    while more := {sub for cls in found for sub in type.__subclasses__(cls)} - found:
        found |= more
    return {
        cls.__name__
        for cls in found
        if cls.__module__.startswith("keras.src.")
        and not check_keras_config({"module": cls.__module__, "class_name": cls.__name__, "config": {}})
    }


@pytest.mark.release
def test_the_classes_of_keras_that_load_model_makes_are_those_that_were_looked_at():
    """Look at each new class: does its constructor, or a call, read files or run code? Then add its name."""
    looked_at = set(Path(__file__).with_name("keras_classes.txt").read_text().split())
    new = admitted() - looked_at
    assert not new
    assert len(looked_at) > 500
    assert not looked_at & {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "Switch"}
