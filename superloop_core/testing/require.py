"""Assertions of the checks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from superloop_core.testing.report import CheckFailed


def require(holds: Any, rule: str) -> None:
    """Fail a check where something does not hold."""
    if not holds:
        raise CheckFailed(rule)


def require_close(actual: Any, expected: Any, rule: str, tolerance: float = 1e-4, at: str = "") -> None:
    """Fail a check where two nests of tensors differ."""
    if isinstance(expected, Mapping):
        require(actual.keys() == expected.keys(), f"{rule}: {sorted(actual)} against {sorted(expected)}")
        for name in expected:
            require_close(actual[name], expected[name], rule, tolerance, f"{at}{name}")
    elif isinstance(expected, tuple | list):
        require(len(actual) == len(expected), f"{rule}: {len(actual)} tensors against {len(expected)}")
        for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
            require_close(one, other, rule, tolerance, f"{at}[{index}]")
    else:
        one, other = map(np.asarray, (actual, expected))
        dtype = "complex128" if np.iscomplexobj(other) else "float64"
        one, other = one.astype(dtype), other.astype(dtype)
        require(one.shape == other.shape, f"{rule}: {at} has the shape {one.shape} against {other.shape}")
        apart = np.abs(one - other) / (1 + np.abs(other))
        if not np.all(apart <= tolerance):  # NaN is not close
            raise CheckFailed(f"{rule}: {at or 'they'} differ by {np.max(apart):.2g} (at most {tolerance:g})")


def require_finite(tensors: Any, rule: str) -> None:
    """Fail a check where a tensor is not finite."""
    for index, tensor in enumerate(tf.nest.flatten(tensors)):
        if tensor.dtype.is_floating or tensor.dtype.is_complex:
            require(np.all(np.isfinite(tensor)), f"{rule}: tensor {index} is not")
