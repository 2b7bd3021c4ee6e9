"""Load a saved model, its plugins included."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras

from superloop_core.config.reader import read_loop
from superloop_core.errors import ConfigError, Problem, SuperloopError, WeightsError
from superloop_core.layer.cell import SuperloopCell
from superloop_core.layer.keras_config import check_keras_config
from superloop_core.layer.limited_variables import limited_variables
from superloop_core.layer.print_traces import PrintTraces
from superloop_core.layer.superloop import Superloop
from superloop_core.layer.weights_file import (
    CONFIG,
    WEIGHTS,
    arrays_of,
    bytes_of,
    check_weights,
    open_archive,
    open_weights,
    weights_of,
)
from superloop_core.limits import FREE, UnreadableError
from superloop_core.registry.registry import load_registry
from superloop_core.runs import check_files

# Keras knows these classes of a saved model once they are imported.
SAVED = (PrintTraces, Superloop, SuperloopCell)
MAX_PROBLEMS = 10  # in one message


def load_model(path: str | Path, *, allow: Iterable[str] = ()) -> keras.Model:
    """Load a ``.keras`` file, or a run folder's ``model.keras``.

    The file is checked first: it makes Keras's own layers, optimizers, losses and the like, loops of
    installed plugins, and classes that are registered in this process. ``docs/threat-model.md`` says what
    that protects from. Only the plugins that its loops need are loaded.

    Args:
        path: the file or the folder.
        allow: names of packages that you trust, besides Keras and the plugins: those of their modules that
            the file names are imported, so that they register their classes.

    Raises:
        ConfigError: plugins that the model needs are not installed; each problem says what to install.
        RunFolderError: the run folder's model is not as the run wrote it.
        WeightsError: there is no such file, it cannot be loaded, or it would make something else.
    """
    path = Path(path)
    if path.is_dir():
        check_files(path, "model.keras")
        path /= "model.keras"
    if not path.exists():
        raise WeightsError(f"{path}: there is no such file; name a .keras file or a run folder")
    if path.suffix != ".keras":
        raise WeightsError(
            f"{path}: only .keras files are read; for weights, make the model and call its load_weights with "
            "this file; a whole model in another format must be saved again: model.save('NAME.keras')"
        )
    try:
        with open_archive(path) as archive:
            config = _parsed(archive.read(CONFIG))
            with open_weights(io.BytesIO(archive.read(WEIGHTS))) as weights:
                arrays = arrays_of(weights)
                held, stored = bytes_of(arrays), weights_of(arrays)
        problems = check_keras_config(config, CONFIG, [allow] if isinstance(allow, str) else allow)
        if problems:
            raise WeightsError("\n".join(["holds what load_model does not make:", *_listed(problems)]))
        _check_plugins(config)
        with limited_variables(max(FREE, 8 * held)):  # an optimizer may keep several variables for a weight
            model = keras.saving.load_model(path, safe_mode=True)
        check_weights(model, stored)
        return model
    except (WeightsError, UnreadableError) as error:
        raise WeightsError(f"{path}: {error}") from error
    except SuperloopError:
        raise
    except Exception as error:  # what Keras raises on a broken file depends on where it is broken
        raise WeightsError(f"{path}: cannot be loaded: {error}") from error


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{CONFIG} is not valid JSON: {error}") from error


def _listed(problems: list[Problem]) -> list[str]:
    more = len(problems) - MAX_PROBLEMS
    return [*map(str, problems[:MAX_PROBLEMS]), *([f"and {more:,} more"] if more > 0 else [])]


def _check_plugins(config: Any) -> None:
    """Report every plugin that a saved model needs and that is missing."""
    problems: list[Problem] = []
    for name, loop in _loops_in(config):
        try:
            read_loop(loop, load_registry(), where=f"{name}.loop", from_file=False)
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
