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


@pytest.mark.parametrize(
    ("name", "rule", "proposal"),
    [
        ("lab", "superloop-plugin-lab 0.1.0 is installed, and pip would replace it", "my_lab"),
        ("cells", "superloop-plugin-cells 0.1.0 is installed", "my_cells"),
        ("Lab", "lower case letters", "my_lab"),
        ("stack_", "must begin with a letter, with single underscores between words only", "stack"),
        ("a__b", "single underscores between words only", "a_b"),
        ("_a", "must begin with a letter", "a"),
        ("3d", "must begin with a letter", "d"),
        ("42", "must begin with a letter", "plugin"),
        ("", "lower case letters", "plugin"),
        ("é", "lower case letters", "plugin"),
        ("a b", "lower case letters", "a_b"),
        ("a-b.c", "lower case letters", "a_b_c"),
        ("../../a", "lower case letters", "a"),
        ("class", "keyword of Python", "my_class"),
        ("none", "keyword of Python", "my_none"),
        ("batch", "may not have the name Batch, which is the core's", "my_batch"),
        ("sequence", "may not have the name Sequence, which is the core's", "my_sequence"),
        ("con", "no file can have on Windows", "my_con"),
        ("a" * 51, "may have 50 characters at most", "a" * 50),
        ("\x1b[2J", "lower case letters", "j"),
        ("a" * 100_000, "may have 50 characters at most", "a" * 50),
    ],
)
def test_a_name_that_could_not_be_installed_is_rejected_with_one_that_can(
    name, rule, proposal, superloop, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    told = str(superloop("new-plugin", "--", name, status=1).exception)
    assert rule in told
    assert told.endswith(f"; try {proposal!r}")
    assert len(told) < 500
    assert not list(tmp_path.iterdir())
    superloop("new-plugin", proposal)


@pytest.mark.parametrize("author", ["Zoë", "lone \udcff", 'a "quoted" $name'])
def test_an_author_may_have_any_name(author, superloop, tmp_path):
    superloop("new-plugin", "ring", "--author", author, "-o", tmp_path / "ring")
    licence = (tmp_path / "ring/LICENSE").read_text(encoding="utf-8")
    assert author.replace("\udcff", r"\udcff") in licence
