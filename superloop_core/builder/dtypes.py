"""Dtype policies, and the dtype of addresses: float32 at least."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras


def addressing_dtype(policy: keras.DTypePolicy) -> str:
    """What systems compute in, and sources are given in, under a dtype policy: float32 at least."""
    return "float64" if policy.variable_dtype == "float64" else "float32"


@contextmanager
def dtype_policy(policy: Any) -> Iterator[None]:
    """Let layers that are made within have a policy; None: Keras's global one."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy or before)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
