"""Start the workers of this machine, and wait for them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO

import attrs
import click

from superloop_core import ConfigError
from superloop_plugin_lab.distributed.cluster import is_named, read_cluster

GRACE = 30.0  # seconds that the others get to end by themselves, once a worker ended with an error
ENDING = 5.0  # seconds that workers get to end by themselves after SIGTERM
LAST = 4000  # bytes of what a worker printed
INTERRUPTED = 130  # exit status after Ctrl-C
PROCESS = "superloop_plugin_lab.distributed.process"

is_supervised = False  # whether this process is one of PROCESS, which sets it


@attrs.define
class Ending:
    """When workers that were asked to end are killed."""

    deadline: float = float("inf")


def launch(
    arguments: Sequence[str], workers: int, devices: Sequence[int] = (), *, check: Sequence[str]
) -> int:
    """Run a command of ``superloop`` in many processes on this machine, and return its exit status.

    The chief prints as usual; what another worker prints is shown where that worker is the first to fail.

    Args:
        arguments: the command and its arguments.
        workers: number of processes.
        devices: numbers of the GPUs, one for each worker; empty: all that are visible.
        check: another command, which must succeed before; it prints errors only, and has no GPU.

    Raises:
        ConfigError: this process is a worker of a cluster already.
    """
    if (cluster := read_cluster()) is not None:
        raise ConfigError(
            f"--workers: this process is {cluster.name(cluster.index)} already, as {cluster.source} says; "
            f"leave --workers out, or unset {cluster.source}"
        )
    if status := _exit_status(check):
        return status
    addresses = [f"localhost:{port}" for port in _free_ports(workers)]
    with ExitStack() as stack:
        printed = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(workers)]
        processes = [
            _start(arguments, addresses, index, devices, None if index == 0 else printed[index])
            for index in range(workers)
        ]
        stack.callback(_kill, processes)
        with _passed_on(processes) as ending:
            first = _wait(processes, ending)
        statuses = [process.returncode for process in processes]
        if first is not None and (first > 0 or statuses[0] < 0) and statuses[first] != INTERRUPTED:
            signaled = statuses[first] < 0
            how = f"was ended by {signal.Signals(-statuses[first]).name}" if signaled else "failed"
            click.echo(f"superloop: worker {first} of {workers} {how}{_last(printed[first])}", err=True)
            if first == 0:
                click.echo("superloop: start all workers again with resume, or train --resume", err=True)
    return _status(statuses, ending)


def needs_supervision() -> bool:
    """Return whether a scheduler or a user, and not this module, started this process as a worker."""
    return is_named() and not is_supervised


def supervise(arguments: Sequence[str]) -> int:
    """Run a command of ``superloop`` as the worker that the environment names, and return its exit status.

    The worker is a process of its own: while it connects to the others, TensorFlow ignores SIGTERM, and
    nothing within that process can act.

    Args:
        arguments: the command and its arguments.
    """
    worker = _process(arguments, 0, 1, os.environ, process_group=0)  # the terminal's Ctrl-C comes here only
    return _ended(worker, interrupts=True)


def _status(statuses: Sequence[int], ending: Ending) -> int:
    """Return the exit status for those of processes, of which a negative one is the signal that ended it."""
    if ending.deadline < float("inf") and any(statuses):
        return 128 + signal.SIGTERM
    return max(128 - status if status < 0 else status for status in statuses)


def _exit_status(command: Sequence[str]) -> int:
    """Run a command of ``superloop`` in a process of its own, and return its exit status."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    return _ended(_process(command, 0, 1, environment, stdout=subprocess.DEVNULL))


def _ended(process: subprocess.Popen[bytes], *, interrupts: bool = False) -> int:
    """Wait for a process while signals are passed on to it, and return its exit status."""
    with process:
        try:
            with _passed_on([process], interrupts=interrupts) as ending:
                _wait([process], ending)
        finally:
            _kill([process])
    return _status([process.returncode], ending)


def _start(
    arguments: Sequence[str],
    addresses: list[str],
    index: int,
    devices: Sequence[int],
    printed: IO[bytes] | None,
) -> subprocess.Popen[bytes]:
    config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment: Mapping[str, str] = {**os.environ, "TF_CONFIG": json.dumps(config)}
    if devices:
        environment = {**environment, "CUDA_VISIBLE_DEVICES": ",".join(map(str, devices))}
    stdout = None if printed is None else subprocess.DEVNULL
    return _process(arguments, index, len(addresses), environment, stdout=stdout, stderr=printed)


def _process(
    arguments: Sequence[str],
    index: int,
    count: int,
    environment: Mapping[str, str],
    *,
    stdout: int | None = None,
    stderr: IO[bytes] | None = None,
    process_group: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that ends with this one, and has a part of the cores.

    Args:
        arguments: the command and its arguments.
        index: which part of the cores.
        count: number of parts.
        environment: its variables.
        stdout: takes what it prints there; None: it is shown.
        stderr: the same.
        process_group: 0: one of its own; None: that of this process.
    """
    return subprocess.Popen(
        [sys.executable, "-m", PROCESS, str(index), str(count), *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        process_group=process_group,
    )


def _wait(processes: Sequence[subprocess.Popen[bytes]], ending: Ending) -> int | None:
    """Wait for all processes, and kill those that are left some time after one ended with an error.

    Those that are left some time after SIGTERM are killed too: TensorFlow ignores it while it connects.

    Returns:
        the number of the first process that ended with an error; None: none did.
    """
    first, deadline = None, float("inf")
    while any(process.poll() is None for process in processes):
        if first is None:
            failed = [index for index, process in enumerate(processes) if process.poll()]
            if failed:
                first = min(failed, key=lambda index: processes[index].returncode)  # one that a signal ended
                deadline = time.monotonic() + GRACE
        if time.monotonic() > min(deadline, ending.deadline):
            _kill(processes)
        time.sleep(0.05)
    return (
        first if first is not None else next((i for i, one in enumerate(processes) if one.returncode), None)
    )


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


@contextmanager
def _passed_on(processes: Sequence[subprocess.Popen[bytes]], *, interrupts: bool = False) -> Iterator[Ending]:
    """Pass SIGTERM on, and Ctrl-C too if ``interrupts``; a terminal sends it to all of its own group."""
    ending = Ending()

    def interrupt(*_: object) -> None:
        for process in processes if interrupts else ():
            process.send_signal(signal.SIGINT)

    def end(*_: object) -> None:
        ending.deadline = min(ending.deadline, time.monotonic() + ENDING)
        for process in processes:
            process.terminate()

    before = {
        number: signal.signal(number, handler)
        for number, handler in ((signal.SIGINT, interrupt), (signal.SIGTERM, end))
    }
    try:
        yield ending
    finally:
        for number, former in before.items():
            signal.signal(number, former or signal.SIG_DFL)  # None: C code had set it


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in held:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in held]


def _last(printed: IO[bytes]) -> str:
    """Return the last lines that a worker printed, indented."""
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - LAST))
    lines = printed.read().decode(errors="replace").strip().splitlines()
    lines = [line for line in lines if not _is_log(line)][-5:]
    return "".join(f"\n  {line}" for line in lines)


def _is_log(line: str) -> bool:
    """Return whether a line is TensorFlow's."""
    return re.match(r"[IWEF]\d{4} |WARNING: All log messages before absl", line) is not None
