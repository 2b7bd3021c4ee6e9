"""Objects in the place of tables: cells, systems, classes with settings, and whole loops."""

from typing import Any, NamedTuple

import attrs
import keras
import numpy as np
import pytest
from superloop_plugin_registers import RegisterMemoryConfig
from superloop_plugin_registers.register_memory import RegisterMemory

from superloop_core import (
    Builder,
    ConfigError,
    SourceError,
    Superloop,
    SuperloopCell,
    SuperloopError,
    System,
    SystemSettings,
    load_model,
    register,
)

pytestmark = pytest.mark.usefixtures("no_local_plugins")
INPUTS = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
SCRATCH = {"use": "register_memory", "id": "scratch", "depth": 2, "width": 2}


@attrs.frozen(kw_only=True)
class EchoConfig(SystemSettings):
    """Settings.

    Args:
        width: numbers that are read.
    """

    width: int = 2

    @property
    def control_size(self):
        return self.width

    @property
    def output_size(self):
        return self.width


class EchoState(NamedTuple):
    last: Any


class Echo(System[EchoConfig]):
    """Reads the control of the timestep before, through a layer of its own."""

    def __init__(self, config):
        super().__init__(config)
        self.dense = keras.layers.Dense(config.width)

    def build(self, input_size):
        self.dense.build((None, input_size))

    def initial_state(self, sequence):
        return EchoState(keras.ops.zeros((sequence.batch_size, self.config.width), dtype=self.variable_dtype))

    def step(self, control, state, constants):
        return state.last, EchoState(self.dense(control)), {}


class Plain(Builder):
    """A cell that is no layer: the first numbers of its inputs."""

    output_size = 3
    variables = ()

    def build(self, input_size):
        pass

    def initial_state(self, sequence):
        return ()

    def constants(self, sequence):
        return ()

    def step(self, inputs, state, constants):
        return inputs[:, :3], state, {}


class Half(keras.layers.Layer):
    """A Keras cell: half of its inputs, through a weight."""

    state_size = 3

    def build(self, input_shape):
        self.gain = self.add_weight(shape=(), initializer="ones", name="gain")

    def call(self, inputs, states):
        return inputs[:, :3] * self.gain * 0.5, states


GRU = {"use": "gru", "units": 3}


def as_model(loop):
    inputs = keras.Input(INPUTS.shape[1:])
    return keras.Model(inputs, loop(inputs))


def saved_and_loaded(loop, tmp_path):
    model = as_model(loop)
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(INPUTS), model(INPUTS))
    return loaded


@pytest.mark.parametrize(
    "cell",
    [
        keras.layers.GRUCell(3),
        keras.layers.LSTMCell(
            3, activation="relu", kernel_initializer=keras.initializers.RandomNormal(0, 0.2)
        ),
        keras.layers.SimpleRNNCell(3, kernel_regularizer=keras.regularizers.L2(0.1), name="own"),
    ],
    ids=lambda cell: type(cell).__name__,
)
def test_a_cell_of_keras_computes_what_keras_does_and_is_saved(cell, tmp_path):
    loop = Superloop(cells=[cell])
    outputs = loop(INPUTS)
    assert loop.config.inputs == 3
    np.testing.assert_allclose(outputs, keras.layers.RNN(cell, return_sequences=True)(INPUTS), atol=1e-6)
    assert {id(weight) for weight in cell.weights} == {id(weight) for weight in loop.weights}
    loaded = saved_and_loaded(loop, tmp_path)
    (again,) = (layer for layer in loaded.layers if isinstance(layer, Superloop))
    again, config = again.wiring.cells[0].cell.get_config(), cell.get_config()
    assert again | {"name": 0} == config | {"name": 0}


def test_objects_stand_beside_tables_with_the_keys_of_a_part(tmp_path):
    loop = Superloop(
        {
            "inputs": 3,
            "outputs": 2,
            "cells": [
                {"use": keras.layers.GRUCell(3), "learn_initial_state": True},
                {"use": "gru", "units": 4},
            ],
            "systems": [
                SCRATCH,
                RegisterMemory(RegisterMemoryConfig(depth=2, width=3)),
                {"use": RegisterMemory, "id": "third", "depth": 2, "width": 1, "learn_initial_read": True},
            ],
        },
        traces=["register_memory.read", "third.read"],
    )
    traces = loop(INPUTS)
    assert traces["register_memory.read"].shape == (2, 5, 3)
    assert traces["third.read"].shape == (2, 5, 1)
    assert loop.config.learned == ("cells.0", "third.read")
    assert [system["use"] for system in loop.get_config()["config"]["systems"]] == [
        "superloop-plugin-registers:register_memory"
    ] * 3
    again = Superloop.from_config(loop.get_config())
    again(INPUTS)
    again.set_weights(loop.get_weights())
    np.testing.assert_array_equal(again(INPUTS)["outputs"], traces["outputs"])


def test_an_object_in_the_settings_of_a_plugin_is_a_part_too():
    inner = {"cells": [keras.layers.GRUCell(3)], "systems": [SCRATCH]}
    loop = Superloop(cells=[{"use": "superloop", "loop": inner}])
    plain = Superloop(**inner)
    expected = plain(INPUTS)
    loop(INPUTS)
    loop.set_weights(plain.get_weights())
    np.testing.assert_allclose(loop(INPUTS), expected, atol=1e-6)


@pytest.mark.parametrize("cls", [Superloop, SuperloopCell])
def test_a_loop_is_a_cell_of_another_with_its_own_weights(cls, tmp_path):
    inner = cls({"inputs": 3, "cells": [{"use": "gru", "units": 3}], "systems": [SCRATCH], "outputs": 2})
    expected = (inner if cls is Superloop else keras.layers.RNN(inner, return_sequences=True))(INPUTS)
    outer = Superloop(cells=[inner])
    np.testing.assert_allclose(outer(INPUTS), expected, atol=1e-6)
    assert {id(weight) for weight in outer.weights} == {id(weight) for weight in inner.weights}
    saved_and_loaded(outer, tmp_path)


def test_a_loop_is_a_system_of_another():
    inner = Superloop(inputs=4, outputs=2, cells=[keras.layers.GRUCell(3)])
    controls = inner(np.ones((2, 1, 4)))  # which makes its weights
    outer = Superloop(cells=[keras.layers.GRUCell(3)], systems=[inner], traces="all")
    traces = outer(INPUTS)
    np.testing.assert_allclose(traces["superloop.outputs"], inner(traces["superloop.control"]), atol=1e-6)
    assert controls.shape == (2, 1, 2)
    assert all(any(weight is one for one in outer.weights) for weight in inner.weights)


def test_the_size_of_the_inputs_is_that_of_the_first_call():
    tape = {"use": "attention", "id": "tape", "width": 2, "datapoints": 4}
    data = np.ones((2, 4, 2), "float32")
    loop = Superloop(cells=[keras.layers.GRUCell(3)], systems=[tape])
    with pytest.raises(SuperloopError, match="known once it is built"):
        _ = loop.input_shapes
    assert loop.compute_output_shape([(2, 5, 7), (2, 4, 2)]) == (2, 5, 3)
    assert Superloop.from_config(loop.get_config()).compute_output_shape(
        {"inputs": (2, 5, 7), "tape_data": (2, 4, 2)}
    ) == (2, 5, 3)
    loop([INPUTS, data])
    assert list(loop.input_shapes) == ["inputs", "tape_data"]
    assert loop.get_config()["config"]["inputs"] == 3
    without = Superloop(cells=[keras.layers.GRUCell(3)], systems=[tape], timesteps=4)
    assert without({"tape_data": data}).shape == (2, 4, 3)
    assert without.config.inputs == 0
    endless = Superloop(cells=[keras.layers.GRUCell(3)], systems=[tape])
    with pytest.raises(ConfigError, match="'timesteps' must be >= 1 where inputs = 0"):
        endless({"tape_data": data})
    with pytest.raises(SourceError, match="the size of the inputs must be known"):
        Superloop(cells=[keras.layers.GRUCell(3)]).build((2, 5, None))
    with pytest.raises(SuperloopError, match="go_backwards needs inputs"):
        Superloop(cells=[keras.layers.GRUCell(3)], systems=[tape], timesteps=4, go_backwards=True)(
            {"tape_data": data}
        )


@pytest.mark.parametrize("kind", ["system", "builder", "keras cell"])
def test_what_is_registered_nowhere_computes_and_is_not_saved_until_it_is(kind, tmp_path):
    def made():
        if kind == "system":
            return Superloop(cells=[keras.layers.GRUCell(3)], systems=[Echo(EchoConfig(width=4))])
        return Superloop(cells=[Plain() if kind == "builder" else Half()])

    loop = made()
    outputs = loop(INPUTS)
    assert np.isfinite(outputs).all()
    if kind != "system":
        np.testing.assert_allclose(outputs, INPUTS * (1 if kind == "builder" else 0.5), rtol=1e-6)
    name = {"system": "Echo", "builder": "Plain", "keras cell": "Half"}[kind]
    with pytest.raises(ConfigError, match=rf"test_objects\.{name} is registered nowhere.*@superloop_core"):
        as_model(loop).save(tmp_path / "model.keras")
    with pytest.raises(SuperloopError, match=name):
        made().compute_output_shape((2, 5, 3))
    if kind == "system":
        register(Echo)
        saved_and_loaded(made(), tmp_path)
    if kind == "keras cell":
        keras.saving.register_keras_serializable("test_objects")(Half)
        saved_and_loaded(made(), tmp_path)


def test_a_class_that_is_registered_nowhere_takes_settings():
    loop = Superloop(
        cells=[keras.layers.GRUCell(3)], systems=[{"use": Echo, "width": 5}], traces=["echo.read"]
    )
    assert loop(INPUTS)["echo.read"].shape == (2, 5, 5)
    with pytest.raises(ConfigError, match="Echo is registered nowhere"):
        loop.get_config()
    with pytest.raises(ConfigError, match=r"systems\[0\] \"Echo\": no setting 'depth'; did you mean 'width'"):
        Superloop(cells=[keras.layers.GRUCell(3)], systems=[{"use": Echo, "depth": 5}])


def test_an_object_has_the_dtype_of_the_loop():
    mixed = Superloop(cells=[{"use": "gru", "units": 3}], systems=[Echo(EchoConfig())], dtype="mixed_float16")
    assert mixed(INPUTS).dtype == "float16"
    with pytest.raises(
        ConfigError, match=r"\"GRUCell\": the dtype policy must be .*, mixed_float16: float32"
    ):
        Superloop(cells=[keras.layers.GRUCell(3)], dtype="mixed_float16")
    Superloop(cells=[keras.layers.GRUCell(3, dtype="mixed_float16")], dtype="mixed_float16")(INPUTS)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        echo = Echo(EchoConfig())
        with pytest.raises(ConfigError, match=r"of its layer 'dense.*' must be .*, float32: mixed_float16"):
            Superloop(cells=[{"use": "gru", "units": 3}], systems=[echo])
        Superloop(cells=[{"use": "gru", "units": 3}], systems=[{"use": Echo}])(INPUTS)
    finally:
        keras.config.set_dtype_policy("float32")


def test_an_object_keeps_its_weights_and_what_is_frozen():
    cell = keras.layers.GRUCell(3)
    cell.build((None, 3))
    before = cell.get_weights()
    cell.trainable = False
    loop = Superloop(cells=[cell, {"use": "gru", "units": 2}])
    loop(INPUTS)
    for one, other in zip(before, cell.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(loop.trainable_weights) == 3
    with pytest.raises(
        SourceError, match="has weights for inputs of size 3, but its place in the loop gives it 5"
    ):
        Superloop(cells=[cell], systems=[SCRATCH])(INPUTS)


@pytest.mark.parametrize("path", ["cells.0", "scratch.control", "outputs"])
@pytest.mark.parametrize("as_cell", [False, True])
def test_a_frozen_part_is_frozen_in_a_loaded_model(path, as_cell, tmp_path):
    config = {"inputs": 3, "outputs": 2, "cells": [GRU], "systems": [SCRATCH]}
    loop = (SuperloopCell if as_cell else Superloop)(config)
    model = as_model(keras.layers.RNN(loop, return_sequences=True) if as_cell else loop)
    part = loop.wiring.parts()[path]
    getattr(part, "cell", part).trainable = False
    model.save(tmp_path / "model.keras")
    trained = len(model.trainable_weights)
    assert trained == len(model.weights) - len(part.weights)
    assert len(load_model(tmp_path / "model.keras").trainable_weights) == trained


SHARED = keras.layers.GRUCell(3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "give a config, or its entries"),
        ({"config": {"inputs": 3, "cells": [GRU]}, "outputs": 2}, "give either a config, or 'outputs'"),
        ({"cells": [keras.layers.LSTM(3)]}, 'cells[0] "LSTM": is a layer for whole sequences; give its cell'),
        ({"cells": [keras.layers.Dense(3)]}, 'cells[0] "Dense": must be a Keras RNN cell, a Builder'),
        ({"cells": [Echo(EchoConfig())]}, "cells[0] \"Echo\": is a system; give it in 'systems'"),
        ({"cells": [GRU], "systems": [SHARED]}, "systems[0]: must be a System"),
        ({"cells": SHARED}, "loop.cells: must be a list of tables"),
        ({"cells": [keras.layers.GRUCell]}, "GRUCell is registered nowhere, and does not say"),
        ({"cells": [{"use": SHARED, "units": 3}]}, "an object has its settings already; remove 'units'"),
        ({"cells": [{"use": SHARED, "layers": 2}]}, "'layers' must be 1, as an object is one cell: 2"),
        ({"cells": [SHARED, SHARED]}, "is in cells.0 too, and an object has one place in a loop"),
        (
            {"cells": [{"use": "superloop", "loop": {"cells": [SHARED]}, "layers": 2}]},
            "cells.1: <GRUCell",
        ),
        ({"cells": [GRU], "systems": [SCRATCH, SCRATCH | {"use": RegisterMemory}]}, "2 systems have the id"),
        (
            {"cells": [GRU], "systems": [Echo(EchoConfig()), Echo(EchoConfig())]},
            "2 systems have the id 'echo'",
        ),
        ({"cells": [GRU], "systems": [Superloop(cells=[GRU], inputs=2)]}, "'outputs' must be >= 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_part_is_refused(arguments, text):
    with pytest.raises(ConfigError) as error:
        Superloop(**arguments)
    assert text in str(error.value)
