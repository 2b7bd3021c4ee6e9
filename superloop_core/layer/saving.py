"""Load a saved model, its plugins included."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from superloop_core.config.reader import read_loop
from superloop_core.errors import ConfigError, Problem, SuperloopError, WeightsError
from superloop_core.layer.cell import SuperloopCell
from superloop_core.layer.print_traces import PrintTraces
from superloop_core.layer.superloop import Superloop
from superloop_core.registry.registry import load_registry
from superloop_core.runs import check_files

# Keras knows these classes of a saved model once they are imported.
SAVED = (PrintTraces, Superloop, SuperloopCell)


def load_model(path: str | Path) -> keras.Model:
    """Load a ``.keras`` file, or a run folder's ``model.keras``, in Keras's safe mode.

    Only the plugins that its loops need are loaded.

    Raises:
        ConfigError: plugins that the model needs are not installed; each problem says what to install.
        RunFolderError: the run folder's model is not as the run wrote it.
        WeightsError: there is no such file, or it cannot be loaded.
    """
    path = Path(path)
    if path.is_dir():
        check_files(path, "model.keras")
        path /= "model.keras"
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file; name a .keras file or a run folder")
    if path.suffix == ".h5":
        raise WeightsError(
            f"{path}: holds weights and no model; make the model, and call its load_weights with this file"
        )
    _check_plugins(path)
    try:
        return keras.saving.load_model(path, safe_mode=True)
    except SuperloopError:
        raise
    except Exception as error:  # what Keras raises on a broken file depends on where it is broken
        raise WeightsError(f"{path}: cannot be loaded: {error}") from error


def _check_plugins(path: Path) -> None:
    """Report every plugin that a saved model needs and that is missing."""
    try:
        with zipfile.ZipFile(path) as archive:
            saved = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError):
        return  # Keras reports what is wrong with it
    problems: list[Problem] = []
    for name, loop in _loops_in(saved):
        try:
            read_loop(loop, load_registry(), where=f"{name}.loop")
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)


def _loops_in(saved: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and the loop of each Superloop and SuperloopCell in a saved model's config."""
    if isinstance(saved, list):
        for one in saved:
            yield from _loops_in(one)
    elif isinstance(saved, Mapping):
        if str(saved.get("registered_name", "")).startswith("superloop_core>Superloop"):
            yield str(saved["config"].get("name")), saved["config"]["config"]
        for one in saved.values():
            yield from _loops_in(one)
