"""All that is to be known of GPUs, with one command: what is right on them, and how fast it is.

    python -m venv peers && peers/bin/pip install "jax[cuda12]" dm-haiku torch dnc
    python tests/benchmarks/gpu.py --peers peers/bin/python > gpu.txt

The kit checks every plugin; every work of ``performance.py`` runs beside its peers, with and without XLA;
with two GPUs or more, a run trains on one and on two, and their weights are compared. To try this script
without a GPU: ``--anyway --work lstm-64``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
CONFIG = FOLDER.parents[1] / "docs/examples/learning/recall_key_value.toml"
SUPERLOOP = (sys.executable, "-m", "superloop_core.cli")


def show(title: str, *command: object) -> bool:
    """Run a command under a title, and return whether it succeeded."""
    print(f"\n## {title}\n", flush=True)
    environment = {**os.environ, "SUPERLOOP_BENCHMARK_GPU": "1"}
    status = subprocess.run([str(word) for word in command], env=environment, check=False).returncode
    if status:
        print(f"failed: exit status {status}", flush=True)
    return status == 0


def compare_runs(devices: str) -> bool:
    """Train a run on one device and on many, and compare their weights."""
    from superloop_plugin_lab.checkpoint import Checkpoint

    with tempfile.TemporaryDirectory() as place:
        one, many = Path(place) / "one", Path(place) / "many"
        steps = ("--steps", 200, "--set", "train.optimizer=sgd", "--set", "train.learning_rate=0.5")
        trained = show("One device", *SUPERLOOP, "train", CONFIG, "--out", one, *steps) and show(
            f"Many devices, {devices}", *SUPERLOOP, "train", CONFIG, "--out", many, *steps, *devices.split()
        )
        if not trained:
            return False
        weights = [Checkpoint.load(folder / "checkpoint.npz").variables for folder in (one, many)]
    apart = [np.linalg.norm(a - b) / max(1.0, np.linalg.norm(a)) for a, b in zip(*weights, strict=True)]
    print(f"largest distance of a weight, relative to its norm: {max(apart):.1e}", flush=True)
    return max(apart) < 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="a Python that has the peers installed")
    parser.add_argument("--work", action="append", default=[], help="of performance.py; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--anyway", action="store_true", help="go on without a GPU")
    arguments = parser.parse_args()
    doctor = subprocess.run([*SUPERLOOP, "doctor", "--json"], stdout=subprocess.PIPE, check=False)
    gpus = json.loads(doctor.stdout)["devices"].get("gpus", [])
    print(f"GPUs: {', '.join(gpus) or 'none'}", flush=True)
    if not gpus and not arguments.anyway:
        raise SystemExit("TensorFlow sees no GPU: pip install 'tensorflow[and-cuda]', or give --anyway")
    peers = ("--peers", arguments.peers) if arguments.peers else ()
    speed = (sys.executable, FOLDER / "performance.py")
    right = [
        show("The kit", *SUPERLOOP, "check-plugin", "--all"),
        show("Speed", *speed, *arguments.work, "--rounds", arguments.rounds, *peers),
    ]
    if len(gpus) > 1 or arguments.anyway:
        right.append(compare_runs("--devices 0,1" if gpus else "--workers 2"))
    raise SystemExit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
