"""Losses and answers; each sequence counts the same, however long it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import backend, ops

from superloop_core import ConfigError
from superloop_plugin_data.settings import AbsoluteErrorConfig


def outputs_of(results: Mapping[str, Any], needed: int) -> Any:
    """Return the outputs ``(batch, timesteps, needed)``, at least in float32.

    Raises:
        ConfigError: the loop has more or fewer.
    """
    outputs = results["outputs"]
    if outputs.shape[-1] != needed:
        raise ConfigError(
            f"needs a loop with {needed} outputs: {outputs.shape[-1]}; set loop.outputs = {needed}"
        )
    return ops.cast(outputs, backend.result_type(backend.standardize_dtype(outputs.dtype), "float32"))


def class_loss(targets: Any, outputs: Any) -> Any:
    """Return the mean over sequences of the cross-entropy in nats.

    Args:
        targets: classes ``(batch,)`` or ``(batch, timesteps)``; -1: none is asked for.
        outputs: logits ``(batch, classes)`` or ``(batch, timesteps, classes)``.
    """
    losses = ops.sparse_categorical_crossentropy(ops.maximum(targets, 0), outputs, from_logits=True)
    return ops.mean(_mean_of_each(losses, targets >= 0))


def classes_are_right(targets: Any, outputs: Any) -> Any:
    """Return whether all classes of each sequence are right, ``(batch,)`` of bool."""
    wrong = ops.not_equal(ops.cast(ops.argmax(outputs, axis=-1), targets.dtype), targets) & (targets >= 0)
    return ~ops.any(ops.reshape(wrong, (ops.shape(wrong)[0], -1)), axis=1)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis, of NumPy arrays ``(..., classes)``."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def squared_loss(targets: Any, outputs: Any) -> Any:
    """Return the mean over sequences of the squared error; targets of NaN are not asked for."""
    asked = ~ops.isnan(targets)
    errors = ops.square(ops.where(asked, ops.cast(targets, outputs.dtype) - outputs, 0))
    return ops.mean(_mean_of_each(errors, asked))


def numbers_are_near(targets: Any, outputs: Any, tolerance: float) -> Any:
    """Return whether all numbers of each sequence are off by at most ``tolerance``, ``(batch,)`` of bool."""
    far = (
        ops.abs(ops.where(ops.isnan(targets), outputs, ops.cast(targets, outputs.dtype)) - outputs)
        > tolerance
    )
    return ~ops.any(ops.reshape(far, (ops.shape(far)[0], -1)), axis=1)


class AbsoluteError:
    """The mean absolute error of a sequence's numbers, in standard deviations of the training targets."""

    traces: tuple[str, ...] = ()
    higher_is_better = False

    def __init__(self, settings: AbsoluteErrorConfig):
        del settings

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the error of each sequence, ``(batch,)``.

        Raises:
            ConfigError: the targets are classes.
        """
        targets = ops.convert_to_tensor(targets)
        if "int" in str(targets.dtype):
            raise ConfigError("needs a task with numbers as targets, not with classes")
        outputs = results["outputs"]
        outputs = outputs if len(targets.shape) == len(outputs.shape) else outputs[:, -1]
        asked = ~ops.isnan(targets)
        return _mean_of_each(ops.abs(ops.where(asked, ops.cast(targets, outputs.dtype) - outputs, 0)), asked)


class ClassAccuracy:
    """The share of a sequence's targets that are right, where each is a class; -1: none is asked for."""

    traces: tuple[str, ...] = ()
    higher_is_better = True

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the share for each sequence, ``(batch,)``."""
        targets = ops.convert_to_tensor(targets)
        right = ops.cast(ops.argmax(results["outputs"], axis=-1), targets.dtype) == targets
        return _mean_of_each(ops.cast(right, "float32"), targets >= 0)


def _mean_of_each(values: Any, asked: Any) -> Any:
    """Return the mean of each row's values that are asked for, ``(batch,)``; 0 where there is none."""
    rows = ops.shape(values)[0]
    counted = ops.cast(ops.broadcast_to(asked, ops.shape(values)), values.dtype)
    total = ops.sum(ops.reshape(values * counted, (rows, -1)), axis=1)
    return total / ops.maximum(ops.sum(ops.reshape(counted, (rows, -1)), axis=1), 1)
