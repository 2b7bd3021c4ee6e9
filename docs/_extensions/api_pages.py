"""The API reference: a page for each public module, with the docstrings of its ``__all__``."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from pieces import in_restructuredtext, toctree
from sphinx.application import Sphinx

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
        yield f"api/{name}", in_restructuredtext(api_page(name, documented))
        summary = (inspect.getdoc(importlib.import_module(name)) or "").partition("\n")[0]
        summaries.append(f"| [{name}]({name}.markdown) | {summary} |")
    rows = [
        "# API",
        "The public names, from their docstrings. Everything else may change; "
        "[compatibility](/plugins/compatibility.md) says what may not.",
        "\n".join(["| module | |", "|---|---|", *summaries]),
        toctree(MODULES),
    ]
    yield "api/index", "\n\n".join(rows)


def keep_colons(app: Sphinx, what: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from taking the words before a colon for the type of a property."""
    del app, name, documented, options
    if what in ("attribute", "property") and lines and " " in lines[0].partition(": ")[0]:
        lines[0] = lines[0].replace(": ", " \N{EN DASH} ", 1)


def skip_foreign(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out members that another package puts into a class."""
    del app, what, name, skip, options
    module = getattr(getattr(member, "fget", member), "__module__", None)
    return True if module and not module.startswith("superloop_") else None
