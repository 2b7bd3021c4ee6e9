"""Loss and accuracy of what is asked: classes or bits, -1 where nothing is.

``targets`` are classes ``(batch, timesteps)``, or bits ``(batch, timesteps, width)``; ``results`` hold the
logits as ``outputs``, ``(batch, timesteps, classes)`` or ``(batch, timesteps, width)``.
"""

from collections.abc import Mapping
from typing import Any

from keras import backend, ops

from superloop_core import ConfigError
from superloop_plugin_tasks import TokenAccuracyConfig, WrongBitsConfig


def check_outputs(results: Mapping[str, Any], needed: int) -> None:
    """Refuse a loop that gives more or fewer outputs than a task needs.

    Raises:
        ConfigError: it does.
    """
    outputs = results["outputs"].shape[-1]
    if outputs != needed:
        raise ConfigError(f"needs a loop with outputs = {needed}: {outputs}")


def cross_entropy(targets: Any, results: Mapping[str, Any]) -> Any:
    """Return the mean cross-entropy, in nats, of all classes or bits that are asked in the batch.

    It is computed in float32 at least.
    """
    logits, asked = results["outputs"], targets >= 0
    logits = ops.cast(logits, backend.result_type(backend.standardize_dtype(logits.dtype), "float32"))
    known = ops.maximum(targets, 0)
    if _are_bits(targets):
        losses = ops.binary_crossentropy(ops.cast(known, logits.dtype), logits, from_logits=True)
    else:
        losses = ops.sparse_categorical_crossentropy(known, logits, from_logits=True)
    count = ops.maximum(ops.sum(ops.cast(asked, losses.dtype)), 1)
    return ops.sum(ops.where(asked, losses, 0)) / count


def all_right(targets: Any, results: Mapping[str, Any]) -> Any:
    """Tell of each sequence whether all that is asked is right: ``(batch,)`` of bool."""
    return ops.all(~_wrong(targets, results), axis=_axes(targets))


class TokenAccuracy:
    """The share of a sequence's tokens that are right; one with bits is if all its bits are."""

    traces: tuple[str, ...] = ()

    def __init__(self, settings: TokenAccuracyConfig):
        del settings

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the share of each sequence, ``(batch,)``; 1 where nothing is asked."""
        wrong, asked = _wrong(targets, results), targets >= 0
        if _are_bits(targets):
            wrong, asked = ops.any(wrong, axis=-1), ops.any(asked, axis=-1)
        count = ops.maximum(_count(asked), 1)
        return 1 - _count(wrong) / count


class WrongBits:
    """The number of a sequence's bits that are wrong; of a task with classes, of its tokens."""

    traces: tuple[str, ...] = ()

    def __init__(self, settings: WrongBitsConfig):
        del settings

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the number of each sequence, ``(batch,)``."""
        return _count(_wrong(targets, results))


def _wrong(targets: Any, results: Mapping[str, Any]) -> Any:
    """Whether each class or bit is asked and wrong, of bool, shaped as the targets."""
    logits = results["outputs"]
    if _are_bits(targets):
        right = (logits > 0) == (targets > 0)
    else:
        right = ops.cast(ops.argmax(logits, axis=-1), targets.dtype) == targets
    return (targets >= 0) & ~right


def _count(tokens: Any) -> Any:
    return ops.sum(ops.cast(tokens, "float32"), axis=_axes(tokens))


def _are_bits(targets: Any) -> bool:
    return len(targets.shape) == 3


def _axes(tokens: Any) -> tuple[int, ...]:
    """All but the batch."""
    return tuple(range(1, len(tokens.shape)))
