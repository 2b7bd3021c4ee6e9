"""Any cell that Keras knows, by name: what is made, and what is refused."""

import json

import attrs
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from superloop_plugin_cells import PACKAGES, RegisteredConfig

from superloop_core import ConfigError, Superloop
from superloop_core.cli import cli

INPUTS = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
PLACE = 'loop.cells[0] "keras": '


def loop_of(cell, config, **more):
    return {"inputs": 2, "cells": [{"use": "keras", "cell": cell, "config": config} | more]}


def refused(cell, config):
    with pytest.raises(ConfigError) as error:
        Superloop(loop_of(cell, config))
    told = str(error.value)
    assert told.startswith(PLACE)
    return told.removeprefix(PLACE)


@pytest.mark.parametrize("cls", [keras.layers.GRUCell, keras.layers.LSTMCell, keras.layers.SimpleRNNCell])
def test_a_cell_of_keras_is_named_as_its_registry_names_it(cls):
    config = {"units": 4, "activation": "relu", "use_bias": False}
    loop = Superloop(loop_of(keras.saving.get_registered_name(cls), config, layers=2))
    answer = loop(INPUTS)
    layer = keras.layers.RNN([cls(**config), cls(**config)], return_sequences=True)
    layer.build(INPUTS.shape)
    layer.set_weights(loop.get_weights())
    np.testing.assert_allclose(answer, layer(INPUTS), atol=1e-6)


def test_a_cell_of_a_package_is_named_with_it():
    ncps = pytest.importorskip("ncps.keras")
    config = {"units": 4, "backbone_units": 8, "backbone_dropout": 0.0}
    loop = Superloop(loop_of("ncps>CfCCell", config), traces="cells.0.h")
    loop(INPUTS)
    layer = keras.layers.RNN(ncps.CfCCell(**config), return_sequences=True)
    layer(INPUTS)
    layer.set_weights(loop.get_weights())
    np.testing.assert_allclose(loop(INPUTS)["outputs"], layer(INPUTS), rtol=1e-5, atol=1e-6)


def test_what_keras_makes_of_a_table_may_stand_in_the_config():
    start = {"class_name": "Constant", "config": {"value": 0.5}}
    loop = Superloop(loop_of("SimpleRNNCell", {"units": 3, "kernel_initializer": start}))
    loop(INPUTS)
    np.testing.assert_array_equal(loop.get_weights()[0], np.full((2, 3), 0.5))


def test_settings_are_compared_hashed_and_left_as_they_are():
    config = {"units": 3, "kernel_initializer": {"class_name": "Constant", "config": {"value": 0.5}}}
    settings = RegisteredConfig(cell="GRUCell", config=json.loads(json.dumps(config)))
    Superloop(loop_of("GRUCell", settings.config))(INPUTS)
    assert settings.config == config
    assert settings == RegisteredConfig(cell="GRUCell", config=config)
    assert settings != attrs.evolve(settings, config={"units": 4})
    assert hash(settings) == hash(attrs.evolve(settings))


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("GRUcell", "'cell' must be a cell that keras registers: 'GRUcell'; did you mean 'GRUCell'?"),
        ("GRU", "'cell' must be an RNN cell: 'GRU'; did you mean 'GRUCell'?"),
        ("Dense", "'cell' must be an RNN cell: 'Dense'; there are: GRUCell, LSTMCell, SimpleRNNCell"),
        ("Lambda", "'cell' must be an RNN cell: 'Lambda'; there are: GRUCell, LSTMCell, SimpleRNNCell"),
        ("StackedRNNCells", "'cell' must be an RNN cell: 'StackedRNNCells'"),
        ("serialize", "'cell' must be a cell that keras registers: 'serialize'; there are: GRUCell"),
        ("Keras>GRUCell", "must name Keras's own without a package: 'Keras>GRUCell'; write 'GRUCell'"),
        ("mine>Cell", f"of a package that is allowed ({', '.join(PACKAGES)}): 'mine>Cell'; a cell of"),
        ("os>path>Cell", f"of a package that is allowed ({', '.join(PACKAGES)}): 'os>path>Cell'"),
        ("keras.layers.GRUCell", "must be a cell's registered name, such as 'GRUCell' or"),
        ("ncps.keras:CfCCell", "must be a cell's registered name, such as 'GRUCell' or"),
        ("", "must be a cell's registered name, such as 'GRUCell' or 'ncps>CfCCell': ''"),
    ],
)
def test_what_is_no_cell_that_is_allowed_is_refused(cell, told):
    assert told in refused(cell, {"units": 3})


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"unit": 3}, "one that GRUCell takes: {'unit': 3}; no setting 'unit'; did you mean 'units'? ("),
        ({"units": 0}, "{'units': 0} (Received an invalid value for argument `units`, expected a positive"),
        ({"units": "3"}, "'config' must be one that GRUCell takes: {'units': '3'} ("),
        ({"units": 3, "activation": "rellu"}, "Could not interpret activation function identifier: rellu"),
        ({"units": 3, "dtype": "float16"}, "'config' may not set 'dtype', which the loop decides: 'float16'"),
        ({"units": 3, "seed": None}, "of strings, numbers, true, false, lists and tables: seed = None"),
        ({"units": np.int64(3)}, "of strings, numbers, true, false, lists and tables: units = "),
        ({"units": 3, "bias_initializer": keras.initializers.Zeros()}, "tables: bias_initializer = <"),
    ],
)
def test_a_config_that_the_class_does_not_take_is_refused(config, told):
    assert told in refused("GRUCell", config)


@pytest.mark.parametrize(
    "held",
    [
        {"kernel_initializer": {"module": "os", "class_name": "system", "config": {}}},
        {"activation": {"module": "builtins", "class_name": "function", "config": "eval"}},
        {"kernel_regularizer": {"class_name": "L2", "config": {"l2": [{"module": "antigravity"}]}}},
    ],
)
def test_a_config_names_no_module_at_any_depth(held):
    assert "'config' may name no module: '" in refused("GRUCell", {"units": 3} | held)


def test_a_config_holds_no_code():
    code = {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}
    assert "must be one that GRUCell takes" in refused("GRUCell", {"units": 3, "activation": code})


def test_a_class_that_others_register_under_a_name_that_is_not_allowed_stays_refused():
    @keras.saving.register_keras_serializable("stranger")
    class Cell(keras.layers.SimpleRNNCell):
        pass

    try:
        assert "of a package that is allowed (keras, ncps): 'stranger>Cell'" in refused(
            "stranger>Cell", {"units": 3}
        )
    finally:
        del keras.saving.get_custom_objects()["stranger>Cell"]


def test_a_package_that_is_not_installed_is_told_with_how_to_install_it(monkeypatch):
    monkeypatch.setattr("superloop_plugin_cells.registered.PACKAGES", {"ncps": "ncps_that_is_not_there"})
    assert "'ncps>CfCCell'; pip install ncps (No module named" in refused("ncps>CfCCell", {"units": 3})


def validated(tmp_path, text, status):
    path = tmp_path / "loop.toml"
    path.write_text(f'[loop]\ninputs = 2\n[[loop.cells]]\nuse = "keras"\n{text}\n')
    done = CliRunner().invoke(cli, ["validate", str(path), "--json"])
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def test_validate_tells_its_size(tmp_path):
    told = validated(tmp_path, 'cell = "LSTMCell"\n[loop.cells.config]\nunits = 4', 0)
    (part,) = told["parts"]
    assert (part["output_size"], part["state_size"], part["weights"]) == (4, 8, 4 * 4 * (2 + 4 + 1))
    assert told["config"]["loop"]["cells"][0]["config"] == {"units": 4}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('cell = "GRUcell"\nconfig = {units = 3}', "did you mean 'GRUCell'?"),
        ('cell = "GRUCell"\nconfig = {unit = 3}', "did you mean 'units'?"),
        ('cell = "mine>Cell"\nconfig = {units = 3}', "of a package that is allowed"),
        ('cell = "GRUCell"', "'config' is missing; it must be a table"),
    ],
)
def test_validate_tells_what_is_wrong_and_where(tmp_path, text, told):
    (problem,) = validated(tmp_path, text, 2)["problems"]
    assert problem["where"] == 'loop.cells[0] "keras"'
    assert told in problem["what"]
