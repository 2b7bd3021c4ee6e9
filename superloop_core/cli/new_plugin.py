"""``superloop new-plugin``."""

import keyword
import re
import sys
from collections.abc import Mapping
from datetime import date
from importlib.metadata import PackageNotFoundError, metadata, requires
from importlib.metadata import version as metadata_version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click
import tomlkit
from packaging.requirements import Requirement

from superloop_core.cli.installed import installed_plugins
from superloop_core.errors import SuperloopError, os_reason, printable, short_repr
from superloop_core.registry.entry_point import CORE
from superloop_core.registry.registry import CORE_TABLES
from superloop_core.registry.specs import KINDS, snake_case

ALL_KINDS = (*KINDS, "command", "table")
PREFIX = "superloop-plugin-"  # of a plugin's distribution
MAX_NAME = 30  # characters; with more, lines of the templates would be too long for their own ruff


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(ALL_KINDS), default="system", show_default=True)
@click.option("--author", default="", help="Who holds the copyright; the licence says so.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Where; superloop-plugin-NAME if it is not given."
)
def new_plugin(name: str, kind: str, author: str, out: Path | None) -> None:
    """Write a working plugin: a distribution with a light module, an implementation and its tests.

    NAME is its name in configs, in lower case with underscores.
    """
    taken = _taken(kind)
    if objection := _objection(name, taken):
        raise SuperloopError(f"{objection}: {short_repr(name)}; try {_proposal(name, taken)!r}")
    distribution = _distribution(name)
    out = out or Path(distribution)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SuperloopError(f"{out}: is there already, and is not empty; name another folder with -o")
    major, minor, *_ = metadata_version(CORE).split(".")
    author = printable(author) or f"the authors of {distribution}"
    values = {
        "name": name,
        "kind": kind,
        "class_name": "".join(part.capitalize() for part in name.removesuffix(f"_{kind}").split("_")),
        "command": _command(name),
        "package": f"superloop_plugin_{name}",
        "distribution": distribution,
        "core": f"{CORE}>={major}.{minor},<{major}.{int(minor) + 1}",
        "python": metadata(CORE)["Requires-Python"],
        "author": author,
        "quoted_author": tomlkit.item(author).as_string(),
        "year": str(date.today().year),
    }
    templates = files("superloop_core.cli") / "templates"
    values["usage"] = _filled(templates / kind / "usage.md", values)
    folders = ("any", "registered", kind) if kind in KINDS else ("any", kind)
    try:
        for path, text in [file for folder in folders for file in _files(templates / folder, values)]:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SuperloopError(f"{out}: cannot be written: {os_reason(error)}") from error
    click.echo(f"{out} is written. Next:\n")
    check = f"superloop check-plugin {kind}:{name}" if kind in KINDS else f"pytest {out.resolve()}"
    click.echo(f"    pip install -e {out.resolve()} && {check}")


def _taken(kind: str) -> dict[str, str]:
    """Return the names that a plugin of a kind may not have, each with the reason."""
    registry = installed_plugins()
    taken = {}
    if kind == "command":
        context = click.get_current_context().find_root()
        assert isinstance(context.command, click.Group)
        for command in context.command.list_commands(context):
            taken[command.replace("-", "_")] = f"there is a command {command!r} already"
    if kind == "table":
        for table in (*CORE_TABLES, *registry.tables):
            taken[table] = f"there is a table [{table}] already"
    for record in registry.records:
        for name in record.spec.names:
            taken[name] = f"{record.qualified_name} has this name already"
    for text in requires(CORE) or ():
        _, first_party, word = Requirement(text).name.rpartition(PREFIX)
        if first_party:
            taken[word] = f"{PREFIX}{word} is a plugin of the project"
    return taken


def _objection(name: str, taken: Mapping[str, str]) -> str | None:
    """Return the rule that a name breaks; None if a plugin of this name can be written and installed."""
    if not re.fullmatch(r"[a-z0-9_]+", name):
        return "a plugin's name must be of lower case letters, digits and underscores"
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):  # pip takes no name that ends in a hyphen
        return "a plugin's name must begin with a letter, with single underscores between words only"
    if len(name) > MAX_NAME:
        return f"a plugin's name may have {MAX_NAME} characters at most"
    if keyword.iskeyword(name) or keyword.iskeyword(name.capitalize()):
        return "a plugin's name may not be a keyword of Python"
    if name in sys.stdlib_module_names:
        return "a plugin's name may not be that of a module of Python's standard library"
    if name in ALL_KINDS:
        return f"a plugin's name may not be a kind ({', '.join(ALL_KINDS)})"
    if name in taken:
        return taken[name]
    try:
        installed = metadata_version(_distribution(name))
    except PackageNotFoundError:
        return None
    return f"{_distribution(name)} {installed} is installed, and pip would replace it"


def _proposal(name: str, taken: Mapping[str, str]) -> str:
    """Return a name like ``name`` that there is no objection to."""
    words = re.sub(r"[^a-z0-9]+", "_", snake_case(name)[:MAX_NAME]).strip("_") or "plugin"
    numbered = (f"my_{words}"[: MAX_NAME - 3].rstrip("_") + f"_{number}" for number in range(2, 1_000))
    candidates = (words, f"my_{words}"[:MAX_NAME].rstrip("_"), *numbered)
    return next(name for name in candidates if not _objection(name, taken))


def _distribution(name: str) -> str:
    return PREFIX + _command(name)


def _command(name: str) -> str:
    return name.replace("_", "-")


def _filled(template: Traversable, values: Mapping[str, str]) -> str:
    return Template(template.read_text(encoding="utf-8")).substitute(values)


def _files(folder: Traversable, values: Mapping[str, str], within: Path = Path()) -> list[tuple[Path, str]]:
    """Return the paths and texts of a folder of templates, names filled in."""
    made = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = entry.name.replace("package", values["package"])
        if entry.is_dir():
            made += _files(entry, values, within / name)
        elif name.endswith(".template"):
            made.append((within / name.removesuffix(".template"), _filled(entry, values)))
    return made
