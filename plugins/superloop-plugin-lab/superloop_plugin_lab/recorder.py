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
from superloop_plugin_lab.run_folder import RunFolder


class Recorder:
    """Writes figures by name to a run folder, and passes them to callbacks; use it in a ``with`` block.

    Args:
        experiment: with a curriculum, each line holds the ``longest`` length of its step too.
        folder: receives the figures.
    """

    def __init__(self, experiment: Experiment, folder: RunFolder):
        self._experiment = experiment
        self._folder = folder
        self._callbacks: list[Callback] = []
        self._final: dict[str, Any] | None = None

    def __enter__(self) -> "Recorder":
        hook = load_registry().hook.superloop_add_callbacks
        for made in hook(config=self._experiment.config, folder=self._folder.path):
            self._callbacks.extend(made if isinstance(made, Iterable) else [made])
        try:
            self._call("begin", self._folder.read_metrics())
        except BaseException:
            self.__exit__(None, None, None)  # closes what the others opened
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._callbacks.reverse()
        self._call("end", self._final)

    def step(self, step: int, **figures: float) -> None:
        """Write the figures of training up to a step."""
        self._call("step", step, self._record(step, figures))

    def evaluation(self, step: int, **figures: float) -> None:
        """Write the figures of test sequences at a step."""
        self._call("evaluation", step, self._record(step, figures))

    def finish(self, **figures: Any) -> None:
        """Write the final figures."""
        self._folder.add_metrics(final=True, **figures)
        self._final = figures

    def _record(self, step: int, figures: Mapping[str, float]) -> Mapping[str, float]:
        if (longest := self._experiment.longest(step)) is not None:
            figures = {**figures, "longest": longest}
        self._folder.add_metrics(step=step, **figures)
        return figures

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
