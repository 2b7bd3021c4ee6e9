"""No file of a run folder that was damaged is used; `tox -e stress` damages thousands."""

import os
import random
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from superloop_core.cli import cli
from superloop_core.errors import SuperloopError
from superloop_core.registry import load_registry

RUN = Path(__file__).parents[1] / "golden" / "version_0_1" / "run_folders" / "finished"
READ = ("config.toml", "model.keras")  # by eval and trace; resume reads all


def flip(content, rng):
    changed = bytearray(content)
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(content, rng):
    return content[: rng.randrange(len(content))]


def grow(content, rng):
    return content + rng.randbytes(rng.randint(1, 100))


def overwrite(content, rng):
    start = rng.randrange(len(content))
    size = rng.randint(1, 512)
    return content[:start] + rng.randbytes(size) + content[start + size :]


def exchange(content, rng):
    lines = content.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def empty(content, rng):
    return b""


def delete(content, rng):
    return None


DAMAGES = (flip, cut, grow, overwrite, exchange, empty, delete)


def silent_damages(count, seed, place):
    """Damage files of a run folder, one at a time; return the damages that a command did not refuse."""
    rng = random.Random(seed)
    load_registry().add_commands(cli)
    folder = place / "run"
    shutil.copytree(RUN, folder)
    assert CliRunner().invoke(cli, ["doctor", str(folder), "--accept"]).exit_code == 0
    names = sorted(path.name for path in RUN.iterdir())
    silent, done = [], 0
    while done < count:
        name, damage = rng.choice(names), rng.choice(DAMAGES)
        content = (folder / name).read_bytes()
        damaged = damage(content, rng)
        if damaged == content:
            continue
        done += 1
        command = rng.choice(("resume", "eval", "trace") if name in READ else ("resume",))
        more = ["--out", str(place / "traces.npz")] if command == "trace" else []
        (folder / name).unlink() if damaged is None else (folder / name).write_bytes(damaged)
        error = CliRunner().invoke(cli, [command, str(folder), *more]).exception
        if not isinstance(error, SuperloopError) or str(folder / name) not in str(error):
            silent.append((name, damage.__name__, command, repr(error)))
        (folder / name).write_bytes(content)
    assert CliRunner().invoke(cli, ["doctor", str(folder)]).exit_code == 0
    return silent


@pytest.mark.slow
def test_a_hundred_damages_are_refused(tmp_path):
    assert silent_damages(100, 1, tmp_path) == []


@pytest.mark.stress
def test_thousands_of_damages_are_refused(tmp_path):
    count = int(os.environ.get("SUPERLOOP_STRESS_DAMAGES", "2000"))
    assert silent_damages(count, int(os.environ.get("SUPERLOOP_STRESS_SEED", "0")), tmp_path) == []
