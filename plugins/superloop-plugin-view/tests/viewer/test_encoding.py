import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from superloop_plugin_view.viewer.encoding import decode, encode_byte, encode_half

NUMBERS = st.floats(-1e30, 1e30, allow_subnormal=False)
ARRAYS = arrays(np.float64, array_shapes(min_dims=3, max_dims=4, max_side=5), elements=NUMBERS)


@given(ARRAYS)
def test_numbers_keep_three_digits_down_to_a_hundred_millionth_of_the_largest(array):
    found = decode(encode_half(array), array.shape)
    kept = np.abs(array) > 1e-8 * np.abs(array).max()
    np.testing.assert_allclose(found[kept], array[kept], rtol=2**-11)
    np.testing.assert_allclose(found, array, atol=1e-8 * np.abs(array).max(), rtol=2**-11)


@given(ARRAYS)
def test_eight_bits_are_right_to_half_a_step(array):
    encoded = encode_byte(array)
    found = decode(encoded, array.shape)
    np.testing.assert_allclose(found, array, rtol=1e-12, atol=encoded["scale"] * 0.5000001)
    assert encoded["scale"] <= max(1.0, np.ptp([0, *array.ravel()]) / 250)


@pytest.mark.parametrize("encode", [encode_half, encode_byte])
def test_zero_stays_zero_and_what_is_no_number_stays_none(encode):
    array = np.array([[[0.0, -3.0], [np.nan, 5.0]], [[0.0, 0.0], [2.0, np.nan]]])
    found = decode(encode(array), array.shape)
    np.testing.assert_array_equal(found == 0, array == 0)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(array))


def test_a_memory_that_hardly_changes_takes_little_room():
    memory = np.random.default_rng(0).normal(size=(1, 1, 128, 20))
    still = encode_half(np.repeat(memory, 100, axis=1))
    assert still["delta"]
    assert len(still["data"]) < 10_000


def test_complex_numbers_are_seen_by_their_size_and_bools_as_0_and_1():
    np.testing.assert_allclose(decode(encode_half(np.array([[[3 + 4j]]])), (1, 1, 1)), 5)
    truth = np.array([[[True, False]]])
    np.testing.assert_array_equal(decode(encode_half(truth), truth.shape), truth)
