import tempfile


def test_a_dry_run_takes_two_steps_measures_saves_and_keeps_nothing(
    superloop, small_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code, out, _ = superloop("train", small_file, "--dry-run", "--out", tmp_path / "run")
    assert code == 0
    rows = [line.split("  ")[0] for line in out.splitlines()]
    assert rows == ["dry run", "first step", "second step", "measurement", "checkpoint", "figures"]
    assert "7 steps take about" in out
    assert "on 64 sequences" in out
    assert not list(tmp_path.iterdir())


def test_a_dry_run_that_fails_names_no_folder(superloop, small_file, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    wild = ("train.optimizer=sgd", "train.learning_rate=3e38", "train.clip_norm=1e3")
    settings = (word for setting in wild for word in ("--set", setting))
    code, _, err = superloop("train", small_file, "--dry-run", *settings)
    assert code == 2
    assert err.endswith("dry run: step 1: not finite: the weights after the update; nothing was kept\n")
    assert not list(tmp_path.iterdir())
