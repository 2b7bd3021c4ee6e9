"""What a step must return: the contract of :meth:`Builder.step`, checked at each trace."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from superloop_core.builder.protocol import Builder, State, Tensor
from superloop_core.errors import PluginError, shown
from superloop_core.loop.paths import paths_of


def checked(answer: Any, path: str, builder: Builder, old: State) -> tuple[Tensor, State, dict[str, Tensor]]:
    """Return what a step gave, or tell whose step broke which rule."""
    if not (isinstance(answer, tuple) and len(answer) == 3 and isinstance(answer[2], Mapping)):
        received = f"{len(answer)} values" if isinstance(answer, tuple) else type(answer).__name__
        raise broken(path, builder, "must return (answer, state, dict of named tensors)", received)
    output, new, named = answer
    if len(output.shape) != 2 or output.shape[1] not in (None, builder.output_size):
        rule = f"must answer with a tensor (batch, {builder.output_size}), as output_size says"
        raise broken(path, builder, rule, tuple(output.shape))
    try:
        tf.nest.assert_same_structure(old, new, check_types=False)
    except (TypeError, ValueError):
        rule = "must return a state of the structure of initial_state's"
        raise broken(path, builder, rule, _form(new)) from None
    before, after = paths_of(path, old), paths_of(path, new)
    for name, tensor in after.items():
        was = before[name]
        if tensor.dtype != was.dtype or not was.shape.is_compatible_with(tensor.shape):
            rule = f"must return {name!r} with the shape and dtype it had, {was.shape} {was.dtype.name}"
            raise broken(path, builder, rule, f"{tensor.shape} {tensor.dtype.name}")
    for name, tensor in named.items():
        if not len(getattr(tensor, "shape", ())):
            raise broken(
                path, builder, f"must name tensors (batch, ...), but {name!r} is none", shown(tensor)
            )
    return output, new, dict(named)


def broken(path: str, builder: Builder, rule: str, received: object) -> PluginError:
    """Return the error for a step that broke a rule."""
    cell = getattr(builder, "cell", builder)
    return PluginError(f"{path}: the step of {type(cell).__name__} {rule}: {received}")


def _form(state: Any) -> Any:
    return tf.nest.map_structure(lambda tensor: getattr(tensor, "shape", type(tensor)), state)
