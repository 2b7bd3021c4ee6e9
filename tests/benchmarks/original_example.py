"""The original superloop's README example: what building, compiling, training and predicting take.

    python tests/benchmarks/original_example.py             # the example, batch 1,024
    python tests/benchmarks/original_example.py --static    # unrolled statically too, which takes minutes
    python tests/benchmarks/original_example.py --timesteps # does building grow with timesteps? batch 64

SGU, 32 layers of 16 units, 64 timesteps, attention over 16 x 1, RMSprop. Each row is a process of its own,
so that its peak memory is its own; a step's time is the median of several.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

from rich.console import Console
from rich.table import Table

# Measured on 2 cores of another machine of this kind, and kept here to compare with.
RECORDED = {
    "recorded: the original, TensorFlow 1.10, Keras 2.2.2": (74, 827, 1241, 183, 5755),
    "recorded: JAX lax.scan, jitted": (None, 4.7, 1069, 61, 1399),
}
STEPS = 5


def measure(timesteps: int, batch: int, xla: bool, static: bool) -> dict[str, float]:
    """Build, train and predict in this process."""
    import keras
    import numpy as np

    import superloop_core

    config = {
        "timesteps": timesteps,
        "model_inputs": 2,
        "model_outputs": 0,
        "recurrent_model": "SGU",
        "recurrent_layers": 32,
        "recurrent_units": 16,
        "superloop_models": ["Attention"],
        "Attention": {"datapoints": 16, "outputs": 1},
    }
    rng = np.random.default_rng(0)
    inputs = [
        np.zeros((batch, timesteps, 2), "float32"),
        rng.integers(0, 5, (batch, 16, 1)).astype("float32"),
    ]
    targets = rng.integers(0, 15, (batch, 1)).astype("float32")

    began = time.perf_counter()
    loop = superloop_core.Model(config, unroll=static)
    fed, _ = loop.build_all()
    system = loop.superloop_models[0]
    model = keras.Model([fed, system.data], system.position)
    model.compile(keras.optimizers.RMSprop(4e-4), "mse", jit_compile=xla)
    figures = {"build": time.perf_counter() - began}
    for name, call in (
        ("train", lambda: model.train_on_batch(inputs, targets)),
        ("predict", lambda: model.predict_on_batch(inputs)),
    ):
        times = []
        for _ in range(1 + STEPS):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        figures[f"first {name}"], figures[name] = times[0], statistics.median(times[1:])
    figures["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def in_a_process_of_its_own(**what: object) -> dict[str, float]:
    """Run :func:`measure` in a fresh interpreter."""
    command = [sys.executable, __file__, "--measure", json.dumps(what)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout.splitlines()[-1])


def table_of(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(columns[0])
    for name in columns[1:]:
        table.add_column(name, justify="right")
    return table


def show_example(static: bool) -> None:
    """Print the example's figures beside the recorded ones."""
    table = table_of("batch 1,024", "build s", "first step s", "step ms", "predict ms", "peak MB")
    for name, figures in RECORDED.items():
        table.add_row(name, *("" if figure is None else f"{figure:,}" for figure in figures))
    modes = [("dynamic loop", False, False), ("dynamic loop, XLA", True, False)]
    modes += [("static", False, True)] if static else []
    for name, xla, unrolled in modes:
        figures = in_a_process_of_its_own(timesteps=64, batch=1024, xla=xla, static=unrolled)
        table.add_row(
            name,
            f"{figures['build']:.1f}",
            f"{figures['first train']:.1f}",
            f"{1000 * figures['train']:,.0f}",
            f"{1000 * figures['predict']:,.0f}",
            f"{figures['peak']:,.0f}",
        )
    Console(width=120).print(table)


def show_timesteps() -> None:
    """Print what building and compiling take as the timesteps grow, and their ratio to 64's."""
    table = table_of("batch 64", "timesteps", "build + compile s", "ratio", "step ms", "peak MB")
    for name, xla in (("dynamic loop", False), ("dynamic loop, XLA", True)):
        base = None
        for timesteps in (64, 256, 1024):
            figures = in_a_process_of_its_own(timesteps=timesteps, batch=64, xla=xla, static=False)
            once = figures["build"] + figures["first train"] - figures["train"]
            base = base or once
            table.add_row(
                name,
                f"{timesteps:,}",
                f"{once:.1f}",
                f"{once / base:.2f}",
                f"{1000 * figures['train']:,.0f}",
                f"{figures['peak']:,.0f}",
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("--timesteps", action="store_true")
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(**arguments.measure)))
    elif arguments.timesteps:
        show_timesteps()
    else:
        show_example(arguments.static)
