"""Changes of one timestep from outside: a part's input, and its results."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from superloop_core.builder.protocol import State, Tensor
from superloop_core.names import join


class Change(Protocol):
    """What is changed in a step; ``path`` is the part's, that of a nested one with those around it."""

    def input(self, path: str, inputs: Tensor) -> Tensor:
        """Return a part's input, for a system its control."""

    def results(self, path: str, output: Tensor, new: State, old: State) -> tuple[Tensor, State]:
        """Return a part's output and its state after the step."""


_CHANGE: ContextVar[tuple[Change, str] | None] = ContextVar("change", default=None)  # and the path around


@contextmanager
def changing(change: Change) -> Iterator[None]:
    """Apply a change to the steps that are taken within the block."""
    token = _CHANGE.set((change, ""))
    try:
        yield
    finally:
        _CHANGE.reset(token)


@contextmanager
def inside(path: str) -> Iterator[None]:
    """Let the parts of steps within the block be parts of the part ``path``."""
    if (current := _CHANGE.get()) is None:
        yield
        return
    token = _CHANGE.set((current[0], _full(current[1], path)))
    try:
        yield
    finally:
        _CHANGE.reset(token)


def changed_input(path: str, inputs: Tensor) -> Tensor:
    """Return a part's input as it is changed."""
    current = _CHANGE.get()
    return inputs if current is None else current[0].input(_full(current[1], path), inputs)


def changed_results(path: str, output: Tensor, new: State, old: State) -> tuple[Tensor, State]:
    """Return a part's results as they are changed."""
    current = _CHANGE.get()
    if current is None:
        return output, new
    return current[0].results(_full(current[1], path), output, new, old)


def _full(around: str, path: str) -> str:
    return join(around, path) if around else path
