import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import Superloop, SuperloopError
from superloop_core.layer.finite import first_not_finite


def test_the_earliest_timestep_and_its_first_row_are_found():
    one, other = np.zeros((3, 4, 2)), np.zeros((3, 4))
    assert first_not_finite({"one": one, "other": other}) is None
    one[2, 3, 1], other[1, 2] = np.inf, np.nan
    assert first_not_finite({"one": one, "other": other}) == (2, ["other"], 1)
    one[0, 2, 0] = -np.inf
    assert first_not_finite({"one": one, "other": other}) == (2, ["one", "other"], 0)


def broken_inputs(feed, layer):
    feed["inputs"][1, 2, 0] = np.nan
    return "not finite at timestep 2, first in row 1: 'inputs', 'cells.0.output', 'outputs'"


def broken_source(feed, layer):
    feed["tape_data"][2, 0, 0] = np.inf
    return "'tape_data' is not finite in row 2"


def broken_weight(feed, layer):
    layer.wiring.projection.bias.assign([np.inf, 0])
    return "not finite at timestep 0, first in row 0: 'outputs'"


@pytest.mark.parametrize("break_it", [broken_inputs, broken_source, broken_weight])
def test_debug_names_tensor_timestep_and_row(break_it, make_loop, made):
    layer, feed = made(make_loop("tape", cells=["simple_rnn"]), debug=True)
    plain = layer(feed)
    assert plain.shape == (3, 4, 2)  # and not a dict: all traces are computed, none is returned
    message = break_it(feed, layer)
    with pytest.raises(SuperloopError) as caught:
        layer(feed)
    assert message in str(caught.value)
    with pytest.raises(tf.errors.OpError, match="not finite"):
        tf.function(layer, autograph=False)(feed)


def test_debug_leaves_padding_alone_and_trains(make_loop, made):
    layer, feed = made(make_loop("tape"), debug=True)
    feed["inputs"][0, 3:] = np.nan
    lengths = np.array([3, 4, 4])
    assert np.isfinite(layer(feed | {"lengths": lengths})).all()
    inputs = layer.symbolic_inputs(lengths=True)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    model.fit(feed | {"lengths": lengths}, np.zeros((3, 4, 2)), verbose=0)
    assert Superloop.from_config(layer.get_config()).debug
