import os
import stat

from superloop_core.runs import replace_file


def test_a_file_is_on_the_disk_before_it_is_moved_and_its_name_after(tmp_path, monkeypatch):
    fsync, replace, calls = os.fsync, os.replace, []

    def noted_fsync(descriptor):
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def noted_replace(*paths):
        calls.append("move")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    replace_file(tmp_path / "a", lambda path: path.write_text("new"))
    assert calls == ["file", "move", "folder"]
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]
