"""
Which write does an answer come from?
=====================================

A network stores three pairs of a key and a value, and then sees one of the keys again. ``importance``
leaves out one write at a time, and measures how much worse the answer becomes: the write that holds the
answer stands out.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np

import superloop_core

KEYS, VALUES, PAIRS = 6, 4, 3


def episodes(rows, seed):
    """Return vectors (rows, PAIRS + 1, KEYS + VALUES), the answers (rows,), and which pair was asked for."""
    rng = np.random.default_rng(seed)
    keys = rng.permuted(np.tile(np.arange(KEYS), (rows, 1)), axis=1)[:, :PAIRS]
    values = rng.integers(VALUES, size=(rows, PAIRS))
    asked = rng.integers(PAIRS, size=rows)
    x = np.zeros((rows, PAIRS + 1, KEYS + VALUES), "float32")
    x[:, :PAIRS, :KEYS] = np.eye(KEYS)[keys]
    x[:, :PAIRS, KEYS:] = np.eye(VALUES)[values]
    x[:, PAIRS, :KEYS] = np.eye(KEYS)[np.take_along_axis(keys, asked[:, None], axis=1)[:, 0]]
    return x, np.take_along_axis(values, asked[:, None], axis=1)[:, 0], asked


# %%
# The cell is a dense layer, which remembers nothing, and the read vector does not go back to it: all that
# is remembered is in the memory.

keras.utils.set_random_seed(0)
loop = superloop_core.Superloop(
    inputs=KEYS + VALUES,
    outputs=VALUES,
    cells=[{"use": "dense", "units": 32}],
    systems=[{"use": "deltanet", "id": "memory", "key_size": 8, "width": 8, "feedback": False}],
    outputs_read_systems=True,
    return_sequences=False,
)
x, y, _ = episodes(12_800, seed=1)
loop(x[:1])  # makes the weights
model = keras.Sequential([loop])
model.compile(
    keras.optimizers.Adam(1e-2),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)
model.fit(x, y, batch_size=64, epochs=3, verbose=0)
x, y, asked = episodes(256, seed=2)
print(f"right: {100 * model.evaluate(x, y, verbose=0)[1]:.1f}%")

# %%
# The importance of each write for the answer, in twelve episodes, with a ring around the pair that was
# asked for.

measured = superloop_core.importance(model, x[:12], "memory")[:, :PAIRS, 0]  # (episode, write)
plt.figure(figsize=(7, 2.6))
plt.imshow(measured.T, cmap="Blues", vmin=0)
plt.scatter(range(12), asked[:12], s=220, facecolors="none", edgecolors="darkorange")
plt.colorbar(label="lost log probability")
plt.xlabel("episode")
plt.ylabel("pair that is not written")
plt.yticks(range(PAIRS))
plt.show()
