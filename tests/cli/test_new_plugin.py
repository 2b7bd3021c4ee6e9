"""``superloop new-plugin``; the tox of each plugin is run by tests/integration/test_strangers.py."""

import ast
import keyword
import re
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superloop_core.config import read_config
from superloop_core.registry import load_registry

ROOT = Path(__file__).parents[2]
KINDS = ("system", "cell", "task", "metric", "command", "table")
REGISTERED = KINDS[:4]  # those that have a conformance kit
LONGEST = "a_name_of_exactly_30_character"


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_is_needed_is_written(kind, superloop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = superloop("new-plugin", "ring_buffer", "--kind", kind, "--author", "A. Person").stdout
    folder = tmp_path / "superloop-plugin-ring-buffer"
    assert f"pip install -e {folder} && " in shown
    assert (f"superloop check-plugin {kind}:ring_buffer" in shown) == (kind in REGISTERED)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {
        ".github/workflows/test.yml", ".gitignore", "CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml",
        "tox.ini", "superloop_plugin_ring_buffer/__init__.py", "superloop_plugin_ring_buffer/py.typed",
        f"superloop_plugin_ring_buffer/{kind}.py", "tests/test_values.py",
    } | ({"tests/test_conformance.py"} if kind in REGISTERED else set())  # fmt: skip
    assert "A. Person" in (folder / "LICENSE").read_text()
    for path in (path for path in folder.rglob("*") if path.is_file()):
        placeholders = path.read_text().replace("$PWD", "").replace("${{", "")
        assert not re.search(r"\$[a-z{$]", placeholders), path


@pytest.mark.parametrize("kind", KINDS)
def test_its_metadata_is_complete(kind, superloop, tmp_path):
    superloop("new-plugin", "ring_buffer", "--kind", kind, "-o", tmp_path / "ring")
    document = tomllib.loads((tmp_path / "ring/pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    assert project["entry-points"]["superloop.plugins"] == {"ring_buffer": "superloop_plugin_ring_buffer"}
    assert project["dependencies"] == ["superloop-core>=0.1,<0.2"]
    assert project["urls"].keys() == {"Repository", "Changelog"}
    core = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pythons = [line for line in core["classifiers"] if "Python ::" in line]
    assert [line for line in project["classifiers"] if "Python ::" in line] == pythons
    versions = ", ".join(f'"{line.rpartition(" ")[2]}"' for line in pythons)
    assert f"python: [{versions}]" in (tmp_path / "ring/.github/workflows/test.yml").read_text()
    assert "--no-deps superloop-core>=0.1,<0.2" in (tmp_path / "ring/tox.ini").read_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a", LONGEST])
def test_its_code_is_typed_and_keeps_its_own_line_length_with_any_name(kind, name, superloop, tmp_path):
    superloop("new-plugin", name, "--kind", kind, "-o", tmp_path / name)
    limit = tomllib.loads((tmp_path / name / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]
    for path in (tmp_path / name).rglob("*.py"):
        text = path.read_text()
        assert max(map(len, text.splitlines())) <= limit
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                arguments = [each for each in node.args.args if each.arg != "self"]
                assert all(each.annotation for each in arguments), node.name
                assert node.returns is not None, node.name


@pytest.fixture
def written(superloop, tmp_plugin, tmp_path):
    """Writes a plugin and installs it; gives its folder."""

    def write(kind, name):
        out = tmp_path / "written"
        superloop("new-plugin", name, "--kind", kind, "-o", out)
        project = tomllib.loads((out / "pyproject.toml").read_text())["project"]
        (entry_points,) = project["entry-points"].values()
        modules = {
            ".".join(path.relative_to(out).with_suffix("").parts): path.read_text()
            for path in sorted((out / f"superloop_plugin_{name}").glob("*.py"))
        }
        tmp_plugin(project["name"], modules, entry_points=entry_points, requires=project["dependencies"])
        return out

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_its_readme_has_a_config_that_is_valid(kind, written):
    readme = (written(kind, "ring_buffer") / "README.md").read_text()
    assert readme.count("\n") < 75
    (config,) = re.findall(r"```toml\n(.*?)```", readme, re.S)
    named = read_config(tomllib.loads(config), load_registry()).to_dict()
    assert "ring_buffer" in str(named) or kind == "command"


def test_a_folder_in_use_is_left_alone(superloop, tmp_path):
    (tmp_path / "mine").write_text("mine")
    done = superloop("new-plugin", "circle", "-o", tmp_path, status=1)
    assert "is there already, and is not empty; name another folder with -o" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


NO_MODULE = "may not be that of a module of Python's standard library"


@pytest.mark.parametrize(
    ("kind", "name", "rule", "proposal"),
    [
        ("system", "RingBuffer", "must be of lower case letters, digits and underscores", "ring_buffer"),
        ("system", "stack", "superloop-plugin-stacks:stack has this name already", "my_stack"),
        ("cell", "stack", "superloop-plugin-stacks:stack has this name already", "my_stack"),
        ("system", "register_memory", "superloop-plugin-registers:register_memory has", "my_register_memory"),
        ("system", "lab", "superloop-plugin-lab is a plugin of the project", "my_lab"),
        ("system", "cells", "superloop-plugin-cells is a plugin of the project", "my_cells"),
        ("system", "Lab", "lower case letters", "my_lab"),
        ("system", "stack_", "must begin with a letter, with single underscores between words", "my_stack"),
        ("system", "a__b", "single underscores between words only", "a_b"),
        ("system", "_a", "must begin with a letter", "a"),
        ("system", "3d", "must begin with a letter", "my_3d"),
        ("system", "42", "must begin with a letter", "my_42"),
        ("system", "", "lower case letters", "plugin"),
        ("system", "é", "lower case letters", "plugin"),
        ("system", "a b", "lower case letters", "a_b"),
        ("system", "a-b.c", "lower case letters", "a_b_c"),
        ("system", "../../a", "lower case letters", "a"),
        ("system", "class", "keyword of Python", "my_class"),
        ("system", "none", "keyword of Python", "my_none"),
        ("system", "queue", NO_MODULE, "my_queue"),
        ("system", "system", "may not be a kind (cell, system, task, metric, command, table)", "my_system"),
        ("metric", "table", "may not be a kind", "my_table"),
        ("command", "init", "there is a command 'init' already", "my_init"),
        ("command", "new_plugin", "there is a command 'new-plugin' already", "my_new_plugin"),
        ("command", "train", "there is a command 'train' already", "my_train"),
        ("table", "loop", "there is a table [loop] already", "my_loop"),
        ("table", "train", "there is a table [train] already", "my_train"),
        ("system", "a" * 31, "may have 30 characters at most", "a" * 30),
        ("system", "\x1b[2J", "lower case letters", "my_2_j"),
        ("system", "a" * 100_000, "may have 30 characters at most", "a" * 30),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_one_that_can(
    kind, name, rule, proposal, superloop, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    told = str(superloop("new-plugin", "--kind", kind, "--", name, status=1).exception)
    assert rule in told
    assert told.endswith(f"; try {proposal!r}")
    assert len(told) < 500
    assert not list(tmp_path.iterdir())
    superloop("new-plugin", "--kind", kind, proposal)


def test_a_plugin_that_is_installed_is_not_written_again(superloop, fake_distribution, tmp_path):
    fake_distribution("superloop-plugin-ring-buffer", {"x": ""})
    told = str(superloop("new-plugin", "ring_buffer", "-o", tmp_path / "x", status=1).exception)
    assert "superloop-plugin-ring-buffer 1.0 is installed, and pip would replace it" in told


def test_names_of_commands_and_tables_are_free_for_other_kinds(superloop, tmp_path):
    for name in ("init", "train", "loop"):
        superloop("new-plugin", name, "--kind", "system", "-o", tmp_path / name)


NAMES = st.one_of(
    st.text(max_size=60),
    st.text("aB1_-. ", max_size=60),
    st.sampled_from([*keyword.kwlist, *sorted(sys.stdlib_module_names), *KINDS]),
    st.sampled_from(
        ["stack", "lstm", "copy", "lab", "tasks", "superloop", "check_plugin", "eval", "curriculum"]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES, kind=st.sampled_from(KINDS))
def test_any_name_or_the_one_that_is_proposed_is_accepted(name, kind, superloop):
    with tempfile.TemporaryDirectory() as folder:
        command = ("new-plugin", "--kind", kind, "-o", f"{folder}/first", "--")
        done = superloop(*command, name, status=None)
        if done.exit_code:
            assert not list(Path(folder).iterdir())
            _, proposal = re.fullmatch(r"(?s)(.*); try '([a-z0-9_]+)'", str(done.exception)).groups()
            superloop(*command, proposal)
        assert Path(folder, "first/pyproject.toml").is_file()


@pytest.mark.parametrize("author", ["Zoë", "lone \udcff", 'a "quoted" \\ $name', "😀"])
def test_an_author_may_have_any_name(author, superloop, tmp_path):
    superloop("new-plugin", "circle", "--author", author, "-o", tmp_path / "ring")
    author = author.replace("\udcff", r"\udcff")
    assert author in (tmp_path / "ring/LICENSE").read_text(encoding="utf-8")
    project = tomllib.loads((tmp_path / "ring/pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["authors"] == [{"name": author}]
