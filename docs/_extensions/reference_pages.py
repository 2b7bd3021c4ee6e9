"""Pages that are made from what is installed: memories, cells, the API; and from files: configs, pictures, READMEs.

They are written to ``docs/reference``, which git ignores, as Markdown that ends in ``.markdown``. A page is written only
if it changes, and one that nothing makes any more is deleted.
"""

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs
from docutils import nodes
from outside_links import DOCS, PROJECT, ROOT, config_anchor, with_site_links
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util import logging

from superloop_core.describe.plugin import Description, described
from superloop_core.registry import load_registry

logger = logging.getLogger(__name__)

REFERENCE = DOCS / "reference"
FOLDERS = {"system": "memories", "cell": "cells"}
MODULES = (
    "superloop_core",
    "superloop_core.builder",
    "superloop_core.config",
    "superloop_core.errors",
    "superloop_core.layer",
    "superloop_core.registry",
    "superloop_core.task",
    "superloop_core.testing",
    "superloop_plugin_data",
    "superloop_plugin_lab",
    "superloop_plugin_lab.distributed",
    "superloop_plugin_view",
)  # whose names are public


@attrs.frozen(kw_only=True)
class Picture:
    """A picture of the docs.

    Args:
        file: its name in ``docs/images``.
        alt: what it shows.
        page: the name of the page that has it.
        memory: the memory that it shows at work; empty: it shows something else.
        caption: Markdown.
        config: the config that it was made with, of ``docs/examples``; None: not known.
    """

    file: str
    alt: str
    page: str
    memory: str = ""
    caption: str = ""
    config: Path | None = None


def pictures() -> list[Picture]:
    """Find the pictures of the pages at the top; the first page that has one counts."""
    found: dict[str, Picture] = {}
    for page in sorted(DOCS.glob("*.md"), key=lambda path: (path.stem != "memories", path.stem)):
        text = page.read_text()
        at_work = re.findall(r"^\*\*`(\w+)`\*\* ((?:.+\n)+)\n!\[(.+?)\]\(images/(.+?)\)", text, re.MULTILINE)
        for memory, caption, alt, file in at_work:
            name = re.search(r"\(`([\w/]+)`\)", caption)
            config = DOCS / f"examples/{name[1]}.toml" if name else None
            found.setdefault(
                file,
                Picture(
                    file=file, alt=alt, page=page.stem, memory=memory, caption=f"`{memory}` {caption.strip()}",
                    config=config if config and config.exists() else None,
                ),
            )  # fmt: skip
        for alt, file in re.findall(r"!\[(.+?)\]\(images/(.+?)\)", text):
            found.setdefault(file, Picture(file=file, alt=alt, page=page.stem))
    return list(found.values())


def picture_of(name: str) -> Picture | None:
    """Return the picture of a memory or cell: that of *At work*, or one of its name."""
    listed = [picture for picture in pictures() if picture.memory == name]
    if listed:
        return listed[0]
    if (DOCS / f"images/{name}.png").exists():
        return Picture(file=f"{name}.png", alt=f"what {name} did", page="memories", memory=name)
    return None


def config_of(name: str, picture: Picture | None) -> Path | None:
    """Return the config that shows a memory or cell at work."""
    if picture and picture.config:
        return picture.config
    return next(iter(sorted((DOCS / "examples").glob(f"*/{name}.toml"))), None)


def configs() -> dict[str, list[Path]]:
    """Return the example configs by folder."""
    found: dict[str, list[Path]] = {}
    for path in sorted((DOCS / "examples").rglob("*.toml")):
        folder = str(path.parent.relative_to(DOCS / "examples")).replace(".", "")
        if not folder.startswith("superloop-plugin"):
            found.setdefault(folder, []).append(path)
    return found


# Memories and cells


def _loop(description: Description) -> Any:
    """Make a loop with the example of a memory or cell."""
    import keras

    from superloop_core import Superloop

    part = {"use": description.qualified_name, **description.example}
    keras.backend.clear_session()
    if description.kind == "cell":
        return Superloop({"inputs": 2, "cells": [part]}, traces="all")
    cells = [{"use": "dense", "units": 2}]
    return Superloop({"inputs": 2, "cells": cells, "systems": [{**part, "id": description.name}]}, traces="all")


def _traces(description: Description, loop: Any) -> Iterator[str]:
    """Yield the rows of a table of the example's traces: from a symbolic call, and from what the plugin says."""
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


def _cell(text: object) -> str:
    """Escape what has a meaning in a table."""
    return str(text).replace("|", "\\|").replace("\n", " ")


def _meaning(text: str) -> str:
    """Show names that a description quotes in monospace."""
    return _cell(re.sub(r"'([^' ]+)'", r"`\1`", text))


def _settings(description: Description) -> Iterator[str]:
    if not description.settings:
        yield "It has none."
        return
    yield "| setting | values | default | meaning |"
    yield "|---|---|---|---|"
    for setting in description.settings:
        values = _meaning(", ".join(filter(None, (setting.type, setting.range))))
        default = "required" if setting.required else f"`{_toml(setting.default)}`"
        yield f"| `{setting.name}` | {values} | {_cell(default)} | {_meaning(setting.meaning)} |"


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return str(value)


def _docstring(app: Sphinx, documented: Any, description: Description) -> str:
    text = inspect.getdoc(documented) or ""
    if text.startswith("Return the ") and "\n" not in text.strip():
        text = ""  # of a factory; the settings say more
    # A bar is a bar: |k| is no substitution. Lines of equations are indented.
    lines = (line if line[:1] == " " else re.sub(r"(``.+?``)|\|", _bar, line) for line in text.splitlines())
    converted = str(GoogleDocstring("\n".join(lines), app.config, app, "class", documented.__name__, documented))
    return converted.partition(":param ")[0].strip() or description.about


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
        yield f"The config is [{config.relative_to(DOCS / 'examples').with_suffix('')}](#{config_anchor(config)})."
        yield _block(
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


def _block(*lines: str) -> str:
    return "\n".join(["```text", *lines, "```"])


def part_page(app: Sphinx, description: Description) -> str:
    """Return the page of a memory or cell."""
    loop = _loop(description)
    traces = "\n".join(_traces(description, loop))
    documented = _documented(description, loop)
    picture = picture_of(description.name)
    settings = ", ".join(f"`{name} = {_toml(value)}`" for name, value in description.example.items())
    where = f"{documented.__module__}.{documented.__qualname__}"
    docstring = _docstring(app, documented, description)
    rows = [
        f"# {description.name}",
        description.summary + ".",
        f"A {description.kind} of [{description.distribution}](/reference/distributions/{description.distribution}.markdown), "
        f'`use = "{description.name}"`; the code is in `{where}`.',
        "## What it computes",
        "\n".join(["`````{eval-rst}", ".. container:: equations", "", _indented(docstring), "`````"]),
    ]
    if description.reference and "Reference" not in docstring:
        rows.append(f"Reference: {description.reference}")
    if description.aliases:
        rows.append("Other names: " + ", ".join(f"`{name}`" for name in description.aliases))
    sizes = [f"`{name}` {size}" for name, size in description.sizes.items() if name != "sources"]
    rows += ["## Settings", "\n".join(_settings(description))]
    if description.kind == "system":
        rows.append("All systems also have the settings of [connections](/loop.md#how-systems-are-connected).")
    rows += [
        "## Traces",
        "Every trace has the axes `(batch, timesteps)` before these. The example's settings: "
        f"{settings}{'; ' if sizes else ''}{', '.join(sizes)}. [See inside](/inspect.md) shows how to get them from any model.",
        traces,
        *_at_work(description.name, picture, config_of(description.name, picture)),
        "## Start with it",
        _block(
            f"superloop init {'lstm ' if description.kind == 'system' else ''}{description.name} -o config.toml",
            f"superloop describe {description.name}",
            f"superloop check-plugin {description.name}",
        ),
    ]
    return "\n\n".join(filter(None, rows))


def _indented(text: str) -> str:
    return "\n".join(f"   {line}" if line else line for line in text.splitlines())


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
        rows = [f"| [{one.name}]({one.name}.markdown) | {_cell(one.summary)} |" for one in descriptions]
        title = "Every memory" if kind == "system" else "Every cell"
        about = (
            "A page for each, made from its class: equations, settings, traces and its picture. "
            "[Memories](/memories.md) compares them."
            if kind == "system"
            else "A page for each, made from its class: equations, settings and traces."
        )
        table = "\n".join([f"| {kind} | |", "|---|---|", *rows])
        yield f"{folder}/index", "\n\n".join([f"# {title}", about, table, _toctree(one.name for one in descriptions)])


def _toctree(pages: Iterable[str], *, hidden: bool = True) -> str:
    return "\n".join(["```{toctree}", *([":hidden:"] if hidden else [":maxdepth: 1"]), "", *pages, "```"])


# Configs, pictures, and files beside the docs


def configs_page() -> str:
    """Return the page of all example configs."""
    rows = [
        "# Configs",
        "All example configs; a clone of the repository has them under `docs/examples`. "
        "`superloop train docs/examples/NAME.toml` trains the network; [the quickstart](/quickstart.md) explains the tables.",
    ]
    for folder, paths in configs().items():
        if folder:
            rows += [f"(config-{folder.replace('/', '-')})=", f"## {folder}"]
        for path in paths:
            name = path.relative_to(DOCS / "examples").with_suffix("")
            rows += [
                f"({config_anchor(path)})=",
                f"{'###' if folder else '##'} {name}",
                f"```{{literalinclude}} /examples/{name}.toml\n:language: toml\n```",
            ]
    return "\n\n".join(rows)


def gallery_page() -> str:
    """Return the page of all pictures, with their configs."""
    found = sorted(pictures(), key=lambda picture: (not picture.memory, picture.memory, picture.file))
    rows = [
        "# Gallery",
        "What memories do, and what networks with them learn. Each picture has its config; `superloop train` and "
        "`superloop trace` make it. [Memories](/memories.md#at-work) explains how to read them.",
    ]
    for picture in found:
        title = picture.memory or picture.file.rpartition(".")[0].replace("_", " ")
        rows += [
            f"## {title}",
            f"![{picture.alt}](/images/{picture.file})",
            with_site_links(picture.caption, DOCS) if picture.caption else f"{picture.alt[:1].upper()}{picture.alt[1:]}.",
        ]
        links = [f"[{title}](memories/{title}.markdown)"] if (REFERENCE / f"memories/{title}.markdown").exists() else []
        if picture.config:
            links.append(
                f"[{picture.config.relative_to(DOCS / 'examples').with_suffix('')}](#{config_anchor(picture.config)})"
            )
        links.append(f"[{picture.page}](/{picture.page}.md)")
        rows.append("More: " + ", ".join(links))
    return "\n\n".join(rows)


def copied_pages() -> Iterator[tuple[str, str]]:
    """Yield the READMEs of the distributions, and the files at the root."""
    names = []
    for path in sorted((ROOT / "plugins").glob("*/README.md")):
        names.append(path.parent.name)
        yield f"distributions/{path.parent.name}", with_site_links(path.read_text(), path.parent)
    rows = "\n\n".join(
        [
            "# Distributions",
            "The first-party plugins. Each is a distribution of its own; `pip install . ./plugins/*` in a clone of the repository installs all.",
            _toctree(names, hidden=False),
        ]
    )
    yield "distributions/index", rows
    for file, name in PROJECT.items():
        yield f"project/{name}", with_site_links((ROOT / file).read_text(), ROOT)


# The API


def _directive(value: Any) -> str:
    if inspect.isclass(value):
        return "autoexception" if issubclass(value, BaseException) else "autoclass"
    return "autofunction" if callable(value) else "autodata"


def api_page(module_name: str, documented: dict[int, str]) -> str:
    """Return the page of a module's public names.

    Args:
        module_name: of the module.
        documented: where an object is documented already, by its identity; those of this page are added.
    """
    module = importlib.import_module(module_name)
    names = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module_name
    ]
    groups: dict[str, list[str]] = {"Classes": [], "Functions": [], "Errors": [], "Data": []}
    elsewhere = []
    for name in sorted(names, key=str.lower):
        value = getattr(module, name)
        directive = _directive(value)
        if directive != "autodata" and id(value) in documented:
            elsewhere.append(f":py:obj:`~{documented[id(value)]}`")
            continue
        documented[id(value)] = f"{module_name}.{name}"
        rows = [f".. {directive}:: {module_name}.{name}"]
        if directive in ("autoclass", "autoexception"):
            rows.append("   :members:")
        group = {"autoclass": "Classes", "autofunction": "Functions", "autoexception": "Errors"}
        groups[group.get(directive, "Data")].append("\n".join(rows))
    title = f"{module_name}\n{'=' * len(module_name)}"
    rows = [title, f".. py:module:: {module_name}", ".. highlight:: python", inspect.getdoc(module) or ""]
    for group, entries in groups.items():
        if entries:
            rows += [f"{group}\n{'-' * len(group)}", *entries]
    if elsewhere:
        rows += ["Also here\n---------", ", ".join(elsewhere)]
    return "\n\n".join(rows)


def api_pages() -> Iterator[tuple[str, str]]:
    """Yield the pages of the public modules."""
    documented: dict[int, str] = {}
    summaries = []
    for name in MODULES:
        yield f"api/{name}", "\n".join(["`````{eval-rst}", api_page(name, documented), "`````"])
        summary = (inspect.getdoc(importlib.import_module(name)) or "").partition("\n")[0]
        summaries.append(f"| [{name}]({name}.markdown) | {summary} |")
    rows = [
        "# API",
        "The public names, from their docstrings. Everything else may change; [compatibility](/plugins/compatibility.md) says what may not.",
        "\n".join(["| module | |", "|---|---|", *summaries]),
        _toctree(MODULES),
    ]
    yield "api/index", "\n\n".join(rows)


def keep_colons(
    app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]
) -> None:
    """Keep napoleon from taking the words before a colon for the type of a property."""
    del app, name, documented, options
    if what in ("attribute", "property") and lines and " " in lines[0].partition(": ")[0]:
        lines[0] = lines[0].replace(": ", " \N{EN DASH} ", 1)


# Writing


def write(app: Sphinx) -> None:
    """Write all pages."""
    written = set()
    for made in (part_pages(app), copied_pages(), api_pages()):
        for name, text in made:
            written.add(_write(name, text))
    written |= {_write("configs", configs_page()), _write("gallery", gallery_page())}
    for path in REFERENCE.rglob("*.markdown"):
        if path not in written:
            path.unlink()


def _write(name: str, text: str) -> Path:
    path = REFERENCE / f"{name}.markdown"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text + "\n":
        path.write_text(text + "\n")
    return path


def link_memories(app: Sphinx, doctree: nodes.document) -> None:
    """Link the names in the first column of the tables of the page on memories to their pages."""
    if app.env.docname != "memories":
        return
    for row in list(doctree.findall(nodes.row)):
        for literal in list(row.children[0].findall(nodes.literal)):
            page = f"reference/memories/{literal.astext()}"
            if page in app.env.found_docs:
                link = addnodes.pending_xref(
                    "", refdomain="std", reftype="doc", reftarget=f"/{page}", refexplicit=True, refwarn=True,
                    refdoc="memories",
                )  # fmt: skip
                literal.parent.replace(literal, link)
                link.append(literal)


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx looks for sources."""
    app.connect("builder-inited", write)
    app.connect("doctree-read", link_memories)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
