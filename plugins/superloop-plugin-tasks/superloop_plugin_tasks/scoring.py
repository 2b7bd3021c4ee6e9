"""Loss and accuracy of classes or bits; a target of -1 is ignored.

``targets`` are classes ``(batch, timesteps)``, or bits ``(batch, timesteps, width)``; ``results`` hold the
logits as ``outputs``, ``(batch, timesteps, classes)`` or ``(batch, timesteps, width)``.
"""

from collections.abc import Mapping
from typing import Any

from keras import backend, ops

from superloop_core import ConfigError
from superloop_plugin_tasks import TokenAccuracyConfig, WrongBitsConfig


def check_outputs(results: Mapping[str, Any], needed: int) -> None:
    """Check that the loop has as many outputs as a task needs.

    Raises:
        ConfigError: it has more or fewer.
    """
    outputs = results["outputs"].shape[-1]
    if outputs != needed:
        raise ConfigError(f"needs a loop with {needed} outputs: {outputs}; set loop.outputs = {needed}")


def cross_entropy(targets: Any, results: Mapping[str, Any]) -> Any:
    """Return the mean cross-entropy over all targets of the batch, in nats; computed at least in float32."""
    logits, counted = results["outputs"], targets >= 0
    logits = ops.cast(logits, backend.result_type(backend.standardize_dtype(logits.dtype), "float32"))
    known = ops.maximum(targets, 0)
    if _are_bits(targets):
        losses = ops.binary_crossentropy(ops.cast(known, logits.dtype), logits, from_logits=True)
    else:
        losses = ops.sparse_categorical_crossentropy(known, logits, from_logits=True)
    count = ops.maximum(ops.sum(ops.cast(counted, losses.dtype)), 1)
    return ops.sum(ops.where(counted, losses, 0)) / count


def all_correct(targets: Any, results: Mapping[str, Any]) -> Any:
    """Return whether all targets of each sequence are met: ``(batch,)`` of bool."""
    return ops.all(~_wrong(targets, results), axis=_axes(targets))


class TokenAccuracy:
    """The share of a sequence's tokens that are correct; a token of bits is correct if all its bits are."""

    traces: tuple[str, ...] = ()
    higher_is_better = True

    def __init__(self, settings: TokenAccuracyConfig):
        del settings

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the share for each sequence, ``(batch,)``; 1 for a sequence without targets.

        Raises:
            ConfigError: the targets are no tokens.
        """
        _check_tokens(targets, results)
        wrong, counted = _wrong(targets, results), targets >= 0
        if _are_bits(targets):
            wrong, counted = ops.any(wrong, axis=-1), ops.any(counted, axis=-1)
        count = ops.maximum(_count(counted), 1)
        return 1 - _count(wrong) / count


class WrongBits:
    """The number of wrong bits in a sequence; for a task with classes, of wrong tokens."""

    traces: tuple[str, ...] = ()
    higher_is_better = False

    def __init__(self, settings: WrongBitsConfig):
        del settings

    def __call__(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the number for each sequence, ``(batch,)``.

        Raises:
            ConfigError: the targets are no tokens.
        """
        _check_tokens(targets, results)
        return _count(_wrong(targets, results))


def _check_tokens(targets: Any, results: Mapping[str, Any]) -> None:
    """Check that targets are integers, one for each timestep, or one for each output of a timestep.

    Raises:
        ConfigError: they are not.
    """
    shape, outputs = tuple(targets.shape), tuple(results["outputs"].shape)
    dtype = backend.standardize_dtype(targets.dtype)
    if "int" not in dtype or shape not in (outputs[:2], outputs):
        raise ConfigError(
            f"needs a task whose targets are tokens or bits, integers of shape {outputs[:2]} or {outputs}: "
            f"{dtype} of shape {shape}; do without this metric"
        )


def _wrong(targets: Any, results: Mapping[str, Any]) -> Any:
    """Return whether each target is missed: bool, in the shape of the targets."""
    logits = results["outputs"]
    if _are_bits(targets):
        met = (logits > 0) == (targets > 0)
    else:
        met = ops.cast(ops.argmax(logits, axis=-1), targets.dtype) == targets
    return (targets >= 0) & ~met


def _count(tokens: Any) -> Any:
    return ops.sum(ops.cast(tokens, "float32"), axis=_axes(tokens))


def _are_bits(targets: Any) -> bool:
    return len(targets.shape) == 3


def _axes(tokens: Any) -> tuple[int, ...]:
    """Return all axes except the batch axis."""
    return tuple(range(1, len(tokens.shape)))
