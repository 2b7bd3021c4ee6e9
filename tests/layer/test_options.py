"""The options of a layer together: each pair of their values is in a row of the table."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from allpairspy import AllPairs

from superloop_core import Superloop

OPTIONS = {
    "traces": [(), "all", ("tape.*", "cells.0.h")],
    "return_sequences": [True, False],
    "return_state": [True, False],
    "go_backwards": [False, True],
    "stateful": [False, True],
    "unroll": [False, True],
    "jit_compile": ["auto", True, False],
    "checkpoint_every": [1, 3],
    "debug": [False, True],
    "dtype": ["float32", "mixed_float16", "mixed_bfloat16", "float64"],
}
CALLS = {
    "padding": ["none", "mask", "lengths", "ragged"],
    "initial_state": ["default", "list", "by name"],
    "way": ["eager", "graph", "model"],
}
TOLERANCES = {"float32": 1e-4, "float64": 1e-4, "mixed_float16": 2e-2, "mixed_bfloat16": 1e-1}
LENGTHS = np.array([4, 1, 3])
MASK = np.arange(4) < LENGTHS[:, None]
ROWS = [
    dict(zip([*OPTIONS, *CALLS], row, strict=True)) for row in AllPairs([*OPTIONS.values(), *CALLS.values()])
]


def called(layer, feed, padding, initial_state, way):
    """Return the flat results of a layer that is called in one of the ways."""
    if padding == "ragged":
        feed = feed | {"inputs": tf.RaggedTensor.from_tensor(feed["inputs"], lengths=LENGTHS)}
    elif padding == "lengths":
        feed = feed | {"lengths": LENGTHS}
    how = {"mask": {"inputs": tf.constant(MASK)}} if padding == "mask" else {}
    if initial_state is not None:
        how["initial_state"] = initial_state
    if way == "model" and not how and padding != "ragged":
        inputs = {
            name: keras.Input(tensor.shape[1:], batch_size=3, name=name) for name, tensor in feed.items()
        }
        return tf.nest.flatten(keras.Model(inputs, layer(inputs)).predict(feed, batch_size=3, verbose=0))
    call = layer if way == "eager" else tf.function(layer, autograph=False)
    return tf.nest.flatten(call(feed, **how))


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row.values())).replace(" ", "_"))
def test_each_pair_of_options_gives_what_the_plain_layer_gives(row, make_loop, made, assert_close):
    config = make_loop("tape", {"use": "stack", "id": "stack", "depth": 3, "width": 2}, cells=["lstm"])
    plain, feed = made(config, traces="all", return_state=True, unroll=True)
    layer = Superloop(config, **{name: row[name] for name in OPTIONS})
    layer.build({name: array.shape for name, array in feed.items()})
    layer.set_weights(plain.get_weights())

    initial_state = None
    if row["initial_state"] != "default":
        given = {name: np.full((3, 3), 0.5, "float32") for name in ("cells.0.h", "cells.0.c")}
        given["tape.position"] = np.full((3, 1), 1.0, "float32")
        zeros = [tf.zeros((3, *spec.shape[1:])) for spec in tf.nest.flatten(plain.wiring.state_specs())]
        listed = dict(zip(plain.state_names, zeros, strict=True)) | given
        initial_state = given if row["initial_state"] == "by name" else list(listed.values())

    order = slice(None, None, -1) if row["go_backwards"] else slice(None)
    mask = np.ones((3, 4), bool) if row["padding"] == "none" else MASK
    forwards = feed | {"inputs": np.where(mask[:, :, None], feed["inputs"], 0)[:, order]}
    traces, *state = plain(forwards, mask={"inputs": mask[:, order]}, initial_state=initial_state)
    expected = traces["outputs"] if row["return_sequences"] else traces["outputs"][:, -1]
    if row["traces"]:
        names = (
            traces if row["traces"] == "all" else [n for n in traces if n == "cells.0.h" or n[:5] == "tape."]
        )
        expected = {name: traces[name] for name in names} | {"outputs": expected}
    expected = (expected, *state) if row["return_state"] else expected

    # In a graph a ragged tensor does not tell how many timesteps to unroll, which is an error of its own.
    way = "eager" if row["unroll"] and row["padding"] == "ragged" else row["way"]
    results = called(layer, feed, row["padding"], initial_state, way)
    received = [tf.cast(tensor, "float32") for tensor in results]
    assert_close(
        received, [tf.cast(t, "float32") for t in tf.nest.flatten(expected)], TOLERANCES[row["dtype"]]
    )
