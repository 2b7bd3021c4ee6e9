"""Distributions that are damaged, mistaken or hostile: none stops what does not name it."""

import json
import os
import sys
from importlib.metadata import distributions

import pytest
from click.testing import CliRunner

from superloop_core.cli import cli
from superloop_core.config import read_config
from superloop_core.registry import discovery, load_registry, registry_in_use
from superloop_core.registry.records import metadata_folder

doctor = sys.modules["superloop_core.cli.doctor"]  # the package may hold the command of this name
NAME, MODULE = "superloop-plugin-hostile", "hostile_light"

START = """
import attrs, click, os, sys
from superloop_core import CellSpec, TableSpec, hookimpl
from superloop_core.registry.specs import PluginSpec

@attrs.frozen
class Settings:
    size: int = 1

def cell(**changes):
    kept = {"name": "hostile", "config": Settings, "factory": "nowhere:nothing", "summary": "A cell."}
    return CellSpec(**(kept | changes))

class Panic(BaseException):
    pass

class Mute(Exception):
    def __str__(self):
        raise Panic("no message")
"""


def hook(name, body, before="", arguments=""):
    return f"{START}{before}\n@hookimpl\ndef superloop_{name}({arguments}):\n    {body}\n"


def register(body, before=""):
    return hook("register", body, before)


def commands(body, before=""):
    return hook("add_commands", body, before, arguments="cli")


def tables(body):
    return hook("config_tables", body)


def odd(base, body):
    """A spec of a class of its own."""
    spec = "yield Odd(name='a', config=Settings, factory='a:b', summary='')"
    return register(spec, f"class Odd({base}):\n    {body}\n")


FINE = register("yield cell()")
OURS = "PluginError: "

# What the light module does, and the reason for which its entry point is broken, or "ready".
MODULES = {
    "an exception that is no Exception": (f"{START}\nraise Panic('import')", "Panic: import"),
    "an exit": ("import sys; sys.exit(0)", "SystemExit: 0"),
    "a generator's exit": ("raise GeneratorExit", "GeneratorExit"),
    "a group of exceptions": ("raise BaseExceptionGroup('g', [SystemExit()])", "BaseExceptionGroup"),
    "an exception without a message": (f"{START}\nraise Mute", "Mute: <its message cannot be read>"),
    "an exception of 10 MB": ("raise ValueError('x' * 10_000_000)", "ValueError: xxx"),
    "an exception with terminal codes": ("raise ValueError('\\x1b]0;a\\x07')", r"ValueError: \x1b]0;a\x07"),
    "an exception with a surrogate": ("raise ValueError('\\udcff')", r"ValueError: \udcff"),
    "an exception with markup": ("raise ValueError('[/bold]')", "ValueError: [/bold]"),
    "causes in a circle": (
        "a, b = ValueError('a'), ValueError('b'); a.__cause__, b.__cause__ = b, a; raise a",
        "ValueError: a",
    ),
    "a recursion without end": ("def f(): f()\nf()", "RecursionError"),
    "no memory": ("raise MemoryError", "MemoryError"),
    "a failed assertion": ("assert False", "AssertionError"),
    "a syntax error": ("def broken(:", "SyntaxError"),
    "a null byte": ("x = 1\0", "SyntaxError"),
    "an unknown encoding": ("# coding: nonsense\nx = 1", "SyntaxError"),
    "a missing import": ("import nowhere_at_all", "ModuleNotFoundError"),
    "the end of an iteration": ("raise StopIteration", "StopIteration"),
    "no hook": ("x = 1", OURS + "it has none of the hooks"),
    "a lazy object": (
        FINE + "class Lazy:\n    def __getattr__(self, name): raise Panic(name)\nlazy = Lazy()",
        "ready",
    ),
    "a number in its place": (
        "import sys; sys.modules[__name__] = 3",
        OURS + "an entry point of a plugin must name a module: 3",
    ),
    "an instance without a repr in its place": (
        START + "class No:\n    def __repr__(self): raise Panic\nsys.modules[__name__] = No()",
        OURS + "an entry point of a plugin must name a module: <No>",
    ),
    "a misspelt hook": (hook("registr", "return []"), OURS + "there is no hook 'superloop_registr'"),
    "an unmarked hook": ("def superloop_register(): return []", OURS + "'superloop_register' is not marked"),
    "a hook that is no function": ("superloop_register = 3", OURS + "'superloop_register' is not marked"),
    "a hook with unknown arguments": (hook("register", "pass", arguments="x"), "PluginValidationError"),
    "a hook that fails": (register("raise Panic('hook')"), "Panic: hook"),
    "a hook that exits": (register("sys.exit()"), "SystemExit"),
    "a hook that fails late": (register("yield cell(); raise Panic('late')"), "Panic: late"),
    "a hook without a result": (register("pass"), OURS + "superloop_register must yield PluginSpec"),
    "a hook without an end": (
        register("\n    while True: yield cell()"),
        OURS + "superloop_register may yield 1,000 objects at most",
    ),
    "a hook that yields anything": (register("yield object()"), OURS + "superloop_register must yield"),
    "a spec of an unknown kind": (odd("PluginSpec", "kind = 'odd'"), OURS + "superloop_register must yield"),
    "a spec of no kind": (odd("PluginSpec", "pass"), OURS + "superloop_register must yield specs of a kind"),
    "a spec whose names fail": (
        odd("CellSpec", "@property\n    def names(self): raise Panic('names')"),
        "Panic: names",
    ),
    "a spec of a bad name": (register("yield cell(name='a b')"), "ValueError"),
    "a spec of no attrs class": (register("yield cell(config=dict)"), "TypeError"),
    "a spec twice": (register("yield from [cell(), cell()]"), OURS + "superloop-plugin-hostile registers"),
    "an alias that is its name": (
        register("yield cell(aliases=('hostile',))"),
        OURS + "superloop-plugin-hostile registers the cell 'hostile' twice",
    ),
    "a setting of the core's": (
        register("yield cell(config=attrs.make_class('S', {'use': attrs.field()}))"),
        "ValueError: 'config' may have no setting 'use'",
    ),
    "a summary of 2 MB": (register("yield cell(summary='\\x1b[2J\\udcff' * 400_000)"), "ready"),
    "settings of an unknown type": (
        register("yield cell(config=attrs.make_class('S', {'a': attrs.field(type='Nowhere')}))"),
        "ready",
    ),
    "the table of the loop": (
        tables("yield TableSpec(name='loop', config=Settings)"),
        OURS + "the table [loop] is owned by the core",
    ),
    "a table twice": (
        tables("yield from [TableSpec(name='mine', config=Settings)] * 2"),
        OURS + "superloop-plugin-hostile registers the table [mine] twice",
    ),
    "a hook of tables that fails": (tables("raise Panic('tables')"), "Panic: tables"),
    "commands that fail": (commands("raise Panic('commands')"), "Panic: commands"),
    "commands that exit": (commands("sys.exit(3)"), "SystemExit: 3"),
    "a command of the core's": (
        commands("cli.add_command(click.Command('doctor'))"),
        OURS + "there is a command 'doctor' already",
    ),
    "commands that delete the core's": (commands("del cli.commands['plugins']"), "KeyError: 'plugins'"),
    "commands that are cleared": (commands("cli.commands.clear(); cli.list_commands = None"), "ready"),
    "a command that is none": (commands("cli.commands['a'] = 3"), OURS + "the command 'a' is not a"),
    "a command of a name that is no word": (
        commands("cli.commands['\\x1b[2J'] = click.Command('a')"),
        OURS + "a command's name must have",
    ),
    "a command whose help fails": (
        commands(
            "cli.add_command(C('a'))",
            "class C(click.Command):\n    def get_short_help_str(self, limit=45): raise Panic('help')",
        ),
        "Panic: help",
    ),
    "hooks that it specifies and that fail": (hook("add_hookspecs", "raise Panic('specs')"), "Panic: specs"),
    "hooks that it specifies without an end": (
        hook("add_hookspecs", "\n    while True: yield sys"),
        OURS + "superloop_add_hookspecs must yield modules or classes",
    ),
    "a hook of the core's": (
        hook("add_hookspecs", "yield hookspecs", "from superloop_core.registry import hookspecs"),
        "ready",
    ),
    "a hook that another has": (
        hook(
            "add_hookspecs",
            "yield Hooks",
            "from superloop_core import hookspec\n"
            "class Hooks:\n    @hookspec\n    def superloop_register(self): pass",
        ),
        OURS + "the hook 'superloop_register' is specified by superloop-core already",
    ),
    "a hook whose name is no text": (
        FINE + "@hookimpl(specname=3)\ndef other(): pass",
        OURS + "there is no hook 3",
    ),
    "a hook for all": (
        FINE + "@hookimpl(wrapper=True)\ndef superloop_config_tables(): yield",
        OURS + "'superloop_config_tables' may not wrap other plugins' hooks",
    ),
    "noise on stdout": (
        FINE + "print('a'); os.write(1, b'b'); os.system('echo c'); print('d', file=sys.__stdout__)",
        "ready",
    ),
    "a question": ("input('name? ')", "EOFError"),
    "another working directory": (FINE + "os.chdir('/')", "ready"),
    "streams that it closes": (FINE + "sys.stdout.close(); sys.stderr.close()", "ready"),
    "streams that it replaces": (FINE + "sys.stdout = sys.stderr = None", "ready"),
    "a descriptor that it closes": (FINE + "os.close(1)", "ready"),
}


@pytest.fixture
def asked(fake_distribution, capfd, monkeypatch):
    """Installs a distribution and asks everything that does not name it; returns the registry."""
    few = [one for one in distributions() if str(metadata_folder(one).name).startswith("superloop")]

    def ask(text=FINE, damage=None, **further):
        folder = fake_distribution(NAME, {MODULE: "x = 1"}, **further)
        (folder / f"{MODULE}.py").write_bytes(text.encode("utf-8", "surrogatepass"))
        (info,) = folder.glob("*.dist-info")
        if damage is not None:
            damage(info)
        here = [*few, *distributions(path=[str(folder)])]
        for module in (discovery, doctor):  # half the time
            monkeypatch.setattr(module, "distributions", lambda: here)
        before = os.getcwd()
        with registry_in_use(None):
            answers = [CliRunner().invoke(cli, asks, input="answer\n") for asks in ASKED]
            registry = load_registry()
            config = read_config({"loop": {"inputs": 2, "cells": [{"use": "gru", "units": 2}]}}, registry)
        for asks, answer in zip(ASKED, answers, strict=True):
            assert answer.exit_code == 0, (asks, answer.output, answer.exception)
            assert "\x1b" not in answer.output
            assert "Traceback" not in answer.stderr
            assert len(answer.stderr) < 8_000
        assert "train" in answers[0].stdout
        plugins, report = (json.loads(answer.stdout) for answer in answers[1:3])
        assert "superloop-plugin-cells:gru" in report["plugins"]["ready"]
        assert {row["state"] for row in plugins if row["distribution"] != NAME} == {"ready"}
        assert config.loop.cells[0].use == "superloop-plugin-cells:gru"
        assert capfd.readouterr().out == ""
        assert os.getcwd() == before
        return registry, report

    yield ask
    sys.modules.pop(MODULE, None)


ASKED = (["--help"], ["plugins", "--json"], ["doctor", "--quick", "--json"], ["plugins", "--broken"])


@pytest.mark.parametrize("case", MODULES)
def test_a_hostile_module_stops_nothing_else(case, asked):
    text, fate = MODULES[case]
    registry, report = asked(text)
    broken = {plugin.distribution: plugin.reason for plugin in registry.broken}
    if fate == "ready":
        assert not broken
    else:
        assert list(broken) == [NAME]
        assert broken[NAME].startswith(fate)
        assert any(f"{NAME} 1.0 is broken" in warning for warning in report["warnings"])


def folder_for(name):
    """Puts a folder in the place of a file of a distribution's metadata."""

    def damage(info):
        (info / name).unlink()
        (info / name).mkdir()

    return damage


def rewrite(name, content):
    """Damages a file of a distribution's metadata; None removes it."""

    def damage(info):
        (info / name).unlink()
        if content is not None:
            (info / name).write_bytes(content)

    return damage


GROUP = b"[superloop.plugins]\n"
UNNAMED = OURS + "its metadata in "
UNREADABLE = OURS + "its entry_points.txt in "
METADATA = {
    "a folder for METADATA": (folder_for("METADATA"), UNNAMED),
    "no METADATA": (rewrite("METADATA", None), UNNAMED),
    "an empty METADATA": (rewrite("METADATA", b""), UNNAMED),
    "a METADATA without a name": (rewrite("METADATA", b"Metadata-Version: 2.1\nVersion: 1.0\n"), UNNAMED),
    "a METADATA that is not in UTF-8": (rewrite("METADATA", b"Name: \xff\xfe\nVersion: 1.0\n"), UNNAMED),
    "a name that is no name": (rewrite("METADATA", b"Name: a b; rm -rf\nVersion: 1.0\n"), UNNAMED),
    "a name with terminal codes": (rewrite("METADATA", b"Name: \x1b[2Jx\nVersion: 1.0\n"), UNNAMED),
    "no version": (rewrite("METADATA", f"Name: {NAME}\n".encode()), None),
    "a version of 100 kB": (rewrite("METADATA", f"Name: {NAME}\nVersion: {'1' * 100_000}\n".encode()), None),
    "a requirement that is none": (
        rewrite("METADATA", f"Name: {NAME}\nVersion: 1.0\nRequires-Dist: superloop-core ~~ 1\n".encode()),
        "InvalidRequirement",
    ),
    "a requirement of an extra": (
        rewrite("METADATA", f"Name: {NAME}\nRequires-Dist: superloop-core>=99; extra == 'x'\n".encode()),
        None,
    ),
    "entry points that are not in UTF-8": (rewrite("entry_points.txt", GROUP + b"a\xff = b\n"), UNREADABLE),
    "an entry point without a value": (rewrite("entry_points.txt", GROUP + b"alone\n"), UNREADABLE),
    "an entry point of nothing": (rewrite("entry_points.txt", GROUP + b"a =\n"), ""),
    "an entry point of no module": (rewrite("entry_points.txt", GROUP + b"a = !?\n"), ""),
    "an entry point of the core": (
        rewrite("entry_points.txt", GROUP + b"a = superloop_core.cli\n"),
        "PluginError: it has none of the hooks",
    ),
    "an entry point of an attribute": (
        rewrite("entry_points.txt", GROUP + b"a = os:path.join\n"),
        "PluginError: an entry point of a plugin",
    ),
    "entry points of one name": (
        rewrite("entry_points.txt", GROUP + f"a = {MODULE}\na = {MODULE}\n".encode()),
        "PluginError: the entry point",
    ),
}


@pytest.mark.parametrize("case", METADATA)
def test_damaged_metadata_stops_nothing_else(case, asked):
    damage, reason = METADATA[case]
    registry, report = asked(damage=damage)
    broken = {plugin.distribution: plugin.reason for plugin in registry.broken}
    assert bool(broken) == (reason is not None)
    for found in broken.values():
        assert found.startswith(reason)
    if reason == UNNAMED:
        assert any("superloop_plugin_hostile-1.0.dist-info" in warning for warning in report["warnings"])


def test_remains_of_another_core_break_no_plugin_and_are_a_problem_for_doctor(fake_distribution):
    folder = fake_distribution(NAME, {MODULE: FINE}, requires=["superloop-core>=0.1,<0.2"])
    remains = folder / "superloop_core-99.0.dist-info"
    remains.mkdir()
    (remains / "METADATA").write_text("Metadata-Version: 2.1\nName: superloop-core\nVersion: 99.0\n")
    with registry_in_use(None):
        report = json.loads(CliRunner().invoke(cli, ["doctor", "--quick", "--json"]).stdout)
    assert report["warnings"] == []
    assert "superloop-plugin-hostile:hostile" in report["plugins"]["ready"]
    assert [problem.partition(":")[0] for problem in report["problems"]] == [
        "superloop-core is installed in 2 versions"
    ]


def test_remains_without_a_name_do_not_hide_the_distribution(fake_distribution):
    folder = fake_distribution(NAME, {MODULE: FINE})
    remains = folder / "superloop_plugin_hostile-0.9.dist-info"
    remains.mkdir()
    (remains / "entry_points.txt").write_text(f"[superloop.plugins]\n{MODULE} = {MODULE}\n")
    found = discovery.discover(reversed(list(distributions(path=[str(folder)]))))
    assert [entry.dist.version for entry in found.entry_points] == ["1.0"]
    found = discovery.discover(distributions(path=[str(folder)]))
    assert [entry.dist.version for entry in found.entry_points] == ["1.0"]


def test_a_summary_without_measure_fills_no_screen(asked):
    asked(MODULES["a summary of 2 MB"][0])
    with registry_in_use(None):
        shown = CliRunner().invoke(cli, ["plugins"]).stdout
    assert shown.count("2J") < 200
    assert "\x1b" not in shown
