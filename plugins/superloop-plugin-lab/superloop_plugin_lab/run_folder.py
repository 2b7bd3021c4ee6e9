"""A run folder: what a training run leaves behind. Every file is there whole, or as it was before."""

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

    ``model.keras`` and ``best.weights.h5`` hold the weights that measured best on fresh sequences;
    ``last.weights.h5`` those of the last step, and after a failure of the last good one;
    ``checkpoint.npz`` all that training needs to go on.
    """

    path: Path

    @classmethod
    def create(cls, path: Path | None, default: Path) -> "RunFolder":
        """Make an empty folder at ``path``; without one at ``default``, numbered if that is taken.

        Raises:
            ConfigError: there is something at ``path`` already.
        """
        if path is None:
            path, number = default, 1
            while path.exists():
                number += 1
                path = default.with_name(f"{default.name}-{number}")
        elif path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ConfigError(f"--out {path}: is there already, and is not empty; name another folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--out {path}: cannot be made: {error.strerror}") from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return the run folder at ``path``.

        Raises:
            ConfigError: there is none.
        """
        folder = cls(path)
        if not path.is_dir():
            raise ConfigError(f"{path}: there is no such folder; name one that `superloop train` wrote")
        if not folder.config.is_file():
            raise ConfigError(f"{path}: is no folder that `superloop train` wrote: no {folder.config.name}")
        if not folder.model.is_file():
            raise ConfigError(f"{path}: its training ended before there was a model: no {folder.model.name}")
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
        """Where training can go on."""
        return self.path / "checkpoint.npz"

    @property
    def picture(self) -> Path:
        """What the systems did on a few fresh sequences."""
        return self.path / "traces.png"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's events."""
        return self.path / "tensorboard"

    @property
    def metrics(self) -> Path:
        """Loss and accuracy as they came, a JSON object a line."""
        return self.path / "metrics.jsonl"

    def weights(self, name: str) -> Path:
        """The ``best`` or the ``last`` weights."""
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
        """Leave the first lines of the metrics, of so many bytes."""
        if self.metrics.is_file():
            os.truncate(self.metrics, min(size, self.metrics.stat().st_size))

    def read_checkpoint(self) -> Checkpoint:
        """Return the checkpoint.

        Raises:
            ConfigError: there is none.
            WeightsError: it cannot be read.
        """
        if not self.checkpoint.is_file():
            raise ConfigError(f"{self.path}: cannot go on: no {self.checkpoint.name}")
        return Checkpoint.load(self.checkpoint)

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint."""
        _replace(self.checkpoint, checkpoint.save)

    def write_weights(self, model: keras.Model, name: str) -> None:
        """Write ``best`` or ``last`` weights."""
        _replace(self.weights(name), model.save_weights)

    def write_model(self, model: keras.Model) -> None:
        """Write the model."""
        _replace(self.model, model.save)


def _replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside ``path``, and put it there in one move."""
    new = path.with_name(f"new.{path.name}")
    try:
        write(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
