import matplotlib.figure
import numpy as np
import pytest
from matplotlib.transforms import Bbox
from superloop_plugin_view import plot
from superloop_plugin_view.labels import label_slots

from superloop_core.task import Annotation


def texts(axes):
    labels = zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)
    return {int(place): label.get_text().strip() for place, label in labels}


def ink(label):
    """The box of a label without the spaces that move it to its column."""
    box, text = label.get_window_extent(), label.get_text()
    width = box.width * len(text.strip()) / len(text)
    return Bbox.from_bounds(box.x0, box.y0, width, box.height).padded(-1)


@pytest.mark.parametrize(("count", "longest"), [(10, 6), (25, 2), (60, 1), (60, 8), (200, 2)])
def test_labels_of_many_slots_do_not_overlap(count, longest):
    names = [f"{slot:0{longest}d}"[-longest:] for slot in range(count)]
    note = Annotation(title="t", system="tape", slots=tuple(names), target=count // 2)
    figure = plot({"tape.weights": np.ones((1, 4, count))}, annotations=[note])
    figure.draw_without_rendering()
    (axes,) = [axes for axes in figure.axes if axes.images and axes.get_title(loc="left")]
    boxes = [ink(label) for label in axes.get_yticklabels()]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    shown = texts(axes)
    assert shown[count // 2] == names[count // 2]
    assert len(shown) >= (count if longest <= 2 and count <= 60 else min(count, 20))


def test_a_label_that_must_stay_has_room():
    axes = matplotlib.figure.Figure().subplots()
    label_slots(axes, [f"name {slot}" for slot in range(100)], 200, 9, keep=[33])
    places = sorted(texts(axes))
    assert 33 in places
    assert np.diff(places).min() >= 3
