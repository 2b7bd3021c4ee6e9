"""A run folder: the files of a training run, written by one process at a time, each as a whole."""

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import tomli_w

from superloop_core import ConfigError, RunFolderError
from superloop_core.config import Config
from superloop_core.errors import os_reason
from superloop_core.runs import (
    FILES,
    LOCK,
    MANIFEST,
    TEMPORARY,
    Entry,
    Manifest,
    NamedErrors,
    check_files,
    holder,
    locked,
    open_regular,
)
from superloop_plugin_lab.checkpoint import Checkpoint


@attrs.define
class RunFolder:
    """``config.toml``, metrics, summary, ``tensorboard/``, weights, ``model.keras`` and ``traces.png``.

    ``model.keras`` and ``best.weights.h5`` hold the weights of the best measurement. ``last.weights.h5``
    holds those of the last step, or after a failure those before it. ``checkpoint.npz`` is the state from
    which training resumes. ``manifest.json`` holds the checksum of each file. Methods that write need
    :meth:`writing` around them.
    """

    path: Path
    _manifest: Manifest | None = attrs.field(default=None, init=False, repr=False)
    _place: os.stat_result | None = attrs.field(default=None, init=False, repr=False, eq=False)
    _metrics: "_Metrics | None" = attrs.field(default=None, init=False, repr=False, eq=False)

    @classmethod
    def create(cls, path: Path | None, default: Path) -> "RunFolder":
        """Create an empty folder.

        Args:
            path: of the folder; None: at ``default``, or if that exists at ``default-2`` and so on. What a
                run leaves that was killed before it wrote its config may be in it.
            default: of the folder, without a ``path``.

        Raises:
            ConfigError: ``path`` exists and is not an empty folder, or cannot be created.
        """
        number = 1
        while path is None:
            numbered = default if number == 1 else default.with_name(f"{default.name}-{number}")
            number += 1
            try:
                numbered.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise ConfigError(f"--out {numbered}: cannot be created: {os_reason(error)}") from error
            return cls(numbered)
        try:
            if path.exists() and (not path.is_dir() or _is_taken(path)):
                owner = holder(path)
                writer = f" ({owner})" if owner else ""
                resume = f", or continue that run{writer}: superloop resume {path}"
                raise ConfigError(
                    f"--out {path}: exists and is not empty; choose another folder"
                    f"{resume if cls(path).config.exists() else ''}"
                )
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--out {path}: cannot be created: {os_reason(error)}") from error
        return cls(path)

    @classmethod
    def find(cls, path: Path) -> "RunFolder":
        """Return the run folder at ``path``, which need not hold a model yet.

        Raises:
            ConfigError: it does not exist, or lacks the config.
            RunFolderError: the config is not as the run wrote it.
        """
        folder = cls(path)
        with NamedErrors(path, "cannot be read"):
            if not path.is_dir():
                raise ConfigError(f"{path}: no such folder; give a folder that `superloop train` wrote")
            check_files(path, folder.config.name)
            if not folder.config.is_file() and any(path.iterdir()) and not _is_taken(path):
                raise ConfigError(
                    f"{path}: training was killed before it wrote {folder.config.name}; "
                    f"start it anew: superloop train CONFIG --out {path}"
                )
            if not folder.config.is_file():
                raise ConfigError(
                    f"{path}: not a folder that `superloop train` wrote: no {folder.config.name}"
                )
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return the run folder at ``path``, to measure its model.

        Raises:
            ConfigError: it does not exist, or lacks the config or the model.
            RunFolderError: the config or the model is not as the run wrote it.
        """
        folder = cls.find(path)
        check_files(path, folder.model.name)
        if not folder.model.is_file():
            raise ConfigError(
                f"{path}: training ended before a model was saved: no {folder.model.name}; "
                f"continue it: superloop resume {path}"
            )
        return folder

    @property
    def config(self) -> Path:
        """The resolved config: plugins by qualified names, and their versions."""
        return self.path / "config.toml"

    @property
    def task_state(self) -> Path:
        """What the task learned from stored examples, and the checksums of their files."""
        return self.path / "task.json"

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

    @property
    def summary(self) -> Path:
        """The final figures, written each time that training ends."""
        return self.path / "summary.json"

    @property
    def run(self) -> str:
        """The run's id."""
        return self._opened().run

    @property
    def is_complete(self) -> bool:
        """Whether the final figures are in the metrics, and no file that was written by then is missing."""
        weights = (self.model, self.weights("best"), self.weights("last"))
        made = (self.metrics, self.summary, self.picture, *weights)
        return all(path.is_file() for path in made) and self.is_final

    @property
    def is_final(self) -> bool:
        """Whether the final figures are in the metrics."""
        if not self.metrics.is_file():
            return False
        lines = self.metrics.read_bytes().splitlines()
        try:
            return bool(lines) and json.loads(lines[-1]).get("final") is True
        except (ValueError, AttributeError):
            return False

    def weights(self, name: str) -> Path:
        """Return the path of the ``best`` or the ``last`` weights."""
        return self.path / f"{name}.weights.h5"

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder's lock, complete what a killed process left, and check every file.

        Raises:
            RunFolderError: another process writes the folder, or a file is not as the run wrote it.
        """
        if self._manifest is not None:  # within another such block
            yield
            return
        with locked(self.path):
            self._place = os.stat(self.path)
            manifest = Manifest.read(self.path)
            if manifest is None:
                manifest = Manifest.adopt(self.path)
            manifest.recover()
            drawn = (self.picture.name,)  # of the model; it is drawn anew
            manifest.check(name for name in FILES if name not in drawn)
            self._manifest = manifest
            try:
                yield
            finally:
                self._manifest = self._place = self._metrics = None

    def begin(self, config: Config, task_state: Mapping[str, Any] | None = None) -> None:
        """Write the config, what the task learned from stored examples, and metrics without a line.

        Raises:
            RunFolderError: the folder holds a run that has taken steps.
        """
        if self.checkpoint.exists() or self.model.exists():
            raise RunFolderError(
                f"{self.path}: holds a run, but no {self.checkpoint.name} to go on from; put it back from a "
                "copy, or train in another folder"
            )
        text = json.dumps(task_state, indent=1)
        learned = (
            {} if task_state is None else {self.task_state.name: lambda path: path.write_text(text, "utf-8")}
        )
        self._write_metrics(b"", {self.config.name: _text(config), **learned})

    def rewind(
        self, config: Config, checkpoint: Checkpoint, files: Mapping[str, Callable[[Path], Any]]
    ) -> None:
        """Undo what was written after a checkpoint: later lines of the metrics, and later files.

        Args:
            config: replaces the folder's.
            checkpoint: the folder's.
            files: what to write, by names.

        Raises:
            RunFolderError: the metrics do not belong to the checkpoint.
        """
        kept = self._metrics_until(checkpoint)
        self._write_metrics(kept, {self.config.name: _text(config), **files})

    def write(self, files: Mapping[str, Callable[[Path], Any]], *, closes: bool = False) -> None:
        """Replace files, all or none, and record the metrics so far.

        Args:
            files: for each name a function that writes the new file to a path.
            closes: no line will follow in the metrics.
        """
        self._check_place()
        entries = {}
        if self._metrics is not None:
            self._metrics.sync()
            self._metrics.grows = self._metrics.grows and not closes
            entries = {self.metrics.name: self._metrics.entry()}
        self._opened().write(files, entries)

    def add_metrics(self, **values: Any) -> None:
        """Add a line to the metrics; a number that is not finite is written as null."""
        if self._metrics is None:
            raise RuntimeError("begin or rewind the folder first")
        self._check_place()
        self._metrics.add(json.dumps(finite(values), allow_nan=False).encode() + b"\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the lines of the metrics."""
        with open(open_regular(self.metrics), "rb") as file:
            return [json.loads(line) for line in file]

    def read_checkpoint(self) -> Checkpoint:
        """Return the checkpoint.

        Raises:
            ConfigError: the folder has none.
            RunFolderError: the folder's manifest is missing.
            WeightsError: it cannot be read.
        """
        if not self.checkpoint.is_file():
            raise ConfigError(
                f"{self.path}: cannot be resumed: no {self.checkpoint.name}; put it back from a copy, "
                "or train in another folder"
            )
        checkpoint = Checkpoint.load(self.checkpoint)
        if checkpoint.run and not (self.path / MANIFEST).is_file():
            raise RunFolderError(
                f"{self.path / MANIFEST}: is missing; put it back from a copy, or record the files as they "
                f"are: superloop doctor {self.path} --accept"
            )
        return checkpoint

    def read_task_state(self) -> dict[str, Any] | None:
        """Return what the task learned from stored examples; None where it has none.

        Raises:
            RunFolderError: it is not as the run wrote it.
        """
        if not self.task_state.is_file():
            return None
        check_files(self.path, self.task_state.name)
        with (
            open(open_regular(self.task_state), "rb") as file,
            NamedErrors(self.task_state, "cannot be read"),
        ):
            return dict(json.load(file))

    def read_start(self) -> Checkpoint | None:
        """Return the checkpoint; None: the run was killed before its first one, and starts anew."""
        return self.read_checkpoint() if self.checkpoint.is_file() or self.model.is_file() else None

    def _opened(self) -> Manifest:
        if self._manifest is None:
            raise RuntimeError("a run folder is written in a block `with folder.writing()`")
        return self._manifest

    def _check_place(self) -> None:
        """Check that the folder is where it was: a new one at its path may be another run's."""
        assert self._place is not None
        try:
            same = os.path.samestat(os.stat(self.path), self._place)
        except OSError:
            same = False
        if not same:
            raise RunFolderError(
                f"{self.path}: was deleted or renamed while the run wrote it; "
                "to go on from its last checkpoint: superloop resume, with the folder's name of today"
            )

    def _write_metrics(self, content: bytes, files: Mapping[str, Callable[[Path], Any]]) -> None:
        """Replace other files, the config first, then the metrics, which may grow from then on."""
        self._check_place()
        name = self.metrics.name
        self._metrics = _Metrics(self.metrics, content)
        manifest = self._opened()
        manifest.write({**files, name: lambda path: path.write_bytes(content)}, {})
        manifest.write({}, {name: self._metrics.entry()})

    def _metrics_until(self, checkpoint: Checkpoint) -> bytes:
        """Return the metrics up to a checkpoint."""
        entry = self._opened().files.get(self.metrics.name)
        if entry is None and (self.path / MANIFEST).is_file():
            return b""  # a person deleted them, and recorded that
        with open(open_regular(self.metrics), "rb") as file, NamedErrors(self.metrics, "cannot be read"):
            content = file.read()
        if entry is not None and entry.accepted:  # sizes are no longer those of the run
            lines = content.splitlines(keepends=True)
            return b"".join(line for line in lines if self._step(line) <= checkpoint.step)
        kept = content[: checkpoint.metrics_size]
        for line in kept.splitlines():
            self._step(line)
        if len(kept) < checkpoint.metrics_size or not kept.endswith(b"\n"):
            raise self._bad_metrics(f"{len(content):,} bytes")
        return kept

    def _step(self, line: bytes) -> float:
        """Return the step of a line, or infinity of one that is written at the end."""
        try:
            values = json.loads(line)
            return math.inf if "final" in values or "failed" in values else float(values["step"])
        except (ValueError, TypeError, KeyError) as error:
            raise self._bad_metrics(repr(line[:80])) from error

    def _bad_metrics(self, received: str) -> RunFolderError:
        return RunFolderError(
            f"{self.metrics}: must hold the run's lines up to its checkpoint, each a JSON object with a "
            f"step: {received}; put it back from a copy; if you changed it on purpose: "
            f"superloop doctor {self.path} --accept"
        )


class _Metrics:
    """The metrics file while lines are added to it."""

    def __init__(self, path: Path, content: bytes):
        self._path = path
        self.grows = True
        self._sha256 = hashlib.sha256(content)
        self._size = len(content)

    def add(self, line: bytes) -> None:
        descriptor = open_regular(self._path, os.O_WRONLY | os.O_APPEND)
        with open(descriptor, "ab") as file, NamedErrors(self._path, "cannot be written"):
            file.write(line)
            file.flush()
        self._sha256.update(line)
        self._size += len(line)

    def sync(self) -> None:
        """Wait until all lines are on the disk."""
        with open(open_regular(self._path), "rb") as file, NamedErrors(self._path, "cannot be written"):
            os.fsync(file.fileno())

    def entry(self) -> Entry:
        return Entry(sha256=self._sha256.hexdigest(), size=self._size, grows=self.grows)


def _is_taken(path: Path) -> bool:
    """Whether a folder holds more than a run leaves that was killed before it wrote its config."""
    left = (LOCK, MANIFEST)
    return any(entry.name not in left and not entry.name.startswith(TEMPORARY) for entry in path.iterdir())


def _text(config: Config) -> Callable[[Path], Any]:
    text = tomli_w.dumps(config.to_dict())
    return lambda path: path.write_text(text, encoding="utf-8")


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values by name, with None in the place of a number that is not finite."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
