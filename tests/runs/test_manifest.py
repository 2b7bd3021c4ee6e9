import os
import shutil
from pathlib import Path

import pytest

from superloop_core.errors import RunFolderError
from superloop_core.runs import MANIFEST, TEMPORARY, Entry, Manifest, check_files, leftovers

NAMES = ("config.toml", "checkpoint.npz", "model.keras")


def write_texts(manifest, text, names=NAMES):
    manifest.write({name: lambda path: path.write_text(f"{path.name} {text}") for name in names}, {})


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    write_texts(Manifest(folder=path), "old")
    return path


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != MANIFEST}


def test_written_files_are_those_of_the_manifest(folder):
    assert texts(folder) == {name: f"{name} old" for name in NAMES}
    check_files(folder, *NAMES)
    assert Manifest.read(folder).files["config.toml"] == Entry.of(folder / "config.toml")


DAMAGES = {
    "a flipped bit": (lambda path: path.write_bytes(b"C" + path.read_bytes()[1:]), "has other content than"),
    "a cut": (lambda path: os.truncate(path, 3), "has 3 bytes, and had 15 when the run wrote it"),
    "more bytes": (lambda path: path.write_text("config.toml old\n"), "has 16 bytes, and had 15"),
    "emptied": (lambda path: path.write_text(""), "has 0 bytes, and had 15"),
    "deleted": (lambda path: path.unlink(), "is missing"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
    "a link": (lambda path: (path.rename(path.with_name("x")), path.symlink_to("x")), "is a symbolic link"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "is a pipe or a device"),
    "exchanged": (lambda path: shutil.copy(path.with_name("model.keras"), path), "has other content than"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_is_not_as_it_was_written_is_refused(folder, name):
    damage, message = DAMAGES[name]
    damage(folder / "config.toml")
    with pytest.raises(RunFolderError, match=message) as error:
        check_files(folder, *NAMES)
    assert str(folder / "config.toml") in str(error.value)
    assert f"see `superloop doctor {folder}`" in str(error.value)
    check_files(folder, "model.keras")


def test_a_folder_without_a_manifest_is_not_checked(folder):
    (folder / MANIFEST).unlink()
    (folder / "config.toml").write_text("")
    check_files(folder, *NAMES)


BAD_MANIFESTS = (
    "",
    "{",
    "[]",
    "{}",
    '{"format": 2}',
    '{"format": 1, "files": {"config.toml": {"sha256": 3, "size": "x"}}}',
    '{"format": 1, "files": {"../x": {"sha256": "", "size": 0}}}',
    '{"format": 1, "temporary": "/etc"}',
    '{"format": 1, "other": 1}',
)


@pytest.mark.parametrize("text", BAD_MANIFESTS)
def test_a_damaged_manifest_is_refused(folder, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(RunFolderError, match="is damaged or of a newer version; put it back from a copy, or"):
        check_files(folder, *NAMES)


def test_a_file_that_grows_is_checked_up_to_its_recorded_size(folder):
    metrics = folder / "metrics.jsonl"
    metrics.write_text("one\n")
    entry = Entry(sha256=Entry.of(metrics).sha256, size=4, grows=True)
    Manifest.read(folder).write({}, {"metrics.jsonl": entry})
    metrics.write_text("one\ntwo\n")
    check_files(folder, "metrics.jsonl")
    metrics.write_text("two\n")
    with pytest.raises(RunFolderError, match="has other content"):
        check_files(folder, "metrics.jsonl")
    metrics.write_text("one")
    with pytest.raises(RunFolderError, match="has 3 bytes, and had 4"):
        check_files(folder, "metrics.jsonl")


def states_during(monkeypatch, folder, act):
    """Copies of a folder before each call that changes it: what a kill there leaves."""
    copies = folder.with_name("states")
    copies.mkdir()

    def copied(call):
        def copying(*arguments, **settings):
            if folder.is_dir():
                with monkeypatch.context() as undone:
                    for module, name, original in originals:
                        undone.setattr(module, name, original)
                    shutil.copytree(folder, copies / str(len(os.listdir(copies))), symlinks=True)
            return call(*arguments, **settings)

        return copying

    names = ("open", "write", "fsync", "replace", "rename", "unlink", "rmdir", "mkdir", "close")
    originals = [(os, name, getattr(os, name)) for name in names]
    with monkeypatch.context() as patched:
        for module, name, original in originals:
            patched.setattr(module, name, copied(original))
        act()
    return sorted(copies.iterdir(), key=lambda path: int(path.name))


def test_a_kill_at_any_moment_leaves_a_folder_whose_files_are_all_old_or_all_new(folder, monkeypatch):
    states = states_during(monkeypatch, folder, lambda: write_texts(Manifest.read(folder), "new"))
    assert len(states) > 20
    seen = []
    for state in states:
        check_files(state, *NAMES)  # whole before anything is completed
        manifest = Manifest.read(state)
        manifest.recover()
        check_files(state, *NAMES)
        assert not list(leftovers(state))
        found = texts(state)
        words = {text.split()[1] for text in found.values()}
        assert found.keys() == set(NAMES)
        assert len(words) == 1, found
        seen += words
    assert seen == sorted(seen, reverse=True)  # old, and from some moment on new
    assert set(seen) == {"old", "new"}


def test_a_kill_during_the_first_write_leaves_nothing_or_all(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    folder.mkdir()
    for state in states_during(monkeypatch, folder, lambda: write_texts(Manifest(folder=folder), "new")):
        check_files(state, *NAMES)
        manifest = Manifest.read(state) or Manifest(folder=state)
        manifest.recover()
        assert texts(state) in ({}, {name: f"{name} new" for name in NAMES})


def test_what_is_recovered_twice_stays_as_it_is(folder, monkeypatch):
    for state in states_during(monkeypatch, folder, lambda: write_texts(Manifest.read(folder), "new"))[::5]:
        Manifest.read(state).recover()
        before = texts(state)
        Manifest.read(state).recover()
        assert texts(state) == before


def test_a_write_whose_new_files_were_lost_leaves_the_old_ones(folder, monkeypatch):
    for state in states_during(monkeypatch, folder, lambda: write_texts(Manifest.read(folder), "new")):
        for path in list(leftovers(state)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        Manifest.read(state).recover()
        check_files(state, *NAMES)
        assert texts(state).keys() == set(NAMES)


def test_files_and_folders_are_on_the_disk_before_a_name_points_to_them(folder, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(descriptor):
        calls.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}"))))
        return fsync(descriptor)

    def note_replace(source, target):
        calls.append(("replace", Path(source)))
        return replace(source, target)

    manifest = Manifest.read(folder)
    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    write_texts(manifest, "new")
    replaced = [index for index, (call, _) in enumerate(calls) if call == "replace"]
    assert len(replaced) == len(NAMES) + 2  # the manifest, the files, the manifest
    for index in replaced:
        assert ("fsync", calls[index][1]) in calls[:index]
        assert ("fsync", folder) in calls[index:]


def test_a_failed_write_leaves_the_old_files_and_nothing_else(folder):
    def broken(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFolderError) as error:
        Manifest.read(folder).write({"config.toml": Path.touch, "model.keras": broken}, {})
    assert str(error.value) == (
        f"{folder / 'model.keras'}: cannot be written: No space left on device; "
        "free space there, or raise the limit, and run the command again"
    )
    assert texts(folder) == {name: f"{name} old" for name in NAMES}
    check_files(folder, *NAMES)


def test_a_folder_in_the_place_of_a_file_is_reported_and_the_write_completed_later(folder):
    (folder / "model.keras").unlink()
    (folder / "model.keras").mkdir()
    with pytest.raises(RunFolderError, match=r"model\.keras: cannot be replaced: Is a directory; .* move it"):
        write_texts(Manifest.read(folder), "new")
    with pytest.raises(RunFolderError, match="cannot be replaced"):
        Manifest.read(folder).recover()
    (folder / "model.keras").rmdir()
    Manifest.read(folder).recover()
    assert texts(folder) == {name: f"{name} new" for name in NAMES}
    check_files(folder, *NAMES)


def test_links_are_replaced_and_never_written_through(folder, tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (folder / "model.keras").unlink()
    for name in ("model.keras", f"{TEMPORARY}{MANIFEST}", f"{TEMPORARY}x"):
        (folder / name).symlink_to(target)
    manifest = Manifest.read(folder)
    write_texts(manifest, "new")
    manifest.recover()
    assert target.read_text() == "precious"
    assert not (folder / "model.keras").is_symlink()
    assert not list(leftovers(folder))


def test_temporary_files_of_the_writer_are_made_where_the_next_start_removes_them(folder):
    import tempfile

    made = []
    before = tempfile.gettempdir()

    def write(path):
        made.append(Path(tempfile.mkdtemp()))
        path.write_text("")

    Manifest.read(folder).write({"model.keras": write}, {})
    assert made[0].parent.parent == folder
    assert made[0].parent.name.startswith(TEMPORARY)
    assert tempfile.gettempdir() == before


def test_a_reader_accepts_what_a_writer_replaces_meanwhile(folder, monkeypatch):
    read = Manifest.read.__func__
    manifest = Manifest.read(folder)
    times = []

    def read_then_write(cls, path):
        found = read(cls, path)
        if len(times) < 2:
            times.append(1)
            write_texts(manifest, f"new{len(times)}")
        return found

    monkeypatch.setattr(Manifest, "read", classmethod(read_then_write))
    check_files(folder, *NAMES)
    assert len(times) == 2
