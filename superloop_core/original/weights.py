"""Files of weights: the original's layout, and Keras's."""

from collections.abc import Mapping
from typing import Any

import h5py

from superloop_core.errors import WeightsError

PARTS = "superloop_parts"  # the attribute of a weights file that names its plugins


def arrays_in(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """Return every array of a file, by its path."""
    arrays: dict[str, h5py.Dataset] = {}
    group.visititems(lambda path, item: arrays.update({path: item} if isinstance(item, h5py.Dataset) else {}))
    return arrays


def refuse_others(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise unless both have the same paths, and arrays of the same shapes there."""
    problems = []
    for path in sorted(theirs.keys() | ours.keys()):
        if path not in theirs:
            problems.append(f"{path} is missing")
        elif path not in ours:
            problems.append(f"{path} has no place here")
        elif tuple(theirs[path].shape) != tuple(ours[path].shape):
            shapes = tuple(theirs[path].shape), tuple(ours[path].shape)
            problems.append(f"{path} has the shape {shapes[0]}, but this config needs {shapes[1]}")
    if problems:
        raise WeightsError(f"holds another config's weights: {'; '.join(problems)}")
