"""Recurrent networks with external memory, as plugins, on TensorFlow and Keras 3.

These names are public. Those that need Keras are imported on first use, so that ``import superloop_core``
is quick.
"""

import importlib
import importlib.metadata
import os
from typing import TYPE_CHECKING, Any

from superloop_core.config.schema import CellConfig, LoopConfig, PartConfig, SystemConfig
from superloop_core.errors import (
    ConfigError,
    PluginError,
    RunFolderError,
    SourceError,
    SuperloopError,
    TraceError,
    WeightsError,
)
from superloop_core.registry.hookspecs import hookimpl, hookspec
from superloop_core.registry.local import register
from superloop_core.registry.specs import CellSpec, MetricSpec, SystemSpec, TableSpec, TaskSpec
from superloop_core.system_settings import Source, SystemSettings
from superloop_core.task import Annotation, Batch, Metric, PredictingTask, Sizes, StoredTask, Task
from superloop_core.traces import Traces, TraceView

if TYPE_CHECKING:
    from superloop_core.builder.noise import draw_normal, draw_uniform
    from superloop_core.builder.protocol import Builder, Sequence
    from superloop_core.builder.system import System
    from superloop_core.cli.installed import output_to_stderr
    from superloop_core.cli.quiet import start_tensorflow
    from superloop_core.describe.size import check_memory
    from superloop_core.inspect.importance import importance
    from superloop_core.inspect.intervene import intervene
    from superloop_core.inspect.trace import trace
    from superloop_core.layer.assembly import assemble
    from superloop_core.layer.cell import SuperloopCell
    from superloop_core.layer.saving import load_model
    from superloop_core.layer.superloop import Superloop
    from superloop_core.loop.scan import checkpoint, kept
    from superloop_core.loop.session import Session
    from superloop_core.loop.wiring import Wiring
    from superloop_core.original.model import Model

__all__ = [
    "Annotation",
    "Batch",
    "Builder",
    "CellConfig",
    "CellSpec",
    "ConfigError",
    "LoopConfig",
    "Metric",
    "MetricSpec",
    "Model",
    "PartConfig",
    "PluginError",
    "PredictingTask",
    "RunFolderError",
    "Sequence",
    "Session",
    "Sizes",
    "Source",
    "SourceError",
    "StoredTask",
    "Superloop",
    "SuperloopCell",
    "SuperloopError",
    "System",
    "SystemConfig",
    "SystemSettings",
    "SystemSpec",
    "TableSpec",
    "Task",
    "TaskSpec",
    "TraceError",
    "TraceView",
    "Traces",
    "WeightsError",
    "Wiring",
    "assemble",
    "check_memory",
    "checkpoint",
    "draw_normal",
    "draw_uniform",
    "hookimpl",
    "hookspec",
    "importance",
    "intervene",
    "kept",
    "load_model",
    "output_to_stderr",
    "plugin_files",
    "register",
    "start_tensorflow",
    "trace",
]

_LAZY = {
    "Builder": "builder",
    "Model": "original.model",
    "Sequence": "builder",
    "Session": "loop.session",
    "Superloop": "layer",
    "SuperloopCell": "layer.cell",
    "System": "builder",
    "Wiring": "loop.wiring",  # with assemble: for parts that hold others
    "assemble": "layer.assembly",
    "check_memory": "describe.size",
    "checkpoint": "loop.scan",
    "draw_normal": "builder",
    "draw_uniform": "builder",
    "importance": "inspect.importance",
    "intervene": "inspect.intervene",
    "kept": "loop.scan",
    "load_model": "layer",
    "output_to_stderr": "cli.installed",
    "plugin_files": "cli.installed",
    "start_tensorflow": "cli.quiet",
    "trace": "inspect.trace",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("superloop-core")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise SuperloopError(
            f"superloop_core runs on Keras's TensorFlow backend, not on {backend!r}: unset KERAS_BACKEND"
        )
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return __all__
