"""A page for each memory and each cell, made from its class and its settings."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

from file_pages import Picture, config_of, picture_of
from outside_links import DOCS, ROOT, config_anchor, config_name, with_site_links
from pieces import as_toml, block, in_restructuredtext, in_table, toctree, with_code
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util import logging

from superloop_core.describe.plugin import Description, described
from superloop_core.registry import load_registry

logger = logging.getLogger(__name__)

FOLDERS = {"system": "memories", "cell": "cells"}  # by the kind of plugin


def _loop(description: Description) -> Any:
    """Make a loop with the example of a memory or cell."""
    import keras

    from superloop_core import Superloop

    part = {"use": description.qualified_name, **description.example}
    keras.backend.clear_session()
    if description.kind == "cell":
        return Superloop({"inputs": 2, "cells": [part]}, traces="all")
    cells = [{"use": "dense", "units": 2}]
    systems = [{**part, "id": description.name}]
    return Superloop({"inputs": 2, "cells": cells, "systems": systems}, traces="all")


def _traces(description: Description, loop: Any) -> Iterator[str]:
    """Yield a table of the example's traces: from a symbolic call, and from what the plugin says of them."""
    prefix = description.name if description.kind == "system" else "cells.0"
    results = loop(loop.symbolic_inputs())
    views = loop.wiring.trace_views
    yield "| trace | axes at a timestep | kind | size in the example |"
    yield "|---|---|---|---|"
    for name in sorted(results):
        if name.startswith(f"{prefix}."):
            sizes = " x ".join("any" if size is None else str(size) for size in results[name].shape[2:])
            view = views.get(name)
            axes = ", ".join(view.axes) if view else ""
            yield f"| `{name}` | {axes} | {view.kind if view else ''} | {sizes or 'a number'} |"


def _documented(description: Description, loop: Any) -> Any:
    """Return the class or function whose docstring has the equations.

    A factory that is a function may return an object of a class of its own distribution, with a docstring.
    """
    module, _, attribute = description.factory.partition(":")
    factory = importlib.import_module(module)
    for name in attribute.split("."):
        factory = getattr(factory, name)
    if not inspect.isclass(factory):
        part = loop.wiring.parts()["cells.0" if description.kind == "cell" else description.name]
        made = type(getattr(part, "cell", part))
        if made.__module__.partition(".")[0] == module.partition(".")[0] and vars(made).get("__doc__"):
            return made
    return factory


def _settings(description: Description) -> Iterator[str]:
    if not description.settings:
        yield "It has none."
        return
    yield "| setting | values | default | meaning |"
    yield "|---|---|---|---|"
    for setting in description.settings:
        values = with_code(", ".join(filter(None, (setting.type, setting.range))))
        default = "required" if setting.required else f"`{as_toml(setting.default)}`"
        yield f"| `{setting.name}` | {values} | {in_table(default)} | {with_code(setting.meaning)} |"


def _docstring(app: Sphinx, documented: Any, description: Description) -> str:
    text = inspect.getdoc(documented) or ""
    if text.startswith("Return the ") and "\n" not in text.strip():
        text = ""  # of a factory; the settings say more
    # A bar is a bar: |k| is no substitution. Lines of equations are indented.
    lines = (line if line[:1] == " " else re.sub(r"(``.+?``)|\|", _bar, line) for line in text.splitlines())
    name = documented.__name__
    converted = GoogleDocstring("\n".join(lines), app.config, app, "class", name, documented)
    return str(converted).partition(":param ")[0].strip() or description.about


def _bar(match: re.Match[str]) -> str:
    return match[1] or "\\|"


def _at_work(name: str, picture: Picture | None, config: Path | None) -> Iterator[str]:
    if not (picture or config):
        return
    yield "## At work"
    if picture:
        yield with_site_links(picture.caption, DOCS) if picture.caption else ""
        yield f"![{picture.alt}](/images/{picture.file})"
    if config:
        path = config.relative_to(ROOT)
        yield f"The config is [{config_name(config)}](#{config_anchor(config)})."
        yield block(
            f"superloop train {path} --out runs/{config.stem}",
            f"superloop trace runs/{config.stem} --out {config.stem}.npz --sequences 1",
        )
    more = []
    if config and re.search(rf"\b{config.stem}\b", (DOCS / "results.md").read_text()):
        more.append("[what it learned](/results.md)")
    if re.search(rf"\b{name.replace('_', ' ')}\b", (DOCS / "performance.md").read_text(), re.IGNORECASE):
        more.append("[how fast it is](/performance.md)")
    if more:
        yield f"See {' and '.join(more)}."


def part_page(app: Sphinx, description: Description) -> str:
    """Return the page of a memory or cell."""
    loop = _loop(description)
    traces = "\n".join(_traces(description, loop))
    documented = _documented(description, loop)
    picture = picture_of(description.name)
    settings = ", ".join(f"`{name} = {as_toml(value)}`" for name, value in description.example.items())
    where = f"{documented.__module__}.{documented.__qualname__}"
    docstring = _docstring(app, documented, description)
    distribution = description.distribution
    parts = f"lstm {description.name}" if description.kind == "system" else description.name
    rows = [
        f"# {description.name}",
        description.summary + ".",
        f"A {description.kind} of [{distribution}](/reference/distributions/{distribution}.markdown), "
        f'`use = "{description.name}"`; the code is in `{where}`.',
        "## What it computes",
        in_restructuredtext(f".. container:: equations\n\n{indent(docstring, '   ')}"),
    ]
    if description.reference and "Reference" not in docstring:
        rows.append(f"Reference: {description.reference}")
    if description.aliases:
        rows.append("Other names: " + ", ".join(f"`{name}`" for name in description.aliases))
    sizes = [f"`{name}` {size}" for name, size in description.sizes.items() if name != "sources"]
    rows += ["## Settings", "\n".join(_settings(description))]
    if description.kind == "system":
        connections = "/loop.md#how-systems-are-connected"
        rows.append(f"All systems also have the settings of [connections]({connections}).")
    rows += [
        "## Traces",
        "Every trace has the axes `(batch, timesteps)` before these. The example's settings: "
        f"{settings}{'; ' if sizes else ''}{', '.join(sizes)}. [See inside](/inspect.md) shows how to get "
        "them from any model.",
        traces,
        *_at_work(description.name, picture, config_of(description.name, picture)),
        "## Start with it",
        block(
            f"superloop init {parts} -o config.toml",
            f"superloop describe {description.name}",
            f"superloop check-plugin {description.name}",
        ),
    ]
    return "\n\n".join(filter(None, rows))


def part_pages(app: Sphinx) -> Iterator[tuple[str, str]]:
    """Yield the pages of all memories and cells, and their lists."""
    own = {path.name for path in (ROOT / "plugins").iterdir()}
    listed: dict[str, list[Description]] = {kind: [] for kind in FOLDERS}
    for record in load_registry().records:
        if record.kind in FOLDERS and record.distribution in own:
            description = described(record)
            logger.info("describing %s %s", description.kind, description.name)
            listed[record.kind].append(description)
            yield f"{FOLDERS[record.kind]}/{description.name}", part_page(app, description)
    for kind, folder in FOLDERS.items():
        descriptions = sorted(listed[kind], key=lambda one: one.name)
        rows = [f"| [{one.name}]({one.name}.markdown) | {in_table(one.summary)} |" for one in descriptions]
        title = "Every memory" if kind == "system" else "Every cell"
        about = (
            "A page for each, made from its class: equations, settings, traces and its picture. "
            "[Memories](/memories.md) compares them."
            if kind == "system"
            else "A page for each, made from its class: equations, settings and traces."
        )
        table = "\n".join([f"| {kind} | |", "|---|---|", *rows])
        names = toctree(one.name for one in descriptions)
        yield f"{folder}/index", "\n\n".join([f"# {title}", about, table, names])
