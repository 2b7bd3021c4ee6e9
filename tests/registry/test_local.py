"""Plugins of this process: classes and functions that are registered where they are defined."""

import subprocess
import sys

import attrs
import keras
import numpy as np
import pytest

import superloop_core
from superloop_core import ConfigError, PluginError, Superloop, System, SystemSettings, register
from superloop_core.registry import Registry, load_registry, registry, registry_in_use

pytestmark = pytest.mark.usefixtures("no_local_plugins")
INPUTS = np.ones((2, 3, 2), "float32")


@attrs.frozen(kw_only=True)
class RingConfig(SystemSettings):
    """Settings.

    Args:
        width: numbers that are read.
    """

    width: int = 2

    @property
    def control_size(self):
        return self.width

    @property
    def output_size(self):
        return self.width


def ring(name="RingBuffer", qualified=None, doc="A ring.\n\nMore.", gain=1.0):
    """Define a class, as a notebook does."""

    class Ring(System[RingConfig]):
        __doc__ = doc

        def initial_state(self, sequence):
            return (keras.ops.zeros((sequence.batch_size, 1)),)

        def step(self, control, state, constants):
            return gain * control, state, {}

    Ring.__name__, Ring.__qualname__, Ring.__module__ = name, qualified or name, "notebook"
    return Ring


def loop_of(**system):
    return {"inputs": 2, "cells": [{"use": "gru", "units": 2}], "systems": [system]}


def test_a_class_is_a_plugin_from_then_on_and_is_returned():
    cls = ring()
    assert register(example={"width": 3}, reference="me")(cls) is cls
    record = load_registry().resolve("system", "ring_buffer")
    assert record.qualified_name == "local:ring_buffer"
    assert (record.module, record.entry_point, record.state) == ("notebook", "notebook.RingBuffer", "ready")
    spec = record.spec
    assert (spec.kind, spec.config, spec.factory, spec.summary) == ("system", RingConfig, cls, "A ring.")
    assert (spec.example, spec.reference, spec.factory_name) == ({"width": 3}, "me", "notebook:RingBuffer")
    loop = Superloop(loop_of(use="RingBuffer", id="ring", width=2), traces=["ring.read"])
    assert loop(INPUTS)["ring.read"].shape == (2, 3, 2)
    assert type(loop.wiring.systems[0]) is cls
    assert loop.get_config()["config"]["systems"][0]["use"] == "local:ring_buffer"


def test_brackets_may_be_left_out_and_a_name_given():
    register(ring())
    register("other")(ring("Other"))
    register("third", summary="Mine.", aliases=("third_one",))(ring("Other"))
    names = {r.name: r.summary for r in load_registry().records if r.distribution == "local"}
    assert names == {"ring_buffer": "A ring.", "other": "A ring.", "third": "Mine."}
    assert load_registry().resolve("system", "local:third_one").name == "third"


def test_it_outlives_the_registry():
    register(ring())
    with registry_in_use(None):
        assert load_registry().resolve("system", "local:ring_buffer")
    assert load_registry().resolve("system", "ring_buffer")


def test_it_is_added_to_the_registry_in_use():
    with registry_in_use(Registry()):
        register(ring())
        assert [record.name for record in load_registry().records] == ["ring_buffer"]
    assert load_registry().resolve("system", "ring_buffer")


def test_a_notebooks_cell_may_run_twice_and_the_last_class_is_used():
    register(aliases=("circle",))(ring(gain=1.0))
    last = ring(gain=2.0, doc="Another.")
    register(last)
    (record,) = (r for r in load_registry().records if r.distribution == "local")
    assert record is load_registry().resolve("system", "local:ring_buffer.v1")
    assert (record.spec.factory, record.summary) == (last, "Another.")
    with pytest.raises(PluginError, match="no system 'circle'"):
        load_registry().resolve("system", "circle")


def test_another_class_of_the_name_is_rejected():
    first = register(ring())
    with pytest.raises(PluginError) as refused:
        register(name="ring_buffer")(ring("Other"))
    assert str(refused.value) == (
        "@register of notebook.Other: notebook.RingBuffer has a system 'ring_buffer' already; "
        "give it another name, such as 'my_ring_buffer'"
    )
    assert load_registry().resolve("system", "ring_buffer").spec.factory is first


@pytest.mark.parametrize("name", ["stack", "stack.v1"])
def test_a_name_of_an_installed_plugin_is_rejected_with_one_that_works(name):
    register("my_stack")(ring("Mine"))
    with pytest.raises(PluginError) as refused:
        register(name)(ring("Stack"))
    assert str(refused.value) == (
        f"@register of notebook.Stack: superloop-plugin-stacks has a system {name!r} already; "
        "give it another name, such as 'my_stack_2'"
    )
    register("lstm")(ring("Lstm"))  # a system, beside the cell
    assert [record.kind for record in load_registry().find("lstm")] == ["cell", "system"]


@attrs.frozen
class Settings:
    """Settings.

    Args:
        units: size of the state.
    """

    units: int = 2


class KerasCell(keras.layers.SimpleRNNCell):
    """A cell of Keras."""

    def __init__(self, settings):
        super().__init__(settings.units)


def gru(settings):
    """Make a cell of Keras."""
    return keras.layers.GRUCell(settings.units)


class Task:
    """A task."""

    traces = ()

    def sample(self, rng, batch_size): ...
    def loss(self, targets, results): ...
    def correct(self, targets, results): ...


class Metric:
    """A metric."""

    traces = ()

    def __call__(self, targets, results): ...


class Anything:
    """Anything."""


@pytest.mark.parametrize(
    ("made", "kind"), [(KerasCell, "cell"), (gru, "cell"), (Task, "task"), (Metric, "metric")]
)
def test_the_kind_is_that_of_the_class(made, kind):
    assert register("mine_alone", config=Settings)(made) is made
    assert load_registry().resolve(kind, "mine_alone").spec.factory is made
    if kind == "cell":
        loop = Superloop({"inputs": 2, "cells": [{"use": "mine_alone", "units": 5}]})
        assert loop(INPUTS).shape == (2, 3, 5)


def test_a_builder_is_a_cell():
    class Whole(superloop_core.Builder):
        """A Builder."""

    register("whole", config=Settings)(Whole)
    assert load_registry().resolve("cell", "whole")


@pytest.mark.parametrize(
    ("settings", "made", "text"),
    [
        ({}, gru, "gru: 'config' must be given, the attrs class of its settings"),
        ({"config": dict}, gru, "gru: 'config' must be an attrs class: <class 'dict'>"),
        ({"config": Settings, "name": "A b"}, gru, "gru: 'name' must match regex"),
        ({"config": Settings, "further": 1}, gru, "unexpected keyword argument 'further'"),
        (
            {"config": Settings},
            Anything,
            "'kind' must be one of cell, system, task, metric, and the class does not show it: None",
        ),
        ({"config": Settings, "kind": "table"}, gru, "the class does not show it: 'table'"),
    ],
)
def test_what_is_missing_is_reported(settings, made, text):
    with pytest.raises(PluginError) as refused:
        register(**settings)(made)
    assert str(refused.value).startswith(f"@register of {__name__}.")
    assert text in str(refused.value)
    assert all(record.distribution != "local" for record in load_registry().records)


def test_an_unknown_one_is_answered_with_how_to_define_it():
    register(ring())
    with pytest.raises(ConfigError) as refused:
        Superloop(loop_of(use="local:ring_bufer"))
    assert str(refused.value) == (
        "loop.systems[0]: no system 'local:ring_bufer'; did you mean 'ring_buffer'?; it is defined by no "
        "package: define it with @superloop_core.register before, or run superloop -p FILE"
    )


def test_it_may_be_blocked_and_needs_not_be_allowed(monkeypatch):
    monkeypatch.setenv("SUPERLOOP_PLUGINS", "superloop-plugin-cells")
    register(ring())
    assert load_registry().resolve("system", "ring_buffer")
    monkeypatch.setenv("SUPERLOOP_DISABLE_PLUGINS", "ring_buffer")
    with registry_in_use(None), pytest.raises(PluginError, match="'ring_buffer' is blocked"):
        load_registry().resolve("system", "ring_buffer")


def test_a_model_loads_where_the_class_is_registered_and_nowhere_else(tmp_path):
    register(ring())
    loop = Superloop(loop_of(use="ring_buffer"))
    inputs = loop.symbolic_inputs()
    model = keras.Model(inputs, loop(inputs))
    model.save(tmp_path / "model.keras")
    loaded = superloop_core.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(INPUTS), model(INPUTS))
    registry._local.clear()
    with (
        registry_in_use(None),
        pytest.raises(Exception, match="no system 'local:ring_buffer'; it is defined by no"),
    ):
        superloop_core.load_model(tmp_path / "model.keras")


def test_a_distribution_may_not_have_the_name_local(tmp_plugin):
    found = tmp_plugin("local", {"fake_local": "raise SystemExit"})
    (broken,) = found.broken
    assert broken.reason == "PluginError: the name 'local' is the core's own; rename the distribution"


def test_the_decorator_imports_no_keras():
    code = """
import sys, attrs, superloop_core
@attrs.frozen
class Settings:
    units: int = 2
@superloop_core.register(config=Settings)
def mine(settings):
    "A cell."
assert superloop_core.registry.load_registry().resolve("cell", "local:mine")
assert not {"keras", "tensorflow"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


PACKAGED = """
import attrs
from superloop_core import SystemSettings, SystemSpec, hookimpl

@attrs.frozen(kw_only=True)
class Config(SystemSettings):
    control_size: int = 1
    output_size: int = 1

@hookimpl
def superloop_register():
    yield SystemSpec(name="ring_buffer", config=Config, factory="x:y", summary=""{names})
"""


def test_a_class_that_moved_into_a_package_keeps_its_files_if_the_package_says_so(tmp_plugin):
    tmp_plugin("superloop-plugin-ring", {"packaged_ring": PACKAGED.format(names="")})
    with pytest.raises(
        PluginError, match=r"superloop-plugin-ring has a system 'ring_buffer': if it is the same"
    ):
        load_registry().resolve("system", "local:ring_buffer")
    named = PACKAGED.format(names=', former_names=("local:ring_buffer",)')
    tmp_plugin("superloop-plugin-ring2", {"packaged_ring2": named})
    found = load_registry().resolve("system", "local:ring_buffer")
    assert found.qualified_name == "superloop-plugin-ring2:ring_buffer"
    register("own")(ring("RingBuffer2"))
    assert load_registry().resolve("system", "local:own").distribution == "local"
