"""What may be used: by allowing, by blocking, by any name a plugin has."""

import pytest

from superloop_core import PluginError
from superloop_core.registry.selection import Selection

NAMES = ("superloop-plugin-stacks", "stacks", "stack")


@pytest.mark.parametrize(
    ("environment", "usable"),
    [
        ({}, True),
        ({"SUPERLOOP_PLUGINS": ""}, False),
        ({"SUPERLOOP_PLUGINS": "stack"}, True),
        ({"SUPERLOOP_PLUGINS": "attention, stacks"}, True),
        ({"SUPERLOOP_PLUGINS": "superloop-plugin-stacks"}, True),
        ({"SUPERLOOP_PLUGINS": "attention"}, False),
        ({"SUPERLOOP_DISABLE_PLUGINS": "attention"}, True),
        ({"SUPERLOOP_DISABLE_PLUGINS": "attention,stack"}, False),
        ({"SUPERLOOP_DISABLE_PLUGINS": ""}, True),
        ({"SUPERLOOP_DISABLE_PLUGINS": "Superloop_Plugin.Stacks"}, False),
        ({"SUPERLOOP_PLUGINS": "stack", "SUPERLOOP_DISABLE_PLUGINS": "stacks"}, False),
    ],
)
def test_a_plugin_may_be_used_unless_it_is_blocked_or_others_alone_are_allowed(environment, usable):
    reason = Selection.of(environment).reason_against(NAMES)
    assert (reason is None) == usable
    if not usable:
        assert "SUPERLOOP_" in reason


def test_an_entry_point_is_read_where_one_of_its_plugins_may_be_allowed():
    allowing = Selection.of({"SUPERLOOP_PLUGINS": "stack"})
    assert allowing.reason_against(["tasks"], all_of_it=True) is None
    assert Selection.of({"SUPERLOOP_PLUGINS": ""}).reason_against(["tasks"], all_of_it=True)


@pytest.mark.parametrize(
    ("value", "strict"),
    [(None, False), ("", False), ("0", False), ("1", True), ("False", False), ("yes", True)],
)
def test_strict(value, strict):
    environment = {} if value is None else {"SUPERLOOP_STRICT_PLUGINS": value}
    assert Selection.of(environment).strict == strict


def test_a_value_that_is_neither_true_nor_false_is_rejected():
    with pytest.raises(PluginError, match="SUPERLOOP_STRICT_PLUGINS must be 0 or 1: 'maybe'"):
        Selection.of({"SUPERLOOP_STRICT_PLUGINS": "maybe"})


@pytest.mark.parametrize("name", ["SUPERLOOP_DISABLED_PLUGINS", "superloop_plugins", "SUPERLOOP_STRICT"])
def test_a_misspelt_variable_is_reported(name):
    (sentence,) = Selection.of({name: "1"}).typos
    assert sentence.startswith(f"there is no variable {name} of the environment; did you mean SUPERLOOP_")


def test_a_variable_of_another_program_is_none_of_ours():
    assert not Selection.of({"SUPERLOOP_LAB_COLOURS": "1", "PLUGINS": "x", "SUPERLOOP_PLUGINS": ""}).typos
