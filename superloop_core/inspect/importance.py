"""How much each timestep's write matters for each answer."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import Tensor
from superloop_core.errors import SuperloopError, did_you_mean
from superloop_core.inspect.stepwise import Plan, Stepwise
from superloop_core.inspect.trace import select_state
from superloop_core.inspect.watch import call_watched
from superloop_core.names import OUTPUTS

METHODS = ("ablation", "gradient")


def importance(
    model: Any,
    inputs: Any,
    of: str,
    *,
    score: Callable[[Any], Tensor] | None = None,
    method: Literal["ablation", "gradient"] = "ablation",
    **how: Any,
) -> np.ndarray:
    """Return how much each timestep's write to a memory matters for each answer.

    A write at t is what step t changes in the memory; without it the memory after step t is the one before,
    while the read vector of step t and everything else stay. A step that moves or pops a memory changes it
    too. By ablation, the result is ::

        importance[b, t, a] = score[b, a] - score without the write at t [b, a]

    which is exact and calls the model once for each timestep. By gradient, it is the derivative of the score
    by the share of the write: what ablation would give, were the score linear in it. It is fast where the
    answers are few: it calls the model once, and takes one gradient for each answer.

    Args:
        model: a Keras model, or a layer such as a ``Superloop``.
        inputs: as the model takes them.
        of: the path of a part, such as ``memo``: all of its state; or the name of one tensor, such as
            ``memo.cells``. Where a model has several loops, it begins with the layer's name.
        score: a function of the model's results that returns a tensor ``(batch, answers)``. None: the log
            probability of the class that the model chose, by a softmax over the last axis of the results;
            the results themselves where that axis has one number. Of a dict, its ``"outputs"``.
        method: ``"ablation"`` or ``"gradient"``.
        how: further arguments of the model's call, such as ``mask``.

    Returns:
        ``(batch, timesteps, answers)``; positive where the write raised the score.

    Raises:
        SuperloopError: no loop was called, or the score has another shape.
        TraceError: there is no such state.
    """
    if method not in METHODS:
        raise SuperloopError(f"no method {method!r}{did_you_mean(method, METHODS)}")
    recorder = Stepwise()
    results = call_watched(model, inputs, recorder, **how)
    index, own, call = recorder.find(of)
    names = select_state(own, call.states)
    batch, timesteps = call.traces[OUTPUTS].shape[:2]
    score = score or _score_of_choice(results)

    def scored(plan: "_Write") -> Tensor:
        found = score(call_watched(model, inputs, Stepwise({index: plan}), **how))
        found = tf.convert_to_tensor(found)
        if len(found.shape) != 2 or found.shape[0] != batch:
            raise SuperloopError(f"a score must be ({batch}, answers): {tuple(found.shape)}")
        return found

    if method == "ablation":
        usual = np.asarray(scored(_Write(names, {})))
        without = [np.asarray(scored(_Write(names, {t: None}))) for t in range(timesteps)]
        return np.stack([usual - other for other in without], axis=1)
    shares = tf.ones((timesteps, batch))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(shares)
        scores = tf.unstack(scored(_Write(names, dict(enumerate(tf.unstack(shares))))), axis=1)
    gradients = [tape.gradient(one, shares, unconnected_gradients="zero") for one in scores]
    return np.stack([np.asarray(gradient).T for gradient in gradients], axis=2)


@attrs.define(eq=False)
class _Write(Plan):
    """Writes of which only a share is made.

    Args:
        names: of the state's tensors.
        shares: ``(batch,)`` by timestep; None: nothing is written.
    """

    names: list[str]
    shares: Mapping[int, Tensor | None]

    def end(self, new: dict[str, Tensor], old: dict[str, Tensor], timestep: int) -> dict[str, Tensor]:
        if timestep not in self.shares:
            return new
        share = self.shares[timestep]
        written = {}
        for name in self.names:
            if share is None:
                written[name] = old[name]
            elif new[name].dtype.is_floating or new[name].dtype.is_complex:
                of_rows = tf.reshape(share, [-1] + [1] * (len(new[name].shape) - 1))
                written[name] = old[name] + tf.cast(of_rows, new[name].dtype) * (new[name] - old[name])
        return new | written


def _score_of_choice(results: Any) -> Callable[[Any], Tensor]:
    """Return the log probability of the classes that were chosen in ``results``."""

    def outputs_of(results: Any) -> Tensor:
        found = results.get(OUTPUTS) if isinstance(results, Mapping) else results
        if not tf.is_tensor(found):
            raise SuperloopError("the results are several: pass a score, a function of them")
        return found

    choice = tf.argmax(outputs_of(results), axis=-1)

    def score(results: Any) -> Tensor:
        outputs = outputs_of(results)
        if outputs.shape[-1] > 1:
            outputs = tf.gather(tf.nn.log_softmax(outputs), choice, axis=-1, batch_dims=len(choice.shape))
        return tf.reshape(outputs, [outputs.shape[0], -1])

    return score
