import pytest
from superloop_plugin_lab.events import Events
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.util.tensor_util import make_ndarray

from superloop_core import RunFolderError

LINES = ({"step": 2, "loss": 0.5, "accuracy": 1.0}, {"step": 4, "loss": 0.25}, {"final": True, "loss": 9.0})


def events(folder):
    """Every point with its time, in the order of the files."""
    return [
        (value.tag, event.step, float(make_ndarray(value.tensor)), event.wall_time)
        for path in sorted(folder.iterdir())
        for event in map(Event.FromString, RawEventFileLoader(str(path)).Load())
        for value in event.summary.value
    ]


@pytest.fixture
def folder(tmp_path):
    """Events of the lines, and of steps that a resume undoes."""
    written = Events(tmp_path / "tensorboard")
    written.begin(LINES)
    written.step(6, {"loss": 0.125, "bits": float("nan")})
    written.end(None)
    return tmp_path / "tensorboard"


def test_the_lines_and_what_follows_are_there_once(folder):
    assert [event[:3] for event in events(folder)] == [
        ("loss", 2, 0.5), ("accuracy", 2, 1.0), ("loss", 4, 0.25), ("loss", 6, 0.125),
    ]  # fmt: skip


def test_events_are_made_anew_from_the_lines_with_the_times_of_then(folder, monkeypatch):
    before = {event[:2]: event[3] for event in events(folder)}
    monkeypatch.setattr("superloop_plugin_lab.events.time.time", lambda: 1e9)
    (folder / "mine.txt").write_text("mine")
    again = Events(folder)
    again.begin([LINES[0], {"step": 5, "loss": 0.0}])
    again.end(None)
    assert (folder / "mine.txt").read_text() == "mine"
    (folder / "mine.txt").unlink()
    assert [event[:3] for event in events(folder)] == [
        ("loss", 2, 0.5),
        ("accuracy", 2, 1.0),
        ("loss", 5, 0.0),
    ]
    for tag, step, _, at in events(folder):
        assert at == before.get((tag, step), 1e9)


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_damaged_or_missing_events_are_made_anew(folder, content):
    (path,) = folder.iterdir()
    if content is None:
        path.unlink()
        folder.rmdir()
    else:
        path.write_bytes(content)
    again = Events(folder)
    again.begin(LINES)
    again.end(None)
    assert [event[:2] for event in events(folder)] == [("loss", 2), ("accuracy", 2), ("loss", 4)]


def test_links_are_not_followed(folder, tmp_path):
    target = tmp_path / "target"
    target.write_text("precious")
    (folder / "a.tfevents.b").symlink_to(target)
    again = Events(folder)
    again.begin(LINES)
    again.end(None)
    assert target.read_text() == "precious"
    assert len(list(folder.iterdir())) == 1
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(
        RunFolderError, match="must be a folder, and is a symbolic link, which is not followed"
    ):
        Events(folder).begin(LINES)


def test_a_file_in_the_place_of_the_folder_is_reported(tmp_path):
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(
        RunFolderError, match="tensorboard: cannot be written: File exists; a file is in the place"
    ):
        Events(tmp_path / "tensorboard").begin(LINES)
