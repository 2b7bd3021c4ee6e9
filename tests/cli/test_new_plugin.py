"""``superloop new-plugin``: what it writes; that it works is tests/integration's."""

import tomllib

import pytest


@pytest.mark.parametrize("kind", ["system", "cell", "task"])
def test_everything_that_is_needed_is_written(kind, superloop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = superloop("new-plugin", "ring_buffer", "--kind", kind, "--author", "A. Person").stdout
    folder = tmp_path / "superloop-plugin-ring-buffer"
    assert f"superloop check-plugin {kind}:ring_buffer" in shown
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written == {
        ".gitignore", "LICENSE", "README.md", "pyproject.toml", "tox.ini",
        "superloop_plugin_ring_buffer/__init__.py", "superloop_plugin_ring_buffer/py.typed",
        "superloop_plugin_ring_buffer/ring_buffer.py",
        "tests/test_conformance.py", "tests/test_values.py",
    }  # fmt: skip
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["superloop.plugins"] == {"ring_buffer": "superloop_plugin_ring_buffer"}
    assert project["dependencies"] == ["superloop-core>=0.1,<0.2"]
    assert "A. Person" in (folder / "LICENSE").read_text()
    for path in folder.rglob("*.py"):
        compile(path.read_text(), str(path), "exec")
        assert "$" not in path.read_text()


def test_a_keyword_is_rejected_and_a_name_that_is_taken_is_reported(superloop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "keyword of Python" in str(superloop("new-plugin", "class", status=1).exception)
    assert not list(tmp_path.iterdir())
    told = superloop("new-plugin", "stack").output
    assert "superloop-plugin-stacks:stack has this name too" in told


def test_a_folder_in_use_is_left_alone(superloop, tmp_path):
    (tmp_path / "mine").write_text("mine")
    done = superloop("new-plugin", "ring", "-o", tmp_path, status=1)
    assert "is there already, and is not empty; name another folder with -o" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_name_that_configs_could_not_use_is_rejected(superloop):
    done = superloop("new-plugin", "RingBuffer", status=1)
    assert "must be of lower case letters, digits and underscores: 'RingBuffer'; try 'ring_buffer'" in str(
        done.exception
    )
