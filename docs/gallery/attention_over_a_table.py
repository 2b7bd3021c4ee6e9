"""
Attention over a table
======================

Each sequence comes with a table of its own: some names with a number each. At each timestep the network is
asked for the number of a name. Attention is a system with a *source*, which is a second input of the
layer.
"""

import keras
import numpy as np
from superloop_plugin_view import plot

import superloop_core

NAMES, ROWS, TIMESTEPS = 8, 5, 6


def tables(count, seed):
    """Return questions (count, TIMESTEPS), tables (count, ROWS, NAMES + 1), answers, and their rows."""
    rng = np.random.default_rng(seed)
    names = rng.permuted(np.tile(np.arange(NAMES), (count, 1)), axis=1)[:, :ROWS]
    numbers = rng.uniform(-1, 1, size=(count, ROWS)).astype("float32")
    rows = rng.integers(ROWS, size=(count, TIMESTEPS))
    table = np.concatenate([np.eye(NAMES, dtype="float32")[names], numbers[:, :, None]], axis=-1)
    asked, answers = (np.take_along_axis(one, rows, axis=1) for one in (names, numbers))
    return asked, table, answers[:, :, None], rows


# %%
# ``input_shapes`` of the layer names the second input: the id of the system, and the name of its source.

keras.utils.set_random_seed(0)
loop = superloop_core.Superloop(
    inputs=16,
    outputs=1,
    cells=[{"use": "gru", "units": 32}],
    systems=[{"use": "content_attention", "id": "table", "width": NAMES + 1, "key_size": 16}],
    outputs_read_systems=True,
)
print(loop.input_shapes)

asked = keras.Input((None,), dtype="int32", name="asked")
table = keras.Input((None, NAMES + 1), name="table")
questions = keras.layers.Embedding(NAMES, 16)(asked)
model = keras.Model([asked, table], loop({"inputs": questions, "table_data": table}))
model.compile(keras.optimizers.Adam(5e-3), "mse")
x, data, y, _ = tables(19_200, seed=1)
model.fit([x, data], y, batch_size=64, epochs=5, verbose=0)

# %%
# Tables that it has not seen, and which row the attention is on.

x, data, y, rows = tables(256, seed=2)
print(f"error: {np.abs(model.predict([x, data], verbose=0) - y).mean():.3f}; the numbers are from -1 to 1")

traces = superloop_core.trace(model, [x[:2], data[:2]])
right = 100 * np.mean(superloop_core.trace(model, [x, data])["table.weights"].argmax(-1) == rows)
print(f"the largest weight is on the row that was asked for in {right:.0f}% of timesteps")

# %%
# Above each timestep stands the row that holds the answer. A notebook shows ``picture`` by itself, and
# ``picture.savefig`` writes it.

picture = plot(traces, names=["table.weights"], inputs=rows[:2])
