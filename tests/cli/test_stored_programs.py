"""Programs that one process compiles and the next one loads."""

import errno
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("stored on Linux only", allow_module_level=True)

import fcntl

from superloop_core.cli import stored_programs
from superloop_core.cli.stored_programs import FLAGS, SWITCH, use_stored_programs

# An entry with key, computation and program, as TensorFlow writes them.
WHOLE = b"\x0a\x02ke\x12\x03hlo\x1a\x04code"
PROGRAM = """
import os
from superloop_core import start_tensorflow
start_tensorflow()
import tensorflow as tf

@tf.function(jit_compile=True, autograph=False)
def compiled(numbers):
    return tf.linalg.matmul(tf.tanh(numbers), numbers)

print(compiled(tf.reshape(tf.range(900.0), (30, 30)) / 7).numpy().tobytes().hex(), flush=True)
os.write(2, b"the last words of compiled code\\n")
os.abort()
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder in the place of the user's cache."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setenv(SWITCH, "1")
    monkeypatch.setenv(FLAGS, "")
    return folder


@pytest.fixture
def start(cache, monkeypatch):
    """Does what a process does when it starts, after the one before has ended; gives its folder."""

    def end():
        for link in list(Path("/proc/self/fd").iterdir()):
            with suppress(OSError):  # the listing's own
                if os.readlink(link).startswith(str(cache)):
                    os.close(int(link.name))

    def run():
        end()
        monkeypatch.setenv(FLAGS, "")
        assert use_stored_programs()
        return folder_of(os.environ[FLAGS])

    run.end = end
    yield run
    end()


def folder_of(flags):
    return Path(re.search(r"persistent_cache_directory=(\S+)", flags)[1])


def names(folder):
    return {file.name for file in folder.glob("*.p*")}


def test_a_folder_of_this_user_alone_is_made(start, cache):
    folder = start()
    assert folder.parent.parent == cache
    assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700, 0o700]
    assert os.environ[FLAGS].endswith("device_types=CPU --tf_xla_persistent_cache_read_only=false")


def test_only_damaged_programs_and_leftovers_are_removed(start):
    folder = start()
    for name in ("good.pb", "rotten.pb"):
        (folder / name).write_bytes(WHOLE)
    assert start() == folder  # notes their checksums
    (folder / "rotten.pb").write_bytes(WHOLE.replace(b"code", b"cope"))
    (folder / "short.pb").write_bytes(WHOLE[:-1])
    (folder / "empty.pb").write_bytes(b"")
    (folder / "no_program.pb").write_bytes(WHOLE[:9])
    (folder / "new.pb").write_bytes(WHOLE)
    (folder / "killed.pbmachine-1-2.tmp").write_bytes(WHOLE)
    start()
    assert names(folder) == {"good.pb", "new.pb"}


def test_a_damaged_list_of_checksums_costs_nothing(start):
    folder = start()
    (folder / "good.pb").write_bytes(WHOLE)
    for damaged in ("", "[1]", "null"):
        (folder / stored_programs.INDEX).write_text(damaged)
        start()
        assert names(folder) == {"good.pb"}


def test_the_oldest_programs_are_removed_where_there_are_too_many(start, monkeypatch):
    monkeypatch.setattr(stored_programs, "MAX_BYTES", 2 * len(WHOLE))
    folder = start()
    for age, name in enumerate(("new.pb", "older.pb", "oldest.pb")):
        (folder / name).write_bytes(WHOLE)
        os.utime(folder / name, (1000 - age, 1000 - age))
    start()
    assert names(folder) == {"new.pb", "older.pb"}


def test_a_folder_in_use_is_left_alone_and_grows_no_further_than_its_limit(start, tmp_path, monkeypatch):
    folder = start()
    (folder / "writing.tmp").write_bytes(WHOLE)
    os.link(folder / "lock", tmp_path / "another")
    with (tmp_path / "another").open() as another:
        fcntl.flock(another, fcntl.LOCK_SH)
        assert start() == folder
        assert os.environ[FLAGS].endswith("read_only=false")
        monkeypatch.setattr(stored_programs, "MAX_BYTES", 1)
        start()
        assert os.environ[FLAGS].endswith("read_only=true")
        assert (folder / "writing.tmp").exists()


def test_a_folder_that_another_process_checks_for_long_is_not_waited_for(start, monkeypatch):
    monkeypatch.setattr(stored_programs, "WAIT", 0.01)
    folder = start()
    start.end()
    monkeypatch.setenv(FLAGS, "")
    with (folder / "lock").open() as another:
        fcntl.flock(another, fcntl.LOCK_EX)
        assert not use_stored_programs()
    assert os.environ[FLAGS] == ""


def test_a_full_disk_is_only_read(start, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    folder = start()
    assert os.environ[FLAGS].endswith("read_only=true")
    assert not names(folder)


@pytest.mark.parametrize("variable", ["XLA_FLAGS", "TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"])
def test_what_changes_the_code_has_another_folder(start, monkeypatch, variable):
    before = start()
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "1")
    assert start() == before
    monkeypatch.setenv(variable, "7")
    assert start() != before


def test_folders_that_nothing_used_for_long_are_removed(start):
    folder = start()
    for name, age in (("programs-old", 0), ("programs-other", 10**12)):
        (folder.parent / name).mkdir()
        (folder.parent / name / "lock").touch()
        os.utime(folder.parent / name / "lock", (age, age))
    start()
    assert {path.name for path in folder.parent.iterdir()} == {folder.name, "programs-other"}


def open_to_others(folder):
    folder.chmod(0o755)


def a_link(folder):
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def a_file(folder):
    folder.rename(folder.with_name("elsewhere"))
    folder.touch()


@pytest.mark.parametrize("change", [open_to_others, a_link, a_file])
@pytest.mark.parametrize("level", ["the folder", "its parent"])
def test_a_folder_that_others_may_have_written_is_not_used(start, monkeypatch, change, level):
    folder = start()
    change(folder if level == "the folder" else folder.parent)
    monkeypatch.setenv(FLAGS, "")
    assert not use_stored_programs()
    assert os.environ[FLAGS] == ""


def test_the_folder_of_another_user_is_not_used(cache, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
    assert not use_stored_programs()
    assert os.environ[FLAGS] == ""


@pytest.mark.parametrize("path", ["with space", "with'quote"])
def test_a_path_that_flags_cannot_hold_is_not_used(cache, monkeypatch, path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache / path))
    assert not use_stored_programs()
    assert os.environ[FLAGS] == ""


@pytest.mark.parametrize("value", ["0", "off", "", None])
def test_nothing_is_stored_unless_it_is_switched_on(cache, monkeypatch, value):
    monkeypatch.delenv(SWITCH) if value is None else monkeypatch.setenv(SWITCH, value)
    assert not use_stored_programs()
    assert os.environ[FLAGS] == ""
    assert not list(cache.iterdir())


def test_flags_of_the_user_stay(cache, monkeypatch):
    monkeypatch.setenv(FLAGS, "--tf_xla_auto_jit=0")
    assert use_stored_programs()
    assert os.environ[FLAGS].startswith("--tf_xla_auto_jit=0 --tf_xla_persistent_cache_directory=")


@pytest.mark.parametrize("given", ["--tf_xla_persistent_cache_directory=mine", "flags.txt"])
def test_a_folder_and_a_file_that_the_user_names_stay(cache, monkeypatch, given):
    monkeypatch.setenv(FLAGS, given)
    assert not use_stored_programs()
    assert os.environ[FLAGS] == given


@pytest.mark.slow
def test_a_process_loads_what_another_one_compiled_and_prints_no_error_but_its_own(cache):
    def run():
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
        assert done.stderr == "the last words of compiled code\n"
        return done.stdout, {file: file.stat().st_mtime_ns for file in cache.rglob("*.pb")}

    first, stored = run()
    assert len(stored) == 1
    assert run() == (first, stored)
    for file in stored:
        os.truncate(file, 5000)
    again, (changed,) = run()
    assert (again, {changed}) == (first, stored.keys())
    assert changed.stat().st_size > 5000
