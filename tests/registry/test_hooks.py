"""Hooks that plugins specify for each other, of one manager of pluggy."""

import sys
import types
from importlib.metadata import distributions

import pytest

from superloop_core import PluginError, hookimpl, hookspec
from superloop_core.registry import Registry
from superloop_core.registry.selection import Selection

OWNER = """
from superloop_core import hookimpl, hookspec

class Specs:
    @hookspec
    def superloop_colours(self, shade):
        "Return a colour."

@hookimpl
def superloop_add_hookspecs():
    yield Specs

@hookimpl(specname="superloop_colours")
def own_colour(shade):
    return f"{shade} blue"
"""
OTHER = """
import attrs
from superloop_core import SystemSpec, hookimpl

@attrs.frozen
class Settings:
    size: int = 1

@hookimpl
def superloop_register():
    yield SystemSpec(name="stack", config=Settings, factory="nowhere:nothing", summary="A system.")

@hookimpl
def superloop_colours(shade):
    BODY
"""


def other(body, mark="@hookimpl\ndef superloop_colours"):
    return OTHER.replace("BODY", body).replace("@hookimpl\ndef superloop_colours", mark)


@pytest.fixture
def registry_of(fake_distribution):
    """Install distributions, each a module's name and text, and read their registry."""

    def read(environment=None, **modules):
        folders = [fake_distribution(name.replace("_", "-"), {name: text}) for name, text in modules.items()]
        here = distributions(path=[str(folder) for folder in folders])
        found = [entry for one in here for entry in one.entry_points]
        return Registry(found, Selection.of(environment or {}))

    return read


@pytest.mark.parametrize("owner", ["fake_a", "fake_z"])
def test_a_plugin_implements_what_another_specifies_in_any_order(registry_of, owner):
    registry = registry_of(**{owner: OWNER, "fake_m": other("return f'{shade} red'")})
    assert sorted(registry.hook.superloop_colours(shade="dark")) == ["dark blue", "dark red"]
    assert not registry.broken
    assert registry.resolve("system", "stack").distribution == "fake-m"


def test_what_a_hook_yields_is_a_list(registry_of):
    registry = registry_of(fake_a=OWNER, fake_b=other("yield from (shade, shade)"))
    assert registry.hook.superloop_colours(shade="red") == [["red", "red"], "red blue"]


def test_the_order_is_that_of_pluggy(registry_of):
    first = other("return 'first'", "@hookimpl(tryfirst=True)\ndef superloop_colours")
    last = other("return 'last'", "@hookimpl(trylast=True)\ndef superloop_colours")
    registry = registry_of(fake_a=first, fake_b=OWNER, fake_z=last)
    assert registry.hook.superloop_colours(shade="x") == ["first", "x blue", "last"]


def test_a_misspelt_hook_is_found_once_all_are_known_and_adds_nothing(registry_of):
    registry = registry_of(
        fake_a=other("return 1", "@hookimpl\ndef superloop_colors"),
        fake_b=OWNER,
        fake_c=other("return 1", "@hookimpl(specname='superloop_color')\ndef colour"),
        fake_d=other("return 1", "def superloop_colours"),
    )
    assert {plugin.distribution: plugin.reason for plugin in registry.broken} == {
        "fake-a": "PluginError: there is no hook 'superloop_colors'; did you mean 'superloop_colours'?",
        "fake-c": "PluginError: there is no hook 'superloop_color'; did you mean 'superloop_colours'?",
        "fake-d": "PluginError: 'superloop_colours' is not marked as a hook; write @hookimpl above it",
    }
    assert not registry.records


def test_a_plugin_is_broken_where_it_alone_is_asked_for(registry_of):
    registry = registry_of(fake_a=other("return 1", "@hookimpl\ndef superloop_colors"), fake_b=OWNER)
    with pytest.raises(PluginError, match=r"fake-a is installed, but broken: .*no hook 'superloop_colors'"):
        registry.resolve("system", "fake-a:stack")


def test_an_argument_that_the_specification_lacks_breaks_the_plugin_that_has_it(registry_of):
    registry = registry_of(fake_b=OWNER, fake_a=other("return 1").replace("(shade)", "(hue)"))
    (broken,) = registry.broken
    assert broken.distribution == "fake-a"
    assert broken.reason.startswith("PluginValidationError")
    assert registry.hook.superloop_colours(shade="x") == ["x blue"]


def test_a_wrapper_of_other_plugins_hooks_is_rejected(registry_of):
    wrapper = other("return (yield)", "@hookimpl(wrapper=True)\ndef superloop_colours")
    (broken,) = registry_of(fake_b=OWNER, fake_a=wrapper).broken
    assert broken.reason == (
        "PluginError: 'superloop_colours' may not wrap other plugins' hooks; write @hookimpl alone"
    )


def test_a_hook_may_be_optional_or_that_of_a_plugin_that_is_blocked_or_broken(registry_of):
    optional = other("return 1", "@hookimpl(optionalhook=True)\ndef superloop_colours")
    registry = registry_of(fake_a=optional)
    assert not registry.broken
    assert [record.name for record in registry.records] == ["stack"]
    registry = registry_of({"SUPERLOOP_DISABLE_PLUGINS": "fake-c"}, fake_b=other("return 1"), fake_c=OWNER)
    assert not registry.broken
    assert registry.resolve("system", "fake-b:stack")
    registry = registry_of(fake_d=other("return 1"), fake_e=f"{OWNER}\nraise SystemExit")
    assert [plugin.distribution for plugin in registry.broken] == ["fake-e"]


def test_a_name_with_its_distribution_loads_that_alone_unless_another_may_specify_its_hook(registry_of):
    registry = registry_of(fake_a=other("return 1"), fake_b=OWNER, fake_c=OWNER.replace("colours", "shapes"))
    assert registry.resolve("system", "fake-a:stack")
    assert {"fake_a", "fake_b", "fake_c"} <= set(sys.modules)
    for name in ("fake_a", "fake_b", "fake_c"):
        sys.modules.pop(name)
    registry = registry_of(fake_d=OWNER + other("return 1", "@hookimpl\ndef superloop_colours"), fake_e=OWNER)
    assert registry.resolve("system", "fake-d:stack")
    assert "fake_e" not in sys.modules


def test_a_hook_that_fails_breaks_its_plugin_and_no_call(registry_of):
    registry = registry_of(
        fake_a=OWNER, fake_b=other("return 1 / 0"), fake_c=other("yield 1; raise SystemExit")
    )
    for _ in range(2):
        with pytest.warns(RuntimeWarning) as warned:
            assert registry.hook.superloop_colours(shade="x") == ["x blue"]
        assert {str(warning.message) for warning in warned} == {
            "fake-b is broken: its hook superloop_colours raised ZeroDivisionError: division by zero",
            "fake-c is broken: its hook superloop_colours raised SystemExit: ",
        }
    assert sorted(plugin.distribution for plugin in registry.broken) == ["fake-b", "fake-c"]
    assert "1 / 0" in registry.broken[-1].traceback
    assert registry.resolve("system", "fake-b:stack")


def test_an_interruption_of_a_hook_is_the_users(registry_of):
    registry = registry_of(fake_a=OWNER, fake_b=other("raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        registry.hook.superloop_colours(shade="x")
    assert not registry.broken


def test_a_plugin_that_is_allowed_alone_implements_no_hook(registry_of):
    registry = registry_of(
        {"SUPERLOOP_PLUGINS": "fake-a,stack"}, fake_a=OWNER, fake_b=other("raise SystemExit")
    )
    assert registry.hook.superloop_colours(shade="x") == ["x blue"]
    assert registry.resolve("system", "stack")


def test_a_hook_has_one_owner(registry_of):
    registry = registry_of(
        fake_a=OWNER, fake_b=OWNER, fake_c=OWNER.replace("superloop_colours", "superloop_register")
    )
    assert {plugin.distribution: plugin.reason.partition("; ")[0] for plugin in registry.broken} == {
        "fake-b": "PluginError: the hook 'superloop_colours' is specified by fake-a already",
        "fake-c": "PluginError: the hook 'superloop_register' is specified by superloop-core already",
    }


@pytest.mark.parametrize("yielded", ["3", "object()", "type('Empty', (), {})", "sys"])
def test_what_is_yielded_must_hold_hooks(registry_of, yielded):
    text = f"import sys\n{OWNER.replace('yield Specs', f'yield {yielded}')}"
    (broken,) = registry_of(fake_a=text).broken
    assert broken.reason.startswith(
        "PluginError: superloop_add_hookspecs must yield modules or classes with fun"
    )


def test_a_hook_needs_the_prefix(registry_of):
    (broken,) = registry_of(fake_a=OWNER.replace("superloop_colours", "colours")).broken
    assert "have names in superloop_" in broken.reason


def test_two_distributions_may_name_one_module_that_specifies_a_hook():
    module = types.ModuleType("shared")
    module.superloop_colours = hookspec(lambda shade: None)
    module.superloop_add_hookspecs = hookimpl(lambda: module)
    module.own_colour = hookimpl(specname="superloop_colours")(lambda shade: shade)
    registry = Registry()
    for distribution in ("one", "two"):
        registry.register(module, distribution=distribution)
    assert registry.hook.superloop_colours(shade="red") == ["red", "red"]


def test_an_error_is_raised_where_that_is_asked_for(registry_of):
    registry = registry_of({"SUPERLOOP_STRICT_PLUGINS": "1"}, fake_a=OWNER, fake_b=other("return 1 / 0"))
    with pytest.raises(PluginError, match="fake-b is broken, and SUPERLOOP_STRICT_PLUGINS is set"):
        registry.hook.superloop_colours(shade="x")
