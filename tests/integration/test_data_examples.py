"""The configs for real data in docs/examples/data can be trained."""

import importlib.util
from pathlib import Path

import pytest
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.run_folder import RunFolder
from superloop_plugin_lab.training import train

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[2] / "docs/examples/data"
SMALL = ["train.steps=3", "train.evaluate_every=3", "train.batch_size=4", "train.xla=false"]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The data, written by the script that writes them for users, the text cut short."""
    spec = importlib.util.spec_from_file_location("make_files", FOLDER / "make_files.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("data")
    module.write_digits(folder / "digits.npz")
    module.write_sunspots(folder / "sunspots.csv")
    module.write_python(folder / "python.txt", 5_000)
    return folder


@pytest.mark.parametrize("name", ["digits", "sunspots", "python"])
def test_a_config_for_real_data_trains(name, files, tmp_path, monkeypatch):
    monkeypatch.chdir(files)
    experiment = read_experiment(FOLDER / f"{name}.toml", SMALL, to_train=True)
    outcome = train(experiment, RunFolder.create(tmp_path / "run", default=tmp_path))
    assert outcome.steps == 3
    assert outcome.final.sequences == len(experiment.task.parts["test"])
