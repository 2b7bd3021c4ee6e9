"""Figures of a run while it trains: a line of ``metrics.jsonl``, and the callbacks of plugins."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import click

from superloop_core import RunFolderError
from superloop_core.errors import reason
from superloop_core.registry import load_registry
from superloop_plugin_lab.callback import Callback
from superloop_plugin_lab.experiment import Experiment
from superloop_plugin_lab.figures import are_old, old_names, prefixed
from superloop_plugin_lab.run_folder import RunFolder


class Recorder:
    """Writes figures by name to a run folder, and passes them to callbacks; use it in a ``with`` block.

    A run that version 0.1 began goes on in its names, so that a file has one name for a figure.

    Args:
        experiment: with a curriculum, each line holds the ``longest`` length of its step too.
        folder: receives the figures.
        calls_back: whether callbacks are called.
    """

    def __init__(self, experiment: Experiment, folder: RunFolder, *, calls_back: bool = True):
        self._calls_back = calls_back
        self._experiment = experiment
        self._folder = folder
        self._callbacks: list[Callback] = []
        self._final: dict[str, Any] | None = None
        self._are_old = False

    def __enter__(self) -> "Recorder":
        hook = load_registry().hook.superloop_add_callbacks
        config, folder = self._experiment.config, self._folder.path
        for made in hook(config=config, folder=folder) if self._calls_back else ():
            self._callbacks.extend(made if isinstance(made, Iterable) else [made])
        lines = self._folder.read_metrics()
        self._are_old = are_old(lines)
        try:
            self._call("begin", lines)
        except BaseException:
            self.__exit__(None, None, None)  # closes what the others opened
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._callbacks.reverse()
        self._call("end", self._final)

    def step(self, step: int, figures: Mapping[str, float], learning_rate: float) -> None:
        """Write the figures of training up to a step, as ``train_NAME``, and the step's learning rate."""
        named = prefixed("train", figures)
        self._call("step", step, self._record(step, {**named, "learning_rate": learning_rate}))

    def evaluation(self, step: int, figures: Mapping[str, float]) -> None:
        """Write the figures of test sequences at a step, as ``validation_NAME``."""
        self._call("evaluation", step, self._record(step, prefixed("validation", figures)))

    def finish(self, figures: Mapping[str, float], **facts: Any) -> None:
        """Write the final figures, as ``test_NAME``, and facts about the run."""
        self._final = self._named({**prefixed("test", figures), **facts})
        self._folder.add_metrics(final=True, **self._final)

    def _record(self, step: int, figures: Mapping[str, float]) -> Mapping[str, float]:
        if (longest := self._experiment.longest(step)) is not None:
            figures = {**figures, "longest": longest}
        named = self._named(figures)
        self._folder.add_metrics(step=step, **named)
        return named

    def _named(self, figures: Mapping[str, Any]) -> dict[str, Any]:
        return old_names(figures) if self._are_old else dict(figures)

    def _call(self, method: str, *arguments: Any) -> None:
        """Call a method of every callback; one that fails is left out from then on."""
        for callback in list(self._callbacks):
            try:
                getattr(callback, method)(*arguments)
            except (KeyboardInterrupt, RunFolderError):
                raise
            except BaseException as error:
                self._callbacks.remove(callback)
                name = f"{type(callback).__module__}.{type(callback).__qualname__}"
                what = f"the callback {name} is left out from now on: its {method} raised {reason(error)}"
                with suppress(OSError, ValueError):  # where stderr is full or closed
                    click.echo(f"warning: {what}", err=True)
