"""The sizes of a loop that a config leaves out, and its task decides."""

from collections.abc import Mapping
from typing import Any

from superloop_core import Sizes, Task, start_tensorflow
from superloop_core.config import PartConfig, read_table
from superloop_core.errors import SuperloopError
from superloop_core.registry import Registry

UNKNOWN = {"inputs": 1}  # while the task cannot be made, so that the loop is checked for all other problems


def complete(tables: Mapping[str, Any], registry: Registry) -> tuple[Mapping[str, Any], Task | None]:
    """Fill in what ``[loop]`` leaves out of inputs, outputs and timesteps, where the task has ``sizes``.

    What is given stays, and what is wrong: the reading reports it.

    Args:
        tables: the config, as it is written.
        registry: resolves the names of plugins.

    Returns:
        the config, and its task if it was made for this.
    """
    loop = tables.get("loop")
    names = ("inputs", "outputs", "timesteps")
    if "task" not in tables or not isinstance(loop, Mapping) or all(name in loop for name in names):
        return tables, None
    task = None
    try:
        task = make_task(registry, read_table("task", tables["task"], registry))
    except SuperloopError:
        decided = UNKNOWN
    else:
        sizes: Sizes | None = getattr(task, "sizes", None)
        decided = {} if sizes is None else sizes.loop
    return {**tables, "loop": decided | dict(loop)}, task


def make_task(registry: Registry, part: PartConfig) -> Task:
    """Make the task of a table ``[task]``.

    Raises:
        ConfigError: its factory rejects the settings.
        PluginError: its factory cannot be imported, or fails.
    """
    start_tensorflow()  # which a task imports, with notes that nobody needs
    task: Task = registry.resolve("task", part.use).spec.create(part.settings)
    return task
