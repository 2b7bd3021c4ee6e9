"""One timestep by itself, as a function of its arguments and the weights."""

from collections.abc import Iterable
from typing import Any

import keras

from superloop_core.builder.noise import noise_of
from superloop_core.builder.protocol import Builder, State, Tensor
from superloop_core.errors import SuperloopError


def take_single_step(
    builder: Builder,
    inputs: Tensor | None,
    state: State,
    constants: Any,
    *,
    seed: Tensor | None,
    timestep: Any,
    weights: Iterable[tuple[Any, Tensor]] = (),
) -> tuple[Tensor, State, dict[str, Tensor]]:
    """Take one step, and nothing else: see :meth:`Builder.step`.

    Args:
        builder: a built Builder.
        inputs: ``(batch, input_size)``, or None.
        state: before the step.
        constants: the Builder's.
        seed: of the noise, or None.
        timestep: its number, for the noise; an int or a scalar tensor.
        weights: pairs of variables and values to use instead of theirs.

    Raises:
        SuperloopError: the step assigns to a weight, or calls ``add_loss``.
    """
    scope = keras.StatelessScope(weights, collect_losses=True)
    before = dict(scope.state_mapping)
    with scope, noise_of(seed, 0, timestep):
        results = builder.step(inputs, state, constants)
    if any(before.get(id) is not value for id, value in scope.state_mapping.items()):
        raise SuperloopError(
            "a single step cannot assign to a weight, as a layer with a moving mean or a generator of seeds "
            "does: call the layer with the whole sequence, or take steps outside of training"
        )
    if scope.losses:
        raise SuperloopError(
            "a single step cannot call add_loss: let the step name the loss, {'losses.NAME': (batch,)}, and "
            "find it among the traces"
        )
    return results
