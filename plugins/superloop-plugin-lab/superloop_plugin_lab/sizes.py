"""The sizes of the loops that a config leaves out, and its task decides."""

from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import attrs

from superloop_core import ConfigError, LoopConfig, PredictingTask, Sizes, Task, assemble, start_tensorflow
from superloop_core.config import PartConfig, read_loop, read_table
from superloop_core.errors import Problem, SuperloopError
from superloop_core.registry import Registry
from superloop_plugin_lab.settings import ModelConfig

UNKNOWN = {"inputs": 1}  # while the task cannot be made, so that the loop is checked for all other problems


@attrs.frozen(kw_only=True)
class Made:
    """A task that was made, or the error in its place, so that its files are not read once more.

    Args:
        part: the table ``[task]``.
        result: the task or the error.
    """

    part: PartConfig
    result: Task | SuperloopError


handed_over: ContextVar[Made | None] = ContextVar("handed_over", default=None)  # from one hook to the next


def complete(tables: Mapping[str, Any], registry: Registry) -> tuple[Mapping[str, Any], Made | None]:
    """Fill in what the loops leave out of inputs, outputs and timesteps, where the task has ``sizes``.

    A system that can be fed the length of a task's content is, where neither it nor the task says anything.
    What is given stays, and what is wrong: the reading reports it.

    Args:
        tables: the config, as it is written.
        registry: resolves the names of plugins.

    Returns:
        the config, and what came of making its task if that was needed.
    """
    tables = with_length_source(tables, registry)
    loop = tables.get("loop")
    if "task" not in tables or not isinstance(loop, Mapping):
        return tables, None
    table = tables.get("model", {})
    given = table.get("loops") if isinstance(table, Mapping) else None
    given = given if isinstance(given, list) else []
    further = [dict(one) for one in given if isinstance(one, Mapping)]
    names = ("inputs", "outputs", "timesteps")
    if all(name in loop for name in names) and all("inputs" in one and "outputs" in one for one in further):
        return tables, None
    made, decided, of_last = _made(tables["task"], registry), UNKNOWN, {}
    if made is not None and not isinstance(made.result, SuperloopError):
        sizes: Sizes | None = getattr(made.result, "sizes", None)
        model = _without_loops(table, registry)
        decided = {} if sizes is None else _inputs(sizes, model)
        of_last = {} if sizes is None else _outputs(sizes, model, bool(further))
    loop = {**decided, **({} if further else of_last), **loop}
    if not further or len(further) < len(given):
        return {**tables, "loop": loop}, made
    further[-1] = {**of_last, **further[-1]}
    _fill_inputs(loop, further, table.get("bidirectional") is True, registry)
    return {**tables, "loop": loop, "model": {**table, "loops": further}}, made


def with_length_source(tables: Mapping[str, Any], registry: Registry) -> Mapping[str, Any]:
    """Let the task feed the length of its contents to the one system of the loop that has a source for it.

    The settings of such a system have ``length_source``, the name of the source and the settings by which the
    system has it; those of the task have ``length_source``, the full name of the source.
    """
    loop, task = tables.get("loop"), tables.get("task")
    systems = loop.get("systems") if isinstance(loop, Mapping) else None
    if not isinstance(task, Mapping) or not isinstance(systems, list) or "length_source" in task:
        return tables
    try:
        fields = attrs.fields_dict(registry.resolve("task", task["use"]).spec.config)
        of_systems = [registry.resolve("system", table["use"]) for table in systems]
    except (SuperloopError, KeyError, TypeError):
        return tables
    declared = [getattr(record.spec.config, "length_source", None) for record in of_systems]
    if "length_source" not in fields or len(declared) - declared.count(None) != 1:
        return tables
    i, (source, needed) = next((i, one) for i, one in enumerate(declared) if one is not None)
    if any(systems[i].get(name, value) != value for name, value in needed.items()):
        return tables
    systems = [*systems[:i], {**systems[i], **needed}, *systems[i + 1 :]]
    task = {**task, "length_source": f"{systems[i].get('id', of_systems[i].name)}_{source}"}
    return {**tables, "loop": {**loop, "systems": systems}, "task": task}  # type: ignore[dict-item]


def make_task(registry: Registry, part: PartConfig) -> Task:
    """Make the task of a table ``[task]``.

    Raises:
        ConfigError: its factory rejects the settings.
        PluginError: its factory cannot be imported, or fails.
    """
    start_tensorflow()  # which a task imports, with notes that nobody needs
    task: Task = registry.resolve("task", part.use).spec.create(part.settings)
    return task


def make_predicting_task(
    registry: Registry, part: PartConfig, state: Mapping[str, Any] | None, rows: Path
) -> PredictingTask:
    """Make the task of a run, to predict on the examples of a new file.

    Args:
        registry: resolves the names of plugins.
        part: the table ``[task]``.
        state: what the task learned in training; None: nothing.
        rows: the path of the file.

    Raises:
        ConfigError: the task cannot predict; or the file or rows of it cannot be used.
        PluginError: its factory cannot be imported, or fails.
    """
    start_tensorflow()
    spec = registry.resolve("task", part.use).spec
    if state is not None and spec.takes("state", "rows"):
        task = spec.create(part.settings, state=state, rows=str(rows))
        if isinstance(task, PredictingTask):
            return task
    what = f"{part.use!r} cannot predict on new rows; a task that is a superloop_core.PredictingTask can"
    raise ConfigError([Problem("task", what)])


def output_size(loop: LoopConfig) -> int:
    """Return the size of a loop's output."""
    return loop.outputs or assemble(loop).output_size


def _made(table: Any, registry: Registry) -> Made | None:
    """Make the task of a table that may be wrong; None: it is, which the reading reports."""
    try:
        part = read_table("task", table, registry)
    except SuperloopError:
        return None
    try:
        return Made(part=part, result=make_task(registry, part))
    except SuperloopError as error:
        return Made(part=part, result=error)


def _without_loops(table: Any, registry: Registry) -> ModelConfig:
    """Read the table ``[model]`` without its loops; its problems are reported later."""
    own = {n: value for n, value in table.items() if n != "loops"} if isinstance(table, Mapping) else {}
    try:
        config: ModelConfig = read_table("model", own, registry)
        return config
    except ConfigError:
        return ModelConfig()


def _inputs(sizes: Sizes, model: ModelConfig) -> dict[str, int]:
    of_tokens = {"inputs": model.embedding} if sizes.tokens and model.embedding else {}
    return {name: size for name, size in sizes.loop.items() if name != "outputs"} | of_tokens


def _outputs(sizes: Sizes, model: ModelConfig, are_further: bool) -> dict[str, int]:
    """Return the outputs of the last loop; those of both directions are no loop's own."""
    if model.tied:
        return {"outputs": model.embedding}
    is_open = model.head == "dense" or (model.bidirectional and not are_further)
    return {} if is_open else {"outputs": sizes.outputs}


def _fill_inputs(
    loop: Mapping[str, Any], further: list[dict[str, Any]], bidirectional: bool, registry: Registry
) -> None:
    """Set the inputs of further loops to the outputs of the loop before, as long as that can be read."""
    before, factor = loop, 2 if bidirectional else 1
    for one in further:
        try:
            size = factor * output_size(read_loop(before, registry))
        except SuperloopError:
            size = UNKNOWN["inputs"]
        one.setdefault("inputs", size)
        before, factor = one, 1
