"""Tests of cells from Keras's registry: which are made, and which are rejected."""

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


def rejection(cell, config):
    with pytest.raises(ConfigError) as error:
        Superloop(loop_of(cell, config))
    text = str(error.value)
    assert text.startswith(PLACE)
    return text.removeprefix(PLACE)


@pytest.mark.parametrize("cls", [keras.layers.GRUCell, keras.layers.LSTMCell, keras.layers.SimpleRNNCell])
def test_a_cell_of_keras_has_its_registered_name(cls):
    config = {"units": 4, "activation": "relu", "use_bias": False}
    loop = Superloop(loop_of(keras.saving.get_registered_name(cls), config, layers=2))
    outputs = loop(INPUTS)
    layer = keras.layers.RNN([cls(**config), cls(**config)], return_sequences=True)
    layer.build(INPUTS.shape)
    layer.set_weights(loop.get_weights())
    np.testing.assert_allclose(outputs, layer(INPUTS), atol=1e-6)


def test_a_cell_of_a_package_has_the_package_in_its_name():
    ncps = pytest.importorskip("ncps.keras")
    config = {"units": 4, "backbone_units": 8, "backbone_dropout": 0.0}
    loop = Superloop(loop_of("ncps>CfCCell", config), traces="cells.0.h")
    loop(INPUTS)
    layer = keras.layers.RNN(ncps.CfCCell(**config), return_sequences=True)
    layer(INPUTS)
    layer.set_weights(loop.get_weights())
    np.testing.assert_allclose(loop(INPUTS)["outputs"], layer(INPUTS), rtol=1e-5, atol=1e-6)


def test_a_config_may_contain_the_table_of_a_keras_object():
    start = {"class_name": "Constant", "config": {"value": 0.5}}
    loop = Superloop(loop_of("SimpleRNNCell", {"units": 3, "kernel_initializer": start}))
    loop(INPUTS)
    np.testing.assert_array_equal(loop.get_weights()[0], np.full((2, 3), 0.5))


def test_settings_compare_hash_and_stay_unchanged():
    config = {"units": 3, "kernel_initializer": {"class_name": "Constant", "config": {"value": 0.5}}}
    settings = RegisteredConfig(cell="GRUCell", config=json.loads(json.dumps(config)))
    Superloop(loop_of("GRUCell", settings.config))(INPUTS)
    assert settings.config == config
    assert settings == RegisteredConfig(cell="GRUCell", config=config)
    assert settings != attrs.evolve(settings, config={"units": 4})
    assert hash(settings) == hash(attrs.evolve(settings))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("GRUcell", "'cell' must be a cell registered by keras: 'GRUcell'; did you mean 'GRUCell'?"),
        ("GRU", "'cell' must be an RNN cell: 'GRU'; did you mean 'GRUCell'?"),
        ("Dense", "'cell' must be an RNN cell: 'Dense'; there are: GRUCell, LSTMCell, SimpleRNNCell"),
        ("Lambda", "'cell' must be an RNN cell: 'Lambda'; there are: GRUCell, LSTMCell, SimpleRNNCell"),
        ("StackedRNNCells", "'cell' must be an RNN cell: 'StackedRNNCells'"),
        ("serialize", "'cell' must be a cell registered by keras: 'serialize'; there are: GRUCell"),
        ("Keras>GRUCell", "must name a Keras cell without a package: 'Keras>GRUCell'; write 'GRUCell'"),
        ("mine>Cell", f"from an allowed package ({', '.join(PACKAGES)}): 'mine>Cell'; import"),
        ("os>path>Cell", f"from an allowed package ({', '.join(PACKAGES)}): 'os>path>Cell'"),
        ("keras.layers.GRUCell", "must be a cell's registered name, such as 'GRUCell' or"),
        ("ncps.keras:CfCCell", "must be a cell's registered name, such as 'GRUCell' or"),
        ("", "must be a cell's registered name, such as 'GRUCell' or 'ncps>CfCCell': ''"),
    ],
)
def test_a_name_that_is_not_an_allowed_cell_is_rejected(cell, text):
    assert text in rejection(cell, {"units": 3})


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"unit": 3}, "valid for GRUCell: {'unit': 3}; no setting 'unit'; did you mean 'units'? ("),
        ({"units": 0}, "{'units': 0} (Received an invalid value for argument `units`, expected a positive"),
        ({"units": "3"}, "'config' must be valid for GRUCell: {'units': '3'} ("),
        ({"units": 3, "activation": "rellu"}, "Could not interpret activation function identifier: rellu"),
        ({"units": 3, "dtype": "float16"}, "'config' may not set 'dtype', which the loop sets: 'float16'"),
        ({"units": 3, "seed": None}, "only strings, numbers, true, false, lists and tables: seed = None"),
        ({"units": 3, "bias_initializer": keras.initializers.Zeros()}, "false, a list or a table: <keras"),
    ],
)
def test_a_config_that_is_not_valid_for_the_class_is_rejected(config, text):
    assert text in rejection("GRUCell", config)


@pytest.mark.parametrize(
    "entry",
    [
        {"kernel_initializer": {"module": "os", "class_name": "system", "config": {}}},
        {"activation": {"module": "builtins", "class_name": "function", "config": "eval"}},
        {"kernel_regularizer": {"class_name": "L2", "config": {"l2": [{"module": "antigravity"}]}}},
    ],
)
def test_a_module_in_a_config_is_rejected_at_any_depth(entry):
    assert "'config' may not name a module: '" in rejection("GRUCell", {"units": 3} | entry)


def test_code_in_a_config_is_rejected():
    code = {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}
    assert "must be valid for GRUCell" in rejection("GRUCell", {"units": 3, "activation": code})


def test_a_class_that_this_process_has_registered_is_allowed():
    @keras.saving.register_keras_serializable("stranger")
    class Cell(keras.layers.SimpleRNNCell):
        pass

    try:
        assert Superloop(loop_of("stranger>Cell", {"units": 4}))(INPUTS).shape == (3, 5, 4)
    finally:
        del keras.saving.get_custom_objects()["stranger>Cell"]
    assert "an allowed package (keras, ncps): 'stranger>Cell'" in rejection("stranger>Cell", {"units": 3})


PACKAGES_HOOK = """
from superloop_core import hookimpl

@hookimpl
def superloop_keras_packages():
    {body}
"""


def test_a_plugin_allows_cells_of_another_package(tmp_plugin):
    cells = """
    import keras

    @keras.saving.register_keras_serializable("stranger")
    class Cell(keras.layers.SimpleRNNCell):
        pass
    """
    hook = PACKAGES_HOOK.format(body="return {'stranger': 'stranger_cells'}")
    tmp_plugin("superloop-plugin-stranger", {"stranger_light": hook, "stranger_cells": cells})
    try:
        loop = Superloop(loop_of("stranger>Cell", {"units": 3}))
        assert loop(INPUTS).shape == (3, 5, 3)
    finally:
        del keras.saving.get_custom_objects()["stranger>Cell"]


def test_the_error_of_a_missing_package_says_how_to_install_it(tmp_plugin):
    hook = PACKAGES_HOOK.format(body="return {'absent': 'absent_that_is_missing'}")
    tmp_plugin("superloop-plugin-stranger", {"stranger_light": hook})
    assert "'absent>CfCCell'; pip install absent (No module named" in rejection(
        "absent>CfCCell", {"units": 3}
    )


def test_a_package_of_two_plugins_is_rejected(tmp_plugin):
    hook = PACKAGES_HOOK.format(body="return {'ncps': 'elsewhere'}")
    tmp_plugin("superloop-plugin-stranger", {"stranger_light": hook})
    text = rejection("ncps>CfCCell", {"units": 3})
    assert "the package 'ncps' has the modules ncps.keras and elsewhere, of two plugins; exclude one" in text


def test_a_hook_of_packages_that_returns_another_thing_is_reported(tmp_plugin):
    tmp_plugin("superloop-plugin-stranger", {"stranger_light": PACKAGES_HOOK.format(body="return 3")})
    assert "superloop_keras_packages must return a mapping: 3" in rejection("stranger>Cell", {"units": 3})


def test_a_hook_of_packages_that_fails_is_a_warning(tmp_plugin):
    registry = tmp_plugin("superloop-plugin-stranger", {"stranger_light": PACKAGES_HOOK.format(body="1 / 0")})
    with pytest.warns(
        RuntimeWarning, match="superloop-plugin-stranger is broken: its hook superloop_keras_pack"
    ):
        assert "an allowed package (keras, ncps)" in rejection("stranger>Cell", {"units": 3})
    assert [plugin.distribution for plugin in registry.broken] == ["superloop-plugin-stranger"]


def validated(tmp_path, toml, status):
    path = tmp_path / "loop.toml"
    path.write_text(f'[loop]\ninputs = 2\n[[loop.cells]]\nuse = "keras"\n{toml}\n')
    done = CliRunner().invoke(cli, ["validate", str(path), "--json"])
    assert done.exit_code == status, done.output
    return json.loads(done.stdout)


def test_validate_prints_the_size_of_a_registered_cell(tmp_path):
    output = validated(tmp_path, 'cell = "LSTMCell"\n[loop.cells.config]\nunits = 4', 0)
    (part,) = output["parts"]
    assert (part["output_size"], part["state_size"], part["weights"]) == (4, 8, 4 * 4 * (2 + 4 + 1))
    assert output["config"]["loop"]["cells"][0]["config"] == {"units": 4}


@pytest.mark.parametrize(
    ("toml", "text"),
    [
        ('cell = "GRUcell"\nconfig = {units = 3}', "did you mean 'GRUCell'?"),
        ('cell = "GRUCell"\nconfig = {unit = 3}', "did you mean 'units'?"),
        ('cell = "mine>Cell"\nconfig = {units = 3}', "from an allowed package"),
        ('cell = "GRUCell"', "'config' is missing; it must be a table"),
    ],
)
def test_validate_prints_a_problem_with_its_place(tmp_path, toml, text):
    (problem,) = validated(tmp_path, toml, 2)["problems"]
    assert problem["where"] == 'loop.cells[0] "keras"'
    assert text in problem["what"]
