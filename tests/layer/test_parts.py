"""Loops, cells and systems in the settings of a plugin: read, counted, made, saved."""

import json
import tomllib

import attrs
import keras
import numpy as np
import pytest
import tomlkit

from superloop_core import CellConfig, ConfigError, PluginError, Superloop, SystemConfig, assemble, load_model
from superloop_core.builder import Builder, System
from superloop_core.cli.init import _text
from superloop_core.config import read_config, read_loop
from superloop_core.config.reader import count_parts
from superloop_core.config.settings import settings_to_dict
from superloop_core.describe.plugin import described
from superloop_core.registry import load_registry

LIGHT = """
import attrs
from superloop_core import CellConfig, CellSpec, LoopConfig, SystemConfig, hookimpl


@attrs.frozen(kw_only=True)
class Branch:
    cell: CellConfig


@attrs.frozen(kw_only=True)
class HolderConfig:
    '''A cell that holds others.

    Args:
        cell: the one that computes.
        more: others.
        three: three.
        memory: a memory.
        named: by name.
        branches: in a class.
    '''

    cell: CellConfig
    more: list[CellConfig] = attrs.field(factory=list)
    three: tuple[CellConfig, ...] = ()
    memory: SystemConfig | None = None
    named: dict[str, CellConfig] = attrs.field(factory=dict)
    branches: list[Branch] = attrs.field(factory=list)
    loop: LoopConfig | None = None
    size: int = 1

    @property
    def output_size(self):
        return self.cell.settings.units


@hookimpl
def superloop_register():
    yield CellSpec(
        name="holder", config=HolderConfig, factory="superloop_plugin_holder.holder:make", summary="A holder",
        example={"cell": {"use": "gru", "units": 3}},
    )
"""
HEAVY = """
from superloop_core import assemble


def make(settings):
    made = [assemble(part) for part in (*settings.more, settings.memory, settings.loop) if part is not None]
    return assemble(settings.cell)
"""
GRU = {"use": "gru", "units": 3}
WHOLE = {
    "cell": GRU,
    "more": [GRU, {"use": "lstm", "units": 2}],
    "three": [GRU],
    "memory": {"use": "stack", "id": "pile", "depth": 3},
    "named": {"a": GRU},
    "branches": [{"cell": GRU}],
    "loop": {"cells": [GRU], "systems": [{"use": "stack"}]},
}


@pytest.fixture(autouse=True)
def registry(tmp_plugin):
    return tmp_plugin(
        "superloop-plugin-holder",
        {"superloop_plugin_holder.__init__": LIGHT, "superloop_plugin_holder.holder": HEAVY},
        entry_points={"holder": "superloop_plugin_holder"},
    )


def loop_of(**settings):
    return {"inputs": 2, "cells": [{"use": "holder", "cell": GRU} | settings]}


def problems_of(**settings):
    with pytest.raises(ConfigError) as refused:
        read_loop(loop_of(**settings), load_registry())
    return [str(problem) for problem in refused.value.problems]


def test_parts_are_read_wherever_a_type_has_them_and_come_back():
    loop = read_loop(loop_of(**WHOLE), load_registry())
    settings = loop.cells[0].settings
    assert isinstance(settings.cell, CellConfig)
    assert settings.cell.use == "superloop-plugin-cells:gru"
    assert isinstance(settings.memory, SystemConfig)
    assert (settings.memory.id, settings.memory.settings.depth) == ("pile", 3)
    assert settings.more[1].settings.units == 2
    assert settings.branches[0].cell == settings.named["a"] == settings.three[0] == settings.cell
    for text in (tomllib.loads(tomlkit.dumps(loop.to_dict())), json.loads(json.dumps(loop.to_dict()))):
        assert read_loop(text, load_registry()) == loop


def test_all_problems_of_nested_parts_are_reported_once_with_their_place():
    here = 'loop.cells[0] "holder"'
    assert problems_of(
        cell=GRU | {"units": 0},
        more=[GRU, GRU | {"unit": 3}],
        three=[{"units": 3}],
        memory={"use": "stak"},
        named={"a": 3},
        branches=[{"cell": {"use": "holder", "cell": GRU | {"units": "x"}}}],
        loop={"cells": []},
        size="x",
    ) == [
        f"{here}.cell \"gru\": 'units' must be >= 1: 0",
        f"{here}.more[1] \"gru\": no setting 'unit'; did you mean 'units'?",
        f"{here}.three[0]: 'use' is missing; write use = NAME",
        f"{here}.memory: no system 'stak'; did you mean 'stack'?",
        f"{here}.named.a: must be a table: 3",
        f"{here}.branches[0].cell \"holder\".cell \"gru\": 'units' must be an integer: 'x' (str)",
        f"{here}.loop: needs a cell: add a [[loop.cells.loop.cells]] table with use = NAME",
        f"{here}: 'size' must be an integer: 'x' (str)",
    ]


def test_what_is_no_part_is_refused():
    assert problems_of(more=3) == [
        "loop.cells[0] \"holder\": 'more' must be a list of cells: 3 (int)",
    ]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("cell", GRU | {"layers": 2}),
        ("cell", GRU | {"learn_initial_state": True}),
        ("memory", {"use": "stack", "learn_initial_read": True}),
    ],
)
def test_what_only_a_loop_does_with_its_parts_is_refused(name, part):
    (problem,) = problems_of(**{name: part})
    key, value = list(part.items())[-1]
    assert problem.endswith(f".{name}: {key!r} is for the parts of a loop; leave it out: {value}")


def test_nested_parts_are_counted():
    loop = read_loop(loop_of(**WHOLE, layers=3), load_registry())
    inner = 1 + 2 + 1 + 1 + 1 + 1 + 2
    assert count_parts(loop) == 3 * (1 + inner)
    (problem,) = problems_of(more=[GRU] * 999)
    assert problem.endswith("those of nested loops included: 1,001")


def test_a_dotted_key_reaches_into_a_part():
    loop = read_config({"loop": loop_of()}, load_registry(), ["loop.cells.0.cell.units=7"]).loop
    assert loop.cells[0].settings.output_size == 7


def test_each_part_is_made_as_what_it_is():
    settings = read_loop(loop_of(**WHOLE), load_registry()).cells[0].settings
    assert isinstance(assemble(settings.cell), Builder)
    assert isinstance(assemble(settings.memory), System)
    assert assemble(settings.loop).ids == ("stack",)
    assert assemble(settings.memory, "float64").variable_dtype == "float64"


def test_an_error_of_a_nested_factory_has_its_place():
    wrong = {"use": "keras", "cell": "Dense", "config": {"units": 2}}
    with pytest.raises(ConfigError, match=r'^loop.cells\[0\] "holder".cell "keras"') as refused:
        Superloop(loop_of(more=[wrong]))
    assert "Dense" in str(refused.value)


def test_a_model_with_nested_parts_is_saved_and_loaded(tmp_path):
    layer = Superloop(loop_of(**WHOLE))
    inputs = layer.symbolic_inputs()
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    x = np.ones((2, 3, 2), "float32")
    np.testing.assert_allclose(load_model(tmp_path / "model.keras")(x), model(x), rtol=1e-6)


def test_load_model_names_the_nested_plugin_that_is_missing(tmp_path, monkeypatch):
    layer = Superloop(loop_of(more=[{"use": "lstm", "units": 2}]))
    inputs = layer.symbolic_inputs()
    keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
    resolve = type(load_registry()).resolve

    def without_lstm(self, kind, name):
        if name.endswith(":lstm"):
            raise PluginError("no cell 'lstm'")
        return resolve(self, kind, name)

    monkeypatch.setattr(type(load_registry()), "resolve", without_lstm)
    with pytest.raises(ConfigError, match=r'cells\[0\] "superloop-plugin-holder:holder"\.more\[0\]: no cell'):
        load_model(tmp_path / "model.keras")


def test_describe_and_init_show_parts(registry):
    (record,) = registry.find("cell:holder")
    shown = described(record)
    assert shown.sizes == {"output_size": 3}
    types = {setting.name: setting.type for setting in shown.settings}
    assert types["cell"] == "a cell"
    assert types["more"] == "a list of cells"
    assert types["named"] == "a table of cells"
    assert types["memory"] == "a system"
    written = tomllib.loads(_text(registry, [record]))
    assert read_config(written, load_registry()).loop.cells[0].settings.output_size == 3


def test_a_part_is_an_attrs_object():
    cell = read_loop(loop_of(), load_registry()).cells[0]
    assert attrs.evolve(cell, layers=2).to_dict()["cell"] == {
        "use": "superloop-plugin-cells:gru", "layers": 1, "learn_initial_state": False,
        **settings_to_dict(cell.settings.cell.settings),
    }  # fmt: skip
