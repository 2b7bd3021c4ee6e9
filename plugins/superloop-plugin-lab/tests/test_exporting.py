import sys

import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_lab import exporting
from superloop_plugin_lab.evaluation import open_run
from superloop_plugin_lab.exporting import export_run

from superloop_core import ConfigError

pytestmark = pytest.mark.slow

PACKAGES = {"onnx": ("tf2onnx", "onnxruntime"), "safetensors": ("safetensors",)}


def answers_of(run):
    """A batch of a run's task, and the answers of the run's model."""
    experiment = open_run(run.path)
    batch = experiment.task.sample(np.random.default_rng(7), 3)
    return batch, experiment.model.predict_on_batch(dict(batch.inputs))


@pytest.mark.parametrize("form", exporting.FORMATS)
@pytest.mark.parametrize("which", ["run", "echo_run"])
def test_a_model_is_exported_with_answers_like_its_own(request, superloop, tmp_path, form, which):
    for package in PACKAGES.get(form, ()):
        pytest.importorskip(package)
    run = request.getfixturevalue(which)
    code, out, err = superloop("export", run.path, "--format", form, "--out", tmp_path / "new/model")
    assert code == 0, err
    assert (tmp_path / "new/model").exists()
    assert "(tolerance 0.0001)" in out
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["model"]


def test_a_saved_model_needs_no_code_of_ours_and_takes_any_batch(run, tmp_path):
    exported = export_run(run.path, "saved_model", tmp_path / "model")
    assert exported.inputs["tape_data"] == (None, None, 10)
    batch, answers = answers_of(run)
    serve = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    given = serve(**{name: tf.constant(array) for name, array in batch.inputs.items()})
    assert given.keys() == answers.keys()
    for name, answer in answers.items():
        np.testing.assert_allclose(given[name], answer, atol=1e-5)


def test_answers_that_differ_are_an_error_and_nothing_is_written(run, tmp_path, monkeypatch):
    write = exporting.FORMATS["saved_model"]

    def wrong(*arguments):
        return {name: array + 0.5 for name, array in write(*arguments).items()}

    monkeypatch.setitem(exporting.FORMATS, "saved_model", wrong)
    with pytest.raises(ConfigError, match=r"differ from the model's by 0.5, more than 0.0001; nothing was"):
        export_run(run.path, "saved_model", tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_missing_package_and_a_folder_that_is_taken_are_named(run, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.txt").touch()
    with pytest.raises(ConfigError, match="exists and is not empty"):
        export_run(run.path, "saved_model", tmp_path / "model")
    for form, package in (("onnx", "tf2onnx"), ("safetensors", "safetensors.numpy")):
        monkeypatch.setitem(sys.modules, package, None)
        package = package.partition(".")[0]
        line = rf"--format {form} needs {package}: pip install superloop-plugin-lab\[{form}\]"
        with pytest.raises(ConfigError, match=line):
            export_run(run.path, form, tmp_path / "file")
