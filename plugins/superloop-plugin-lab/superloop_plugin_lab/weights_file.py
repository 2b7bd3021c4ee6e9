"""Weights files, in Keras's format."""

import shutil
import zipfile
from pathlib import Path

import keras

MEMBER = "model.weights.h5"  # of a .keras file


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the file that ``model.save_weights`` writes, by way of a ``.keras`` file beside it.

    HDF5 prints tracebacks and may crash where a disk is full. In a ``.keras`` file Python writes its bytes.
    """
    model_file = path.with_name("weights.keras")
    model.save(model_file)
    with (
        zipfile.ZipFile(model_file) as archive,
        archive.open(MEMBER) as source,
        path.open("wb") as target,
    ):
        shutil.copyfileobj(source, target)
    model_file.unlink()
