"""A run folder: the files of a training run. A file is replaced as a whole or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import keras
import tomli_w

from superloop_core import ConfigError
from superloop_core.config import Config
from superloop_plugin_lab.checkpoint import Checkpoint


@attrs.frozen
class RunFolder:
    """``config.toml``, ``metrics.jsonl``, ``tensorboard/``, weights, ``model.keras`` and ``traces.png``.

    ``model.keras`` and ``best.weights.h5`` hold the weights of the best measurement. ``last.weights.h5``
    holds those of the last step, or after a failure those before it. ``checkpoint.npz`` is the state from
    which training resumes.
    """

    path: Path

    @classmethod
    def create(cls, path: Path | None, default: Path) -> "RunFolder":
        """Create an empty folder.

        Args:
            path: of the folder; None: at ``default``, or if that exists at ``default-2`` and so on.
            default: of the folder, without a ``path``.

        Raises:
            ConfigError: ``path`` exists and is not an empty folder, or cannot be created.
        """
        if path is None:
            path, number = default, 1
            while path.exists():
                number += 1
                path = default.with_name(f"{default.name}-{number}")
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(f"--out {path}: exists and is not empty; choose another folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--out {path}: cannot be created: {error.strerror}") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return the run folder at ``path``.

        Raises:
            ConfigError: it does not exist, or lacks the config or the model.
        """
        folder = cls(path)
        if not path.is_dir():
            raise ConfigError(f"{path}: no such folder; give a folder that `superloop train` wrote")
        if not folder.config.is_file():
            raise ConfigError(f"{path}: not a folder that `superloop train` wrote: no {folder.config.name}")
        if not folder.model.is_file():
            raise ConfigError(f"{path}: training ended before a model was saved: no {folder.model.name}")
        return folder

    @property
    def config(self) -> Path:
        """The resolved config: plugins by qualified names, and their versions."""
        return self.path / "config.toml"

    @property
    def model(self) -> Path:
        """The best model, for ``superloop_core.load_model``."""
        return self.path / "model.keras"

    @property
    def checkpoint(self) -> Path:
        """The state from which training resumes."""
        return self.path / "checkpoint.npz"

    @property
    def picture(self) -> Path:
        """The traces of the systems on a few test sequences."""
        return self.path / "traces.png"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's events."""
        return self.path / "tensorboard"

    @property
    def metrics(self) -> Path:
        """Loss and accuracy in the order of training, one JSON object a line."""
        return self.path / "metrics.jsonl"

    def weights(self, name: str) -> Path:
        """Return the path of the ``best`` or the ``last`` weights."""
        return self.path / f"{name}.weights.h5"

    def write_config(self, config: Config) -> None:
        """Write the resolved config."""
        text = tomli_w.dumps(config.to_dict())
        _replace(self.config, lambda path: path.write_text(text))

    def add_metrics(self, **values: Any) -> None:
        """Add a line to the metrics."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(values, allow_nan=False) + "\n")

    def cut_metrics(self, size: int) -> None:
        """Cut the metrics to their first ``size`` bytes."""
        if self.metrics.is_file():
            os.truncate(self.metrics, min(size, self.metrics.stat().st_size))

    def read_checkpoint(self) -> Checkpoint:
        """Return the checkpoint.

        Raises:
            ConfigError: the folder has none.
            WeightsError: it cannot be read.
        """
        if not self.checkpoint.is_file():
            raise ConfigError(f"{self.path}: cannot be resumed: no {self.checkpoint.name}")
        return Checkpoint.load(self.checkpoint)

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint."""
        _replace(self.checkpoint, checkpoint.save)

    def write_weights(self, model: keras.Model, name: str) -> None:
        """Write the ``best`` or the ``last`` weights."""
        _replace(self.weights(name), model.save_weights)

    def write_model(self, model: keras.Model) -> None:
        """Write the model."""
        _replace(self.model, model.save)


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Write a new file beside ``path``, and move it to ``path`` at once."""
    new = path.with_name(f"new.{path.name}")
    try:
        write(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
