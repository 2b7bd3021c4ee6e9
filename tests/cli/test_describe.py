"""``superloop describe``."""

import json
import re

import pytest

from superloop_core import PluginError


def test_a_plugin_is_described_with_settings_sizes_and_source(superloop):
    (told,) = json.loads(superloop("describe", "stack", "--json").stdout)
    settings = {setting["name"]: setting for setting in told["settings"]}
    assert settings["depth"] == {
        "name": "depth",
        "type": "an integer",
        "required": False,
        "default": 32,
        "range": ">= 1",
        "meaning": "cells of each stack; a push past the last cell is lost.",
    }
    assert settings["value"]["type"] == "one of 'linear', 'sigmoid'"
    assert told["sizes"] == {"control_size": 12, "output_size": 6}
    assert told["reference"] == "Joulin and Mikolov, 2015, https://arxiv.org/abs/1503.01007"
    assert told["qualified_name"] == "superloop-plugin-stacks:stack"


def test_settings_of_a_base_class_are_described_by_it(superloop):
    (told,) = json.loads(superloop("describe", "lstm", "--json").stdout)
    settings = {setting["name"]: setting for setting in told["settings"]}
    assert settings["units"]["required"] is True
    assert settings["dropout"]["range"] == ">= 0 and < 1"
    assert all(setting["meaning"] for setting in told["settings"])


def test_a_name_of_two_kinds_is_described_twice_unless_one_is_asked_for(superloop):
    both = json.loads(superloop("describe", "superloop", "--json").stdout)
    assert [told["kind"] for told in both] == ["cell", "system"]
    (cell,) = json.loads(superloop("describe", "cell:superloop", "--json").stdout)
    assert cell == both[0]
    assert "setting  type" in superloop("describe", "superloop").stdout


def test_sources_of_a_system_are_reported(superloop):
    shown = superloop("describe", "attention").stdout
    assert re.search(r"control size +1 *\n", shown)
    assert re.search(r"sources +data \(batch, 8, 3\) *\n", shown)
    assert 'use = "attention", or use = "superloop-plugin-attention:attention"' in shown


def test_an_unknown_name_is_answered_with_the_nearest(superloop):
    done = superloop("describe", "atention", status=1)
    assert isinstance(done.exception, PluginError)
    with pytest.raises(PluginError, match=r"no plugin 'atention'; did you mean 'attention'\?"):
        raise done.exception
