"""``superloop init``: configs that are valid as they are written."""

import tomllib

import pytest

from superloop_core import ConfigError, TaskSpec
from superloop_core.config import read_config
from superloop_core.registry import load_registry

PARTS = [
    f"{record.kind}:{record.name}"
    for record in load_registry().records
    if record.kind in ("cell", "system") and record.distribution != "superloop-core"
]
TASKS = [record.name for record in load_registry().records if record.kind == "task"]


@pytest.mark.parametrize("name", [*PARTS, *TASKS])
def test_what_is_written_for_every_plugin_is_valid_and_holds_its_defaults(name, superloop):
    text = superloop("init", name).stdout
    config = read_config(tomllib.loads(text), load_registry())
    (record,) = load_registry().find(name)
    if record.kind == "task":
        assert config.tables["task"].use == record.qualified_name
        return
    parts = config.loop.cells if record.kind == "cell" else config.loop.systems
    assert [part.use for part in parts] == [record.qualified_name]
    for field in record.spec.config.__attrs_attrs__:
        assert f"{field.name} = " in text


SYSTEMS = [record.name for record in load_registry().records if record.kind == "system"]
READERS = ("attention", "content_attention", "location_attention")  # each needs a source
TAPES = {
    "read_out": READERS,
    "look_up": READERS,
    "last_two_before_nine": ("attention", "location_attention"),  # which have a position
}


def fits(task, *systems):
    """Whether a task can be trained with systems: those that read have something to read, and one does."""
    readers = [system for system in systems if system in READERS]
    return len(readers) == (task in TAPES) and set(readers) <= set(TAPES.get(task, ()))


def check_init(superloop, task, *systems):
    """Check that what is written can be trained, or that the error names the part to leave out or to add."""
    done = superloop("init", task, *(f"system:{system}" for system in systems), status=None)
    if fits(task, *systems):
        assert done.exit_code == 0, done.exception
        return done.stdout
    assert any(f"{name}" in str(done.exception) for name in (*systems, "attention"))
    assert any(
        move in str(done.exception) for move in ("leave it out", "name a system that does", "name other")
    )
    return None


@pytest.mark.parametrize(
    ("task", "systems"),
    [
        ("copy", ["stack"]),
        ("adding", ["tape", "tape"]),
        ("read_out", ["tape", "content_attention"]),  # both are called tape
        ("look_up", ["attention", "ntm"]),
        ("last_two_before_nine", ["attention"]),
        ("last_two_before_nine", ["content_attention"]),
        ("read_out", ["stack"]),
        ("read_out", ["attention", "attention"]),
        ("copy", ["attention"]),
    ],
)
def test_what_is_written_for_a_task_and_systems_can_be_trained(task, systems, superloop):
    from superloop_plugin_lab.experiment import read_experiment

    if text := check_init(superloop, task, *systems):
        tables = tomllib.loads(text)
        read_experiment(tables | {"train": tables["train"] | {"batch_size": 2}}, to_train=True)


@pytest.mark.release
@pytest.mark.parametrize("task", TASKS)
def test_what_is_written_for_a_task_and_its_share_of_the_systems_can_be_trained(task, superloop):
    first = TASKS.index(task)
    for system in SYSTEMS[first % 6 :: 6]:
        check_init(superloop, task, system)
        check_init(superloop, task, system, SYSTEMS[(SYSTEMS.index(system) + first) % len(SYSTEMS)])


def test_a_task_whose_files_are_missing_leaves_its_sizes_out(superloop, monkeypatch):
    def refuse(spec, settings):
        raise ConfigError("no such file")

    monkeypatch.setattr(TaskSpec, "create", refuse)
    text = superloop("init", "copy", "stack").stdout
    assert "\n# inputs = ...\n" in text
    assert "left out: the task decides it" in text


def test_a_name_that_two_have_is_written_with_its_distribution(superloop, tmp_plugin, tmp_path):
    light = (
        "import attrs\nfrom superloop_core import CellSpec, hookimpl\n@attrs.frozen\nclass Config:\n"
        '    """A cell.\n\n    Args:\n        units: how many.\n    """\n\n    units: int = 1\n'
        "@hookimpl\ndef superloop_register():\n"
        '    yield CellSpec(name="lstm", config=Config, factory="a:b", summary="A cell")\n'
    )
    tmp_plugin("superloop-plugin-other", {"other_light": light})
    text = superloop("init", "attention").stdout
    config = read_config(tomllib.loads(text), load_registry())
    assert len(config.loop.cells) == 1
    text = superloop("init", "superloop_plugin_cells:lstm").stdout
    assert 'use = "superloop-plugin-cells:lstm"' in text


def test_cells_and_systems_stand_in_the_order_they_are_named_in(superloop, tmp_path):
    out = tmp_path / "config.toml"
    superloop("init", "gru", "stack", "lstm", "stack", "attention", "final_distance", "-o", out)
    config = read_config(out, load_registry())
    assert [cell.use.rpartition(":")[2] for cell in config.loop.cells] == ["gru", "lstm"]
    assert [system.id for system in config.loop.systems] == ["stack", "stack_2", "attention"]
    assert "# cells of each stack; a push past the last cell is lost; >= 1" in out.read_text()


def test_a_file_that_is_there_is_left_alone(superloop, tmp_path):
    out = tmp_path / "config.toml"
    out.write_text("mine")
    done = superloop("init", "gru", "-o", out, status=1)
    assert "is there already" in str(done.exception)
    assert out.read_text() == "mine"
    done = superloop("init", "gru", "-o", tmp_path / "config.yaml", status=1)
    assert "must end in .toml" in str(done.exception)


def test_a_name_of_two_kinds_must_say_which(superloop):
    done = superloop("init", "superloop", status=1)
    assert str(done.exception) == (
        "'superloop' is a cell and a system; write cell:superloop or system:superloop"
    )


@pytest.mark.parametrize(
    "setting",
    [
        "type='Nowhere', default=1",
        "default=object()",
        "default={1, 2}",
        "default=attrs.Factory(lambda: 1 / 0)",
        "default=float('nan')",
    ],
)
def test_a_table_that_cannot_be_written_spoils_no_config(setting, superloop, tmp_plugin):
    light = (
        "import attrs\nfrom superloop_core import TableSpec, hookimpl\n"
        f"Config = attrs.make_class('Config', {{'a': attrs.field({setting})}})\n"
        "@hookimpl\ndef superloop_config_tables():\n    yield TableSpec(name='odd', config=Config)\n"
    )
    tmp_plugin("superloop-plugin-odd", {"odd_light": light})
    text = superloop("init", "adding").stdout
    read_config(tomllib.loads(text), load_registry())
    assert ("# [odd] is left out, as its settings cannot be written: " in text) != ("\n[odd]\n" in text)


def test_a_file_that_cannot_be_written_is_reported_with_the_next_move(superloop, tmp_path):
    (tmp_path / "file").write_text("")
    commands = (
        ("init", "lstm", "-o", tmp_path / "file/a.toml"),
        ("new-plugin", "mine", "-o", tmp_path / "file/a"),
    )
    for command in commands:
        error = str(superloop(*command, status=1).exception)
        assert f"{command[-1]}: cannot be written: " in error
        assert error.endswith("; a file is in the place of a folder: move it away, or choose another name")


def test_a_folder_that_is_missing_is_made(superloop, tmp_path):
    superloop("init", "lstm", "-o", tmp_path / "a/b/c.toml")
    assert read_config(tmp_path / "a/b/c.toml", load_registry()).loop.cells
