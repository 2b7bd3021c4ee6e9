"""Watch the calls of loops inside a model: each loop reports its call to the watcher in force."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import keras
import tensorflow as tf

from superloop_core.builder.protocol import Builder, State, Tensor
from superloop_core.errors import SuperloopError
from superloop_core.loop.unroll import Unroll, Unrolled
from superloop_core.loop.wiring import Wiring


class Watcher(Protocol):
    """What loops report to.

    Attributes:
        calls: those that were reported so far; each has a ``layer``.
    """

    calls: list[Any]

    def unroll(self, layer: Any) -> Unroll:
        """Return what takes the timesteps of a call, in the place of the layer's own."""

    def called(self, layer: Any, reached: Mapping[str, Tensor | None], unrolled: Unrolled) -> None:
        """Take note of a call: what reached the loop, and what it computed."""

    def stepped(self, cell: Any, inputs: Tensor, state: State, traces: Mapping[str, Tensor]) -> None:
        """Take note of one step of a loop that is a Keras cell."""


class _InGraph(Exception):
    """A loop was called in a graph, whose tensors have no values."""


_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def watcher() -> Watcher | None:
    """Return the watcher of the calls of loops; None: nobody watches.

    Raises:
        _InGraph: somebody watches, and this is in a graph.
    """
    found = _WATCHER.get()
    if found is not None and not tf.executing_eagerly():
        raise _InGraph
    return found


def call_watched(model: Any, inputs: Any, watch: Watcher, **how: Any) -> Any:
    """Call a model outside of training, let its loops report to a watcher, and leave the model as it was.

    Args:
        model: a Keras model or layer.
        inputs: its inputs.
        watch: what the loops report to. Where a ``tf.function`` is around a loop, its calls are forgotten,
            and the model is called once more, with every ``tf.function`` as Python.
        how: further arguments of the call.

    Raises:
        SuperloopError: this is inside a ``tf.function``.
    """
    if not tf.executing_eagerly():
        raise SuperloopError(f"{model.name}: cannot be traced inside a tf.function; call it outside")
    token = _WATCHER.set(watch)
    try:
        with _unchanged(model):
            try:
                results = model(inputs, training=False, **how)
                silent = _loops(model) - {
                    id(call.layer) for call in watch.calls
                }  # perhaps in a graph made before
            except _InGraph:
                silent = {0}
        if silent:
            watch.calls.clear()
            with _unchanged(model), _eagerly():
                results = model(inputs, training=False, **how)
        return results
    finally:
        _WATCHER.reset(token)


def _loops(model: Any) -> set[int]:
    """Return the identities of a model's loops, without those that are parts of others."""
    layers = [
        layer for layer in model._flatten_layers() if isinstance(getattr(layer, "wiring", None), Wiring)
    ]
    return {id(layer) for layer in layers if not isinstance(layer, Builder)}


@contextmanager
def _unchanged(model: keras.layers.Layer) -> Iterator[None]:
    """Take back what is assigned meanwhile: moving means, the states of generators of seeds."""
    before = [(variable, tf.identity(variable.value)) for variable in model.non_trainable_variables]
    try:
        yield
    finally:
        for variable, value in before:
            variable.assign(value)


@contextmanager
def _eagerly() -> Iterator[None]:
    """Run every ``tf.function`` as Python."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
