"""One loop over timesteps, with a gradient of its own that recomputes every step.

The forward pass saves the inputs of each step, and the tensors that the step marks with :func:`checkpoint`;
the backward pass recomputes the rest. Where a step consists of small products, this saves so much memory
traffic that it is faster than saving everything (``docs/decisions/0006-a-loop-with-its-own-gradient.md``).
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import tensorflow as tf

from superloop_core.errors import SuperloopError

Tensors = Any  # tensors, in any nest of tuples and dicts; time is first where they are stacked
Step = Callable[[Tensors, Tensors, Tensors], tuple[Tensors, Tensors]]

ASSIGNS = (
    "a step assigns to a variable that is no weight of the part; put it in the state, or make it a weight "
    "that is not trained: add_weight(..., trainable=False)"
)
DRAWS = (
    "a step draws random numbers that cannot be repeated in the backward pass; use "
    "superloop_core.draw_normal or draw_uniform, or keras.random with a SeedGenerator that is an attribute "
    "of the part"
)
# Operations whose numbers no argument decides.
STATEFUL_RANDOM = frozenset({
    "Multinomial", "ParameterizedTruncatedNormal", "RandomGamma", "RandomPoisson", "RandomPoissonV2",
    "RandomShuffle", "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "StatefulRandomBinomial",
    "StatefulStandardNormal", "StatefulStandardNormalV2", "StatefulTruncatedNormal", "StatefulUniform",
    "StatefulUniformFullInt", "StatefulUniformInt", "TruncatedNormal",
})  # fmt: skip

_in_step: ContextVar[Callable[[Any], Any] | None] = ContextVar("in_step", default=None)


def checkpoint(tensor: Any) -> Any:
    """Save a tensor for the backward pass instead of recomputing it.

    Returns the tensor. Only the time and the memory of a training step change. It pays for products of a
    few hundred units, such as a cell's: ``z = checkpoint(inputs @ kernel + bias)``.

    Args:
        tensor: floats, of any shape. Inside a loop, branch or function of the step's own it has no effect.
    """
    save = _in_step.get()
    return tensor if save is None else save(tensor)


def kept(tensor: Any) -> Any:
    """Call :func:`checkpoint`; this is its old name, which the next version removes."""
    warnings.warn("superloop_core.kept is now superloop_core.checkpoint", DeprecationWarning, stacklevel=2)
    return checkpoint(tensor)


def ensure_shape(tensor: Any, shape: tf.TensorShape) -> Any:
    """Call ``tf.ensure_shape``, without an operation where the shape is known to be this one."""
    return tensor if tensor.shape.is_subtype_of(shape) else tf.ensure_shape(tensor, shape)


class Scan:
    """A step in a loop; compiled loops of the same shapes are traced once.

    Args:
        step: ``step(carry, x, shared) -> (carry, y)``. It uses these tensors only, and no variable.
        carry: tensors or specs of the state that goes from step to step.
        x: of what each step reads of its own.
        shared: of what all steps read.
        compiled: compile each loop and its gradient with XLA, once for each shape.

    Raises:
        SuperloopError: the step uses a tensor or a variable that would get no gradient.
    """

    def __init__(self, step: Step, carry: Tensors, x: Tensors, shared: Tensors, *, compiled: bool = False):
        nests = carry, x, shared

        def flat_step(*tensors: Any) -> tuple[list[Any], list[Any]]:
            new, y = step(*_packed(nests, tensors))
            return tf.nest.flatten(new), tf.nest.flatten(y)

        def outline(*tensors: Any) -> Any:
            saved: list[Any] = []
            with _saving(_recorder(saved)):
                new, y = step(*_packed(nests, tensors))
            return new, y, saved

        specs = [tf.TensorSpec(t.shape, t.dtype) for t in tf.nest.flatten(nests)]
        traced = tf.function(outline, autograph=False).get_concrete_function(*specs)
        _check_captures(traced)
        _check_operations(traced.graph)
        _, self._y_nest, self._saved_specs = traced.structured_outputs
        of_shared = traced.inputs[len(specs) - len(tf.nest.flatten(shared)) : len(specs)]
        self._learned = [_has_gradient(tensor) and bool(tensor.consumers()) for tensor in of_shared]
        # Not ``traced``: XLA takes what the gradient of a call reads for constants, and compiles at each.
        self._step = flat_step
        self._ways: list[Any] = [self._forward, self._backward]
        if compiled:
            self._ways = [tf.function(way, jit_compile=True, autograph=False) for way in self._ways]

    def __call__(
        self,
        carry: Tensors,
        xs: Tensors,
        shared: Tensors,
        length: Any,
        *,
        keep: bool = True,
        size: int | None = None,
    ) -> tuple[Tensors, Tensors]:
        """Take ``length`` steps, one at least.

        Args:
            carry: before the first step.
            xs: each ``(length, ...)``.
            shared: read by all steps.
            length: an int or a scalar tensor.
            keep: save what the backward pass needs as the loop runs. If False, a gradient that is asked
                for after all runs the loop once more.
            size: timesteps of ``xs`` and of the results, where ``length`` may be less.

        Returns:
            the last carry, and each step's y, ``(length, ...)``.
        """
        size = length if size is None else size
        forward, backward = self._ways
        parts = [tf.nest.flatten(part) for part in (carry, xs, shared)]

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def run(*tensors: Any) -> Any:
            if tf.executing_eagerly():  # where a tape would watch what is computed here all the same
                tensors = tuple(map(tf.stop_gradient, tensors))
            carry, xs, shared = _packed(parts, tensors)
            last, ys, residuals = forward(carry, xs, shared, length, size, keep)

            def gradient(*slopes: Any) -> Any:
                needed = residuals if keep else forward(carry, xs, shared, length, size, True)[2]
                of_last, of_ys = slopes[: len(last)], slopes[len(last) :]
                of_floats = _of_floats(of_last, last), _of_floats(of_ys, ys)
                found = backward(needed, xs, shared, length, size, *of_floats)
                have = [*map(_has_gradient, carry)], [*map(_has_gradient, xs)], self._learned
                given = zip(found, have, strict=True)
                return [slope for of_part, has in given for slope in _with_none(of_part, has)]

            return (*last, *ys), gradient

        results = run(*(tensor for part in parts for tensor in part))
        last, ys = results[: len(parts[0])], results[len(parts[0]) :]
        return _packed(carry, last), _packed(self._y_nest, ys)

    def _forward(
        self, carry: list[Any], xs: list[Any], shared: list[Any], length: Any, size: Any, keep: bool
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the last carry, each step's y, and the residuals: each step's carry and its checkpoints."""

        def body(t: Any, carry: list[Any], ys: list[Any], residuals: list[Any]) -> Any:
            saved: list[Any] = []
            with _saving(_recorder(saved)):
                new, y = self._step(*carry, *(x[t] for x in xs), *shared)
            residuals = _written(residuals, t, [*carry, *saved]) if keep else residuals
            return t + 1, new, _written(ys, t, y), residuals

        ys = [_array(spec, size) for spec in tf.nest.flatten(self._y_nest)]
        residuals = [_array(like, size) for like in (*carry, *self._saved_specs)] if keep else []
        _, carry, ys, residuals = _loop(length, size, body, carry, ys, residuals)
        return carry, [array.stack() for array in ys], [array.stack() for array in residuals]

    def _backward(
        self,
        residuals: list[Any],
        xs: list[Any],
        shared: list[Any],
        length: Any,
        size: Any,
        slopes: list[Any],
        y_slopes: list[Any],
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the gradients of the first carry, of xs and of shared, for floats that the step reads."""
        carries = len(residuals) - len(self._saved_specs)
        learned = [tensor for tensor, learned in zip(shared, self._learned, strict=True) if learned]

        def body(i: Any, slopes: list[Any], sums: list[Any], of_xs: list[Any]) -> Any:
            t = length - 1 - i
            at_t, x = [residual[t] for residual in residuals], [x[t] for x in xs]
            carry, saved = at_t[:carries], at_t[carries:]
            sources = [_of_floats(carry, carry), _of_floats(x, x), learned]
            with tf.GradientTape(watch_accessed_variables=False) as tape, _saving(_replayer(saved)):
                tape.watch(sources)
                new, y = self._step(*carry, *x, *shared)
            found = tape.gradient(
                [*_of_floats(new, new), *_of_floats(y, y)],
                sources,
                output_gradients=[*slopes, *(slope[t] for slope in y_slopes)],
                unconnected_gradients="zero",
            )
            slopes, of_x, of_shared = [
                [ensure_shape(slope, tensor.shape) for slope, tensor in zip(slopes, part, strict=True)]
                for slopes, part in zip(found, sources, strict=True)
            ]
            sums = [total + slope for total, slope in zip(sums, of_shared, strict=True)]
            return i + 1, slopes, sums, _written(of_xs, t, of_x)

        sums = [tf.zeros_like(tensor) for tensor in learned]
        of_xs = [_array(x[0], size) for x in _of_floats(xs, xs)]
        _, slopes, sums, of_xs = _loop(length, size, body, slopes, sums, of_xs)
        return slopes, [array.stack() for array in of_xs], sums


class SegmentedScan:
    """A :class:`Scan` that saves one carry in ``every`` steps; the backward pass recomputes the others.

    It scans segments of ``every`` steps, each of which is a scan of its own.
    """

    def __init__(
        self,
        step: Step,
        carry: Tensors,
        x: Tensors,
        shared: Tensors,
        *,
        every: int,
        compiled: bool = False,
    ):
        self._every = every
        scan = Scan(step, carry, x, shared)

        def segment(carry: Tensors, x: Tensors, shared: Tensors) -> tuple[Tensors, Tensors]:
            xs, length = x
            return scan(carry, xs, shared, length, size=every)

        xs = tf.nest.map_structure(lambda x: tf.TensorSpec([every, *x.shape], x.dtype), x)
        length = tf.TensorSpec((), tf.int32)
        self._segments = Scan(segment, carry, (xs, length), shared, compiled=compiled)

    def __call__(
        self, carry: Tensors, xs: Tensors, shared: Tensors, length: Any, *, keep: bool = True
    ) -> tuple[Tensors, Tensors]:
        """Take ``length`` steps, as :meth:`Scan.__call__` does."""
        every = self._every
        segments = (length + every - 1) // every
        lengths = tf.minimum(every, length - tf.range(segments) * every)  # the last may be shorter

        def cut(x: Any) -> Any:
            padding = [[0, segments * every - length], *[[0, 0]] * (len(x.shape) - 1)]
            padded = tf.reshape(tf.pad(x, padding), [segments, every, *_sizes(x)[1:]])
            return tf.ensure_shape(padded, [None, every, *x.shape[1:]])

        def join(y: Any) -> Any:
            return tf.reshape(y, [segments * every, *_sizes(y)[2:]])[:length]

        xs = tf.nest.map_structure(cut, xs), lengths
        carry, ys = self._segments(carry, xs, shared, segments, keep=keep)
        return carry, tf.nest.map_structure(join, ys)


@contextmanager
def _saving(save: Callable[[Any], Any]) -> Iterator[None]:
    """Let ``save`` handle each tensor that a step checkpoints."""
    graph = tf.compat.v1.get_default_graph()

    def here(tensor: Any) -> Any:
        # A tensor of an inner loop or function cannot leave it.
        return save(tensor) if tf.compat.v1.get_default_graph() is graph else tensor

    token = _in_step.set(here)
    try:
        yield
    finally:
        _in_step.reset(token)


def _recorder(saved: list[Any]) -> Callable[[Any], Any]:
    def save(tensor: Any) -> Any:
        saved.append(tensor)
        return tensor

    return save


def _replayer(saved: list[Any]) -> Callable[[Any], Any]:
    left = iter(saved)
    return lambda tensor: _recalled(tensor, next(left))


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _recalled(computed: Any, saved: Any) -> Any:
    """Return the saved tensor, with the gradient of the computed one, whose value nothing reads."""
    return tf.identity(saved), lambda slope: (slope, None)


def _loop(length: Any, size: Any, body: Any, *values: Any) -> Any:
    return tf.while_loop(lambda t, *_: t < length, body, (tf.constant(0), *values), maximum_iterations=size)


def _packed(nests: Any, tensors: Any) -> Any:
    return tf.nest.pack_sequence_as(nests, list(tensors))


def _array(example: Any, size: Any) -> Any:
    return tf.TensorArray(example.dtype, size=size, element_shape=example.shape)


def _written(arrays: list[Any], t: Any, tensors: list[Any]) -> list[Any]:
    return [array.write(t, tensor) for array, tensor in zip(arrays, tensors, strict=True)]


def _sizes(tensor: Any) -> list[Any]:
    """The shape, with ints where they are known."""
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(tensor.shape)]


def _has_gradient(tensor: Any) -> bool:
    return bool(tensor.dtype.is_floating or tensor.dtype.is_complex)


def _of_floats(values: Any, tensors: Any) -> list[Any]:
    """The values that belong to floats, real or complex; only these have a gradient."""
    return [value for value, tensor in zip(values, tensors, strict=True) if _has_gradient(tensor)]


def _with_none(values: list[Any], has: list[bool]) -> list[Any]:
    """Return the next of the values where there is one, and None elsewhere."""
    left = iter(values)
    return [next(left) if one else None for one in has]


def _check_captures(step: Any) -> None:
    variables = [variable.name for variable in step.graph.trainable_variables]
    tensors = [outer.name for outer, _ in step.graph.captures if not hasattr(outer, "numpy")]
    if variables or tensors:
        raise SuperloopError(
            "a step may use its arguments, its weights (made with add_weight) and the result of 'constants' "
            f"only, but it uses {', '.join(variables + tensors)}"
        )


def _check_operations(graph: Any) -> None:
    """Require operations that give the same when the backward pass repeats a step.

    Raises:
        SuperloopError: the step draws random numbers of TensorFlow's, or assigns to a variable of its own.
    """
    operations = graph.get_operations()
    calls = [any(a.HasField("func") for a in one.node_def.attr.values()) for one in operations]
    library = graph.as_graph_def().library.function if any(calls) else ()
    inner = [node for function in library for node in function.node_def]
    for operation, called in zip(operations, calls, strict=True):
        for node in inner if called else [operation.node_def]:
            if node.op.startswith("Assign"):
                rule = ASSIGNS
            elif node.op in STATEFUL_RANDOM:
                rule = DRAWS
            else:
                continue
            raise SuperloopError(f"{rule}: {node.op}{_place(operation)}")


def _place(operation: Any) -> str:
    """Return where the plugin made an operation: the last line outside of the libraries."""
    ours = str(Path(__file__).parents[1])
    lines = [
        line
        for line in operation.traceback or ()
        if not line.filename.startswith(ours) and not {"tensorflow", "keras"} & set(Path(line.filename).parts)
    ]
    return f" ({lines[-1].filename}:{lines[-1].lineno})" if lines else ""
