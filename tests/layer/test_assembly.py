import attrs
import keras
import pytest

from superloop_core import ConfigError, PluginError, System
from superloop_core.builder import KerasCell
from superloop_core.config import read_loop
from superloop_core.layer.assembly import assemble
from superloop_core.loop.wiring import Wiring
from superloop_core.registry import load_registry
from superloop_core.registry.specs import PluginSpec


@pytest.fixture
def config(make_loop):
    return read_loop(make_loop("tape", cells=[{"use": "gru", "units": 3, "layers": 2}]), load_registry())


def test_a_config_becomes_cells_and_systems(config):
    wiring = assemble(config)
    assert [type(cell) for cell in wiring.cells] == [KerasCell, KerasCell]
    assert wiring.cells[0] is not wiring.cells[1]
    assert wiring.ids == ("tape",)
    assert isinstance(wiring.systems[0], System)


def test_the_dtype_policy_is_that_of_the_call_and_is_left_as_it_was(config):
    before = keras.config.dtype_policy()
    wiring = assemble(config, keras.DTypePolicy("mixed_float16"))
    assert wiring.cells[0].cell.compute_dtype == "float16"
    assert keras.config.dtype_policy() == before


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("cell", r"superloop-plugin-cells:gru: its factory must return a Keras RNN cell or a Builder: 3"),
        ("system", r"superloop-plugin-attention:attention: its factory must return a System: 3"),
    ],
)
def test_a_factory_that_makes_something_else_is_reported(config, kind, told, monkeypatch):
    create = PluginSpec.create
    monkeypatch.setattr(
        PluginSpec, "create", lambda spec, settings: 3 if spec.kind == kind else create(spec, settings)
    )
    with pytest.raises(PluginError, match=told):
        assemble(config)


def test_settings_that_a_factory_rejects_are_reported_with_their_place(make_loop, monkeypatch):
    create = PluginSpec.create

    def refusing(spec, settings):
        if spec.name in ("gru", "attention"):
            raise ConfigError("'x' must be y: 3")
        return create(spec, settings)

    monkeypatch.setattr(PluginSpec, "create", refusing)
    inner = {"cells": [{"use": "gru", "units": 3}]}
    lstm = {"use": "lstm", "units": 3}
    for cells, told in (
        (
            [lstm, {"use": "superloop", "loop": inner}],
            """loop.cells[1] "superloop".loop.cells[0] "gru": 'x' must""",
        ),
        ([lstm], """loop.systems[0] "tape": 'x' must be y: 3"""),
    ):
        with pytest.raises(ConfigError) as error:
            assemble(read_loop(make_loop("tape", cells=cells), load_registry()))
        assert str(error.value).startswith(told)


def test_a_builder_is_a_cell_as_it_stands(config, monkeypatch):
    inner = assemble(config)
    create = PluginSpec.create
    monkeypatch.setattr(
        PluginSpec, "create", lambda spec, settings: inner if spec.kind == "cell" else create(spec, settings)
    )
    gru = attrs.evolve(config.cells[0], layers=1)
    assert assemble(attrs.evolve(config, cells=(gru,))).cells == (inner,)
    assert isinstance(inner, Wiring)
