"""Recurrent networks with external memory, as plugins, on TensorFlow and Keras 3.

What needs Keras is imported when it is first used, so that ``import superloop_core`` is quick.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from superloop_core.config import LoopConfig
from superloop_core.errors import (
    ConfigError,
    PluginError,
    SourceError,
    SuperloopError,
    TraceError,
    WeightsError,
)
from superloop_core.hookspecs import hookimpl
from superloop_core.plugin import CellSpec, MetricSpec, SystemSpec, TableSpec, TaskSpec
from superloop_core.task import Annotation, Batch, Metric, Task

if TYPE_CHECKING:
    from superloop_core.builder import Builder, Sequence, System
    from superloop_core.cell import SuperloopCell
    from superloop_core.layer import Superloop, load_model
    from superloop_core.model import Model
    from superloop_core.scan import kept
    from superloop_core.session import Session

__version__ = "0.1.0"

__all__ = [
    "Annotation",
    "Batch",
    "Builder",
    "CellSpec",
    "ConfigError",
    "LoopConfig",
    "Metric",
    "MetricSpec",
    "Model",
    "PluginError",
    "Sequence",
    "Session",
    "SourceError",
    "Superloop",
    "SuperloopCell",
    "SuperloopError",
    "System",
    "SystemSpec",
    "TableSpec",
    "Task",
    "TaskSpec",
    "TraceError",
    "WeightsError",
    "hookimpl",
    "kept",
    "load_model",
]

_TENSORS = {
    "Builder": "builder",
    "Model": "model",
    "Sequence": "builder",
    "Session": "session",
    "Superloop": "layer",
    "SuperloopCell": "cell",
    "System": "builder",
    "kept": "scan",
    "load_model": "layer",
}


def __getattr__(name: str) -> Any:
    if name not in _TENSORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise SuperloopError(
            f"superloop_core runs on Keras's TensorFlow backend, not on {backend!r}: unset KERAS_BACKEND"
        )
    return getattr(importlib.import_module(f"{__name__}.{_TENSORS[name]}"), name)


def __dir__() -> list[str]:
    return __all__
