"""``superloop validate``."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from superloop_core import ConfigError
from superloop_core.config import read_config
from superloop_core.registry import load_registry
from superloop_core.registry.specs import PluginSpec

EXAMPLES = Path(__file__).parents[2] / "docs/examples"


def test_a_valid_config_is_reported_with_shapes_weights_and_memory(superloop):
    told = json.loads(superloop("validate", EXAMPLES / "last_two_before_nine.toml", "--json").stdout)
    assert told["valid"] is True
    assert told["inputs"] == {"tape_data": [None, None, 10]}
    assert told["output_shape"] == [None, 32, 64]
    lstm, tape = told["parts"]
    assert (lstm["path"], lstm["input_size"], lstm["weights"]) == ("cells.0", 10, 4 * 64 * (10 + 64 + 1))
    assert (tape["path"], tape["weights"], tape["state_size"]) == ("tape", 64 + 1, 1 + 10)
    assert told["weights"] == lstm["weights"] + tape["weights"]
    rows = 32 * 128  # timesteps x batch
    assert told["memory"]["states"] == rows * (2 * 64 + 1 + 10 + 64) * 4
    assert read_config(told["config"], load_registry()).loop.timesteps == 32


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_is_valid(path, superloop):
    shown = superloop("validate", path).stdout
    assert "is valid. With every default, it reads:" in shown
    assert "total" in shown
    assert re.search(r"at least [\d.]+ [kMG]B\s+to\s+train\s+with\s+Adam", shown)


def test_every_problem_is_reported_with_its_place(superloop, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[loop]\ninputs = "2"\n[[loop.cells]]\nuse = "gru"\nunit = 3\n[trian]\nsteps = 1\n')
    told = json.loads(superloop("validate", path, "--json", status=2).stdout)
    assert told["valid"] is False
    assert [problem["where"] for problem in told["problems"]] == [
        "", "loop", 'loop.cells[0] "gru"', 'loop.cells[0] "gru"',
    ]  # fmt: skip
    shown = superloop("validate", path, status=2).output
    assert "4 problems" in shown
    assert "no table [trian]; did you mean 'train'?" in shown


def test_the_checks_of_train_are_made_where_there_is_a_task(superloop, tmp_path):
    path = tmp_path / "config.toml"
    task = '[task]\nuse = "copy"\nlength = 3\nwidth = 2\n'
    path.write_text(f'[loop]\ninputs = 5\noutputs = 2\n[[loop.cells]]\nuse = "gru"\nunits = 3\n{task}')
    told = json.loads(superloop("validate", path, "--json", status=2).stdout)
    assert told["problems"] == [
        {
            "where": "task",
            "what": "provides 'inputs' of shape (7, 3), but the loop takes (any, 5); set loop.inputs = 3",
        }
    ]
    assert "set loop.inputs = 3" in superloop("validate", path, status=2).stderr
    assert json.loads(superloop("validate", path, "--json", "--set", "loop.inputs=3").stdout)["valid"]
    optimizer = superloop(
        "validate", path, "--set", "loop.inputs=3", "--set", "train.optimizer=a>b", status=2
    )
    assert "train: 'optimizer' must be" in optimizer.stderr


CHECKING = (
    "import attrs\nfrom superloop_core import TableSpec, hookimpl\n"
    "from superloop_core.errors import Problem\n"
    "@attrs.frozen(kw_only=True)\nclass Config:\n    size: int = 1\n"
    "@hookimpl\ndef superloop_config_tables():\n    yield TableSpec(name='odd', config=Config)\n"
    "@hookimpl\ndef superloop_complete_tables(tables):\n"
    "    return {**tables, 'loop': {'inputs': 2, **tables['loop']}}\n"
    "@hookimpl\ndef superloop_check_config(config):\n"
    "    if 'odd' in config.tables and config.tables['odd'].size % 2 == 0:\n        "
)


def test_a_plugin_fills_in_and_checks_its_own_tables(superloop, tmp_plugin, tmp_path):
    problem = "yield Problem('odd', f\"'size' must be odd: {config.tables['odd'].size}\")\n"
    tmp_plugin("superloop-plugin-odd", {"odd_light": CHECKING + problem})
    path = tmp_path / "config.toml"
    path.write_text('[[loop.cells]]\nuse = "gru"\nunits = 3\n[odd]\n')
    assert json.loads(superloop("validate", path, "--json").stdout)["inputs"] == {"inputs": [None, None, 2]}
    told = json.loads(superloop("validate", path, "--set", "odd.size=2", "--json", status=2).stdout)
    assert told["problems"] == [{"where": "odd", "what": "'size' must be odd: 2"}]


def test_sizes_that_the_task_decides_may_be_left_out(superloop, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[[loop.cells]]\nuse = "gru"\nunits = 3\n[task]\nuse = "copy"\nwidth = 2\n')
    told = json.loads(superloop("validate", path, "--json").stdout)
    assert (told["config"]["loop"]["inputs"], told["config"]["loop"]["outputs"]) == (3, 2)
    wider = superloop("validate", path, "--json", "--set", "task.width=5").stdout
    assert json.loads(wider)["output_shape"] == [None, None, 5]
    wrong = superloop("validate", path, "--set", "task.width=0", "--set", "loop.inputs=3", status=2).stderr
    assert "1 problem\n" in wrong
    assert "inputs" not in wrong  # they are not known, which is no problem of their own


def test_memory_is_reported_where_the_timesteps_are_known(superloop, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[loop]\ninputs = 2\noutputs = 1\n[[loop.cells]]\nuse = "gru"\nunits = 3\n')
    assert json.loads(superloop("validate", path, "--json").stdout)["memory"] is None
    shown = superloop("validate", path).stdout
    assert "not known, as loop.timesteps is 0; give the number of the longest: --timesteps N" in shown
    told = json.loads(superloop("validate", path, "--json", "--timesteps", 50, "--batch-size", 4).stdout)
    assert told["output_shape"] == [None, 50, 1]
    assert told["memory"]["states"] == 50 * 4 * (3 + 1) * 4
    changed = superloop("validate", path, "--json", "--set", "loop.cells.gru.units=8").stdout
    assert json.loads(changed)["state_size"] == 8


def test_a_memory_that_grows_is_counted_where_the_timesteps_are_known(superloop, tmp_path):
    path = tmp_path / "config.toml"
    stack = '[[loop.systems]]\nuse = "neural_stack"\nwidth = 4\n'
    path.write_text(f'[loop]\ninputs = 2\n[[loop.cells]]\nuse = "gru"\nunits = 3\n{stack}')
    open_ended = json.loads(superloop("validate", path, "--json").stdout)
    assert open_ended["state_size"] is open_ended["memory"] is None
    assert "grows" in superloop("validate", path).stdout
    told = json.loads(superloop("validate", path, "--json", "--timesteps", 50, "--batch-size", 2).stdout)
    assert told["state_size"] == 3 + 50 * (4 + 1) + 4
    assert told["memory"]["states"] == 50 * 2 * (told["state_size"] + 3) * 4


def test_what_only_a_factory_can_tell_is_a_problem_like_any_other(superloop, tmp_path, monkeypatch):
    def refuse(spec, settings):
        raise ConfigError(f"'units' must be odd: {settings.units}")

    monkeypatch.setattr(PluginSpec, "create", refuse)
    path = tmp_path / "config.toml"
    cell = '[[loop.cells]]\nuse = "gru"\nunits = 4\nlearn_initial_state = true\n'  # its size is not told
    path.write_text(f"[loop]\ninputs = 2\n{cell}")
    told = json.loads(superloop("validate", path, "--json", status=2).stdout)
    assert told["problems"] == [{"where": 'loop.cells[0] "gru"', "what": "'units' must be odd: 4"}]
    assert "1 problem\n" in superloop("validate", path, status=2).output


def test_a_config_with_70_000_unknown_settings_is_rejected_on_one_screen(superloop, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[loop]\n" + "\n".join(f"s{number} = 1" for number in range(70_000)))
    shown = superloop("validate", path, status=2)
    assert shown.stdout == ""
    assert len(shown.stderr) <= 4_000
    assert "loop: and 69,980 more unknown settings" in shown.stderr
    problems = json.loads(superloop("validate", path, "--json", status=2).stdout)["problems"]
    assert len(problems) == 22


def test_stdout_holds_one_document_whatever_a_factory_prints(superloop, tmp_path, monkeypatch):
    create = PluginSpec.create

    def noisy(spec, settings):
        print("noise", flush=True)
        return create(spec, settings)

    monkeypatch.setattr(PluginSpec, "create", noisy)
    path = tmp_path / "config.toml"
    path.write_text('[loop]\ninputs = 2\n[[loop.cells]]\nuse = "gru"\nunits = 4\n')
    done = superloop("validate", path, "--json")
    assert json.loads(done.stdout)["valid"]
    assert "noise" in done.stderr


def test_a_config_with_a_mistake_is_rejected_without_keras(tmp_path):
    (tmp_path / "config.toml").write_text('[loop]\ninputs = 2\n[[loop.cells]]\nuse = "lstm"\nunit = 3\n')
    command = (
        "import sys; from superloop_core.cli import cli\n"
        f"try: cli(['validate', {str(tmp_path / 'config.toml')!r}], standalone_mode=False)\n"
        "except SystemExit as end: assert end.code == 2\n"
        "assert not {'keras', 'tensorflow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", command], check=True, capture_output=True)
