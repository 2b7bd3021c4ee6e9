"""Which worker of which cluster this process is, as its environment says."""

import json
import os
from collections.abc import Mapping
from typing import Any

import attrs

from superloop_core import ConfigError
from superloop_core.errors import short_repr

TF_CONFIG = "TF_CONFIG"
SLURM_TASKS = "SLURM_STEP_NUM_TASKS"  # set by srun, and not in a batch script itself
SLURM_PORT = 8888  # of the first task of a node; TensorFlow's
JOBS = ("chief", "worker")


@attrs.frozen(kw_only=True)
class Cluster:
    """All workers, and which of them this process is.

    Args:
        jobs: the addresses ``host:port`` of each job: ``worker``, and ``chief`` if there is one.
        job: that of this process.
        task: number of this process in its job.
        source: what says so: ``TF_CONFIG`` or ``SLURM``.
    """

    jobs: Mapping[str, list[str]]
    job: str
    task: int
    source: str

    @property
    def addresses(self) -> list[str]:
        """The addresses of all workers, the chief's first."""
        return [address for job in JOBS for address in self.jobs.get(job, ())]

    @property
    def index(self) -> int:
        """Number of this worker; 0 is the chief."""
        return self.task + (len(self.jobs.get("chief", ())) if self.job == "worker" else 0)

    @property
    def index_on_machine(self) -> int:
        """Number of this worker among those of its machine, which decides its GPU."""
        hosts = [address.rpartition(":")[0] for address in self.addresses]
        return hosts[: self.index].count(hosts[self.index])

    def name(self, index: int) -> str:
        """``worker 1 of 4 (host:port)``."""
        return f"worker {index} of {len(self.addresses)} ({self.addresses[index]})"


def is_named() -> bool:
    """Return whether the environment names a cluster; this process may be all of it."""
    return bool(_tf_config()) or _is_slurm_step()


def read_cluster() -> Cluster | None:
    """Read the cluster that ``TF_CONFIG`` names, or else the step of SLURM; None: this process is alone.

    Raises:
        ConfigError: what the environment says is no cluster of workers.
    """
    if text := _tf_config():
        cluster = _of_tf_config(text)
    elif _is_slurm_step():
        cluster = _of_slurm()
    else:
        return None
    return cluster if len(cluster.addresses) > 1 else None


def _tf_config() -> str:
    return os.environ.get(TF_CONFIG, "").strip()


def _is_slurm_step() -> bool:
    return os.environ.get(SLURM_TASKS, "").strip() not in ("", "1")


def _of_tf_config(text: str) -> Cluster:
    try:
        told = json.loads(text)
    except ValueError as error:
        raise _refused("must be JSON", f"{short_repr(text)} ({error})") from error
    cluster = told.get("cluster") if isinstance(told, dict) else None
    task = told.get("task") if isinstance(told, dict) else None
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise _refused("must have 'cluster' and 'task'", short_repr(told))
    jobs = {job: addresses for job, addresses in cluster.items() if job != "evaluator"}
    if unknown := sorted(set(jobs) - set(JOBS)):
        raise _refused("may have the jobs 'chief' and 'worker' only, as all workers train", repr(unknown[0]))
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise _refused(f"must have a list of addresses HOST:PORT as {job!r}", short_repr(addresses))
    if len(jobs.get("chief", ())) > 1:
        raise _refused("must have one 'chief'", short_repr(jobs["chief"]))
    every = [address for addresses in jobs.values() for address in addresses]
    if again := next((address for address in every if every.count(address) > 1), None):
        raise _refused("must have a different address for each worker", repr(again))
    job, index = task.get("type"), task.get("index")
    if not isinstance(job, str) or job not in jobs:
        raise _refused(f"must have one of {', '.join(map(repr, jobs))} as the task's 'type'", short_repr(job))
    index = int(index) if isinstance(index, str) and index.isdecimal() else index
    if type(index) is not int or not 0 <= index < len(jobs[job]):
        rule = f"must have 0 to {len(jobs[job]) - 1} as the task's 'index', of {len(jobs[job])} {job!r}"
        raise _refused(rule, short_repr(index))
    return Cluster(jobs=jobs, job=job, task=index, source=TF_CONFIG)


def _is_address(address: Any) -> bool:
    host, colon, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    return bool(host and colon and port.isdecimal() and 0 < int(port) < 2**16)


def _of_slurm() -> Cluster:
    """Read SLURM's variables by TensorFlow's resolver.

    It sorts the nodes by name, so that the number that SLURM gives to a process may be another's there; the
    node's name and the number on the node say which one it is.
    """
    import tensorflow as tf

    try:
        count = int(os.environ[SLURM_TASKS])
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            jobs={"worker": count},
            port_base=SLURM_PORT,
            gpus_per_node=count,
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        addresses = resolver.cluster_spec().as_dict()["worker"]
        node, number = os.environ["SLURMD_NODENAME"], int(os.environ["SLURM_LOCALID"])
        own = f"{node}:{SLURM_PORT + number}"
        return Cluster(jobs={"worker": addresses}, job="worker", task=addresses.index(own), source="SLURM")
    except (KeyError, ValueError, RuntimeError) as error:
        named = {name: value for name, value in sorted(os.environ.items()) if name.startswith("SLURM")}
        raise ConfigError(
            f"SLURM's variables do not say which of {os.environ[SLURM_TASKS]} tasks this process is: "
            f"{type(error).__name__}: {error}; start the command with srun: {short_repr(named)}"
        ) from error


def _refused(rule: str, received: str) -> ConfigError:
    return ConfigError(f"{TF_CONFIG} {rule}: {received}; correct it, or unset it to train in one process")
