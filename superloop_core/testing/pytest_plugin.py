"""Fixtures for the tests of plugins; pytest finds them wherever superloop-core is installed."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent

import pytest

from superloop_core.registry.hookspecs import ENTRY_POINT_GROUP
from superloop_core.registry.registry import Registry, load_registry, registry_in_use

Distribution = Callable[..., Path]


@pytest.fixture
def superloop_registry() -> Iterator[Registry]:
    """Replaces the installed plugins by an empty registry: ``register`` light modules with it."""
    registry = Registry()
    with registry_in_use(registry):
        yield registry


@pytest.fixture
def fake_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distribution]:
    """Makes an installed distribution on the path, also for processes that the test starts.

    ``fake_distribution("superloop-plugin-x", {"x": "text of x.py"})`` makes a distribution with modules,
    and an entry point for each light module among them; it returns the folder that holds them.

    Further arguments: ``entry_points``, names to modules (the first module, by its own name, unless they
    are given); ``version``; ``requires``, as in ``pyproject.toml``.
    """
    made: list[Path] = []

    def make(
        name: str,
        modules: Mapping[str, str],
        *,
        entry_points: Mapping[str, str] | None = None,
        version: str = "1.0",
        requires: Iterable[str] = (),
    ) -> Path:
        folder = tmp_path / name
        for module, text in modules.items():
            path = folder / f"{module.replace('.', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        if entry_points is None:
            light = next(iter(modules))
            entry_points = {light: light}
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        (info / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *metadata, ""]))
        listed = "".join(f"{point} = {module}\n" for point, module in entry_points.items())
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{listed}")
        made.append(folder)
        monkeypatch.syspath_prepend(str(folder))
        paths = [str(folder), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
        return folder

    yield make
    for name, module in list(sys.modules.items()):
        if any(str(folder) in (getattr(module, "__file__", "") or "") for folder in made):
            del sys.modules[name]


@pytest.fixture
def tmp_plugin(fake_distribution: Distribution) -> Iterator[Callable[..., Registry]]:
    """Installs a plugin for one test, beside the installed ones.

    ``tmp_plugin("superloop-plugin-x", {"x": "text of x.py"})`` takes what ``fake_distribution`` takes, and
    returns the registry, found anew.
    """
    with ExitStack() as installed:

        def install(name: str, modules: Mapping[str, str], **further: object) -> Registry:
            fake_distribution(name, modules, **further)
            installed.enter_context(registry_in_use(None))
            return load_registry()

        yield install
