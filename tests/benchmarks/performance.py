"""How fast loops are built, train and predict, beside their peers, in one run.

    python -m venv peers && peers/bin/pip install -r tests/benchmarks/peers.txt
    python tests/benchmarks/performance.py --peers peers/bin/python

Every row is a process of its own, so that its peak memory is its own; the contenders take turns, and each
figure is the median of the rounds, in each of which a step's time is the median of 5. Ratios are of medians
of one run, to the first row: below 1 is faster. On a machine that others use, ``--one-core`` gives each
process one core and counts the time that it computes, in which it waits for nobody.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs
from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent / "contenders"
COLUMNS = (
    *("train ms", "ratio", "predict ms", "ratio"),
    *("build + first step s", "build + compile s", "ratio", "peak MB"),
)


@attrs.frozen
class Contender:
    """A function of a script, with its settings."""

    name: str
    script: str
    function: str
    settings: dict = attrs.field(factory=dict)
    environment: dict[str, str] = attrs.field(factory=dict)


def example(name: str, script: str = "ours", **settings: object) -> Contender:
    return Contender(name, script, "original_example", {"timesteps": 64} | settings)


def lstms(batch: int) -> list[Contender]:
    return [
        Contender("keras.layers.LSTM, nothing set", "ours", "keras_lstm", {"batch": batch}),
        Contender("keras.layers.LSTM, XLA", "ours", "keras_lstm", {"batch": batch, "jit_compile": True}),
        Contender("keras.layers.LSTM, unrolled", "ours", "keras_lstm", {"batch": batch, "unroll": True}),
        Contender("superloop, nothing set", "ours", "lstm", {"batch": batch}),
    ]


GPU = "SUPERLOOP_BENCHMARK_GPU" in os.environ  # set by gpu.py: with and without XLA too
PAGES_KEPT = {"TF_CPU_ALLOCATOR_USE_BFC": "1"}
# Of all rounds: the first one stores the programs, and the median is of those that find them.
PROGRAMS = Path(tempfile.gettempdir()) / "superloop-benchmark-programs"
PROGRAMS_STORED = {"TF_XLA_FLAGS": f"--tf_xla_persistent_cache_directory={PROGRAMS}"}


def memories(name: str, peer: Contender, cell: dict, system: dict, *batches: int) -> dict:
    """A memory beside a peer's, at each batch size; and what its controller alone takes."""

    def ours(batch: int) -> dict:
        return {"batch": batch, "cell": cell, "system": system}

    forms = {"XLA": {"jit_compile": True}, "no XLA": {"jit_compile": False}} if GPU else {}

    return {
        f"{name}-{batch}": [
            attrs.evolve(peer, settings={"batch": batch} | peer.settings),
            Contender("superloop, nothing set", "ours", "memory", ours(batch)),
            Contender("superloop, pages kept", "ours", "memory", ours(batch), PAGES_KEPT),
            Contender("superloop, no memory", "ours", "memory", ours(batch) | {"system": None}, PAGES_KEPT),
            *(
                Contender(f"superloop, {form}", "ours", "memory", ours(batch) | options)
                for form, options in forms.items()
            ),
        ]
        for batch in batches
    }


LSTM_100 = {"use": "lstm", "units": 100}
LSTM_256 = {"use": "lstm", "units": 256}
LRU_256 = {"use": "lru", "units": 256}
SLOTS = {"slots": 32, "key_size": 16, "width": 16, "heads": 4}
SLSTM = {"batch": 128, "cell": {"use": "slstm", "units": 100}, "system": None}
RUNS = {"use": "nondeterministic_stack", "states": 2, "symbols": 3}
WORKS = {
    "example-1024": [
        example("JAX lax.scan, jitted", "jax_peers", batch=1024),
        example("superloop, nothing set", batch=1024),
        example("superloop, optimizer built before", batch=1024, prepared=True),
        example("superloop, compile(jit_compile=True)", batch=1024, jit_compile=True),
    ],
    "example-64": [
        example("JAX lax.scan, jitted", "jax_peers", batch=64),
        example("superloop, nothing set", batch=64),
        example("superloop, optimizer built before", batch=64, prepared=True),
        attrs.evolve(
            example("the same, stored programs", batch=64, prepared=True), environment=PROGRAMS_STORED
        ),
    ],
    "example-timesteps": [
        example(f"superloop, {timesteps:,} timesteps", batch=64, timesteps=timesteps)
        for timesteps in (64, 256, 1024)
    ],
    "stack-rnn": [
        Contender("Haiku, jitted", "jax_peers", "stack_rnn"),
        Contender("superloop, nothing set", "ours", "stack_rnn"),
    ],
    "lstm-64": lstms(64),
    "lstm-1024": lstms(1024),
    **memories(
        *("tape", Contender("Haiku, jitted", "jax_peers", "tape_rnn")),
        *({"use": "simple_rnn", "units": 256}, {"use": "tape", "slots": 40, "width": 8}, 128),
    ),
    **memories(
        *("ntm", Contender("PyTorch", "torch_peers", "ntm")),
        *(LSTM_100, {"use": "ntm", "slots": 128, "width": 20}, 16, 128),
    ),
    **memories(
        *("dnc", Contender("dnc 1.1.0, PyTorch", "torch_peers", "dnc")),
        *(LSTM_100, {"use": "dnc", "slots": 128, "width": 20, "read_heads": 4}, 16, 128),
    ),
    **memories(
        *("sam", Contender("PyTorch", "torch_peers", "sam")),
        *(LSTM_100, {"use": "sam", "slots": 4096, "width": 16}, 16),
    ),
    **memories(
        *("neural-stack", Contender("PyTorch", "torch_peers", "neural_stack")),
        *(LSTM_256, {"use": "neural_stack", "width": 8}, 128),
    ),
    **memories(
        *("baby-ntm", Contender("PyTorch", "torch_peers", "baby_ntm")),
        *(LSTM_256, {"use": "baby_ntm", "slots": 40, "width": 8}, 128),
    ),
    **memories(
        *("nondeterministic-stack", Contender("PyTorch", "torch_peers", "nondeterministic_stack")),
        *(LSTM_256, RUNS, 16, 128),
    ),
    **memories(
        "nondeterministic-stack-of-vectors",
        Contender("PyTorch", "torch_peers", "nondeterministic_stack", {"width": 5}),
        *(LSTM_256, RUNS | {"width": 5}, 16, 128),
    ),
    **memories(
        *("ring", Contender("PyTorch", "torch_peers", "ring")),
        *(LSTM_100, {"use": "ring"} | SLOTS, 128),
    ),
    **memories(
        *("gated-slots", Contender("PyTorch", "torch_peers", "gated_slots")),
        *(LSTM_100, {"use": "gated_slots"} | SLOTS, 128),
    ),
    **memories(
        *("lmu", Contender("PyTorch", "torch_peers", "lmu")),
        *(LSTM_100, {"use": "lmu", "order": 16, "theta": 32.0, "signals": 8}, 128),
    ),
    **memories(
        *("ffm", Contender("PyTorch", "torch_peers", "ffm")),
        *(LSTM_100, {"use": "ffm", "channels": 32, "contexts": 4, "width": 32}, 128),
    ),
    "lru-128": [
        Contender("PyTorch", "torch_peers", "lru", {"batch": 128}),
        Contender(
            "superloop, nothing set", "ours", "memory", {"batch": 128, "cell": LRU_256, "system": None}
        ),
    ],
    **memories(
        *("mlstm", Contender("PyTorch", "torch_peers", "mlstm")),
        *(LSTM_100, {"use": "mlstm", "key_size": 20, "width": 20}, 128),
    ),
    **memories(
        *("ttt-linear", Contender("PyTorch", "torch_peers", "ttt_linear")),
        *(LSTM_100, {"use": "ttt_linear", "width": 20}, 128),
    ),
    **memories(
        *("titans", Contender("PyTorch", "torch_peers", "titans")),
        *(LSTM_100, {"use": "titans", "key_size": 20, "width": 20}, 128),
    ),
    **memories(
        *("gated-deltanet", Contender("PyTorch", "torch_peers", "gated_deltanet")),
        *(LSTM_100, {"use": "gated_deltanet", "key_size": 20, "width": 20}, 128),
    ),
    **memories(
        *("kda", Contender("PyTorch", "torch_peers", "kda")),
        *(LSTM_100, {"use": "kda", "key_size": 20, "width": 20}, 128),
    ),
    **memories(
        *("deltaproduct", Contender("PyTorch", "torch_peers", "deltaproduct")),
        *(LSTM_100, {"use": "deltaproduct", "key_size": 20, "width": 20}, 128),
    ),
    **memories(
        *("rwkv7", Contender("PyTorch", "torch_peers", "rwkv7")),
        *(LSTM_100, {"use": "rwkv7", "key_size": 20, "width": 20}, 128),
    ),
    **memories(
        *("mesa", Contender("PyTorch", "torch_peers", "mesa")),
        *(LSTM_100, {"use": "mesa", "key_size": 20, "width": 20}, 128),
    ),
    **memories(
        *("self-referential", Contender("PyTorch", "torch_peers", "self_referential")),
        *(LSTM_100, {"use": "self_referential", "inputs": 20, "width": 20}, 128),
    ),
    "slstm-128": [
        Contender("PyTorch", "torch_peers", "slstm", {"batch": 128}),
        Contender("superloop, nothing set", "ours", "memory", SLSTM),
        Contender("superloop, pages kept", "ours", "memory", SLSTM, PAGES_KEPT),
    ],
}


def measured(contender: Contender, peers: str | None, one_core: bool) -> dict[str, float]:
    """Run a contender in a fresh interpreter."""
    python = sys.executable if contender.script == "ours" else peers
    command = [python, FOLDER / f"{contender.script}.py", contender.function, json.dumps(contender.settings)]
    environment = os.environ | contender.environment
    if one_core:
        command = ["taskset", "--cpu-list", "0", *command]
        environment["SUPERLOOP_BENCHMARK_CLOCK"] = "process_time"
    done = subprocess.run(
        command, check=True, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    figures = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    figures["until"] = figures["build"] + figures["first train"]
    figures["once"] = figures["until"] - figures["train"]
    return figures


def show(work: str, peers: str | None, rounds: int, one_core: bool) -> None:
    """Print a table of one work."""
    contenders = [c for c in WORKS[work] if peers or c.script == "ours"]
    turns = [[measured(contender, peers, one_core) for contender in contenders] for _ in range(rounds)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(f"{work}, medians of {rounds}", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right")
    base = medians([turn[0] for turn in turns])
    for index, contender in enumerate(contenders):
        figures = medians([turn[index] for turn in turns])
        table.add_row(
            contender.name,
            f"{1000 * figures['train']:,.0f}",
            f"{figures['train'] / base['train']:.2f}",
            f"{1000 * figures['predict']:,.0f}",
            f"{figures['predict'] / base['predict']:.2f}",
            f"{figures['until']:.1f}",
            f"{figures['once']:.1f}",
            f"{figures['once'] / base['once']:.2f}",
            f"{figures['peak']:,.0f}",
        )
    Console(width=150).print(table, "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"all, or of: {', '.join(WORKS)}")
    parser.add_argument("--peers", help="a Python that has tests/benchmarks/peers.txt installed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one-core", action="store_true", help="the time that one core computes")
    arguments = parser.parse_args()
    if unknown := set(arguments.works) - set(WORKS):
        parser.error(f"no work {', '.join(sorted(unknown))}; there are: {', '.join(WORKS)}")
    for name in arguments.works or WORKS:
        show(name, arguments.peers, arguments.rounds, arguments.one_core)
