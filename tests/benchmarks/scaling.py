"""What a step of two workers costs, how much of it is communication, and what to expect of more workers.

    python tests/benchmarks/scaling.py              # over the loopback of this machine
    python tests/benchmarks/scaling.py --network    # each message takes 0.25 ms, and 1 Gbit/s at most

Each worker has a core of its own. Of each model: the step of two workers, the sum over the workers alone, and
the step without it on the same rows; medians. From them, and the sum of vectors of other sizes, the times of
1 to 1,024 workers, each with the same rows or with its share of a fixed batch.
"""

import argparse
import json
import math
import os
import queue
import socket
import statistics
import subprocess
import sys
import threading
import time

from rich.console import Console
from rich.table import Table

MODELS = {
    "LSTM 128": ({"use": "lstm", "units": 128}, None),
    "LSTM 100, NTM 128 x 20": ({"use": "lstm", "units": 100}, {"use": "ntm", "slots": 128, "width": 20}),
    "LSTM 100, DNC 128 x 20": (
        {"use": "lstm", "units": 100},
        {"use": "dnc", "slots": 128, "width": 20, "read_heads": 4},
    ),
    "LSTM 1024": ({"use": "lstm", "units": 1024}, None),
}
ROWS, TIMESTEPS, SIZE = 64, 40, 8  # of the whole batch, which two workers share
VECTORS = (256, 65_536, 1_048_576)  # numbers
ROUNDS = 30
WORKERS = (1, 2, 4, 8, 16, 64, 256, 1024)
DELAY, RATE = 0.25e-3, 125e6  # seconds, bytes a second


def measure(index: int) -> None:
    """Be a worker: measure everything, and print it as JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[index]})
    from superloop_plugin_lab.distributed import ALONE, start_workers, training_step

    workers = start_workers()
    import keras
    import numpy as np
    import tensorflow as tf

    from superloop_core import Superloop

    def median(act) -> float:
        act()
        times = []
        for _ in range(ROUNDS):
            workers.total(np.zeros(1))  # begin together
            began = time.perf_counter()
            act()
            times.append(time.perf_counter() - began)
        return statistics.median(times)

    def summed(count: int):
        vector = tf.ones(count)
        add = tf.function(lambda: workers.sum([vector])[0], autograph=False)
        return lambda: add().numpy()

    found = {"vectors": {count: median(summed(count)) for count in VECTORS}, "models": {}}
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(ROWS, TIMESTEPS, SIZE)).astype("float32")
    targets = rng.normal(size=(ROWS, TIMESTEPS, SIZE)).astype("float32")
    for name, (cell, system) in MODELS.items():
        systems = [{"id": "memory", **system}] if system else []
        keras.utils.set_random_seed(0)
        given = keras.Input((TIMESTEPS, SIZE))
        loop = Superloop({"inputs": SIZE, "outputs": SIZE, "cells": [cell], "systems": systems})
        model = keras.Model(given, loop(given))

        def loss(targets, outputs):
            return tf.reduce_mean(tf.square(targets - outputs))

        steps = {}
        for key, (who, rows) in {"two": (workers, slice(None)), "one": (ALONE, slice(ROWS // 2))}.items():
            step = training_step(model, loss, keras.optimizers.Adam(1e-3), who)
            steps[key] = median(lambda step=step, rows=rows: step(inputs[rows], targets[rows]))
        count = sum(int(np.prod(weight.shape)) for weight in model.trainable_variables)
        steps |= {"weights": count, "sum": median(summed(count + 1))}
        found["models"][name] = steps
    if workers.is_chief:
        print(json.dumps(found))


def serve(port: int, target: int) -> None:
    """Pass connections to a port on to another one, as a network would: later, and not faster than it."""
    server = socket.create_server(("localhost", port))
    while True:
        near, _ = server.accept()
        try:
            far = socket.create_connection(("localhost", target))
        except OSError:  # it does not listen yet, and is tried again
            near.close()
            continue
        for source, sink in ((near, far), (far, near)):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pass_on, args=(source, sink), daemon=True).start()


def pass_on(source: socket.socket, sink: socket.socket) -> None:
    """Read, and send what was read when it would have arrived."""
    pending: queue.Queue[tuple[float, bytes]] = queue.Queue()

    def send() -> None:
        while True:
            due, content = pending.get()
            time.sleep(max(0.0, due - time.perf_counter()))
            sink.sendall(content)

    threading.Thread(target=send, daemon=True).start()
    free = 0.0  # when the link has sent what it was given
    while content := source.recv(65_536):
        free = max(free, time.perf_counter()) + len(content) / RATE
        pending.put((free + DELAY, content))


def run(network: bool) -> dict:
    """Start the two workers, and return what they measured."""
    own, links = ("localhost:7001", "localhost:7002"), (7011, 7012)
    processes = []
    for index in range(2):
        addresses = list(own)
        if network:
            other = 1 - index
            addresses[other] = f"localhost:{links[other]}"
            link = threading.Thread(target=serve, args=(links[other], 7001 + other), daemon=True)
            link.start()
        told = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        command = [sys.executable, __file__, "--worker", str(index)]
        environment = {**os.environ, "TF_CONFIG": json.dumps(told)}
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
    printed = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise SystemExit("a worker failed")
    return json.loads(printed[0].splitlines()[-1])


def link_of(vectors: dict[str, float]) -> tuple[float, float]:
    """Return the seconds of a message and of a byte, of which a sum over two workers takes two and all."""
    sizes = sorted((4 * int(count), seconds) for count, seconds in vectors.items())
    (small, least), (large, most) = sizes[0], sizes[-1]
    a_byte = (most - least) / (large - small)
    return (least - small * a_byte) / 2, a_byte


def sum_time(workers: int, size: int, message: float, a_byte: float) -> float:
    """Return the seconds of a sum over many workers: in a ring, or in a tree where that is faster."""
    if workers == 1:
        return 0.0
    ring = 2 * (workers - 1) * (message + size / workers * a_byte)
    tree = 2 * math.ceil(math.log2(workers)) * (message + size * a_byte)
    return min(ring, tree)


def print_tables(found: dict) -> None:
    message, a_byte = link_of(found["vectors"])
    print(f"a message {1e6 * message:.0f} us, {1 / a_byte / 1e6:,.0f} MB/s")
    table = Table("model", "weights", "kB a step", "step, 2 workers ms", "sum ms", "share", "step without ms")
    for name, model in found["models"].items():
        share = f"{model['sum'] / model['two']:.0%}"
        times = [f"{1e3 * model[key]:.1f}" for key in ("two", "sum")]
        size = f"{4 * (model['weights'] + 1) / 1e3:,.0f}"
        table.add_row(name, f"{model['weights']:,}", size, *times, share, f"{1e3 * model['one']:.1f}")
    console = Console(width=200)
    console.print(table)
    for fixed in (False, True):
        rule = f"a batch of {64 * 32:,} rows, shared" if fixed else "32 rows for each worker"
        table = Table(f"rows a second, {rule}", *map(str, WORKERS), title="times one worker")
        for name, model in found["models"].items():
            of_row, cells = model["one"] / 32, []
            for workers in WORKERS:
                rows = 2048 / workers if fixed else 32
                seconds = rows * of_row + sum_time(workers, 4 * model["weights"], message, a_byte)
                alone = 2048 * of_row if fixed else 32 * of_row
                cells.append(f"{(1 if fixed else workers) * alone / seconds:.3g}")
            table.add_row(name, *cells)
        console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", action="store_true", help="as over a network of 1 Gbit/s")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        return measure(arguments.worker)
    print_tables(run(arguments.network))


if __name__ == "__main__":
    main()
