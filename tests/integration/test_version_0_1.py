"""Models, run folders and plugins of version 0.1 load, run and answer as they did then."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner

import superloop_core
from superloop_core.cli import cli
from superloop_core.registry import load_registry
from superloop_core.testing import check_plugin

FOLDER = Path(__file__).parents[1] / "golden" / "version_0_1"
MODELS = sorted(path.stem for path in FOLDER.glob("*.keras") if path.stem != "mystack")
STACK = "superloop-plugin-mystack"


pytestmark = pytest.mark.slow


@pytest.fixture
def installed(tmp_plugin):
    """Installs a plugin of the folder for one test."""

    def install(name):
        root = FOLDER / "plugins" / name
        package = next(root.glob("superloop_plugin_*"))
        light, *others = sorted(package.glob("*.py"))
        modules = {
            ".".join(path.relative_to(root).with_suffix("").parts): path.read_text()
            for path in (light, *others)
        }
        return tmp_plugin(
            name, modules, entry_points={"it": package.name}, requires=["superloop-core>=0.1,<0.2"]
        )

    return install


@pytest.fixture(scope="module")
def superloop():
    """The command line with the commands of the plugins, in this process."""
    load_registry().add_commands(cli)

    def run(*arguments):
        done = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def assert_answers_as_it_did(name, model):
    with np.load(FOLDER / f"{name}.npz") as arrays:
        feed = {key.removeprefix("feed/"): arrays[key] for key in arrays if key.startswith("feed/")}
        answers = [arrays[f"answer/{index}"] for index in range(len(arrays) - len(feed))]
    given = model(feed if isinstance(model.input, dict) else feed["inputs"])
    given = keras.tree.flatten(given)
    assert len(given) == len(answers)
    for tensor, answer in zip(given, answers, strict=True):
        np.testing.assert_allclose(tensor, answer, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_as_it_did(name):
    assert_answers_as_it_did(name, superloop_core.load_model(FOLDER / f"{name}.keras"))


def test_the_weights_of_the_original_s_interface_load():
    model = superloop_core.Model(json.loads((FOLDER / "original.json").read_text()))
    fed, outputs = model.build_all()
    model.load_weights(FOLDER / "original.weights")
    assert_answers_as_it_did("original", keras.Model(fed, [outputs, model.superloop_models[0].memory]))


def test_a_model_with_a_plugin_of_then_answers_as_it_did(installed):
    installed(STACK)
    assert_answers_as_it_did("mystack", superloop_core.load_model(FOLDER / "mystack.keras"))


PLUGINS = {
    STACK: "mystack",
    **{f"superloop-plugin-my-{kind}": f"my_{kind}" for kind in ("system", "cell", "task")},
}
CHECKS = (
    "sizes",
    "state",
    "pure",
    "masked_is_unpadded",
    "saved_and_loaded",
)


@pytest.mark.parametrize("distribution", PLUGINS)
def test_a_plugin_of_then_passes_the_checks_of_today(installed, distribution):
    name = PLUGINS[distribution]
    (record,) = installed(distribution).find(name)
    check_plugin(name, only=() if record.kind == "task" else CHECKS).raise_failures()


def test_a_run_folder_is_evaluated_and_traced_as_it_was(superloop, tmp_path):
    run = FOLDER / "run_folders" / "finished"
    lengths = "--length", "6", "--length", "8"
    answer = superloop("eval", run, "--sequences", "64", "--seed", "5", "--json", *lengths)
    recorded = json.loads((FOLDER / "run_folders" / "finished_eval.json").read_text())
    for row, was in zip(json.loads(answer), recorded, strict=True):
        assert row.keys() == was.keys()
        for name in was.keys() - {"run"}:  # the folder's path
            assert row[name] == pytest.approx(was[name], rel=1e-4), name
    superloop("trace", run, "--out", tmp_path / "traces.npz", "--seed", "5")
    then = FOLDER / "run_folders" / "finished_trace.npz"
    with np.load(tmp_path / "traces.npz") as now, np.load(then) as before:
        assert {name for name in now if not name.startswith("__")} == set(before)
        for name in before:
            if before[name].dtype.kind in "fiub":
                np.testing.assert_allclose(now[name], before[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_stopped_run_is_resumed_to_the_end_it_had(superloop, tmp_path):
    run = shutil.copytree(FOLDER / "run_folders" / "stopped", tmp_path / "stopped")
    superloop("resume", run)
    now, before = (
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (run / "metrics.jsonl", FOLDER / "run_folders" / "stopped_resumed.jsonl")
    )
    assert len(now) == len(before)
    for line, was in zip(now, before, strict=True):
        assert line.keys() == was.keys()
        for name in was.keys() - {"seconds"}:
            assert line[name] == pytest.approx(was[name], rel=1e-3, abs=1e-5), name
