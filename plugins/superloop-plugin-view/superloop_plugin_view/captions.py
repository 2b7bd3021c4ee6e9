"""Titles of panels, and labels of the slots that a task annotates."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from superloop_core.task import Annotation
from superloop_plugin_view.labels import label_slots
from superloop_plugin_view.selection import part_of
from superloop_plugin_view.style import ACCENT, FAINT, INK

CROSS, TICK = "\N{BALLOT X}", "\N{CHECK MARK}"


def write_caption(
    axes: Axes,
    name: str,
    note: Annotation,
    correct: bool | None,
    *,
    first: bool,
    height: float,
    font_size: float,
) -> None:
    """Write a panel's title; label the slots if the task annotates them.

    Args:
        axes: the panel, already drawn.
        name: the trace's.
        note: the task's annotation of the sequence.
        correct: whether the sequence was answered correctly; None: that says little of it.
        first: whether it is the sequence's first panel, whose title tells the sequence.
        height: of the panel, in points.
        font_size: of labels, in points.
    """
    title = note.title if correct is None else f"{note.title} {TICK if correct else CROSS}"
    if _is_annotated(axes, name, note):
        axes.set_title(title, loc="left", fontsize=font_size + 1)
        _label_slots(axes, note, height, font_size)
    else:
        words = f"{title}\n{words_of(name)}" if first and title else words_of(name)
        axes.set_title(words, loc="left", fontsize=font_size + 1, color=INK if first else FAINT)


def words_of(name: str) -> str:
    """``stack.read_weights`` -> ``stack read weights``"""
    return name.replace("_", " ").replace(".", " ")


def _is_annotated(axes: Axes, name: str, note: Annotation) -> bool:
    return bool(note.slots) and note.system == part_of(name) and len(note.slots) == _extent(axes.get_ylim())


def _label_slots(axes: Axes, note: Annotation, height: float, font_size: float) -> None:
    """Label the slots, and frame the target."""
    timesteps = _extent(axes.get_xlim())
    label_slots(axes, note.slots, height, font_size, keep=[] if note.target is None else [note.target])
    if note.target is not None:
        label = next(
            text
            for place, text in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
            if place == note.target
        )
        label.set(color=ACCENT, fontweight="bold")
        corner = (-0.5, note.target - 0.5)
        frame = Rectangle(corner, timesteps, 1, fill=False, edgecolor=ACCENT, linestyle=(0, (4, 2)))
        axes.add_patch(frame)


def _extent(limits: tuple[float, float]) -> int:
    low, high = limits
    return round(abs(high - low))
