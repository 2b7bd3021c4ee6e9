"""Packages that are not installed with this one."""

import importlib
from typing import Any

from superloop_core import ConfigError


def import_extra(module: str, extra: str, needed_by: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: its name.
        extra: of superloop-plugin-data, which installs it.
        needed_by: the file that needs it, for the message.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        what = f"needs {package}: pip install 'superloop-plugin-data[{extra}]'"
        raise ConfigError(f"{needed_by}: {what}") from error
