"""``superloop new-plugin``."""

import keyword
import re
from datetime import date
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as metadata_version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

import superloop_core
from superloop_core.cli.installed import installed_plugins
from superloop_core.errors import SuperloopError, os_reason, printable, short_repr
from superloop_core.registry.specs import snake_case

MAX_NAME = 50  # characters


@click.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(["system", "cell", "task"]), default="system", show_default=True)
@click.option("--author", default="", help="Who holds the copyright; the licence says so.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Where; superloop-plugin-NAME if it is not given."
)
def new_plugin(name: str, kind: str, author: str, out: Path | None) -> None:
    """Write a working plugin: a distribution with a light module, an implementation and its tests.

    NAME is its name in configs, in lower case with underscores.
    """
    if objection := _objection(name):
        raise SuperloopError(f"{objection}: {short_repr(name)}; try {_proposal(name)!r}")
    distribution = _distribution(name)
    out = out or Path(distribution)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SuperloopError(f"{out}: is there already, and is not empty; name another folder with -o")
    major, minor, *_ = metadata_version("superloop-core").split(".")
    values = {
        "name": name,
        "class_name": _class_name(name),
        "package": f"superloop_plugin_{name}",
        "distribution": distribution,
        "core": f"superloop-core>={major}.{minor},<{major}.{int(minor) + 1}",
        "author": printable(author) or f"the authors of {distribution}",
        "year": str(date.today().year),
    }
    templates = files("superloop_core.cli") / "templates"
    written = [*_files(templates / "any", values), *_files(templates / kind, values)]
    try:
        for path, text in written:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise SuperloopError(f"{out}: cannot be written: {os_reason(error)}") from error
    if taken := [r.qualified_name for r in installed_plugins().records if (r.kind, r.name) == (kind, name)]:
        click.echo(
            f"note: {', '.join(taken)} has this name too; configs will need {distribution}:{name}", err=True
        )
    click.echo(f"{out} is written. Next:\n")
    click.echo(f"    pip install -e {out.resolve()} && superloop check-plugin {kind}:{name}")


def _objection(name: str) -> str | None:
    """Return the rule that a name breaks; None if a plugin of this name can be written and installed."""
    if not re.fullmatch(r"[a-z0-9_]+", name):
        return "a plugin's name must be of lower case letters, digits and underscores"
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):  # pip takes no name that ends in a hyphen
        return "a plugin's name must begin with a letter, with single underscores between words only"
    if len(name) > MAX_NAME:
        return f"a plugin's name may have {MAX_NAME} characters at most"
    if keyword.iskeyword(name) or keyword.iskeyword(_class_name(name)):
        return "a plugin's name may not be a keyword of Python, which no module or class can be named by"
    if _class_name(name) in superloop_core.__all__:
        return f"a plugin's class may not have the name {_class_name(name)}, which is the core's"
    if re.fullmatch(r"con|prn|aux|nul|(com|lpt)[0-9]", name):
        return "a plugin's name may not be that of a device, which no file can have on Windows"
    try:
        installed = metadata_version(_distribution(name))
    except PackageNotFoundError:
        return None
    return f"{_distribution(name)} {installed} is installed, and pip would replace it"


def _proposal(name: str) -> str:
    """Return a name like ``name`` that there is no objection to."""
    words = re.sub(r"[^a-z0-9]+", "_", snake_case(name)[:MAX_NAME]).strip("_0123456789") or "plugin"
    candidates = (words, *(f"my_{words}{number}"[:MAX_NAME].strip("_") for number in ("", *range(2, 1_000))))
    return next(name for name in candidates if not _objection(name))


def _distribution(name: str) -> str:
    return f"superloop-plugin-{name.replace('_', '-')}"


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _files(folder: Traversable, values: dict[str, str], within: Path = Path()) -> list[tuple[Path, str]]:
    """Return the paths and texts of a folder of templates, names filled in."""
    made = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = entry.name.replace("package", values["package"]).replace("implementation", values["name"])
        if entry.is_dir():
            made += _files(entry, values, within / name)
        elif name.endswith(".template"):
            text = Template(entry.read_text(encoding="utf-8")).substitute(values)
            made.append((within / name.removesuffix(".template"), text))
    return made
