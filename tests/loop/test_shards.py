import numpy as np
import pytest
import tensorflow as tf

from superloop_core.builder.protocol import Sequence
from superloop_core.loop.shards import Shard, first_rows, join_rows, pad_rows, split_rows

INPUTS = np.arange(12.0).reshape(6, 2)


def whole_of(inputs, rows):
    sequence = Sequence(
        batch_size=rows, timesteps=2, lengths=None, dtype="float64", sources={"data": inputs + 100}
    )
    return Shard({"inputs": inputs}, (inputs, inputs), sequence)


@pytest.mark.parametrize(("rows", "sizes"), [(6, [3, 3]), (5, [2, 3])])
def test_shards_have_the_rows_of_a_batch_in_order(rows, sizes):
    inputs = tf.constant(INPUTS[:rows])
    shards = split_rows(whole_of(inputs, rows), 2)
    assert [shard.sequence.batch_size for shard in shards] == sizes
    assert [shard.sequence.first_row for shard in shards] == [0, sizes[0]]
    for get in (
        lambda s: s.given["inputs"],
        lambda s: s.state[1],
        lambda s: s.sequence.sources["data"] - 100,
    ):
        np.testing.assert_array_equal(join_rows([get(shard) for shard in shards]), inputs)


@pytest.mark.parametrize("rows", [3, 6])
def test_a_batch_of_any_size_is_padded_by_its_last_row_and_split_without_a_gradient_to_the_copies(rows):
    @tf.function(input_signature=[tf.TensorSpec([None, 2], "float64")], autograph=False)
    def run(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            count = tf.shape(inputs)[0]
            shards = split_rows(pad_rows(whole_of(inputs, count), tf.constant(6)), 2)
            joined = join_rows([shard.given["inputs"] for shard in shards])
            total = tf.reduce_sum(joined)
        back, slope = first_rows(joined, count), tape.gradient(total, inputs)
        return joined, back, slope, [(s.sequence.batch_size, s.sequence.first_row) for s in shards]

    joined, back, slope, places = run(INPUTS[:rows])
    np.testing.assert_array_equal(joined, INPUTS[[*range(rows), *[rows - 1] * (6 - rows)]])
    np.testing.assert_array_equal(back, INPUTS[:rows])
    np.testing.assert_array_equal(slope, np.ones((rows, 2)))
    assert [(int(size), int(first)) for size, first in places] == [(3, 0), (3, 3)]
