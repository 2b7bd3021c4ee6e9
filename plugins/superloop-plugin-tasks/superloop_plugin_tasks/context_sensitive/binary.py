"""Binary numbers as rows of bits, the lowest first, and as integers of any size."""

from collections.abc import Callable

import numpy as np

OPERATOR, END = 2, 2


def to_integers(bits: np.ndarray) -> list[int]:
    """Return the number of each row of bits ``(batch, width)``."""
    return [int.from_bytes(row.tobytes(), "little") for row in np.packbits(bits, axis=1, bitorder="little")]


def to_bits(numbers: list[int], width: int) -> np.ndarray:
    """Return bits ``(batch, width)``; no number may have more than ``width``."""
    size = -(-width // 8)
    data = np.frombuffer(b"".join(number.to_bytes(size, "little") for number in numbers), "uint8")
    return np.unpackbits(data.reshape(-1, size), axis=1, bitorder="little")[:, :width].astype("int64")


def draw_calculations(
    rng: np.random.Generator, lengths: np.ndarray, length: int, calculate: Callable[[int, int], int]
) -> tuple[np.ndarray, np.ndarray]:
    """Draw two numbers with an operator between them, and their result with an end.

    The operator's place is drawn uniformly from all but the first and the last. Bits are drawn uniformly.

    Args:
        rng: the generator to draw from.
        lengths: of the calculations, ``(batch,)``.
        length: of the returned arrays.
        calculate: the operation.

    Returns:
        strings and answers, each ``(batch, length)``. Answers have no zeros before the end, except the number
        0, and are -1 after it.
    """
    places = np.arange(length)
    operators = rng.integers(1, lengths - 1)  # (batch,)
    strings = rng.integers(0, 2, (len(lengths), length))
    strings[np.arange(len(lengths)), operators] = OPERATOR
    first = np.where(places < operators[:, None], strings, 0)
    shifted = np.take_along_axis(strings, np.minimum(places + operators[:, None] + 1, length - 1), axis=1)
    second = np.where(places < (lengths - operators - 1)[:, None], shifted, 0)
    results = [calculate(a, b) for a, b in zip(to_integers(first), to_integers(second), strict=True)]
    ends = np.array([max(number.bit_length(), 1) for number in results])[:, None]
    return strings, np.select([places < ends, places == ends], [to_bits(results, length), END], -1)
