"""Callback, the base class of what plugins do while a model trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

watcher: ContextVar[Callback | None] = ContextVar("watcher", default=None)  # of the runs that a sweep makes


class Callback:
    """What a plugin does while a model trains; override what you need.

    Methods are called after the figures are in ``metrics.jsonl``, which is complete without any callback.
    An error leaves the callback out from then on, with a warning, and training continues. Only
    :class:`superloop_core.RunFolderError` ends the run: raise it where the run folder cannot be written.

    A resumed run that version 0.1 began keeps its names of figures: ``loss``, ``fresh_loss``, ``loss``.
    """

    def begin(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Training starts, or resumes.

        Args:
            lines: of ``metrics.jsonl`` so far, none at first. A resumed run trains what came after them
                again: drop what was recorded of later steps, so that nothing is there twice.
        """

    def step(self, step: int, figures: Mapping[str, float]) -> None:
        """Every ``train.log_every`` training steps.

        Args:
            step: training steps taken so far.
            figures: ``train_loss`` and ``train_accuracy``, means since the last call; the step's
                ``learning_rate``; with a curriculum ``longest``.
        """

    def evaluation(self, step: int, figures: Mapping[str, float]) -> None:
        """Every ``train.evaluate_every`` training steps, before the first one, and at the end.

        Args:
            step: training steps taken so far.
            figures: of test sequences: ``validation_loss``, ``validation_accuracy`` and metrics,
                ``validation_NAME``.
        """

    def end(self, figures: Mapping[str, Any] | None) -> None:
        """Training ended, or could not begin.

        Args:
            figures: the final ones, with the best weights: ``test_loss``, ``test_accuracy``, ``test_NAME``,
                ``steps``, ``seconds`` and ``best_step``; None where an error ended the run.
        """
