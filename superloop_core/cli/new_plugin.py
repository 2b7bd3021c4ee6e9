"""``superloop new-plugin``."""

import keyword
import re
from datetime import date
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

from superloop_core.cli.installed import installed_plugins
from superloop_core.errors import SuperloopError
from superloop_core.registry.specs import snake_case


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
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        hint = snake_case(name).replace("-", "_")
        raise SuperloopError(
            f"a plugin's name must be of lower case letters, digits and underscores: {name!r}; try {hint!r}"
        )
    if keyword.iskeyword(name):
        raise SuperloopError(
            f"a plugin's name may not be a keyword of Python, which no module can be named by: {name!r}"
        )
    distribution = f"superloop-plugin-{name.replace('_', '-')}"
    out = out or Path(distribution)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SuperloopError(f"{out}: is there already, and is not empty; name another folder with -o")
    major, minor, *_ = version("superloop-core").split(".")
    values = {
        "name": name,
        "class_name": "".join(part.capitalize() for part in name.split("_")),
        "package": f"superloop_plugin_{name}",
        "distribution": distribution,
        "core": f"superloop-core>={major}.{minor},<{major}.{int(minor) + 1}",
        "author": author or f"the authors of {distribution}",
        "year": str(date.today().year),
    }
    templates = files("superloop_core.cli") / "templates"
    written = [*_files(templates / "any", values), *_files(templates / kind, values)]
    try:
        for path, text in written:
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_text(text)
    except OSError as error:
        raise SuperloopError(f"{out}: cannot be written: {error.strerror}") from error
    if taken := [r.qualified_name for r in installed_plugins().records if (r.kind, r.name) == (kind, name)]:
        click.echo(
            f"note: {', '.join(taken)} has this name too; configs will need {distribution}:{name}", err=True
        )
    click.echo(f"{out} is written. Next:\n")
    click.echo(f"    pip install -e {out.resolve()} && superloop check-plugin {kind}:{name}")


def _files(folder: Traversable, values: dict[str, str], within: Path = Path()) -> list[tuple[Path, str]]:
    """Return the paths and texts of a folder of templates, names filled in."""
    made = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = entry.name.replace("package", values["package"]).replace("implementation", values["name"])
        if entry.is_dir():
            made += _files(entry, values, within / name)
        elif name.endswith(".template"):
            text = Template(entry.read_text()).substitute(values)
            made.append((within / name.removesuffix(".template"), text))
    return made
