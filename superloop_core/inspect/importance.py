"""How much each timestep's write matters for each answer."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
import keras
import numpy as np
import tensorflow as tf

from superloop_core.builder.protocol import Tensor
from superloop_core.errors import SuperloopError, did_you_mean
from superloop_core.inspect.stepwise import Plan, Stepwise
from superloop_core.inspect.trace import as_array, select_state
from superloop_core.inspect.watch import call_watched
from superloop_core.names import OUTPUTS

METHODS = ("ablation", "gradient")
PROBABILITY = 1e-3  # how far from 1 the sum of probabilities may be
ROWS = 256  # of a call, for ablation


def importance(
    model: Any,
    inputs: Any,
    of: str,
    *,
    score: Callable[[Any], Tensor] | None = None,
    method: Literal["ablation", "gradient"] = "ablation",
    at_once: int | None = None,
    **how: Any,
) -> np.ndarray:
    """Return how much each timestep's write to a memory matters for each answer.

    A write at t is what step t changes in the memory; without it the memory after step t is the one before,
    while the read vector of step t and everything else stay. A step that moves or pops a memory changes it
    too. By ablation, the result is ::

        importance[b, t, a] = score[b, a] - score without the write at t [b, a]

    which is exact. The model is called with copies of the batch, one for each write that is left out, as many
    as ``at_once`` says. By gradient, it is the derivative of the score
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
        at_once: copies of the batch in a call, for ablation; 1: one call for each timestep, which a model
            that is built for a batch size needs. None: as many as make 256 rows; 1 where a loop draws noise.
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

    def scored(plan: _Write, copies: int = 1) -> list[Tensor]:
        """Return the scores of each copy of the batch."""
        fed, options = _copied((inputs, how), batch, copies)
        answers = call_watched(model, fed, Stepwise({index: plan}, traced=False), **options)
        of_copies = [
            score(tf.nest.map_structure(lambda t, c=copy: t[c * batch : (c + 1) * batch], answers))
            for copy in range(copies)
        ]
        for one in of_copies:
            if len(one.shape) != 2 or one.shape[0] != batch:
                raise SuperloopError(f"a score must be ({batch}, answers): {tuple(one.shape)}")
        return of_copies

    if method == "ablation":
        noisy = any(call.layer.wiring.stochastic is True for call in recorder.calls)
        at_once = at_once or (1 if noisy else max(1, ROWS // batch))
        found: list[Tensor] = []
        alone = scored(_Write(names, {})) if at_once == 1 else []
        for first in range(0, timesteps, at_once):
            left_out = range(first, min(first + at_once, timesteps))
            # Beside others the rows of a batch may be rounded otherwise: a whole copy is among them.
            writes = [*([] if alone else [None]), *left_out]
            made = {t: np.repeat([write != t for write in writes], batch) for t in left_out}
            usual, *without = [*alone, *scored(_Write(names, made), len(writes))]
            found += [usual - other for other in without]
        return np.stack([np.asarray(difference) for difference in found], axis=1)
    shares = tf.ones((timesteps, batch))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(shares)
        (scores,) = scored(_Write(names, dict(enumerate(tf.unstack(shares)))))
        of_answers = tf.unstack(scores, axis=1)
    gradients = [tape.gradient(one, shares, unconnected_gradients="zero") for one in of_answers]
    return np.stack([np.asarray(gradient).T for gradient in gradients], axis=2)


def _copied(nest: Any, batch: int, copies: int) -> Any:
    """Return a nest whose arrays of ``batch`` rows have them several times."""
    if copies == 1:
        return nest

    def copied(value: Any) -> Any:
        array = as_array(value)
        return np.concatenate([array] * copies) if array.ndim and len(array) == batch else value

    return keras.tree.map_structure(lambda value: value if value is None else copied(value), nest)


@attrs.define(eq=False)
class _Write(Plan):
    """Writes of which only a share is made.

    Args:
        names: of the state's tensors.
        shares: ``(batch,)`` by timestep: of bool, whether it is made; of floats, its share.
    """

    names: list[str]
    shares: Mapping[int, Any]

    def end(self, new: dict[str, Tensor], old: dict[str, Tensor], timestep: int) -> dict[str, Tensor]:
        if timestep not in self.shares:
            return new
        share = tf.convert_to_tensor(self.shares[timestep])
        written = {}
        for name in self.names:
            of_rows = tf.reshape(share, [-1] + [1] * (len(new[name].shape) - 1))
            if share.dtype == tf.bool:
                written[name] = tf.where(of_rows, new[name], old[name])
            elif new[name].dtype.is_floating or new[name].dtype.is_complex:
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
    sums = tf.reduce_sum(outputs_of(results), axis=-1)
    # The outputs of a softmax; logits do not sum to 1 everywhere.
    are_probabilities = bool(
        tf.reduce_all(outputs_of(results) >= 0) and tf.reduce_all(tf.abs(sums - 1) < PROBABILITY)
    )

    def score(results: Any) -> Tensor:
        outputs = outputs_of(results)
        if outputs.shape[-1] > 1:
            logs = tf.math.log(outputs) if are_probabilities else tf.nn.log_softmax(outputs)
            outputs = tf.gather(logs, choice, axis=-1, batch_dims=len(choice.shape))
        return tf.reshape(outputs, [outputs.shape[0], -1])

    return score
