import pytest
import tensorflow as tf

from superloop_core.loop.batch_sizes import choose_rows


@pytest.mark.parametrize(
    ("given", "computed"),
    [
        ([64, 64, 10, 64, 64, 10], [64, 64, 64, 64, 64, 64]),  # two epochs
        ([64, 64, 2, 64, 64, 2, 64], [64] * 7),
        ([1024, 1, 1, 1], [1024, 1024, 2, 2]),  # rows one by one, after training
        ([1024, 1, 3, 1, 3, 1], [1024, 1024, 4, 4, 4, 4]),
        ([64, 40, 40, 39, 64], [64, 64, 40, 40, 64]),
        ([5, 9, 33], [6, 10, 34]),  # each is larger than those before
        ([0, 8, 0, 3, 0], [0, 8, 0, 8, 0]),
    ],
)
def test_a_batch_is_padded_to_a_size_before_it_unless_that_would_go_on(given, computed):
    scalar = tf.TensorSpec((), tf.int32)
    choose = tf.function(lambda rows: choose_rows(rows, 2), input_signature=[scalar], autograph=False)
    assert [int(choose(rows)) for rows in given] == computed
