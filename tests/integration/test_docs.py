"""Every example in the README and the docs runs, and says what is so."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import attrs
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from superloop_plugin_lab.experiment import read_experiment
from superloop_plugin_lab.feeding import measured_batches
from superloop_plugin_lab.measurement import measure

import superloop_core
from superloop_core.cli import cli
from superloop_core.config import read_config
from superloop_core.registry import load_registry, registry, registry_in_use
from superloop_core.testing import check_plugin, conformance

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
QUICKSTART = (ROOT / "docs/quickstart.md").read_text()
PACKAGE = (ROOT / "docs/plugins/package.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language that stand under no file's name."""
    return re.findall(rf"(?<!\*\*\n\n)(?<!it:\n\n)```{language}\n(.*?)```", text, flags=re.DOTALL)


def files(text: str) -> dict[str, str]:
    """The fenced blocks that stand under a file's name in bold, by that name."""
    return dict(re.findall(r"\*\*`([^`]+)`\*\*[^`]*?```\w+\n(.*?)```", text, flags=re.DOTALL))


def test_the_quickstart_config_is_valid():
    (table,) = (block for block in blocks(QUICKSTART, "toml") if "scratch" in block)
    loop = read_config(tomllib.loads(table), load_registry()).loop
    assert [cell.layers for cell in loop.cells] == [2]
    assert loop.systems[0].id == "scratch"


def test_the_readme_layer_trains():
    (code,) = (block for block in blocks(README, "python") if "compile" in block)
    names: dict = {}
    exec(code, names)
    x = np.zeros((3, 32, 8), "float32")
    y = np.ones((3, 32, 4), "float32")
    first = names["model"].train_on_batch(x, y)
    assert names["model"].train_on_batch(x, y) < first


def test_the_readme_memory_is_a_stack_that_holds_to_the_contract(monkeypatch):
    (code,) = (block for block in blocks(README, "python") if "register" in block)
    monkeypatch.setattr(registry, "_local", {})
    with registry_in_use(None):
        names: dict = {"__name__": "__main__"}
        exec(code, names)
        check_plugin("soft_stack", only=["sizes", "pure", "state", "gradients_match"]).raise_failures()
        stack = names["SoftStack"](names["StackSettings"](depth=4, width=2))
    sequence = superloop_core.Sequence(batch_size=1, timesteps=3, lengths=np.array([3]), dtype="float32")
    state = stack.initial_state(sequence)
    for scores, value in (((9, 0, 0), (1, 2)), ((9, 0, 0), (3, 4)), ((0, 9, 0), (5, 6))):  # push, push, pop
        top, state, _ = stack.step(
            keras.ops.array([[*np.array(scores) * 4.0, *value]], "float32"), state, None
        )
    np.testing.assert_allclose(top, [[1, 2]], rtol=1e-5)


def test_the_originals_example_runs_as_it_stands():
    (code,) = blocks((ROOT / "docs/original.md").read_text(), "python")
    names: dict = {}
    exec(code, names)
    assert names["dummy_output"] is None
    model = names["model"]
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.RMSprop(4e-4))
    data = np.arange(32, dtype="float32").reshape(2, 16, 1)
    position = model.predict([np.zeros((2, 64, 2), "float32"), data], verbose=0)
    assert position.shape == (2, 1)
    assert (position > 1).all()  # it starts by walking along the tape


@pytest.fixture(scope="module")
def installed_plugin(tmp_path_factory):
    """The plugin of the page on packages, written from its text and installed; an environment with it."""
    folder = tmp_path_factory.mktemp("plugin")
    for name, text in files(PACKAGE).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    distribution = folder / "superloop-plugin-mystack"
    target = folder / "installed"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([*pip, "--target", target, distribution], check=True)
    return distribution, os.environ | {"PYTHONPATH": str(target), "TF_CPP_MIN_LOG_LEVEL": "2"}


def test_the_plugin_of_the_page_on_packages_is_found_once_it_is_installed(installed_plugin):
    _, environment = installed_plugin
    listed = subprocess.run(
        [sys.executable, "-m", "superloop_core.cli", "plugins", "--json"],
        env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    (row,) = (row for row in json.loads(listed.stdout) if row["name"] == "mystack")
    assert row == {
        "name": "mystack",
        "kind": "system",
        "summary": "Continuous stack (Joulin and Mikolov, 2015)",
        "distribution": "superloop-plugin-mystack",
        "version": "0.1.0",
        "state": "ready",
    }


@pytest.mark.release
def test_the_plugin_of_the_page_on_packages_passes_its_own_test_and_the_papers_worked_values(
    installed_plugin,
):
    distribution, environment = installed_plugin
    (distribution / "tests/test_worked_values.py").write_text(
        """
import numpy as np
from superloop_core import Sequence, SystemSpec
from superloop_plugin_mystack import StackConfig
from superloop_plugin_mystack.stack import Stack


def test_three_steps_of_push_pop_and_stay():
    stack = Stack(StackConfig(depth=4, width=2))
    sequence = Sequence(batch_size=1, timesteps=3, lengths=np.array([3]), dtype="float32")
    state = stack.initial_state(sequence)
    for actions, value in (
        ((0.8, 0.1, 0.1), (1, 2)), ((0.6, 0.3, 0.1), (3, -1)), ((0.1, 0.7, 0.2), (5, 5)),
    ):
        control = np.array([[*np.log(actions), *value]], "float32")
        top, state, _ = stack.step(control, state, None)
    np.testing.assert_allclose(top, [[1.212, 1.084]], rtol=1e-5)
    np.testing.assert_allclose(state.cells[0, 1:3], [[0.284, 0.148], [0.048, 0.096]], rtol=1e-5)
"""
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", distribution],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 25


DEAR = {"stays_finite", "stays_finite_in_training", "xla_is_eager", "static_is_dynamic", "saved_and_loaded"}


@pytest.mark.slow
@pytest.mark.parametrize("page", ["system", "cell", "part", "task"])
def test_the_plugin_of_a_page_holds_to_the_contract_and_passes_its_tests(page, tmp_plugin):
    found = files((ROOT / f"docs/plugins/{page}.md").read_text())
    modules = {
        name.removesuffix(".py").replace("/", "."): code
        for name, code in found.items()
        if not name.startswith("tests/")
    }
    package = next(iter(modules)).partition(".")[0]
    name = package.replace("_", "-")
    registry = tmp_plugin(name, modules, entry_points={page: package}, requires=["superloop-core>=0.1,<0.2"])
    records = [record for record in registry.records if record.distribution == name]
    assert records
    for record in records:
        name = f"{record.kind}:{record.qualified_name}"
        quick = [check.name for check in conformance(name) if check.name not in DEAR]
        check_plugin(name, only=quick).raise_failures()
    tests: dict = {}
    exec(found.get("tests/test_values.py", ""), tests)
    for name, test in tests.items():
        if name.startswith("test_"):
            test()


def test_the_page_on_tasks_has_a_config_that_can_be_trained(tmp_plugin):
    text = (ROOT / "docs/plugins/task.md").read_text()
    modules = {name.removesuffix(".py").replace("/", "."): code for name, code in files(text).items()}
    tmp_plugin("superloop-plugin-recall", modules, entry_points={"recall": "superloop_plugin_recall"})
    (table,) = blocks(text, "toml")
    experiment = read_experiment(tomllib.loads(table))
    measured = measure(experiment, measured_batches(experiment, "final", 16))
    assert measured.metrics["confidence"] > 0


@pytest.mark.release
def test_the_plugin_of_the_page_on_commands_passes_its_test(tmp_plugin, tmp_path):
    found = files((ROOT / "docs/plugins/command.md").read_text())
    test = found.pop("tests/test_values.py")
    modules = {name.removesuffix(".py").replace("/", "."): code for name, code in found.items()}
    name = "superloop-plugin-budget"
    registry = tmp_plugin(name, modules, entry_points={"budget": "superloop_plugin_budget"})
    assert "budget" in registry.tables
    path = tmp_path / "test_values.py"
    path.write_text(test)
    pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run([*pytest_, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    config = tmp_path / "config.toml"
    config.write_text('[loop]\ninputs = 2\ncells = [{ use = "lstm", units = 3 }]\n[budget]\nweight = 1\n')
    command = [sys.executable, "-m", "superloop_core.cli", "budget", config]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "budget: no setting 'weight'; did you mean 'weights'?" in done.stderr


def test_the_page_on_the_contract_lists_every_check_with_its_rule():
    text = (ROOT / "docs/plugins/contract.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| [\w, ]+ \| (.*\.) \|$", text, flags=re.MULTILINE))
    names = ("stack", "lstm", "last_two_before_nine", "final_distance")
    checks = {check.name: check.rule.replace("``", "`") for name in names for check in conformance(name)}
    assert listed == checks


def test_the_readme_tree_names_every_room_and_plugin_and_no_other():
    core, _, rest = README.partition("## What is where")[2].partition("\n    plugins/")
    listed = set(re.findall(r"^ {6}([\w.]+)/? ", core, flags=re.MULTILINE))
    there = {path.name for path in (ROOT / "superloop_core").iterdir()} - {
        "__init__.py",
        "__pycache__",
        "py.typed",
    }
    assert listed == there
    listed = set(re.findall(r"^ {6}(superloop-plugin-[a-z-]+)/", rest, flags=re.MULTILINE))
    assert listed == {path.name for path in (ROOT / "plugins").iterdir()}


def test_the_links_lead_somewhere():
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/*.md")):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_the_quickstart_lists_every_key_of_train_with_its_default():
    train = load_registry().tables["train"].config
    tables = [tomllib.loads(block) for block in blocks(QUICKSTART, "toml")]
    every, with_arguments = (table["train"] for table in tables if "train" in table)
    assert every == attrs.asdict(train())
    assert train(**with_arguments).optimizer["weight_decay"] == 0.01
    (early_stopping,) = (table["early_stopping"] for table in tables if "early_stopping" in table)
    assert early_stopping == attrs.asdict(load_registry().tables["early_stopping"].config(patience=5))


def test_the_quickstart_lists_every_key_of_model_with_its_default():
    model = load_registry().resolve_table("model").config
    keys, further = (tomllib.loads(block) for block in blocks(QUICKSTART, "toml") if "[model]" in block)
    assert keys["model"] | {"loops": ()} == attrs.asdict(model())
    copy = {"loop": {"cells": [{"use": "gru", "units": 3}]}, "task": {"use": "copy", "length": 3}}
    results = read_experiment(copy | further).network.loops[1].config
    assert (results.inputs, results.outputs, results.systems[0].id) == (3, 16, "stack")


def test_the_weights_of_the_quickstart_are_made():
    (table,) = (block for block in blocks(QUICKSTART, "toml") if "output_weights" in block)
    loop = superloop_core.Superloop(tomllib.loads(table))
    loop.build((None, 3, 2))
    cell, projection = loop.wiring.parts()["cells.0"], loop.wiring.projection
    assert 0.08 < np.std(cell.weights[0]) < 0.12
    assert len(projection.losses) == 1


def test_the_quickstart_shows_the_error_that_there_is():
    shown = re.search(r"    \$ superloop (train .*)\n((?:    .*\n)+)", QUICKSTART)
    done = subprocess.run(
        [sys.executable, "-m", "superloop_core.cli", *shown[1].split()],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == re.sub("^    ", "", shown[2], flags=re.MULTILINE)


def test_the_page_on_loops_runs_top_down_and_prints_what_it_says(capsys):
    page = (ROOT / "docs/loop.md").read_text()
    code = "\n".join(blocks(page, "python"))
    exec(code, {})
    printed = re.findall(r"^print\(.*\n# (.*)$", code, flags=re.MULTILINE)
    assert len(printed) == 2
    assert capsys.readouterr().out.splitlines() == printed


def test_the_page_on_keras_runs_top_down_and_prints_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks((ROOT / "docs/keras.md").read_text(), "python"))
    exec(code, {})
    printed = re.findall(r"^print\(.*\n# (.*)$", code, flags=re.MULTILINE)
    assert len(printed) == 1
    assert capsys.readouterr().out.splitlines() == printed


def test_the_page_on_troubleshooting_quotes_the_messages_there_are():
    page = (ROOT / "docs/troubleshooting.md").read_text()
    x, data = np.ones((5, 7, 2), "float32"), np.ones((5, 6, 2), "float32")
    config: dict = {
        "inputs": 2,
        "outputs": 3,
        "cells": [{"use": "lstm", "units": 8}],
        "systems": [
            {"use": "attention", "id": "tape", "width": 2},
            {"use": "stack", "id": "memo", "depth": 4},
        ],
    }
    feed = {"inputs": x, "tape_data": data}
    with_nan = x.copy()
    with_nan[1, 2, 0] = np.nan

    def called(given, **arguments):
        return lambda: superloop_core.Superloop(config, **arguments)(given)

    def changed(**entries):
        return lambda: superloop_core.Superloop(config | entries)

    stateful = superloop_core.Superloop(config, stateful=True)
    stateful(feed)
    stack = {"use": "stack", "depth": 2}
    quoted = [
        called(feed | {"inputs": np.ones((5, 7, 3))}),
        called(x),
        called(feed | {"tape_data": data[:4]}),
        called(feed | {"lengths": np.array([1, 2, 3, 4, 9])}),
        lambda: stateful({name: value[:3] for name, value in feed.items()}),
        changed(systems=[{"use": "stack", "depht": 4}]),
        changed(systems=[{"use": "stak"}]),
        changed(outputs="3"),
        changed(systems=[stack, stack]),
        called(feed, traces=["memo.cell"]),
        changed(systems=[{"use": "local:ring_buffer"}]),
        called(feed | {"inputs": with_nan}, debug=True),
        lambda: superloop_core.Superloop(
            cells=[keras.layers.LSTMCell(8, dtype="float32")], dtype="mixed_float16"
        ),
    ]
    for provoke in quoted:
        with pytest.raises(superloop_core.SuperloopError) as raised:
            provoke()
        message = re.sub(r"^superloop(_\d+)?: ", "", str(raised.value)).partition("; a broken plugin")[0]
        assert message in page, message


@pytest.mark.release
def test_the_page_on_troubleshooting_quotes_the_messages_of_runs(tmp_path, monkeypatch):
    page = (ROOT / "docs/troubleshooting.md").read_text()
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text(
        '[loop]\ncells = [{ use = "lstm", units = 8 }]\n[task]\nuse = "parity_check"\nlength = 6\n'
        "[train]\nsteps = 4\nbatch_size = 16\nevaluate_every = 2\nevaluate_on = 64\nfinal_on = 64\n"
    )
    load_registry().add_commands(cli)

    def message(command):
        done = CliRunner().invoke(cli, command.split())
        assert done.exit_code
        return re.sub(r"\d[\d,.e+]*( [TGM]B)?", "#", f"{done.exception} {done.output}")

    def assert_quoted(pattern, command):
        (found,) = re.findall(pattern, re.sub(r"\d[\d,.e+]*( [TGM]B)?", "#", page))
        assert found in message(command)

    too_large = "--set loop.cells.0.units=200000"
    assert_quoted("loop: does not fit .*", f"validate config.toml {too_large}")
    diverging = "--set train.learning_rate=1e38 --set train.optimizer=sgd --set train.clip_norm=0"
    not_finite = "not finite on test sequences.*try a lower train.learning_rate"
    assert_quoted(not_finite, f"train config.toml --out runs/a {diverging}")
    assert_quoted("--out runs/a: exists .*", "train config.toml --out runs/a")
    CliRunner().invoke(cli, ["train", "config.toml", "--out", "runs/b"])
    assert_quoted(": has taken # steps, .*", "resume runs/b")
    assert_quoted("; undo --set", "resume runs/b --steps 8 --set loop.cells.0.units=9")
    with Path("runs/b/model.keras").open("ab") as file:
        file.write(b"x")
    assert_quoted("/model.keras: has # bytes, .*; put it back", "eval runs/b")


def test_the_page_on_seeing_inside_runs_top_down_and_prints_what_it_says(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks((ROOT / "docs/inspect.md").read_text(), "python"))
    exec(code, {})
    printed = re.findall(r"^print\(.*\n# (.*)$", code, flags=re.MULTILINE)
    assert len(printed) == 3
    assert capsys.readouterr().out.splitlines() == printed
    assert {path.name for path in tmp_path.iterdir()} == {"traces.npz", "figure.pdf"}


def test_the_page_on_the_viewer_runs_top_down_and_writes_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks((ROOT / "docs/viewer.md").read_text(), "python")), {})
    assert [path.name for path in tmp_path.iterdir()] == ["view.html"]


@pytest.mark.release
def test_the_page_on_notebooks_runs_top_down_and_its_file_on_the_command_line(tmp_path, monkeypatch, capsys):
    code = blocks((ROOT / "docs/plugins/notebook.md").read_text(), "python")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "_local", {})
    with registry_in_use(None):
        exec("\n".join(code), {"__name__": "__main__"})
    printed = re.findall(r"^print\(.*\n# (.*)$", "\n".join(code), flags=re.MULTILINE)
    assert len(printed) == 3
    assert capsys.readouterr().out.splitlines() == printed
    (tmp_path / "memory.py").write_text(code[0])
    written = subprocess.run(
        [sys.executable, "-m", "superloop_core.cli", "-p", "./memory.py", "init", "gru", "ring_buffer"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert tomllib.loads(written.stdout)["loop"]["systems"][0]["use"] == "ring_buffer"


def test_the_page_on_the_contract_has_a_hook_that_trains(tmp_path, monkeypatch):
    text = (ROOT / "docs/plugins/contract.md").read_text()
    (code,) = (block for block in blocks(text, "python") if "superloop_add_callbacks" in block)
    module = types.ModuleType("printing")
    exec(code, vars(module))
    monkeypatch.setattr(registry, "_local", {})
    with registry_in_use(None):
        load_registry().register(module, distribution="superloop-plugin-printing")
        config = read_config({"loop": {"inputs": 1, "cells": [{"use": "lstm", "units": 1}]}}, load_registry())
        made = load_registry().hook.superloop_add_callbacks(config=config, folder=tmp_path)
    (latest,) = (
        one for of_plugin in made for one in np.atleast_1d(of_plugin) if type(one).__name__ == "Latest"
    )
    latest.begin([])
    latest.evaluation(250, {"validation_accuracy": 0.5})
    assert (tmp_path / "latest/accuracy.txt").read_text() == "250 0.5"


@pytest.mark.release
def test_the_commands_of_the_page_on_experiments_run(tmp_path, monkeypatch):
    page = (ROOT / "docs/experiments.md").read_text()
    monkeypatch.chdir(tmp_path)
    for name, text in files(page).items():
        (tmp_path / name).write_text(text)
    commands = re.findall(r"^    superloop (.+)$", page, flags=re.MULTILINE)
    assert len(commands) == 10
    load_registry().add_commands(cli)
    for command in commands:
        if "sweep" in command and importlib.util.find_spec("optuna") is None:
            continue
        done = CliRunner().invoke(cli, command.split(), catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        *("parity.toml", "runs", "exported"),
        *("learning.png", "losses.pdf", "lengths.png"),
    }


def test_the_page_on_experiments_lists_every_key_of_sweep_with_its_default():
    page = (ROOT / "docs/experiments.md").read_text()
    (table,) = (block for block in blocks(page, "toml") if "storage" in block)
    listed = tomllib.loads(table)["sweep"]
    sweep = load_registry().tables["sweep"].config
    assert listed == attrs.asdict(sweep(search=listed["search"]))


def test_the_quickstart_systems_are_two_of_a_kind():
    (table,) = (block for block in blocks(QUICKSTART, "toml") if "question" in block)
    config = tomllib.loads(table)["loop"] | {"timesteps": 4, "cells": [{"use": "gru", "units": 3}]}
    loop = superloop_core.Superloop(config)
    assert set(loop.input_shapes) == {"question_data", "text_data"}
