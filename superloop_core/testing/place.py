"""Where a plugin is defined, and where and why it failed."""

import importlib
import inspect
import re
import sys
import traceback
from pathlib import Path
from typing import Any

from superloop_core.errors import MAX_PROBLEM, cut, reason
from superloop_core.registry.records import PluginRecord

KERAS_WRAPS = re.compile(r"^Exception encountered .*?\x1b\[1m(.*?)\x1b\[0m", re.DOTALL)
METHODS = ("step", "call", "sample", "__call__")  # of a system or Builder, a Keras cell, a task, a metric


def reason_of(error: BaseException) -> str:
    """Return an error's class and message, without the arguments that Keras adds."""
    by_keras = KERAS_WRAPS.search(str(next(iter(error.args), "")))
    return reason(error) if by_keras is None else f"{type(error).__name__}: {cut(by_keras[1], MAX_PROBLEM)}"


def place_of_failure(error: BaseException, record: PluginRecord) -> str:
    """Return the last line of the plugin's own that an error comes from, or ``""``."""
    roots = tuple(map(_root, {record.module, record.spec.factory_name.partition(":")[0]}))
    last = ""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__) is not None and cause not in chain:
        chain.append(cause)
    for one in chain:
        for frame in traceback.extract_tb(one.__traceback__):
            if any(root and Path(frame.filename).is_relative_to(root) for root in roots):
                last = f"{frame.filename}:{frame.lineno}"
    return last


def place_of_step(record: PluginRecord) -> str:
    """Return where a plugin defines its step, or what is called of a task or a metric; else its factory."""
    factory: Any = record.spec.factory
    try:
        if isinstance(factory, str):
            module, _, attribute = factory.partition(":")
            factory = getattr(importlib.import_module(module), attribute)
        methods = vars(factory) if isinstance(factory, type) else {}
        return _place(next((methods[name] for name in METHODS if name in methods), factory))
    except Exception:  # the factory cannot be imported, or has no source
        return place_of_settings(record)


def place_of_settings(record: PluginRecord) -> str:
    """Return where the class of a plugin's settings is defined."""
    try:
        return _place(record.spec.config)
    except (OSError, TypeError):  # of a notebook
        return record.module


def _place(defined: Any) -> str:
    defined = inspect.unwrap(defined)
    if code := getattr(defined, "__code__", None):
        return f"{code.co_filename}:{code.co_firstlineno}"
    return f"{inspect.getsourcefile(defined)}:{inspect.getsourcelines(defined)[1]}"


def _root(module: str) -> Path | None:
    """Return the folder of a module's package, or the module's file."""
    file = getattr(sys.modules.get(module.partition(".")[0]), "__file__", None)
    if file is None:
        return None
    return Path(file).parent if Path(file).name == "__init__.py" else Path(file)
