"""Weights files of Model: the layout of the original (2018), and Keras's format."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from superloop_core.errors import WeightsError
from superloop_core.layer.superloop import Superloop
from superloop_core.layer.weights_file import WEIGHTS, arrays_of, check_weights, open_weights, weights_of
from superloop_core.limits import UnreadableError
from superloop_core.runs import replace_file

PARTS = "superloop_parts"  # the attribute of a weights file that names its plugins


def save_weights(path: Path, model: keras.Model, layer: Superloop) -> None:
    """Write the weights in Keras's format, under any name; an older file is replaced at once or not."""

    def write(new: Path) -> None:
        written = new.with_name(WEIGHTS)  # Keras rejects other endings
        model.save_weights(written)
        with h5py.File(written, "r+") as file:
            file.attrs[PARTS] = _parts(layer)
        written.rename(new)

    replace_file(path, write)


def load_weights(path: Path, model: keras.Model, layer: Superloop, name: str) -> None:
    """Read a weights file of either format.

    Args:
        path: the file.
        model: the Keras model.
        layer: the loop in it.
        name: ``model_name`` of the original's config, the root of its layout.

    Raises:
        WeightsError: the file has neither format, or is another config's; no weight was changed.
    """
    before = model.get_weights()
    try:
        with open_weights(path) as file:
            originals = file.get(name)
            if isinstance(originals, h5py.Group):
                _load_original(originals, layer)
            else:
                _load_keras(file, path, model, layer)
    except (WeightsError, UnreadableError) as error:
        raise WeightsError(f"{path}: {error}") from error
    except Exception as error:
        model.set_weights(before)
        raise WeightsError(f"{path}: is no file of weights that can be read: {error}") from error


def _load_keras(file: h5py.File, path: Path, model: keras.Model, layer: Superloop) -> None:
    """Load Keras's format."""
    check_weights(model, weights_of(arrays_of(file)))
    if file.attrs.get(PARTS, _parts(layer)) != _parts(layer):
        raise WeightsError(f"holds the weights of {file.attrs[PARTS]}, not of {_parts(layer)}")
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copyfile(path, Path(folder) / WEIGHTS)  # Keras rejects other endings
        model.load_weights(copy)


def _load_original(group: h5py.Group, layer: Superloop) -> None:
    """Assign the original's arrays, whose layers it numbered (``Recur0/1.DenseCtrl/0``), all or none."""
    ours = original_variables(layer)
    theirs = {re.sub(r"(^|/)\d+\.", r"\1", path): array for path, array in arrays_of(group).items()}
    theirs = {path: array for path, array in theirs.items() if not path.endswith("/length")}
    _require_same(theirs, ours)
    arrays = {path: np.asarray(theirs[path], dtype=ours[path].dtype) for path in ours}
    for path, array in arrays.items():
        ours[path].assign(array)


def original_variables(layer: Superloop) -> dict[str, Any]:
    """Return the variables by their paths in the original's layout."""
    wiring = layer.wiring
    layers = {
        f"DenseOut{id}": (control.kernel, control.bias)
        for id, control in zip(wiring.ids, wiring.controls, strict=True)
    }
    if wiring.projection is not None:
        layers["DenseOutMain"] = (wiring.projection.kernel, wiring.projection.bias)
    for index, cell in enumerate(wiring.cells):
        original_weights = getattr(getattr(cell, "cell", None), "original_weights", None)
        if original_weights is None:
            raise WeightsError(f"is the original's, which had no cell {cell.label!r}")
        layers |= {f"Recur{index}/{name}": of_layer for name, of_layer in original_weights().items()}
    return {
        f"{name}/{index}": variable
        for name, variables in layers.items()
        for index, variable in enumerate(variables)
    }


def _parts(layer: Superloop) -> str:
    """Return the plugins of the weights; plugins with weights of the same shapes may use them differently."""
    loop = layer.config
    cells = [cell.use for cell in loop.cells for _ in range(cell.layers)]
    return json.dumps({"cells": cells, "systems": [system.use for system in loop.systems]})


def _require_same(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
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
