"""The hooks of this plugin, which others may implement."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from superloop_core import hookspec

if TYPE_CHECKING:
    from superloop_core.config import Config
    from superloop_core.errors import Problem
    from superloop_plugin_lab.callback import Callback


@hookspec
def superloop_add_callbacks(config: Config, folder: Path) -> Iterable[Callback]:  # type: ignore[empty-body]
    """Yield callbacks for a run.

    Called once, when training starts or resumes. Import what the callbacks need in the body.

    Args:
        config: the run's; ``config.tables`` has every table of its file, those of plugins too.
        folder: the run folder. Write into a folder of your own in it.
    """


@hookspec
def superloop_check_training(config: Config) -> Iterable[Problem]:  # type: ignore[empty-body]
    """Yield why a model cannot be trained as a table of yours in the config says.

    Called by ``train``, ``resume`` and ``validate``, before a run folder is written.

    Args:
        config: the run's, as callbacks get it.
    """
