"""Kill training runs at random moments, resume each to its end, and compare it with a run left alone.

    python tests/stress/kill_runs.py --kills 300

Half of the kills come at a random time, half at a random call that opens, moves or removes a file. A run is
killed up to four times before it may end. The report is printed as JSON; the exit status is 1 where a run was
lost or differs. Each run is a process forked from this one, which has imported TensorFlow and not used it.
"""

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import h5py
import numpy as np
import superloop_plugin_lab.experiment
import superloop_plugin_lab.report
import superloop_plugin_lab.training  # noqa: F401  imported once, before the forks
from superloop_plugin_lab.checkpoint import NESTS, Checkpoint
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_ndarray

import superloop_core.cli
from superloop_core.runs import FILES, LOCK, MANIFEST, Manifest, leftovers

CONFIG = """
[loop]
timesteps = 6
[[loop.cells]]
use = "lstm"
units = 4
dropout = 0.2
[[loop.systems]]
id = "tape"
use = "attention"
width = 10
[task]
use = "last_two_before_nine"
length = 4
[train]
steps = {steps}
batch_size = 8
log_every = 2
evaluate_every = 3
evaluate_on = 16
final_on = 32
xla = false
"""
STEPS = (9, 10)  # a multiple of evaluate_every, and none
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "tempfile.mkdtemp")
MAX_CALLS = 1000  # more than a run makes that open or change a file in its folder


def command(folder, config):
    """Return the command that starts a run or goes on with it."""
    if (folder / "config.toml").exists():
        return ["resume", str(folder)]
    return ["train", str(config), "--out", str(folder)]


def fork(arguments, temporary, output, *, at_call=None, folder=None):
    """Run a command in a forked process, which kills itself at the ``at_call``-th call on the folder."""
    process = os.fork()
    if process:
        return process
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        sys.stdout, sys.stderr = io.TextIOWrapper(os.fdopen(1, "wb")), io.TextIOWrapper(os.fdopen(2, "wb"))
        tempfile.tempdir = str(temporary)
        sys.argv = ["superloop", *arguments]
        if at_call is not None:
            kill_at_call(at_call, os.fspath(folder))
        superloop_core.cli.main()
        os._exit(0)
    except SystemExit as end:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException as error:
        sys.stderr.write(f"Traceback: {error!r}\n")
        sys.stderr.flush()
        os._exit(99)


def kill_at_call(number, folder):
    """Kill this process before the ``number``-th call that opens or changes a file in a folder."""
    left = number

    def watch(event, arguments):
        nonlocal left
        if event in CHANGES or (event == "open" and folder in str(arguments[0])):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def wait(process, seconds=None):
    """Wait for a process, and kill it after some seconds; return its status, None if it was killed."""
    end = None if seconds is None else time.monotonic() + seconds
    while end is not None and time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            break
        time.sleep(0.002)
    else:
        if end is not None:
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    return None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def arrays(file):
    """Return every array of an HDF5 file by its path."""
    found = {}
    file.visititems(
        lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {})
    )
    return found


def content(folder):
    """Return the numbers of a finished run folder, in a form that can be compared."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
    checkpoint = Checkpoint.load(folder / "checkpoint.npz")
    numbers = {"metrics": lines, "step": checkpoint.step, "generator": checkpoint.generator}
    numbers |= {nest: [array.tobytes() for array in getattr(checkpoint, nest)] for nest in NESTS}
    for name in ("best", "last"):
        with h5py.File(folder / f"{name}.weights.h5") as file:
            numbers[name] = {path: array.tobytes() for path, array in arrays(file).items()}
    with (
        zipfile.ZipFile(folder / "model.keras") as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file,
    ):
        numbers["model"] = {path: array.tobytes() for path, array in arrays(file).items()}
    return numbers


def points(folder):
    """Return the points of TensorBoard, each as often as it is there."""
    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        for record in RawEventFileLoader(str(path)).Load():
            event = Event.FromString(record)
            found += [(v.tag, event.step, float(make_ndarray(v.tensor))) for v in event.summary.value]
    return sorted(found)


def expected_points(lines):
    return sorted(
        (name, line["step"], float(np.float32(value)))
        for line in lines
        if "step" in line
        for name, value in line.items()
        if name != "step"
    )


def state_problems(folder):
    """Return what is wrong with a folder right after a kill."""
    manifest = Manifest.read(folder)
    if manifest is None:
        return [f"no {MANIFEST}" for name in FILES if (folder / name).exists()]
    return [f"{name} {difference}" for name, difference in manifest.differences().items()]


def end_problems(folder, temporary, reference):
    """Return what is wrong with a finished folder."""
    problems = state_problems(folder)
    now = content(folder)
    problems += [f"{name} differs" for name in reference if now[name] != reference[name]]
    if points(folder) != expected_points(now["metrics"]):
        problems.append("TensorBoard's points are not those of the metrics, each once")
    names = {path.name for path in folder.iterdir()}
    if names != {*FILES, MANIFEST, "tensorboard"} - {"task.json"}:  # which stored examples have
        problems.append(f"files: {sorted(names)}")
    left = [path.name for path in temporary.iterdir()]
    if left or list(leftovers(folder)) or (folder / LOCK).exists():
        problems.append(f"left: {left}, {list(leftovers(folder))}")
    return problems


def stress(kills, seed, place):
    """Kill runs until there are as many kills; return the report."""
    rng = random.Random(seed)
    references, seconds = {}, {}
    for steps in STEPS:
        config = place / f"{steps}.toml"
        config.write_text(CONFIG.format(steps=steps))
        folder, temporary = place / f"reference-{steps}", place / f"temporary-{steps}"
        temporary.mkdir()
        began = time.monotonic()
        status = wait(fork(["train", str(config), "--out", str(folder)], temporary, place / "log-reference"))
        seconds[steps] = time.monotonic() - began
        if status != 0:
            raise SystemExit(
                f"the run that is not killed ends with {status}:\n{(place / 'log-reference').read_text()}"
            )
        references[steps] = content(folder)
    report = {
        "seed": seed,
        "runs": 0,
        "kills": 0,
        "by_time": 0,
        "by_call": 0,
        "after_kill": {},
        "problems": [],
    }
    while report["kills"] < kills:
        number = report["runs"]
        report["runs"] += 1
        steps = rng.choice(STEPS)
        folder, temporary, log = (place / f"{name}{number}" for name in ("run", "temporary", "log"))
        temporary.mkdir()
        problems = []
        for _ in range(rng.randint(1, 4)):
            arguments = command(folder, place / f"{steps}.toml")
            if rng.random() < 0.5:
                way, after = "by_time", rng.uniform(0, 1.1 * seconds[steps])
                status = wait(fork(arguments, temporary, log), after)
            else:
                way, at = "by_call", int(MAX_CALLS ** rng.random())  # often early
                status = wait(fork(arguments, temporary, log, at_call=at, folder=folder))
            if status is not None:
                break
            report["kills"] += 1
            report[way] += 1
            if folder.is_dir():
                problems += state_problems(folder)
            here = (
                sorted(path.name for path in folder.iterdir() if path.name in FILES)
                if folder.is_dir()
                else []
            )
            state = f"{len(here)} files" if here else "no file"
            report["after_kill"][state] = report["after_kill"].get(state, 0) + 1
        status = wait(fork(command(folder, place / f"{steps}.toml"), temporary, log))
        said = log.read_text(errors="replace")
        complete = status == 2 and f"has taken {steps} steps" in said
        try:
            if status != 0 and not complete:
                problems.append(f"lost: the last command ended with {status}")
            problems += end_problems(folder, temporary, references[steps])
        except Exception as error:
            problems.append(f"lost: {error!r}")
        if "Traceback" in said:
            problems.append("a traceback")
        if problems:
            print(f"run {number}: {problems}", file=sys.stderr, flush=True)
            report["problems"].append({"run": number, "problems": problems, "log": said[-2000:]})
        else:
            for path in (folder, temporary):
                shutil.rmtree(path)
            log.unlink()
        if report["runs"] % 10 == 0:
            print(f"{report['runs']} runs, {report['kills']} kills", file=sys.stderr, flush=True)
    report["lost"] = sum(any("lost" in p for p in one["problems"]) for one in report["problems"])
    report["different"] = sum(any("differs" in p for p in one["problems"]) for one in report["problems"])
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        report = stress(arguments.kills, arguments.seed, Path(place))
    print(json.dumps(report, indent=2))
    sys.exit(1 if report["problems"] else 0)


if __name__ == "__main__":
    main()
