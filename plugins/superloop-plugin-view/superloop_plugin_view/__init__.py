"""Pictures and pages of traces: what a memory did, for a screen and for a paper."""

import importlib
from typing import TYPE_CHECKING, Any

from superloop_core import hookimpl

if TYPE_CHECKING:
    from superloop_plugin_view.plotting import plot
    from superloop_plugin_view.selection import choose_traces
    from superloop_plugin_view.style import Picture
    from superloop_plugin_view.viewer.live import Live, what_if
    from superloop_plugin_view.viewer.page import Page
    from superloop_plugin_view.viewer.recording import Recording
    from superloop_plugin_view.viewer.viewer import view

__all__ = ["Live", "Page", "Picture", "Recording", "choose_traces", "plot", "view", "what_if"]

_LAZY = {
    "Live": "viewer.live",
    "Page": "viewer.page",
    "Picture": "style",
    "Recording": "viewer.recording",
    "choose_traces": "selection",
    "plot": "plotting",
    "view": "viewer.viewer",
    "what_if": "viewer.live",
}


def __getattr__(name: str) -> Any:
    """Import what needs Matplotlib on first use, as plugins are listed quickly."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


@hookimpl
def superloop_add_commands(cli: Any) -> None:
    """Add the command plot."""
    from superloop_plugin_view.commands import plot_command

    cli.add_command(plot_command)
