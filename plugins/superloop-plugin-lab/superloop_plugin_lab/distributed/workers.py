"""The workers of a run, and what they tell each other."""

import json
import os
import re
import signal
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import click
import numpy as np

from superloop_core import ConfigError, SuperloopError, start_tensorflow
from superloop_core.errors import short_repr
from superloop_plugin_lab.distributed.cluster import Cluster, read_cluster

if TYPE_CHECKING:
    import keras

TASK = re.compile(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)")
SPREAD = 1_000_003  # between the seeds of two workers
LOST = "Aborted", "Cancelled", "DeadlineExceeded", "FailedPrecondition", "Internal", "Unavailable", "Unknown"


class WorkersError(SuperloopError):
    """A worker ended, or differs from the others."""


@attrs.frozen(kw_only=True, eq=False)
class Workers:
    """The workers that train together; all call the same methods in the same order.

    Args:
        cluster: their addresses; None: this process is the only one.
        strategy: TensorFlow's, which connects them.
    """

    cluster: Cluster | None = None
    strategy: Any = None
    _totals: dict[Any, Any] = attrs.field(factory=dict, init=False, repr=False)  # compiled, by dtype

    @property
    def count(self) -> int:
        """Number of workers."""
        return 1 if self.cluster is None else len(self.cluster.addresses)

    @property
    def index(self) -> int:
        """Number of this worker."""
        return 0 if self.cluster is None else self.cluster.index

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes files and prints."""
        return self.index == 0

    def rows(self, total: int) -> slice:
        """Return which rows of a batch are this worker's: as many as another's, or one more."""
        return slice(self.index * total // self.count, (self.index + 1) * total // self.count)

    def sum(self, tensors: Sequence[Any]) -> list[Any]:
        """Return the sum of each tensor over all workers; those of a dtype travel as one vector."""
        import tensorflow as tf

        if self.cluster is None:
            return list(tensors)
        sums: list[Any] = [None] * len(tensors)
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            of_dtype = [index for index, tensor in enumerate(tensors) if tensor.dtype == dtype]
            flat = tf.concat([tf.reshape(tensors[index], [-1]) for index in of_dtype], axis=0)
            sizes = [tf.size(tensors[index]) for index in of_dtype]
            parts = tf.split(self._all_reduce(flat), sizes, num=len(sizes))
            for index, part in zip(of_dtype, parts, strict=True):
                sums[index] = tf.ensure_shape(
                    tf.reshape(part, tf.shape(tensors[index])), tensors[index].shape
                )
        return sums

    def total(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sum of a vector over all workers, outside of a compiled function."""
        return numbers if self.cluster is None else self._total(numbers).numpy()  # type: ignore[no-any-return]

    def from_chief(self, content: bytes) -> bytes:
        """Return what the chief gives here; what others give is not used."""
        if self.cluster is None:
            return content
        size = int(self.total(np.array([len(content) if self.is_chief else 0]))[0])
        if not size:  # TensorFlow's sum of vectors without a number ends the process at times
            return b""
        mine = np.frombuffer(content, np.uint8) if self.is_chief else np.zeros(size, np.uint8)
        return self.total(mine.astype(np.int32)).astype(np.uint8).tobytes()

    def share(self, variables: Sequence[Any]) -> None:
        """Give every worker's variables the values of the chief's."""
        for variable in variables if self.count > 1 else ():
            mine = np.array(variable)
            told = np.frombuffer(self.from_chief(mine.tobytes()), mine.dtype)
            variable.assign(told.reshape(mine.shape))

    def check_same(self, content: bytes, rule: str) -> None:
        """Check that all workers give the same.

        Args:
            content: such as a config.
            rule: that is broken otherwise, for the message of the error.

        Raises:
            WorkersError: they do not; all of them raise it.
        """
        sums = np.zeros(self.count)
        sums[self.index] = zlib.crc32(content)
        sums = self.total(sums)
        if different := [index for index in range(self.count) if sums[index] != sums[0]]:
            assert self.cluster is not None
            name = self.cluster.name(different[0])
            raise WorkersError(f"{rule}: {name} has another one than the chief, {self.cluster.name(0)}")

    def spread_seeds(self, generators: Sequence["keras.random.SeedGenerator"]) -> None:
        """Give the generators seeds of this worker, after all workers gave them the same."""
        for generator in generators:
            state = np.array(generator.state)
            state[0] += np.asarray(self.index * SPREAD).astype(state.dtype)
            generator.state.assign(state)

    def resume_command(self, folder: Path) -> str:
        """Return the command that goes on with the run of a folder."""
        local = self.cluster is not None and all(
            one.startswith("localhost:") for one in self.cluster.addresses
        )
        return f"superloop resume {folder}{f' --workers {self.count}' if local else ''}"

    @contextmanager
    def watched(self, move: str = "") -> Iterator[None]:
        """Raise a :class:`WorkersError` that names the worker that ended, in place of TensorFlow's error.

        Args:
            move: what to do then.
        """
        if self.cluster is None:
            yield
            return
        import tensorflow as tf

        try:
            yield
        except tf.errors.OpError as error:
            if type(error).__name__.removesuffix("Error") not in LOST:
                raise
            what = f"{self._who_ended(str(error))}, and no step can be taken without it"
            raise WorkersError("; ".join(filter(None, (what, move)))) from error

    def _all_reduce(self, vector: Any) -> Any:
        import tensorflow as tf

        def reduce(mine: Any) -> Any:
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(mine))

        return self.strategy.run(reduce, (vector,))

    def _total(self, numbers: np.ndarray) -> Any:
        import tensorflow as tf

        if numbers.dtype not in self._totals:
            signature = [tf.TensorSpec([None], numbers.dtype)]
            self._totals[numbers.dtype] = tf.function(self._all_reduce, signature, autograph=False)
        return self._totals[numbers.dtype](numbers)

    def _who_ended(self, text: str) -> str:
        assert self.cluster is not None
        found = [(job, int(task)) for job, task in TASK.findall(text)]
        others = [task for task in found if task != (self.cluster.job, self.cluster.task)]
        if not others:
            return f"another worker ended or cannot be reached: {short_repr(text.strip().splitlines()[-1])}"
        job, task = others[0]
        index = attrs.evolve(self.cluster, job=job, task=task).index
        return f"{self.cluster.name(index)} ended or cannot be reached"


ALONE = Workers()


def start_workers() -> Workers:
    """Connect to the workers that ``TF_CONFIG`` or SLURM names; :data:`ALONE` where neither does.

    Call it before TensorFlow computes anything. It returns once all workers are there. A worker gets one
    GPU of its machine, if there are any.

    Raises:
        ConfigError: what the environment says is no cluster of workers, or there are too few GPUs for them.
        WorkersError: TensorFlow has computed something already, or cannot listen at this worker's address.
    """
    cluster = read_cluster()
    if cluster is None:
        return ALONE
    start_tensorflow()
    import tensorflow as tf

    task = {"type": cluster.job, "index": cluster.task}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": dict(cluster.jobs), "task": task})
    if cluster.index == 0:
        click.echo(f"{cluster.name(0)}: waiting for the others", err=True)
    try:
        _take_gpu(cluster, tf.config.list_physical_devices("GPU"))
        with _ended_by_signals():  # TensorFlow waits in C++
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, ValueError, tf.errors.OpError) as error:
        own = cluster.name(cluster.index)
        raise WorkersError(f"{own}: cannot connect to the others: {type(error).__name__}: {error}") from error
    return Workers(cluster=cluster, strategy=strategy)


def _take_gpu(cluster: Cluster, gpus: Sequence[Any]) -> None:
    """Let this worker see one GPU, where there are any.

    Raises:
        ConfigError: there are fewer than the environment names, or than workers on this machine.
    """
    import tensorflow as tf

    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if len(gpus) < sum(part.isdecimal() for part in named.split(",")):
        raise ConfigError(
            f"--devices or CUDA_VISIBLE_DEVICES names {named!r}, and TensorFlow sees {len(gpus)} of them; "
            "see superloop doctor, or name others"
        )
    if gpus and cluster.index_on_machine >= len(gpus):
        raise ConfigError(
            f"{cluster.name(cluster.index)}: is number {cluster.index_on_machine + 1} of its machine, which "
            f"has {len(gpus)} GPUs; start fewer workers, or hide the GPUs: CUDA_VISIBLE_DEVICES=-1"
        )
    if gpus:
        tf.config.set_visible_devices(gpus[cluster.index_on_machine], "GPU")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C end the process while TensorFlow waits in C++, and SIGTERM from then on.

    TensorFlow handles SIGTERM from its start on, and does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_DFL)
    on_end = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, on_interrupt)
        signal.signal(signal.SIGTERM, on_end or signal.SIG_DFL)
