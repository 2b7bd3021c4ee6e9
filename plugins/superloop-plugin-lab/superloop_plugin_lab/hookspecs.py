"""The hook of this plugin, which others may implement."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from superloop_core import hookspec

if TYPE_CHECKING:
    from superloop_core.config import Config
    from superloop_plugin_lab.callback import Callback


@hookspec
def superloop_add_callbacks(config: Config, folder: Path) -> Iterable[Callback]:  # type: ignore[empty-body]
    """Yield callbacks for a run.

    Called once, when training starts or resumes. Import what the callbacks need in the body.

    Args:
        config: the run's; ``config.tables`` has every table of its file, those of plugins too.
        folder: the run folder. Write into a folder of your own in it.
    """
