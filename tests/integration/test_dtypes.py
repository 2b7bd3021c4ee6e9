"""Every cell and system under every floatx and dtype policy, whole and in chunks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from superloop_core import SuperloopError
from superloop_core.registry import load_registry
from superloop_core.testing.subject import draw, made

PARTS = [record for record in load_registry().records if record.kind in ("cell", "system")]
NO_CHUNKS = {"tape"}  # which jumps by the number of timesteps


@pytest.fixture(params=["floatx float64", "mixed_float16", "mixed_bfloat16"])
def dtypes(request):
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    if request.param == "floatx float64":
        keras.config.set_floatx("float64")
        keras.config.set_dtype_policy("float64")
    else:
        keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.mark.slow
@pytest.mark.parametrize("record", PARTS, ids=lambda record: f"{record.kind}-{record.name}")
def test_chunks_give_what_the_whole_gives(record, dtypes):
    in_chunks = record.name not in NO_CHUNKS
    layer = made(record, traces=(), return_state=False, stateful=in_chunks)
    feed = draw(layer)
    whole = layer(feed)
    assert whole.dtype == layer.compute_dtype
    assert np.isfinite(tf.cast(whole, "float64")).all()
    if not in_chunks:
        with pytest.raises(SuperloopError, match=r"timesteps"):
            made(record, traces=(), return_state=False, stateful=True)(feed)
        return
    layer.reset_state()
    chunks = [layer(feed | {"inputs": feed["inputs"][:, part]}) for part in (slice(0, 2), slice(2, None))]
    joined = tf.concat(chunks, axis=1)
    np.testing.assert_allclose(tf.cast(joined, "float64"), tf.cast(whole, "float64"), atol=1e-6)
