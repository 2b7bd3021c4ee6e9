"""A step that is checked against the contract of :meth:`Builder.step`, and its traces."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import tensorflow as tf
from keras import ops

from superloop_core.builder.noise import noise_of_part
from superloop_core.builder.protocol import Builder, State, Tensor, paths_of
from superloop_core.errors import PluginError, short_repr
from superloop_core.loop.changes import changed_input, changed_results, inside
from superloop_core.names import is_loss


class Step(NamedTuple):
    """The results of one part's step."""

    output: Tensor  # (batch, output_size)
    state: State
    traces: dict[str, Tensor]  # by path: the state before the step, and what the step names


def take_step(
    path: str, builder: Builder, inputs: Tensor, state: State, constants: Any, reserved: Iterable[str] = ()
) -> Step:
    """Take one part's step, and check its results.

    Args:
        path: the part's name in traces: ``cells.0``, ``tape``.
        builder: the part.
        inputs: ``(batch, input_size)``.
        state: before the step.
        constants: the part's.
        reserved: names of traces that are the core's.

    Raises:
        PluginError: the results break the contract of :meth:`Builder.step`.
    """
    inputs = changed_input(path, inputs)
    with noise_of_part(path, ops.shape(inputs)[0], inputs.dtype.name), inside(path):
        answer = builder.step(inputs, state, constants)
    if not (isinstance(answer, tuple) and len(answer) == 3 and isinstance(answer[2], Mapping)):
        received = f"{len(answer)} values" if isinstance(answer, tuple) else type(answer).__name__
        raise _broken(path, builder, "must return (output, state, dict of named tensors)", received)
    output, new, named = answer
    if len(output.shape) != 2 or output.shape[1] not in (None, builder.output_size):
        rule = f"must return an output (batch, {builder.output_size}), as output_size says"
        raise _broken(path, builder, rule, tuple(output.shape))
    before = paths_of(path, builder, state)
    _check_state(path, builder, state, new, before)
    for name, tensor in named.items():
        if not len(getattr(tensor, "shape", ())):
            rule = f"must name tensors (batch, ...), but {name!r} is none"
            raise _broken(path, builder, rule, short_repr(tensor))
        if is_loss(name) and not (len(tensor.shape) == 1 and tensor.dtype.is_floating):
            rule = f"must give {name!r} as floats (batch,): a loss of each row"
            raise _broken(path, builder, rule, f"{tensor.shape} {tensor.dtype.name}")
        # A loop within the loop names tensors of its state itself: the same tensor by the same name.
        if name in reserved or before.get(f"{path}.{name}", tensor) is not tensor:
            rule = f"must give its traces names of their own, but {name!r} is"
            raise _broken(path, builder, rule, "the state's, or the core's (read, control)")
    output, new = changed_results(path, output, new, state)
    return Step(output, new, before | {f"{path}.{name}": tensor for name, tensor in named.items()})


def _check_state(path: str, builder: Builder, old: State, new: State, before: Mapping[str, Tensor]) -> None:
    """Require the structure, shapes and dtypes of the state before the step."""
    try:
        tf.nest.assert_same_structure(old, new, check_types=False)
    except (TypeError, ValueError):
        form = tf.nest.map_structure(lambda tensor: getattr(tensor, "shape", type(tensor)), new)
        rule = "must return a state of the structure of initial_state's"
        raise _broken(path, builder, rule, form) from None
    for (name, was), tensor in zip(before.items(), tf.nest.flatten(new), strict=True):
        if tensor.dtype != was.dtype or not was.shape.is_compatible_with(tensor.shape):
            rule = f"must return {name!r} with the shape and dtype it had, {was.shape} {was.dtype.name}"
            raise _broken(path, builder, rule, f"{tensor.shape} {tensor.dtype.name}")


def _broken(path: str, builder: Builder, rule: str, received: object) -> PluginError:
    return PluginError(f"{path}: the step of {builder.label} {rule}: {received}")
