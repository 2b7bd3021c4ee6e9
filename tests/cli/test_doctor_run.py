"""``superloop doctor RUN_DIR``."""

import json
import os
import shutil
from pathlib import Path

import pytest

from superloop_core.runs import LOCK, MANIFEST, TEMPORARY, Manifest, locked

FINISHED = Path(__file__).parents[1] / "golden/version_0_1/run_folders/finished"
CONFIG = '[loop]\ninputs = 2\n[[loop.cells]]\nuse = "gru"\nunits = 3\n'


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run[/]"
    path.mkdir(parents=True)
    names = ("config.toml", "model.keras")
    Manifest(folder=path).write({name: lambda path: path.write_text(path.name) for name in names}, {})
    return path


def test_a_folder_as_the_run_wrote_it_has_no_problem(superloop, folder):
    report = json.loads(superloop("doctor", folder, "--json").stdout)
    assert report == {
        "run_folder": str(folder),
        "run": Manifest.read(folder).run,
        "files": {"config.toml": "as the run wrote it", "model.keras": "as the run wrote it"},
        "notes": [],
        "problems": [],
    }
    shown = superloop("doctor", folder).stdout
    assert str(folder) in shown
    assert "No problem was found." in shown


def test_what_differs_is_listed_with_the_next_move(superloop, folder):
    (folder / "config.toml").write_text("mine")
    (folder / "model.keras").unlink()
    (folder / "metrics.jsonl").write_text("")
    shown = superloop("doctor", folder, status=1).stdout
    assert f"problem: {folder / 'config.toml'}: has 4 bytes, and had 11 when the run wrote it" in shown
    assert f"problem: {folder / 'model.keras'}: is missing" in shown
    assert "metrics.jsonl  is not in manifest.json" in shown
    assert "Put each file back from a copy of the folder. If a person changed it on purpose, record" in shown


def test_a_change_is_accepted_once_and_the_run_keeps_its_id(superloop, folder):
    run = Manifest.read(folder).run
    (folder / "config.toml").write_text(CONFIG)
    report = json.loads(superloop("doctor", folder, "--accept", "--json").stdout)
    assert report["run"] == run
    assert report["files"]["config.toml"] == "changed by a person, and accepted"
    assert report["files"]["model.keras"] == "as the run wrote it"
    assert not (folder / LOCK).exists()
    (folder / "config.toml").write_text(CONFIG + "# mine again")
    superloop("doctor", folder, status=1)


def test_what_a_kill_left_is_noted_and_no_problem(superloop, folder):
    (folder / LOCK).write_text(json.dumps({"pid": 7, "host": "elsewhere", "since": "then"}))
    (folder / f"{TEMPORARY}x").mkdir()
    before = sorted(os.listdir(folder))
    notes = json.loads(superloop("doctor", folder, "--json").stdout)["notes"]
    assert notes == [
        "lock: process 7 on elsewhere (since then) is writing the folder, or was killed, which cannot be "
        "checked from this machine",
        f"left by writes that were cut short, or under way: {TEMPORARY}x",
    ]
    assert sorted(os.listdir(folder)) == before


def test_a_folder_of_version_0_1_has_nothing_to_compare_with_until_it_is_accepted(superloop, tmp_path):
    folder = shutil.copytree(FINISHED, tmp_path / "run")
    report = json.loads(superloop("doctor", folder, "--json").stdout)
    assert "there is no manifest.json, so nothing could be compared" in report["notes"][0]
    assert "No problem" not in superloop("doctor", folder).stdout
    superloop("doctor", folder, "--accept")
    (folder / "model.keras").write_text("")
    superloop("doctor", folder, status=1)


def cut(path):
    os.truncate(path, path.stat().st_size - 30)


def flip(path):
    content = bytearray(path.read_bytes())
    content[content.index(b"variables.0.npy") + 200] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "config.toml": (lambda path: path.write_text(CONFIG.replace("units", "unit")), "no setting 'unit'"),
    "metrics.jsonl": (lambda path: path.write_text('{"step": 1}\n[2]\n'), "AttributeError"),
    "checkpoint.npz": (cut, "BadZipFile: File is not a zip file"),
    "a flipped bit": (flip, "variables.0.npy is damaged"),
    "model.keras": (cut, "File is not a zip file"),
    "best.weights.h5": (cut, "truncated file"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_file_that_no_command_could_read_is_not_accepted(superloop, tmp_path, case):
    folder = shutil.copytree(FINISHED, tmp_path / "run")
    superloop("doctor", folder, "--accept")
    before = (folder / MANIFEST).read_bytes()
    damage, why = DAMAGES[case]
    name = "checkpoint.npz" if case == "a flipped bit" else case
    damage(folder / name)
    error = str(superloop("doctor", folder, "--accept", status=1).exception)
    assert error.startswith(f"{folder / name}: is not accepted, as it cannot be read: ")
    assert why in error
    assert "; put it back from a copy; without a copy, " in error
    assert (folder / MANIFEST).read_bytes() == before


def test_nothing_is_accepted_in_a_folder_that_another_process_writes_or_that_is_no_run_folder(
    superloop, folder, tmp_path
):
    (folder / "config.toml").write_text("mine")
    with locked(folder):
        done = superloop("doctor", folder, "--accept", status=1)
        assert "is writing it; wait for its end" in str(done.exception)
    done = superloop("doctor", tmp_path, "--accept", status=1)
    assert str(done.exception) == f"{tmp_path}: not a folder that `superloop train` wrote: no config.toml"
    done = superloop("doctor", tmp_path / "none", status=1)
    assert str(done.exception).endswith("none: no such folder; give a folder that `superloop train` wrote")
    assert "--accept needs a RUN_DIR" in superloop("doctor", "--accept", status=2).output
