import errno
import fcntl
import json
import multiprocessing
import os
import signal
import socket
import threading

import pytest

from superloop_core.errors import RunFolderError
from superloop_core.runs import LOCK, holder, locked
from superloop_core.runs import lock as module


def test_a_second_writer_is_told_who_writes_and_since_when(tmp_path):
    with locked(tmp_path):
        owner = json.loads((tmp_path / LOCK).read_text())
        assert (owner["host"], owner["pid"]) == (socket.gethostname(), os.getpid())
        words = f"process {os.getpid()} on {socket.gethostname()} (since {owner['since']})"
        with pytest.raises(RunFolderError) as error, locked(tmp_path):
            pass
        assert str(error.value) == f"{tmp_path}: {words} is writing it; wait for its end, or stop it"
        assert holder(tmp_path) == f"{words} is writing the folder"
    assert not list(tmp_path.iterdir())
    assert holder(tmp_path) is None


def test_a_lock_can_be_taken_again_after_an_error(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def hold(folder, taken):
    with locked(folder):
        taken.set()
        signal.pause()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    context = multiprocessing.get_context("fork")
    taken = context.Event()
    process = context.Process(target=hold, args=(tmp_path, taken))
    process.start()
    assert taken.wait(30)
    with pytest.raises(RunFolderError, match=f"process {process.pid} on "), locked(tmp_path):
        pass
    assert holder(tmp_path).endswith("is writing the folder")
    process.kill()
    process.join()
    assert (tmp_path / LOCK).exists()
    assert holder(tmp_path).endswith("was killed while it wrote the folder")
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def leave(folder, **owner):
    (folder / LOCK).write_text(json.dumps({"pid": 1, "since": "then", **owner}))


def test_a_lock_that_another_machine_left_is_respected(tmp_path):
    leave(tmp_path, host="elsewhere", boot="another")
    with pytest.raises(RunFolderError) as error, locked(tmp_path):
        pass
    assert f"{tmp_path}: process 1 on elsewhere (since then) writes it, or was killed" in str(error.value)
    assert f"if that process no longer runs, delete {tmp_path / LOCK} and try again" in str(error.value)
    assert json.loads((tmp_path / LOCK).read_text())["host"] == "elsewhere"
    assert holder(tmp_path).endswith("or was killed, which cannot be checked from this machine")
    (tmp_path / LOCK).unlink()
    with locked(tmp_path):
        pass


def test_a_lock_that_another_container_of_this_machine_left_is_taken_over(tmp_path, monkeypatch):
    boot = tmp_path / "boot_id"
    boot.write_text("this boot\n")
    monkeypatch.setattr(module, "BOOT_ID", boot)
    leave(tmp_path, host="container-1", boot="this boot")
    with locked(tmp_path):
        pass


def test_a_look_at_the_lock_stops_no_writer(tmp_path):
    leave(tmp_path, host=socket.gethostname())
    with (tmp_path / LOCK).open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.01, lambda: fcntl.flock(looking, fcntl.LOCK_UN)).start()
        with locked(tmp_path):
            pass


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff", '{"pid": "' + "x" * 10000])
def test_a_lock_that_was_damaged_is_taken_over(tmp_path, text):
    (tmp_path / LOCK).write_text(text, encoding="latin-1")
    with locked(tmp_path):
        pass


def test_without_locks_of_the_file_system_the_file_alone_decides(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with locked(tmp_path), pytest.raises(RunFolderError, match="if that process no longer runs, delete"):  # noqa: SIM117
        with locked(tmp_path):
            pass
    with locked(tmp_path):
        pass
    leave(tmp_path, host=socket.gethostname())
    assert "which cannot be checked" in holder(tmp_path)
    with pytest.raises(RunFolderError, match="which cannot be checked from this machine"), locked(tmp_path):
        pass


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / LOCK).symlink_to(target)
    with pytest.raises(RunFolderError, match="must be a file: a symbolic link"), locked(tmp_path):
        pass
    assert target.read_text() == "precious"


def test_a_lock_file_that_its_holder_removed_meanwhile_is_made_again(tmp_path, monkeypatch):
    (tmp_path / LOCK).write_text("")
    flock = fcntl.flock
    removed = []

    def removing(descriptor, operation):
        if not removed:
            removed.append((tmp_path / LOCK).unlink())
        return flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removing)
    with locked(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


def test_a_folder_that_was_renamed_meanwhile_is_released_all_the_same(tmp_path):
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run"):
        (tmp_path / "run").rename(tmp_path / "other")
    with locked(tmp_path / "other"):  # its lock file is there, and nobody holds it
        pass


def count(folder, rounds, total):
    for _ in range(rounds):
        while True:
            try:
                with locked(folder):
                    before = int((folder / "count").read_text())
                    (folder / "count").write_text(str(before + 1))
                break
            except RunFolderError:
                continue
    total.value += 1


def test_of_many_processes_one_writes_at_a_time(tmp_path):
    (tmp_path / "count").write_text("0")
    context = multiprocessing.get_context("fork")
    total = context.Value("i")
    processes = [context.Process(target=count, args=(tmp_path, 10, total)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert (tmp_path / "count").read_text() == "40"
