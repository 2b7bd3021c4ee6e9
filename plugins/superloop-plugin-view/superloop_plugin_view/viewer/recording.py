"""Recording: traces, and what is known of their sequences."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np

from superloop_core import Traces
from superloop_core.task import Annotation

Tokens: TypeAlias = (
    Any  # texts, numbers or vectors (sequence, timestep[, number]), or a function of the traces
)


@attrs.frozen(kw_only=True, eq=False)
class Recording:
    """Traces to view, and what is known of their sequences. Give two of them to :func:`view` to compare runs.

    Args:
        traces: those of :func:`superloop_core.trace`, or arrays by name, each ``(sequence, timestep, ...)``.
        name: of the run, for people.
        inputs: the input of each timestep: texts or integers ``(sequence, timestep)``, or vectors
            ``(sequence, timestep, number)``; or a function that returns them, given the traces.
        answers: what the model answered, likewise.
        targets: what would have been correct, likewise. An empty text, or a number below 0, is none.
        wrong: whether each answer is wrong, ``(sequence, timestep)``; None: where it is a token that differs
            from its target.
        correct: whether each sequence was answered correctly; None: not said.
        annotations: a title for each sequence, and labels of the slots of a system.
    """

    traces: Traces | Mapping[str, np.ndarray]
    name: str = ""
    inputs: Tokens = None
    answers: Tokens = None
    targets: Tokens = None
    wrong: Any = None
    correct: Sequence[bool | None] | None = None
    annotations: Sequence[Annotation] | None = None
