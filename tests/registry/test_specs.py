"""Specs: what a plugin may say of itself."""

import attrs
import pytest

from superloop_core import CellSpec, SystemSpec, TableSpec, TaskSpec
from superloop_core.registry.specs import snake_case


@attrs.frozen
class Settings:
    size: int = 1


def spec(**changes):
    given = {"name": "stack", "config": Settings, "factory": "package.module:Stack", "summary": "A stack."}
    return SystemSpec(**given | changes)


def test_a_spec_has_a_kind():
    assert (CellSpec.kind, SystemSpec.kind, TaskSpec.kind) == ("cell", "system", "task")


@pytest.mark.parametrize("name", ["Stack", "my stack", "9lives", "a:b", "stack.v", ""])
def test_a_name_that_could_not_be_written_in_a_config_is_rejected(name):
    with pytest.raises(ValueError, match="'name' must match regex"):
        spec(name=name)


def test_a_name_may_tell_its_version():
    assert spec(name="stack.v2").name == "stack.v2"


def test_the_settings_must_be_an_attrs_class_and_the_factory_a_place():
    with pytest.raises(TypeError, match="'config' must be an attrs class"):
        spec(config=dict)
    with pytest.raises(ValueError, match="'factory' must match regex"):
        spec(factory="package.module")
    with pytest.raises(TypeError, match="'config' must be an attrs class"):
        TableSpec(name="train", config=dict)


def test_a_table_has_either_a_schema_or_a_kind():
    with pytest.raises(ValueError, match="must have either a config or a kind"):
        TableSpec(name="train")
    with pytest.raises(ValueError, match="must have either a config or a kind"):
        TableSpec(name="train", config=Settings, kind="task")


@pytest.mark.parametrize(
    ("camel", "snake"),
    [
        ("RegisterMemory", "register_memory"),
        ("SGU", "sgu"),
        ("SimpleRNN", "simple_rnn"),
        ("stack.v2", "stack.v2"),
    ],
)
def test_camel_case_becomes_snake_case(camel, snake):
    assert snake_case(camel) == snake
