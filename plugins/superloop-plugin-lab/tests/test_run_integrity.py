"""A run folder knows its files, has one writer, and is whole after a kill at any moment."""

import json
import os
import shutil
from pathlib import Path

import attrs
import numpy as np
import pytest
from superloop_plugin_lab import training
from superloop_plugin_lab.checkpoint import Checkpoint
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.training import Run, train
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from superloop_core import ConfigError, RunFolderError, load_model
from superloop_core.layer import load_weights
from superloop_core.runs import FILES, LOCK, MANIFEST, TEMPORARY, leftovers, locked


class Config:
    def to_dict(self):
        return {"loop": {"timesteps": 3}}


def checkpoint(step=4, **values):
    state = dict(np.random.default_rng(0).bit_generator.state)
    none = {"variables": [], "optimizer": [], "best": [], "recent": [], "generator": state}
    return Checkpoint(
        **none,
        **{"best_step": 0, "merit": (0.0, 0.0), "seconds": 0.0, "metrics_size": 0, "step": step, **values},
    )


def lines(folder):
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


@pytest.fixture
def begun(folder):
    """A run folder whose run was killed after a line of metrics, before its first checkpoint."""
    with folder.writing():
        folder.begin(Config())
        folder.add_metrics(step=0, loss=1.0)
    return folder


def killed_after(begun, *, steps=(2, 4), tail=(6,)):
    """A run folder with a checkpoint of the last of some steps, and lines of steps after it."""
    with begun.writing():
        begun.begin(Config())
        for step in steps:
            begun.add_metrics(step=step, loss=1.0)
        size = begun.metrics.stat().st_size
        begun.write({begun.checkpoint.name: checkpoint(steps[-1], metrics_size=size, run=begun.run).save})
        for step in tail:
            begun.add_metrics(step=step, loss=1.0)
    return begun


def rewound(folder):
    with folder.writing():
        folder.rewind(Config(), folder.read_checkpoint(), {})
    return lines(folder)


class TestBeforeTheFirstCheckpoint:
    def test_a_run_that_was_killed_starts_anew(self, begun):
        with begun.writing():
            assert begun.read_start() is None
            begun.begin(Config())
        assert lines(begun) == []

    def test_train_names_resume_for_it(self, begun):
        with pytest.raises(ConfigError, match=f"or continue that run: superloop resume {begun.path}"):
            RunFolder.create(begun.path, default=begun.path)

    def test_eval_names_resume_for_it(self, begun):
        with pytest.raises(ConfigError, match=f"no model.keras; continue it: superloop resume {begun.path}"):
            RunFolder.open(begun.path)

    def test_train_takes_a_folder_without_a_config_that_a_killed_start_left(self, folder):
        (folder.path / LOCK).write_text("")
        (folder.path / f"{TEMPORARY}x").mkdir()
        with pytest.raises(ConfigError, match=f"start it anew: superloop train CONFIG --out {folder.path}"):
            RunFolder.find(folder.path)
        with RunFolder.create(folder.path, default=folder.path).writing():
            folder = RunFolder(folder.path)
        assert not list(folder.path.iterdir())

    def test_at_any_moment_of_a_start_either_resume_or_train_takes_the_folder(self, folder, monkeypatch):
        states = []

        def copied(call):
            def copying(*arguments):
                states.append(folder.path.with_name(f"state{len(states)}"))
                shutil.copytree(folder.path, states[-1])
                return call(*arguments)

            return copying

        with monkeypatch.context() as patched, folder.writing():
            patched.setattr(os, "replace", copied(os.replace))
            patched.setattr(os, "fsync", copied(os.fsync))
            folder.begin(Config())
        assert len(states) > 10
        taken = []
        for state in states:
            left = RunFolder(state)
            if left.config.exists():
                left = RunFolder.find(state)
                with left.writing():
                    assert left.read_start() is None
                    left.begin(Config())
            else:
                left = RunFolder.create(state, default=state)
                with left.writing():
                    left.begin(Config())
                taken.append(state)
            assert {path.name for path in state.iterdir()} == {"config.toml", "metrics.jsonl", MANIFEST}
        assert 0 < len(taken) < len(states)

    def test_a_run_whose_checkpoint_is_lost_is_not_started_anew(self, folder):
        folder.model.write_text("a model of ten thousand steps")
        folder.config.write_text("")
        with folder.writing():
            with pytest.raises(ConfigError, match=r"cannot be resumed: no checkpoint\.npz"):
                folder.read_start()
            with pytest.raises(RunFolderError, match=r"holds a run, but no checkpoint\.npz to go on from"):
                folder.begin(Config())


class TestMetrics:
    def test_lines_after_the_checkpoint_are_undone(self, begun):
        folder = killed_after(begun)
        assert [line["step"] for line in lines(folder)] == [2, 4, 6]
        assert [line["step"] for line in rewound(folder)] == [2, 4]

    def test_half_a_line_after_the_checkpoint_is_undone(self, begun):
        folder = killed_after(begun)
        with folder.metrics.open("a") as file:
            file.write('{"step": 7, "lo')
        assert [line["step"] for line in rewound(folder)] == [2, 4]

    def test_lines_are_undone_in_a_new_file_as_the_old_one_may_have_a_second_name(self, begun, tmp_path):
        folder = killed_after(begun)
        os.link(folder.metrics, tmp_path / "snapshot")
        rewound(folder)
        assert len((tmp_path / "snapshot").read_text().splitlines()) == 3

    @pytest.mark.parametrize("content", [None, b"", b'{"step": 2}\n', b'{"step": 2, "loss": 9.0}\n' * 2])
    def test_metrics_that_are_not_those_of_the_run_are_refused_until_a_person_accepts_them(
        self, superloop, begun, content
    ):
        folder = killed_after(begun, tail=())
        if content is None:
            folder.metrics.unlink()
        else:
            folder.metrics.write_bytes(content)
        with pytest.raises(RunFolderError, match=r"metrics\.jsonl: (is missing|has .* the run wrote)"):
            rewound(folder)
        assert superloop("doctor", folder.path)[0] == 1
        assert superloop("doctor", folder.path, "--accept")[0] == 0
        assert all(line["step"] <= 4 for line in rewound(folder))

    @pytest.mark.parametrize("content", [b"", b'{"step": 2, "loss": 1.0}\n', b"x" * 1000, b"[3]\n" * 100])
    def test_without_a_manifest_they_must_reach_to_the_checkpoint(self, superloop, begun, content):
        folder = killed_after(begun)
        saved = attrs.evolve(folder.read_checkpoint(), run="")  # as version 0.1 wrote it
        saved.save(folder.checkpoint)
        (folder.path / MANIFEST).unlink()
        assert len(lines(folder)) == 3
        before = folder.metrics.read_bytes()
        folder.metrics.write_bytes(content)
        with pytest.raises(
            RunFolderError, match="must hold the run's lines up to its checkpoint, each a JSON"
        ):
            rewound(folder)
        folder.metrics.write_bytes(before)
        assert [line["step"] for line in rewound(folder)] == [2, 4]
        assert (folder.path / MANIFEST).is_file()

    def test_a_lost_manifest_is_noticed(self, begun):
        folder = killed_after(begun)
        (folder.path / MANIFEST).unlink()
        with pytest.raises(RunFolderError, match=r"manifest\.json: is missing; put it back from a copy, or"):
            rewound(folder)

    def test_a_number_that_is_not_finite_is_null(self, begun):
        with begun.writing():
            begun.begin(Config())
            begun.add_metrics(step=1, loss=float("nan"), bits=float("inf"), other=2.0)
        assert begun.metrics.read_text() == '{"step": 1, "loss": null, "bits": null, "other": 2.0}\n'

    def test_a_link_is_not_followed(self, begun, tmp_path):
        target = tmp_path / "target"
        target.write_text("precious")
        with begun.writing():
            begun.begin(Config())
            begun.metrics.unlink()
            begun.metrics.symlink_to(target)
            with pytest.raises(RunFolderError, match=r"metrics\.jsonl: must be a file: a symbolic link"):
                begun.add_metrics(step=1)
        assert target.read_text() == "precious"


class TestWhileItIsWritten:
    def test_a_second_writer_is_told_who_writes(self, superloop, begun):
        with locked(begun.path):
            for arguments in (("resume", begun.path), ("doctor", begun.path, "--accept")):
                code, _, err = superloop(*arguments)
                assert code == 2
                assert f"{begun.path}: process {os.getpid()} on " in err
                assert "is writing it; wait for its end, or stop it" in err

    def test_of_two_trainings_with_one_folder_the_second_is_refused(self, folder):
        other = RunFolder.create(folder.path, default=folder.path)
        with folder.writing():
            folder.begin(Config())
            with pytest.raises(RunFolderError, match="is writing it"), other.writing():
                pass
            with pytest.raises(ConfigError, match="exists and is not empty"):
                RunFolder.create(folder.path, default=folder.path)

    @pytest.mark.parametrize("change", ["deleted", "renamed", "exchanged"])
    def test_a_folder_that_is_no_longer_there_is_reported_and_no_other_is_written(self, begun, change):
        with begun.writing():
            begun.begin(Config())
            if change == "deleted":
                shutil.rmtree(begun.path)
            else:
                begun.path.rename(begun.path.with_name("other"))
            if change == "exchanged":
                begun.path.mkdir()
            for write in (lambda: begun.add_metrics(step=1), lambda: begun.write({})):
                with pytest.raises(
                    RunFolderError, match="was deleted or renamed while the run wrote it; to go on"
                ):
                    write()
        if change == "exchanged":
            assert not list(begun.path.iterdir())


def test_two_default_folders_made_at_once_differ(tmp_path, monkeypatch):
    mkdir = Path.mkdir

    def late(path, **settings):
        if path.name == "a":
            os.makedirs(path, exist_ok=True)  # another process is quicker
        mkdir(path, **settings)

    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(Path, "mkdir", late)
    assert RunFolder.create(None, default=tmp_path / "runs/a").path.name == "a-2"


def test_a_name_that_is_too_long_is_reported(superloop, small_file, tmp_path):
    name = tmp_path / ("x" * 300)
    for arguments in (
        ("resume", name),
        ("eval", name),
        ("doctor", name),
        ("train", small_file, "--out", name),
    ):
        code, _, err = superloop(*arguments)
        assert code == 2
        assert f"superloop: error: {'--out ' if arguments[0] == 'train' else ''}{name}: cannot be" in err
        assert "File name too long; choose a shorter name" in err


DAMAGES = {
    "flipped": lambda path, _: path.write_bytes(path.read_bytes()[:-9] + bytes(9)),
    "cut": lambda path, _: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path, _: os.truncate(path, 0),
    "deleted": lambda path, _: path.unlink(),
    "linked": lambda path, other: (path.unlink(), path.symlink_to(other / path.name)),
    "of another run": lambda path, other: shutil.copyfile(other / path.name, path),
}
CHECKED = [name for name in FILES if name not in ("traces.png", "task.json")]  # a generator has no state


@pytest.fixture(scope="module")
def other(run, tmp_path_factory):
    """Files like those of the run, with other content."""
    other = tmp_path_factory.mktemp("other") / "run"
    shutil.copytree(run.path, other)
    for path in other.iterdir():
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    return other


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_by_every_command_that_depends_on_it(
    superloop, run, other, tmp_path, damage
):
    for name in CHECKED:
        folder = shutil.copytree(run.path, tmp_path / name / "run", symlinks=True)
        DAMAGES[damage](folder / name, other)
        before = {path.name: path.lstat().st_mtime_ns for path in folder.iterdir()}
        commands = [("resume", folder, "--steps", 9)]
        if name in ("config.toml", "model.keras"):
            commands += [("eval", folder), ("trace", folder, "--out", tmp_path / "t.npz")]
        for command in commands:
            code, out, err = superloop(*command)
            assert (code, out) == (2, ""), (name, command, err)
            assert "Traceback" not in err
            assert err.startswith(f"superloop: error: {folder}")
            assert f"see `superloop doctor {folder}`" in err
        code, out, _ = superloop("doctor", folder)
        assert code == 1
        assert f"problem: {folder / name}: " in out
        assert f"superloop doctor {folder} --accept" in out
        assert before == {path.name: path.lstat().st_mtime_ns for path in folder.iterdir()}
        if name == "model.keras":
            with pytest.raises((RunFolderError, ValueError)):
                load_model(folder)


@pytest.mark.release
def test_a_change_that_a_person_accepts_is_used(superloop, run, tmp_path):
    folder = shutil.copytree(run.path, tmp_path / "run")
    text = (folder / "config.toml").read_text()
    (folder / "config.toml").write_text(text.replace("final_on = 256", "final_on = 16"))
    assert superloop("resume", folder, "--steps", 8)[0] == 2
    code, out, _ = superloop("doctor", folder, "--accept")
    assert code == 0
    assert "changed by a person, and accepted" in out
    code, out, _ = superloop("resume", folder, "--steps", 8)
    assert code == 0
    assert "on 16 test sequences" in out
    report = json.loads(superloop("doctor", folder, "--json")[1])
    assert set(report["files"].values()) == {"as the run wrote it"}
    assert report["problems"] == report["notes"] == []


@pytest.mark.slow
def test_lost_weights_are_made_anew_as_doctor_says(superloop, small, train_to, tmp_path):
    config = small | {"train": small["train"] | {"steps": 6}}
    folder = train_to(config, tmp_path / "run")
    experiment = read_experiment(config)
    weights = (folder.model, folder.weights("best"), folder.weights("last"))

    def stored():
        arrays = []
        for path in weights:
            load_weights(experiment.model, path)
            arrays += experiment.model.get_weights()
        return arrays

    before = stored()
    for path in weights:
        os.truncate(path, 2000)
    code, out, _ = superloop("doctor", folder.path)
    assert code == 1
    accept, resume = f"superloop doctor {folder.path} --accept", f"superloop resume {folder.path}"
    assert out.count(f"delete it, and record that: {accept} && {resume}, which makes it anew") == 3
    code, _, err = superloop("doctor", folder.path, "--accept")
    assert code == 2
    for path in weights:
        assert f"{path}: is not accepted, as it cannot be read: " in err
        path.unlink()
    assert superloop("doctor", folder.path, "--accept")[0] == 0
    code, _, err = superloop("resume", folder.path)
    assert code == 0, err
    for one, other in zip(stored(), before, strict=True):
        np.testing.assert_array_equal(one, other)
    assert superloop("resume", folder.path)[0] == 2


class Killed(BaseException):
    """As a kill: nothing is finished after it."""


def points(folder):
    return sorted(
        (value.tag, event.step)
        for path in folder.tensorboard.iterdir()
        for event in map(Event.FromString, RawEventFileLoader(str(path)).Load())
        for value in event.summary.value
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [
        "finish",
        pytest.param("measure", marks=pytest.mark.release),
        pytest.param("report", marks=pytest.mark.release),
    ],
)
def test_a_run_that_was_killed_after_its_last_step_is_finished_by_resume(
    superloop, run, small, tmp_path, monkeypatch, moment
):
    folder = RunFolder.create(tmp_path / "run", default=tmp_path)
    experiment = read_experiment(small)

    def kill(self):
        raise Killed

    with monkeypatch.context() as patched:
        measure = Run.measure
        if moment == "measure":
            patched.setattr(Run, "measure", lambda self: kill(self) if self.step == 7 else measure(self))
        elif moment == "finish":
            patched.setattr(Run, "finish", kill)
        if moment == "report":
            train(experiment, folder)
        else:
            with pytest.raises(Killed):
                train(experiment, folder)
            assert folder.read_checkpoint().step == 7
    assert superloop("doctor", folder.path)[0] == 0
    code, out, err = superloop("resume", folder.path)
    assert code == 0, err
    assert "7 in" in out

    def seen(of):
        return [{name: value for name, value in line.items() if name != "seconds"} for line in lines(of)]

    assert seen(folder) == seen(run)
    assert folder.picture.is_file()
    for name in ("best", "last"):
        experiment.model.load_weights(folder.weights(name))
        ours = experiment.model.get_weights()
        experiment.model.load_weights(run.weights(name))
        for one, other in zip(ours, experiment.model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert points(folder) == points(run)
    assert len(set(points(folder))) == len(points(folder))
    code, _, err = superloop("resume", folder.path)
    assert code == 2
    assert "has taken 7 steps, and train.steps = 7; set more with --steps" in err


@pytest.mark.slow
def test_a_metric_that_is_not_finite_ends_nothing_and_the_run_can_be_resumed(small, tmp_path):
    folder = RunFolder.create(tmp_path / "run", default=tmp_path)
    metrics = {"bits": lambda targets, results: np.full(len(targets), np.nan)}
    for steps, start in ((3, False), (4, True)):
        experiment = attrs.evolve(read_experiment(small, [f"train.steps={steps}"]), metrics=metrics)
        outcome = train(experiment, folder, folder.read_checkpoint() if start else None)
        assert np.isnan(outcome.final.metrics["bits"])
    assert [line["validation_bits"] for line in lines(folder) if "validation_bits" in line] == [None] * 3
    assert lines(folder)[-1]["test_bits"] is None
    assert "validation_bits" not in {tag for tag, _ in points(folder)}


@pytest.mark.slow
def test_a_start_removes_what_a_killed_writer_left(run, small, tmp_path):
    folder = RunFolder.open(shutil.copytree(run.path, tmp_path / "run"))
    (folder.path / f"{TEMPORARY}abc").mkdir()
    (folder.path / f"{TEMPORARY}abc" / "model.keras").write_text("half")
    for number in (12, os.getpid()):
        (folder.tensorboard / f"{TEMPORARY}{number}").write_text("half")
    train(read_experiment(small, ["train.steps=8"]), folder, folder.read_checkpoint())
    assert not list(leftovers(folder.path))
    assert len(list(folder.tensorboard.iterdir())) == 1


@pytest.mark.release
def test_a_full_disk_ends_a_run_with_a_line_and_it_can_be_resumed(superloop, small_file, run, tmp_path):
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for bytes_ in (3_000, 12_000, 20_000):
        folder = tmp_path / str(bytes_)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, limits[1]))
        try:
            code, _, err = superloop("train", small_file, "--out", folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert code == 2
        assert "cannot be written: File too large; free space there, or raise the limit" in err
        assert "Traceback" not in err
        assert superloop("doctor", folder)[0] == 0
        assert not list(leftovers(folder))
    assert superloop("resume", folder)[0] == 0
    assert len(lines(RunFolder(folder))) == len(lines(run))


def test_a_clock_before_1980_is_refused_before_anything_is_written(small, folder, monkeypatch):
    monkeypatch.setattr(training.time, "localtime", lambda: __import__("time").gmtime(0))
    with pytest.raises(
        ConfigError, match=r"must be at 1980 or later, for \.keras files: 1970; set the clock"
    ):
        train(None, folder)
    assert not list(folder.path.iterdir())
