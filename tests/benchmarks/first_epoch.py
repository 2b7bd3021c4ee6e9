"""How long the first epoch of ``fit`` takes, with what is compiled in it, and how long a later one.

    python tests/benchmarks/first_epoch.py

650 rows and 130 for validation, in batches of 64: the last batch of each is smaller. Every row is a process
of its own; the contenders take turns, and each figure is the median of the rounds. Seconds of all cores
change less than seconds on a machine that others use.
"""

import argparse
import statistics
import tempfile

from performance import LSTM_100, Contender, measured
from rich.console import Console
from rich.table import Table

COLUMNS = {
    "first epoch s": "first epoch",
    "all cores s": "first cores",
    "later s": "epoch",
    "all cores": "cores",
}
SYSTEMS = {
    "lstm": None,
    "stack": {"use": "stack", "depth": 30, "width": 8},
    "ntm": {"use": "ntm", "slots": 128, "width": 20},
    "dnc": {"use": "dnc", "slots": 64, "width": 20, "read_heads": 4},
}


def contenders(system: dict | None, cache: str) -> list[Contender]:
    loop = {"cell": LSTM_100, "system": system}
    stored = {"TF_XLA_FLAGS": f"--tf_xla_persistent_cache_directory={cache}"}
    ours = [
        Contender("superloop, jit_compile=False", "ours", "epochs", loop | {"jit_compile": False}),
        Contender("superloop, nothing set", "ours", "epochs", loop),
        Contender("superloop, stored programs", "ours", "epochs", loop, stored),
    ]
    return ours if system else [*ours, Contender("keras.layers.LSTM", "ours", "epochs")]


def show(name: str, rounds: int) -> None:
    """Print a table of one system."""
    with tempfile.TemporaryDirectory() as cache:
        chosen = contenders(SYSTEMS[name], cache)
        measured(chosen[2], None)  # which stores the programs
        turns = [[measured(contender, None) for contender in chosen] for _ in range(rounds)]
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(f"{name}, medians of {rounds}", no_wrap=True)
    for column in COLUMNS:
        table.add_column(column, justify="right")
        table.add_column("ratio", justify="right")
    medians = [
        {key: statistics.median(turn[index][key] for turn in turns) for key in turns[0][index]}
        for index in range(len(chosen))
    ]
    for contender, figures in zip(chosen, medians, strict=True):
        cells = [(f"{figures[key]:.2f}", f"{figures[key] / medians[0][key]:.2f}") for key in COLUMNS.values()]
        table.add_row(contender.name, *(text for cell in cells for text in cell))
    Console(width=150).print(table, "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=f"all, or of: {', '.join(SYSTEMS)}")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if unknown := set(arguments.systems) - set(SYSTEMS):
        parser.error(f"no system {', '.join(sorted(unknown))}; there are: {', '.join(SYSTEMS)}")
    for system in arguments.systems or SYSTEMS:
        show(system, arguments.rounds)
