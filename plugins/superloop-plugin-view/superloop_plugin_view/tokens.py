"""Input and output tokens along the axis of timesteps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from superloop_plugin_view.labels import fit_tokens
from superloop_plugin_view.style import ACCENT, FAINT, INK


def words(tokens: Any, row: int, length: int) -> list[str]:
    """Return the tokens of a sequence as texts: of a list of texts, or an array of numbers.

    Raises:
        ValueError: there is an array of vectors, which are no tokens.
    """
    of_row = list(tokens[row])[:length]
    if any(np.ndim(token) for token in of_row):
        raise ValueError("tokens must be texts or numbers, one for each timestep, and not vectors")
    return [str(token.item() if isinstance(token, np.generic) else token) for token in of_row]


def write_inputs(axes: Axes, tokens: Sequence[str], width: float, font_size: float) -> None:
    """Write tokens above the timesteps."""
    size, upright, every = fit_tokens(tokens, width, font_size)
    above = axes.secondary_xaxis("top")
    above.set_xticks(
        range(0, len(tokens), every), tokens[::every], fontsize=size, rotation=90 * upright, color=INK
    )
    above.tick_params(length=0, pad=2)
    for spine in above.spines.values():
        spine.set_visible(False)


def write_answers(
    axes: Axes, answers: Sequence[str], targets: Sequence[str] | None, width: float, font_size: float
) -> None:
    """Write tokens below the timesteps; a wrong one is bold, with the target below it in parentheses."""
    wanted = answers if targets is None else targets
    wrong = [one != other for one, other in zip(answers, wanted, strict=True)]
    texts = [
        f"{one}\n({other})" if differs else one
        for one, other, differs in zip(answers, wanted, wrong, strict=True)
    ]
    size, upright, every = fit_tokens(texts, width, font_size)
    shown = range(0, len(texts), every)
    axes.set_xticks(shown, [texts[t] for t in shown], fontsize=size, rotation=90 * upright, color=INK)
    for t, label in zip(shown, axes.get_xticklabels(), strict=True):
        if wrong[t]:
            label.set(color=ACCENT, fontweight="bold")
    axes.set_xlabel("answer" if targets is None else "answer (target)", color=FAINT)
