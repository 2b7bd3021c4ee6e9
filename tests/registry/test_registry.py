"""The registry: plugins found, named, and kept apart when they are broken."""

import sys
import textwrap
import types
from importlib.metadata import EntryPoint, PathDistribution, distributions
from itertools import product

import click
import pytest
from click.testing import CliRunner

from superloop_core import ConfigError, PluginError
from superloop_core.registry import Registry, load_registry, registry_in_use
from superloop_core.registry.selection import Selection

SPEC = """
import attrs
from superloop_core import CellSpec, SystemSpec, TableSpec, hookimpl

@attrs.frozen
class Settings:
    size: int = 1

@hookimpl
def superloop_register():
    yield SystemSpec(name="{name}", config=Settings, factory="nowhere:nothing", summary="A system.")
"""


@pytest.fixture
def registry_of(tmp_path, monkeypatch):
    """Install distributions, each a name and the text of its light module, and read their registry."""

    def read(environment=None, entry_point=None, requires=None, **modules):
        for module, text in modules.items():
            name = module.replace("_", "-")
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(text))
            info = tmp_path / f"{module}-1.2.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n"
                + (f"Requires-Dist: {requires}\n" if requires else "")
            )
            (info / "entry_points.txt").write_text(
                f"[superloop.plugins]\n{entry_point or module} = {module}\n"
            )
        monkeypatch.syspath_prepend(str(tmp_path))
        for module in modules:
            monkeypatch.delitem(sys.modules, module, raising=False)
        here = distributions(path=[str(tmp_path)])
        found = [entry for d in here if d.name.replace("-", "_") in modules for entry in d.entry_points]
        return Registry(found, Selection.of(environment or {}))

    yield read
    for module in [name for name in sys.modules if name.startswith("fake_")]:
        del sys.modules[module]


def test_a_plugin_is_known_with_its_distribution_and_version(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"))
    record = registry.resolve("system", "stack")
    assert (record.distribution, record.version, record.state) == ("fake-one", "1.2", "ready")
    assert record is registry.resolve("system", "fake-one:stack")
    assert not registry.broken


@pytest.mark.parametrize(
    ("name", "original"), [("register_memory", "RegisterMemory"), ("attention", "Attention")]
)
def test_the_originals_names_of_systems_resolve(name, original):
    assert load_registry().resolve("system", original).spec.name == name


@pytest.mark.parametrize(
    ("name", "original"), [("sgu", "SGU"), ("lstm", "LSTM"), ("gru", "GRU"), ("simple_rnn", "SimpleRNN")]
)
def test_the_originals_names_of_cells_resolve(name, original):
    assert load_registry().resolve("cell", original).spec.name == name


def test_a_name_that_two_distributions_bring_is_rejected_and_both_long_ones_work(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"), fake_two=SPEC.format(name="stack"))
    with pytest.raises(PluginError, match="2 distributions have a system 'stack'") as refused:
        registry.resolve("system", "stack")
    assert "'fake-one:stack' or 'fake-two:stack'" in str(refused.value)
    assert registry.resolve("system", "fake-two:stack").distribution == "fake-two"


def test_an_unknown_name_is_answered_with_the_nearest_or_with_what_to_install(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"))
    with pytest.raises(PluginError, match=r"no system 'stak'; did you mean 'stack'\?"):
        registry.resolve("system", "stak")
    with pytest.raises(PluginError, match="superloop-plugin-turing-tape"):
        registry.resolve("system", "turing_tape")
    with pytest.raises(PluginError, match="pip install superloop-plugin-tapes"):
        registry.resolve("system", "superloop-plugin-tapes:tape")
    with pytest.raises(PluginError, match="no cell 'stack'"):
        registry.resolve("cell", "stack")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def broken(:", "SyntaxError"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        (
            "from superloop_core import hookimpl\n@hookimpl\ndef superloop_register():\n    1 / 0",
            "ZeroDivisionError: division by zero",
        ),
        (
            "from superloop_core import hookimpl\n@hookimpl\ndef superloop_register():\n    return ['x']",
            "PluginError: superloop_register must yield PluginSpec objects: 'x'",
        ),
        (
            "from superloop_core import hookimpl\n@hookimpl\ndef superloop_registre():\n    return []",
            "PluginError: there is no hook 'superloop_registre'; did you mean 'superloop_register'?",
        ),
        (
            "from superloop_core import hookimpl\n@hookimpl\ndef superloop_register(loop):\n    return []",
            "PluginValidationError",
        ),
        (SPEC.format(name="Bad Name"), "ValueError"),
        (SPEC.format(name="x").replace("config=Settings", "config=dict"), "TypeError"),
        (
            SPEC.format(name="x")
            + "@hookimpl\ndef superloop_config_tables():\n    yield TableSpec(name='loop', config=Settings)",
            "PluginError: the table [loop] is owned by the core already",
        ),
    ],
)
def test_a_broken_plugin_is_recorded_and_the_others_go_on(registry_of, text, reason):
    registry = registry_of(fake_broken=text, fake_whole=SPEC.format(name="stack"))
    (broken,) = registry.broken
    assert (broken.distribution, broken.version, broken.state) == ("fake-broken", "1.2", "broken")
    assert broken.reason.startswith(reason)
    assert "Traceback" in broken.traceback
    assert [record.spec.name for record in registry.records] == ["stack"]
    with pytest.raises(PluginError, match="fake-broken is installed, but broken"):
        registry.resolve("system", "tape")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            SPEC.format(name="x").replace("@hookimpl\n", ""),
            "PluginError: 'superloop_register' is not marked as a hook; write @hookimpl above it",
        ),
        (
            SPEC.format(name="x")
            + '    yield SystemSpec(name="x", config=Settings, factory="a:b", summary="")',
            "PluginError: fake-one registers the system 'x' twice",
        ),
        (
            SPEC.format(name="x").replace("size: int = 1", "size: int = 1; id: str = ''"),
            "ValueError: 'config' may have no setting 'id': that key is the core's own",
        ),
        (
            "def superloop_registr():\n    return []",
            "PluginError: there is no hook 'superloop_registr'; did you mean 'superloop_register'?",
        ),
        (
            "size = 1",
            "PluginError: it has none of the hooks superloop_register, superloop_config_tables, "
            "superloop_add_commands, superloop_add_hookspecs, superloop_part_of, "
            "superloop_complete_tables, superloop_check_config",
        ),
        (
            "from superloop_core import hookimpl\n@hookimpl\ndef superloop_register():\n    return {'a': 1}",
            "PluginError: superloop_register must yield PluginSpec objects: {'a': 1}",
        ),
    ],
)
def test_what_would_go_unnoticed_is_rejected(registry_of, text, reason):
    (broken,) = registry_of(fake_one=text).broken
    assert broken.reason == reason


def test_an_entry_point_that_names_no_module_leaves_nothing_behind(registry_of):
    instance = (
        "from superloop_core import TableSpec, hookimpl\nimport attrs\n"
        "@attrs.frozen\nclass Settings:\n    size: int = 1\n"
        "class Plugin:\n    @hookimpl\n    def superloop_config_tables(self):\n"
        "        yield TableSpec(name='mine', config=Settings)\nplugin = Plugin()"
    )
    registry = registry_of(fake_one=instance)
    (entry,) = registry._unread
    registry._unread = [EntryPoint("fake_one", "fake_one:plugin", entry.group)._for(entry.dist)]
    (broken,) = registry.broken
    assert "an entry point of a plugin must name a module" in broken.reason
    assert "mine" not in registry.tables


def test_two_entry_points_of_one_module_are_reported_in_a_line(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"))
    (entry,) = registry._unread
    registry._unread.append(EntryPoint("other", entry.value, entry.group)._for(entry.dist))
    (broken,) = registry.broken
    assert broken.reason == (
        "PluginError: the entry point 'fake-one:fake_one' names the module 'fake_one' too; leave one out"
    )
    assert [record.name for record in registry.records] == ["stack"]


def test_names_of_distributions_are_normalized(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"))
    for spelled in ("fake_one:stack", "Fake.One:stack", "fake-one:Stack"):
        assert registry.resolve("system", spelled).qualified_name == "fake-one:stack"


def test_a_conflict_is_reported_once(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"), fake_two=SPEC.format(name="stack"))
    assert registry.conflicts == [
        "2 distributions have a system 'stack'; write 'fake-one:stack' or 'fake-two:stack'"
    ]


def test_where_many_are_broken_their_names_are_reported_and_no_more(registry_of):
    registry = registry_of(fake_one="import nowhere", fake_two="import nowhere")
    with pytest.raises(PluginError, match="a broken plugin may provide it: fake-one, fake-two") as refused:
        registry.resolve("system", "tape")
    assert "nowhere" not in str(refused.value)


def test_a_single_spec_may_be_returned_instead_of_yielded(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack").replace("    yield ", "    return "))
    assert [record.spec.name for record in registry.records] == ["stack"]


def test_a_name_of_another_kind_is_reported():
    with pytest.raises(PluginError, match="no cell 'attention'; 'attention' is a system"):
        load_registry().resolve("cell", "attention")


def test_a_qualified_name_is_answered_with_what_its_distribution_has(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"), fake_two=SPEC.format(name="tape"))
    with pytest.raises(
        PluginError, match=r"no system 'fake-one:stak'; fake-one 1.2 is installed; did you mean 'stack'\?$"
    ):
        registry.resolve("system", "fake-one:stak")
    with pytest.raises(PluginError, match=r"no system 'fake-one:tape'; .* is installed; there are: stack$"):
        registry.resolve("system", "fake-one:tape")


@pytest.mark.parametrize("name", ["a b; echo c", "git+https://example.org/x:tape"])
def test_what_could_be_more_than_a_name_is_not_put_after_pip_install(registry_of, name):
    with pytest.raises(PluginError) as refused:
        registry_of(fake_one=SPEC.format(name="stack")).resolve("system", name)
    assert "pip install" not in str(refused.value)


def test_a_plugin_that_another_distribution_has_is_answered_with_the_name_that_works(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"), fake_two=SPEC.format(name="tape"))
    for name in ("fake-one:tape", "Fake_One:tape"):
        with pytest.raises(PluginError) as refused:
            registry.find(name)
        told = f"no plugin {name!r}; fake-one 1.2 is installed; there are: stack; there is fake-two:tape"
        assert str(refused.value) == told
    with pytest.raises(PluginError, match="pip install fake-three; there is fake-two:tape"):
        registry.find("fake-three:tape")


def test_two_owners_of_one_table_are_rejected(registry_of):
    table = (
        SPEC + "@hookimpl\ndef superloop_config_tables():\n    yield TableSpec(name='data', config=Settings)"
    )
    registry = registry_of(fake_one=table.format(name="a"), fake_two=table.format(name="b"))
    assert not registry.broken
    assert not registry.tables
    with pytest.raises(PluginError, match=r"the table \[data\] is owned by fake-one and fake-two; leave one"):
        registry.resolve_table("data")
    (told,) = registry.conflicts
    assert told.startswith("the table [data] is owned by fake-one and fake-two")


def test_a_plugin_whose_commands_fail_leaves_the_others_theirs(registry_of):
    commands = """
    import click
    from superloop_core import hookimpl
    @hookimpl
    def superloop_add_commands(cli):
        {body}
    """
    registry = registry_of(
        fake_one=commands.format(body="1 / 0"),
        fake_two=commands.format(body="cli.add_command(click.Command('hello'))"),
    )
    cli = click.Group()
    registry.add_commands(cli)
    assert list(cli.commands) == ["hello"]
    assert [plugin.distribution for plugin in registry.broken] == ["fake-one"]


def test_a_plugin_cannot_take_over_a_command(registry_of):
    registry = registry_of(
        fake_one="""
        import click
        from superloop_core import hookimpl
        @hookimpl
        def superloop_add_commands(cli):
            cli.add_command(click.Command("mine"))
            cli.add_command(click.Command("plugins"))
        """
    )
    core = click.Command("plugins")
    cli = click.Group(commands=[core])
    registry.add_commands(cli)
    assert cli.commands == {"plugins": core}
    assert registry.broken[0].reason == "PluginError: there is a command 'plugins' already"


COMMAND = """
import click
from superloop_core import hookimpl
@hookimpl
def superloop_add_commands(cli):
    cli.add_command(click.Command("{name}", callback=lambda: print("{name} of {owner}")))
    cli.add_command(click.Command("{owner}"))
"""


@pytest.mark.parametrize("stranger", ["fake_a", "fake_z"])
def test_a_command_of_two_distributions_is_refused_when_it_is_used(registry_of, stranger):
    registry = registry_of(
        **{owner: COMMAND.format(name="train", owner=owner) for owner in ("fake_lab", stranger)}
    )
    conflict = (
        f"the command 'train' is owned by {' and '.join(sorted([stranger.replace('_', '-'), 'fake-lab']))}; "
        "leave one of them out (SUPERLOOP_DISABLE_PLUGINS, or -p no:NAME)"
    )
    assert registry.conflicts == [conflict]
    cli = click.Group()
    for _ in range(2):  # a second time changes nothing
        registry.add_commands(cli)
        assert sorted(cli.commands) == sorted(["train", "fake_lab", stranger])
        assert not registry.broken
    for arguments in ([], ["config.toml", "--out", "x"]):
        assert str(CliRunner().invoke(cli, ["train", *arguments]).exception) == conflict
    assert conflict.split("; ")[0] in " ".join(CliRunner().invoke(cli, ["train", "--help"]).output.split())
    assert CliRunner().invoke(cli, ["fake_lab", "--help"]).exit_code == 0


def test_a_command_line_that_has_the_commands_already_may_be_given_to_another_registry(registry_of):
    registry = registry_of(
        fake_one="""
        import click
        from superloop_core import hookimpl
        mine = click.Command("mine")
        @hookimpl
        def superloop_add_commands(cli):
            cli.add_command(mine)
        """
    )
    entries, cli = list(registry._unread), click.Group()
    registry.add_commands(cli)
    again = Registry(entries)
    again.add_commands(cli)
    assert not again.broken


def test_blocking_one_of_two_frees_the_command(registry_of):
    owners = {owner: COMMAND.format(name="train", owner=owner) for owner in ("fake_a", "fake_lab")}
    registry = registry_of({"SUPERLOOP_DISABLE_PLUGINS": "fake-a"}, **owners)
    cli = click.Group()
    registry.add_commands(cli)
    assert CliRunner().invoke(cli, ["train"]).output == "train of fake_lab\n"
    assert not registry.conflicts


def test_two_distributions_that_name_one_module_are_in_conflict_and_neither_is_broken(registry_of, tmp_path):
    registry = registry_of(fake_two=SPEC.format(name="stack"))
    (entry,) = registry._unread
    info = tmp_path / "fake_one-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: fake-one\n")
    thief = PathDistribution(info)
    registry = Registry([EntryPoint("stolen", entry.value, entry.group)._for(thief), entry])
    assert not registry.broken
    assert registry.resolve("system", "fake-two:stack").distribution == "fake-two"
    with pytest.raises(PluginError, match="write 'fake-one:stack' or 'fake-two:stack'"):
        registry.resolve("system", "stack")


@pytest.mark.parametrize("text", ["", SPEC.format(name="x") + "    "])
def test_an_interruption_by_the_user_is_no_failure_of_a_plugin(registry_of, text):
    registry = registry_of(fake_one=f"{text}raise KeyboardInterrupt")
    for _ in range(2):  # the plugin is not lost: the next use loads it
        with pytest.raises(KeyboardInterrupt):
            registry.broken  # noqa: B018


@pytest.mark.parametrize(
    "failure", ["1 / 0", "raise ValueError('odd')", "import sys; sys.exit(3)", "raise GeneratorExit"]
)
def test_what_a_factory_raises_is_an_error_of_ours(registry_of, failure):
    text = SPEC.format(name="stack").replace("nowhere:nothing", "fake_one:make")
    registry = registry_of(fake_one=f"{text}\ndef make(settings):\n    {failure}")
    with pytest.raises(PluginError) as refused:
        registry.resolve("system", "stack").spec.create(None)
    cause = type(refused.value.__cause__).__name__
    assert str(refused.value).startswith(f"system 'stack': its factory 'fake_one:make' failed: {cause}: ")


def test_a_factory_passes_on_errors_of_ours(registry_of):
    text = SPEC.format(name="stack").replace("nowhere:nothing", "fake_one:make")
    error = "from superloop_core import ConfigError; raise ConfigError('width must be odd: 2')"
    registry = registry_of(fake_one=f"{text}\ndef make(settings):\n    {error}")
    with pytest.raises(ConfigError, match=r"^width must be odd: 2$"):
        registry.resolve("system", "stack").spec.create(None)


def test_a_factory_that_cannot_be_imported_is_reported(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"))
    with pytest.raises(PluginError, match="its factory 'nowhere:nothing' cannot be imported"):
        registry.resolve("system", "stack").spec.create(None)


# Blocked and allowed.

BLOCKED = "is blocked (SUPERLOOP_DISABLE_PLUGINS, or -p no:NAME)"
COMMANDS = """
import attrs, click
from superloop_core import TableSpec, SystemSpec, hookimpl

@attrs.frozen
class Settings:
    size: int = 1

@hookimpl
def superloop_register():
    yield SystemSpec(name="stack", config=Settings, factory="nowhere:nothing", summary="A system.")
    yield SystemSpec(name="queue", config=Settings, factory="nowhere:nothing", summary="A system.")

@hookimpl
def superloop_config_tables():
    yield TableSpec(name="lab", config=Settings)

@hookimpl
def superloop_add_commands(cli):
    cli.add_command(click.Command("brought"))
"""


@pytest.mark.parametrize("name", ["fake-one", "fake_one"])
def test_what_is_blocked_as_a_whole_is_not_even_imported(registry_of, name):
    registry = registry_of({"SUPERLOOP_DISABLE_PLUGINS": name}, fake_one="raise SystemExit(3)")
    (plugin,) = registry.blocked
    assert (plugin.name, plugin.kind, plugin.distribution, plugin.state) == (
        "fake_one",
        None,
        "fake-one",
        "blocked",
    )
    assert not registry.broken
    assert not registry.records


@pytest.mark.parametrize(
    "environment",
    [{"SUPERLOOP_DISABLE_PLUGINS": "queue"}, {"SUPERLOOP_DISABLE_PLUGINS": "fake-one:queue"}],
)
def test_one_plugin_of_several_may_be_blocked_and_says_so_when_it_is_named(registry_of, environment):
    registry = registry_of(environment, fake_one=COMMANDS)
    assert registry.resolve("system", "stack")
    with pytest.raises(PluginError, match=r"the system 'queue' may not be used: .*SUPERLOOP_DISABLE_PLUGINS"):
        registry.resolve("system", "queue")
    with pytest.raises(PluginError, match="the system 'fake-one:queue' may not be used"):
        registry.resolve("system", "fake-one:queue")
    assert set(registry.tables) == {"lab"}
    assert registry.resolve_table("lab").name == "lab"


def test_what_is_blocked_is_listed_by_kind_name_and_distribution(registry_of):
    plugins = """
    import attrs
    from superloop_core import CellSpec, SystemSpec, hookimpl

    @attrs.frozen
    class Settings:
        size: int = 1

    @hookimpl
    def superloop_register():
        for name in ("stack", "queue"):
            for spec in (SystemSpec, CellSpec):
                yield spec(name=name, config=Settings, factory="nowhere:nothing", summary="A part.")
    """
    environment = {"SUPERLOOP_DISABLE_PLUGINS": "stack,queue,fake_c"}
    registry = registry_of(environment, fake_a=plugins, fake_b=plugins, fake_c="")
    with pytest.raises(PluginError, match="may not be used"):
        registry.resolve("system", "fake-b:stack")  # which is read before the others
    assert [(one.kind, one.name, one.distribution) for one in registry.blocked] == [
        (None, "fake_c", "fake-c"),
        *product(("cell", "system"), ("queue", "stack"), ("fake-a", "fake-b")),
    ]


def test_a_plugin_that_alone_is_allowed_brings_no_table_and_no_command(registry_of):
    registry = registry_of({"SUPERLOOP_PLUGINS": "stack"}, fake_one=COMMANDS)
    cli = click.Group()
    registry.add_commands(cli)
    assert [record.spec.name for record in registry.records] == ["stack"]
    assert not registry.tables
    assert not cli.commands


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        (
            {"SUPERLOOP_DISABLE_PLUGINS": "fake-one"},
            f"'fake-one' {BLOCKED}",
        ),
        (
            {"SUPERLOOP_DISABLE_PLUGINS": "point"},
            f"'point' {BLOCKED}",
        ),
        ({"SUPERLOOP_PLUGINS": ""}, "SUPERLOOP_PLUGINS does not allow it"),
    ],
)
def test_what_is_blocked_as_a_whole_is_reported_as_blocked(registry_of, environment, why):
    registry = registry_of(environment, "point", fake_one=COMMANDS)
    with pytest.raises(PluginError) as refused:
        registry.resolve("system", "fake_one:stack")
    assert str(refused.value) == f"the system 'fake-one:stack' may not be used: {why}"
    for ask in (
        lambda: registry.resolve("system", "stack"),
        lambda: registry.find("stack"),
        lambda: registry.resolve_table("lab"),
    ):
        with pytest.raises(PluginError) as refused:
            ask()
        assert f"; a plugin that is blocked may provide it: fake-one ({why})" in str(refused.value)
        assert "pip install" not in str(refused.value)
        assert "look for" not in str(refused.value)


def test_a_plugin_may_be_blocked_and_asked_for_by_its_alias(registry_of):
    aliased = SPEC.replace("name=", 'aliases=("pushdown",), name=').format(name="stack")
    entries = registry_of(fake_one=aliased)._unread
    for name in ("pushdown", "stack.v1", "fake-one:pushdown"):
        registry = Registry(entries, Selection.of({"SUPERLOOP_DISABLE_PLUGINS": name}))
        with pytest.raises(PluginError, match="the system 'pushdown' may not be used"):
            registry.resolve("system", "pushdown")


def test_a_name_that_a_selection_has_and_nothing_else_is_reported(registry_of):
    registry = registry_of(
        {
            "SUPERLOOP_DISABLE_PLUGINS": "stak",
            "SUPERLOOP_PLUGINS": "stack,nothing,fake_one",
            "SUPERLOOP_PLUGIN": "x",
        },
        fake_one=COMMANDS,
    )
    unknown = "which is no plugin, entry point or distribution"
    assert registry.unmatched == [
        f"SUPERLOOP_DISABLE_PLUGINS, or -p no:NAME, names 'stak', {unknown}; did you mean 'stack'?",
        f"SUPERLOOP_PLUGINS names 'nothing', {unknown}",
        "there is no variable SUPERLOOP_PLUGIN of the environment; did you mean SUPERLOOP_PLUGINS?",
    ]


def test_a_name_may_be_of_a_plugin_that_was_not_read(registry_of):
    registry = registry_of({"SUPERLOOP_DISABLE_PLUGINS": "fake-one,stack"}, fake_one=COMMANDS)
    (sentence,) = registry.unmatched
    assert sentence.endswith("distribution (the plugins of fake-one were not read)")


@pytest.mark.parametrize("text", [SPEC.format(name="stack"), COMMAND.format(name="train", owner="mine")])
def test_a_conflict_is_an_error_where_that_is_asked_for(registry_of, text):
    with pytest.raises(PluginError, match=r"SUPERLOOP_STRICT_PLUGINS is set, and .*(stack|train)"):
        registry_of({"SUPERLOOP_STRICT_PLUGINS": "1"}, fake_one=text, fake_two=text)


def test_blocking_one_of_two_distributions_frees_the_short_name(registry_of):
    both = {"fake_one": SPEC.format(name="stack"), "fake_two": SPEC.format(name="stack")}
    registry = registry_of({"SUPERLOOP_DISABLE_PLUGINS": "fake-two"}, **both)
    assert registry.resolve("system", "stack").distribution == "fake-one"


def test_a_broken_plugin_is_an_error_where_that_is_asked_for(registry_of):
    with pytest.raises(
        PluginError, match="fake-one is broken, and SUPERLOOP_STRICT_PLUGINS is set: SystemExit: 3"
    ):
        registry_of({"SUPERLOOP_STRICT_PLUGINS": "1"}, fake_one="raise SystemExit(3)")


def test_a_name_with_its_distribution_imports_nothing_of_the_others(registry_of):
    registry = registry_of(fake_one=SPEC.format(name="stack"), fake_two="raise SystemExit(3)")
    assert registry.resolve("system", "fake-one:stack").distribution == "fake-one"
    assert "fake_one" in sys.modules
    assert "fake_two" not in sys.modules
    assert [plugin.distribution for plugin in registry.broken] == ["fake-two"]


def test_two_entry_points_of_one_name_are_both_read(registry_of):
    registry = registry_of(
        {}, "stacks", fake_one=SPEC.format(name="stack"), fake_two=SPEC.format(name="queue")
    )
    assert {(plugin.entry_point, plugin.distribution) for plugin in registry.records} == {
        ("stacks", "fake-one"),
        ("stacks", "fake-two"),
    }
    assert registry.resolve("system", "stack").distribution == "fake-one"
    assert registry.resolve("system", "queue").distribution == "fake-two"
    assert not registry.broken
    assert not registry.conflicts


def test_an_alias_resolves_and_one_that_shadows_a_name_is_rejected_when_it_is_used(registry_of):
    aliased = SPEC.replace("name=", 'aliases=("pushdown",), name=')
    registry = registry_of(fake_one=aliased.format(name="stack"))
    assert registry.resolve("system", "pushdown") is registry.resolve("system", "fake-one:stack")

    registry = registry_of(fake_three=SPEC.format(name="pushdown"), fake_four=aliased.format(name="tower"))
    with pytest.raises(PluginError) as refused:
        registry.resolve("system", "pushdown")
    told = (
        "2 distributions have a system 'pushdown'; write 'fake-four:tower' ('pushdown' is its alias) or "
        "'fake-three:pushdown'"
    )
    assert str(refused.value) == told
    assert registry.conflicts == [told]
    assert registry.resolve("system", "fake-three:pushdown").distribution == "fake-three"


def test_a_name_without_a_version_is_the_first_for_good(registry_of):
    both = SPEC.format(name="stack") + (
        '    yield SystemSpec(name="stack.v2", config=Settings, factory="a:b", summary="Another.")\n'
    )
    registry = registry_of(fake_one=both)
    assert not registry.broken
    assert registry.resolve("system", "stack").name == "stack"
    assert registry.resolve("system", "stack.v1").name == "stack"
    assert registry.resolve("system", "fake-one:stack.v1").name == "stack"
    assert registry.resolve("system", "stack.v2").name == "stack.v2"


def test_a_plugin_made_for_another_core_is_broken_before_it_is_imported(registry_of):
    registry = registry_of({}, requires="superloop-core>=99", fake_one="raise SystemExit(3)")
    (broken,) = registry.broken
    assert broken.reason.startswith("PluginError: it is made for superloop-core >=99, and 0.1.0 is installed")
    assert not registry_of({}, requires="superloop.core>=0.1,<1", fake_two=SPEC.format(name="x")).broken


def test_a_module_that_no_entry_point_names_is_registered_by_hand():
    registry = Registry()
    for name in ("one", "two"):
        module = types.ModuleType(name)
        exec(SPEC.format(name="stack"), vars(module))
        if name == "one":
            registry.register(module, distribution="by-hand", version="3")
            assert registry.resolve("system", "by-hand:stack").version == "3"
        else:
            with pytest.raises(PluginError, match="by-hand registers the system 'stack' twice"):
                registry.register(module, distribution="by-hand", entry_point="another")


def test_what_is_in_use_is_what_everybody_is_given():
    registry = Registry()
    before = load_registry()
    with registry_in_use(registry):
        assert load_registry() is registry
    assert load_registry() is before
