"""The run folder of a worker that writes none, and what the chief tells of its own."""

import json
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from superloop_core.config import Config
from superloop_plugin_lab.checkpoint import Checkpoint
from superloop_plugin_lab.distributed.workers import Workers
from superloop_plugin_lab.run_folder import RunFolder


@attrs.define
class ToldFolder(RunFolder):
    """The chief's run folder for another worker: it need not reach the folder, and writes nothing."""

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Do nothing."""
        yield

    def begin(self, config: Config, task_state: Mapping[str, Any] | None = None) -> None:
        """Do nothing."""

    def rewind(
        self, config: Config, checkpoint: Checkpoint, files: Mapping[str, Callable[[Path], Any]]
    ) -> None:
        """Do nothing."""

    def write(self, files: Mapping[str, Callable[[Path], Any]], *, closes: bool = False) -> None:
        """Do nothing."""

    def add_metrics(self, **values: Any) -> None:
        """Do nothing."""

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return no line; the chief tells those that matter."""
        return []


@attrs.frozen(kw_only=True, eq=False)
class Start:
    """What a stopped run starts again from.

    Args:
        config: the run's, a file or its tables.
        task_state: what its task learned from stored examples.
        checkpoint: None: the run was killed before its first one.
    """

    config: Path | Mapping[str, Any]
    task_state: Mapping[str, Any] | None
    checkpoint: Checkpoint | None


def read_start(folder: RunFolder, workers: Workers) -> Start:
    """Read what the run of a folder starts again from, on the chief, and tell all workers.

    Raises:
        RunFolderError: the folder is damaged.
        WeightsError: its checkpoint cannot be read.
    """
    start, files, state = None, [b"", b""], b""
    if workers.is_chief:
        checkpoint = folder.read_start()
        task_state = folder.read_task_state() if checkpoint else None
        start = Start(config=folder.config, task_state=task_state, checkpoint=checkpoint)
        if workers.count > 1:
            files = [folder.config.read_bytes(), folder.checkpoint.read_bytes() if checkpoint else b""]
            state = json.dumps(task_state).encode()
    config, content, state = (workers.from_chief(told) for told in (*files, state))
    if start is not None:
        return start
    return Start(
        config=tomllib.loads(config.decode()), task_state=json.loads(state), checkpoint=_load(content)
    )


def _load(content: bytes) -> Checkpoint | None:
    if not content:
        return None
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "checkpoint.npz"
        path.write_bytes(content)
        return Checkpoint.load(path)
