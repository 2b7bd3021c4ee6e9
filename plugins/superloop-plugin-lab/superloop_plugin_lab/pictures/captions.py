"""Titles of panels, and labels of the slots that a task annotates."""

import re

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from superloop_core.task import Annotation
from superloop_plugin_lab.pictures.style import ACCENT, FAINT, INK

CROSS, TICK = "\N{BALLOT X}", "\N{CHECK MARK}"


def write_caption(axes: Axes, name: str, note: Annotation, correct: bool | None, *, first: bool) -> None:
    """Write a panel's title; label the slots if the task annotates them.

    Args:
        axes: the panel, already drawn.
        name: the trace's.
        note: the task's annotation of the sequence.
        correct: whether the sequence was answered correctly; None: that says little of it.
        first: whether it is the sequence's first panel, whose title tells the sequence.
    """
    title = note.title if correct is None else f"{note.title} {TICK if correct else CROSS}"
    if _is_annotated(axes, name, note):
        axes.set_title(title, loc="left", fontsize=10)
        _label_slots(axes, note)
    else:
        words = f"{title}\n{words_of(name)}" if first else words_of(name)
        axes.set_title(words, loc="left", fontsize=10, color=INK if first else FAINT)


def words_of(name: str) -> str:
    """``stack.read_weights`` -> ``stack read weights``"""
    return name.replace("_", " ").replace(".", " ")


def system_of(name: str) -> str:
    """``stack.read_weights`` -> ``stack``; ``loops.1.stack.read_weights`` -> ``loops.1.stack``"""
    return re.match(r"(loops\.\d+\.)?[^.]*", name)[0]  # type: ignore[index]


def _is_annotated(axes: Axes, name: str, note: Annotation) -> bool:
    return note.system == system_of(name) and len(note.slots) == _extent(axes.get_ylim())


def _label_slots(axes: Axes, note: Annotation) -> None:
    """Label the slots, and frame the target."""
    timesteps = _extent(axes.get_xlim())
    axes.set_yticks(range(len(note.slots)), note.slots, color=INK)
    if note.target is not None:
        axes.get_yticklabels()[note.target].set(color=ACCENT, fontweight="bold")
        corner = (-0.5, note.target - 0.5)
        frame = Rectangle(corner, timesteps, 1, fill=False, edgecolor=ACCENT, linestyle=(0, (4, 2)))
        axes.add_patch(frame)


def _extent(limits: tuple[float, float]) -> int:
    low, high = limits
    return round(abs(high - low))
