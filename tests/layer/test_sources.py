"""Sources with a dtype, with names of axes, and optional ones, in a loop; and lists of tensors."""

import json

import keras
import numpy as np
import pytest
from click.testing import CliRunner

from superloop_core import SourceError, Superloop, SuperloopCell, load_model
from superloop_core.cli import cli
from superloop_core.testing import check_plugin

LIGHT = """
import attrs
from superloop_core import Source, SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class FactsConfig(SystemSettings):
    '''Facts by content.

    Args:
        width: of a fact.
        needs: whether facts are needed.
    '''

    width: int = 3
    needs: bool = True

    control_size = output_size = property(lambda self: self.width)

    @property
    def sources(self):
        return {
            "keys": Source(("items", self.width), optional=not self.needs),
            "values": Source(("items",), dtype="int32", optional=not self.needs),
            "bias": Source(("items",), optional=True),
        }


@hookimpl
def superloop_register():
    yield SystemSpec(
        name="facts", config=FactsConfig, factory="superloop_plugin_facts.facts:Facts", summary="Facts",
    )
"""
HEAVY = """
from keras import ops
from superloop_core import System


class Facts(System):
    def build(self, input_size):
        self.table = self.add_weight(shape=(4, self.output_size), name="table")

    def initial_state(self, sequence):
        return ()

    def constants(self, sequence):
        if "keys" not in sequence.sources:
            return None
        keys, values = sequence.sources["keys"], sequence.sources["values"]
        assert values.dtype == "int32", values.dtype
        bias = sequence.sources.get("bias", ops.zeros_like(keys[:, :, 0]))
        if "keys" in sequence.masks:
            bias = ops.where(sequence.masks["keys"], bias, -1e9)
        return keys, ops.take(ops.convert_to_tensor(self.table), values, axis=0), bias

    def step(self, control, state, constants):
        if constants is None:
            return control, state, {}
        keys, values, bias = constants
        weights = ops.softmax(ops.squeeze(keys @ control[:, :, None], -1) + bias)
        return ops.squeeze(weights[:, None] @ values, 1), state, {"weights": weights}
"""
CONFIG = {"inputs": 2, "cells": [{"use": "gru", "units": 3}], "systems": [{"use": "facts"}]}
FREE = CONFIG | {"systems": [{"use": "facts", "needs": False}]}


@pytest.fixture(autouse=True)
def plugin(tmp_plugin):
    modules = {"superloop_plugin_facts.__init__": LIGHT, "superloop_plugin_facts.facts": HEAVY}
    tmp_plugin(
        "superloop-plugin-facts", modules, entry_points={"facts": "superloop_plugin_facts"},
        requires=["superloop-core<0.2"],
    )  # fmt: skip


@pytest.fixture
def feed():
    rng = np.random.default_rng(0)
    return {
        "inputs": rng.normal(size=(2, 5, 2)).astype("float32"),
        "facts_keys": rng.normal(size=(2, 4, 3)).astype("float32"),
        "facts_values": rng.integers(4, size=(2, 4)),
    }


def test_the_sources_of_a_loop_say_what_those_of_its_systems_say():
    layer = Superloop(CONFIG)
    sources = layer.config.sources
    assert sources == {"facts_keys": (None, 3), "facts_values": (None,), "facts_bias": (None,)}
    assert sources["facts_keys"].dims == ("facts.items", None)
    assert [source.dtype for source in sources.values()] == ["float", "int32", "float"]
    assert list(layer.input_shapes) == ["inputs", "facts_keys", "facts_values"]


def test_an_optional_source_may_be_left_out(feed):
    layer = Superloop(CONFIG, traces=["facts.weights"])
    without = layer(feed)["facts.weights"]
    bias = np.array([[0, 0, 0, 50], [0, 0, 50, 0]])
    with_bias = layer(feed | {"facts_bias": bias})["facts.weights"]
    np.testing.assert_allclose(with_bias, np.broadcast_to(bias[:, None] / 50, (2, 5, 4)), atol=1e-5)
    assert np.abs(without - with_bias).max() > 0.1
    np.testing.assert_allclose(layer(feed | {"facts_bias": bias * 0})["facts.weights"], without, atol=1e-6)


@pytest.mark.parametrize(
    "options", [{"stateful": True}, {"unroll": True}, {"jit_compile": True}, {"debug": True}]
)
def test_all_ways_of_running_leave_it_out(feed, options):
    plain, other = Superloop(CONFIG), Superloop(CONFIG, **options)
    expected = plain(feed)
    other(feed)
    other.set_weights(plain.get_weights())
    if options.get("stateful"):
        other.reset_state()
    np.testing.assert_allclose(other(feed), expected, atol=1e-5)


def test_a_session_leaves_it_out(feed):
    layer = Superloop(CONFIG)
    expected = layer(feed)
    session = layer.session({name: feed[name] for name in ("facts_keys", "facts_values")})
    for t in range(5):
        np.testing.assert_allclose(session.step(feed["inputs"][:, t]), expected[:, t], atol=1e-5)


def test_a_loop_whose_sources_are_all_optional_needs_none(feed):
    assert Superloop(FREE)(feed["inputs"]).shape == (2, 5, 3)
    assert list(Superloop(FREE).input_shapes) == ["inputs"]
    cell = keras.layers.RNN(SuperloopCell(FREE))
    assert cell(feed["inputs"]).shape == (2, 3)


def test_axes_of_one_name_have_one_size(feed):
    wrong = feed | {"facts_values": feed["facts_values"][:, :3]}
    with pytest.raises(
        SourceError, match=r"'facts\.items' must have one size: 'facts_keys' 4, 'facts_values' 3"
    ):
        Superloop(CONFIG)(wrong)
    twice = {"systems": [{"use": "facts", "id": "a"}, {"use": "facts", "id": "b"}]}
    named = {"a": feed, "b": {name: array[:, :2] for name, array in feed.items()}}
    of_two = {f"{id}_{key}": of[f"facts_{key}"] for id, of in named.items() for key in ("keys", "values")}
    assert Superloop(CONFIG | twice)({"inputs": feed["inputs"]} | of_two).shape == (2, 5, 3)


def test_symbolic_inputs_have_the_dtypes_and_optional_sources_on_demand(feed, tmp_path):
    layer = Superloop(CONFIG)
    inputs = layer.symbolic_inputs()
    assert {name: tensor.dtype for name, tensor in inputs.items()} == {
        "inputs": "float32", "facts_keys": "float32", "facts_values": "int32",
    }  # fmt: skip
    assert set(layer.symbolic_inputs(optional=True)) == {*inputs, "facts_bias"}
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(feed, verbose=0), layer(feed), atol=1e-5)


def test_a_list_is_taken_in_the_order_of_the_input_shapes(feed, tmp_path):
    layer = Superloop(CONFIG, traces="all")
    listed = [feed[name] for name in layer.input_shapes]
    np.testing.assert_allclose(layer(listed)["outputs"], layer(feed)["outputs"], atol=1e-6)
    assert layer.compute_output_shape([array.shape for array in listed])["outputs"] == (2, 5, 3)
    plain = Superloop(CONFIG)
    inputs = list(plain.symbolic_inputs().values())
    model = keras.Model(inputs, plain(inputs))
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(listed), plain(feed), atol=1e-5)
    with pytest.raises(
        SourceError, match=r"a list of 3 .'inputs', 'facts_keys', 'facts_values'.: a list of 2"
    ):
        layer(listed[:2])


def test_masks_of_a_list_are_those_of_its_tensors(feed):
    layer = Superloop(CONFIG, traces=["facts.weights"])
    listed = [feed[name] for name in layer.input_shapes]
    steps, items = np.arange(5) < [[2], [5]], np.arange(4) < [[1], [4]]
    by_list = layer(listed, mask=[steps, items, items])
    by_name = layer(feed, mask={"inputs": steps, "facts_keys": items, "facts_values": items})
    for name, trace in by_name.items():
        np.testing.assert_allclose(by_list[name], trace, atol=1e-6)
    masks = layer.compute_mask(listed, [steps, None, None])
    np.testing.assert_array_equal(masks["outputs"], steps)
    assert masks.keys() == by_name.keys()


def test_a_masked_layer_before_a_list_passes_its_mask_on(feed):
    masked = keras.layers.Masking()
    plain = feed["inputs"].copy()
    plain[0, 2:] = 0
    layer = Superloop(CONFIG)
    answer = layer([masked(plain), feed["facts_keys"], feed["facts_values"]])
    expected = layer(feed | {"inputs": plain}, mask=np.arange(5) < [[2], [5]])
    np.testing.assert_allclose(answer, expected, atol=1e-6)


def test_describe_and_validate_put_sources_in_words(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"loop": CONFIG}))
    for command in (["describe", "system:facts"], ["validate", str(tmp_path / "config.json")]):
        shown = CliRunner().invoke(cli, command)
        assert shown.exit_code == 0, shown.output
        text = " ".join(shown.output.split())
        assert "items) of int32" in text
        assert "optional" in text
    answer = json.loads(CliRunner().invoke(cli, ["describe", "system:facts", "--json"]).stdout)
    assert answer[0]["sizes"]["sources"] == {"keys": [None, 3], "values": [None], "bias": [None]}


def test_the_kit_draws_integers_and_pads_parallel_sources_together():
    check_plugin("system:facts", only=["sizes", "state", "gradients_match", "masked_source"]).raise_failures()
