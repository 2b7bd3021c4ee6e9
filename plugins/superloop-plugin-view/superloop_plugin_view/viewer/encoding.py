"""Arrays as text for a page: 16 or 8 bits a number, differences over time, compressed."""

import base64
import zlib
from typing import Any

import numpy as np

MAX_NUMBERS = 2**25  # of one trace; above, it is not tried
DIGITS = "numbers are rounded to 3 digits"
NO_NUMBER = 255  # the 8-bit code of NaN and of infinities
TRIED = 2**18  # numbers
STEPS = 254  # between the smallest and the largest number, with 8 bits


def encode_half(array: np.ndarray) -> dict[str, Any]:
    """Return an array ``(sequence, timestep, ...)`` as 16-bit floats, which keep 3 digits of every number.

    A power of 2 scales the array to the range of such floats. Equal numbers stay equal, and 0 stays 0.
    """
    values = as_real(array)
    finite = np.abs(values[np.isfinite(values)])
    exponent = int(np.frexp(finite.max(initial=0))[1]) - 15
    halves = np.ldexp(values, -exponent).astype(np.float16)
    return {"form": "half", "scale": 2.0**exponent, **_packed(halves.view(np.uint16))}


def encode_byte(array: np.ndarray) -> dict[str, Any]:
    """Return an array as 8-bit numbers: the range of the array in 254 steps, one of which is 0.

    ``scale`` is the size of a step.
    """
    values = as_real(array)
    finite = values[np.isfinite(values)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    step = (high - low) / (STEPS - 1) or 1.0  # one step is spare, as 0 moves the grid
    below = int(np.ceil(-low / step))  # the code of 0
    with np.errstate(invalid="ignore"):
        codes = np.where(np.isfinite(values), np.clip(np.rint(values / step) + below, 0, STEPS), NO_NUMBER)
    return {"form": "byte", "scale": step, "zero": below, **_packed(codes.astype(np.uint8))}


def decode(encoded: dict[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return the numbers of an encoded array in float64, as the page reads them."""
    planes = np.frombuffer(zlib.decompress(base64.b64decode(encoded["data"])), np.uint8)
    wide = encoded["form"] == "half"
    if wide:
        planes = planes.reshape(2, -1)
        codes = (planes[0].astype(np.uint16) | planes[1].astype(np.uint16) << 8).reshape(shape)
    else:
        codes = planes.reshape(shape)
    if encoded["delta"]:
        codes = np.cumsum(codes, axis=1, dtype=codes.dtype)
    if wide:
        return np.asarray(codes.view(np.float16).astype(np.float64) * encoded["scale"])
    values = (codes.astype(np.float64) - encoded["zero"]) * encoded["scale"]
    return np.where(codes == NO_NUMBER, np.nan, values)


def as_real(array: np.ndarray) -> np.ndarray:
    """Return numbers in float64; of complex ones, the absolute values."""
    return (np.abs(array) if array.dtype.kind == "c" else array).astype(np.float64)


def _packed(codes: np.ndarray) -> dict[str, Any]:
    """Return codes as they are or as differences over time, whichever is smaller in the first sequence."""
    differences = np.diff(codes, axis=1, prepend=np.zeros_like(codes[:, :1]))  # modulo 2^bits
    plain, delta = (len(_compressed(some[:1].reshape(-1)[:TRIED])) for some in (codes, differences))
    chosen = differences if delta < plain else codes
    return {"delta": delta < plain, "data": base64.b64encode(_compressed(chosen)).decode()}


def _compressed(codes: np.ndarray) -> bytes:
    """Compress the low bytes of all numbers, then the high bytes."""
    flat = np.ascontiguousarray(codes).astype(codes.dtype.newbyteorder("<")).reshape(-1)
    planes = flat.view(np.uint8).reshape(-1, codes.dtype.itemsize).T
    return zlib.compress(planes.tobytes(), 6)
