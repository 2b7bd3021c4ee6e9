"""A page that shows what a memory did, timestep by timestep."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import attrs

from superloop_core import Traces
from superloop_core.errors import SuperloopError
from superloop_plugin_view.viewer.content import Run, differences, first_changes
from superloop_plugin_view.viewer.page import Page, fit_page
from superloop_plugin_view.viewer.recording import Recording

MAX_BYTES = 2_000_000


def view(
    *recordings: Any,
    names: Collection[str] | str | None = None,
    sequences: Iterable[int] | None = None,
    title: str = "",
    max_bytes: int = MAX_BYTES,
    path: str | os.PathLike[str] | None = None,
    **known: Any,
) -> Page:
    """Return a page that shows stacks, tapes, slots with their heads, ... at each timestep.

    What is drawn follows from the kind and the axes of each trace, which its plugin says. Two recordings, or
    two sequences, can be seen side by side, locked in time, and as a difference.

    ::

        traces = superloop_core.trace(model, words)
        view(traces, inputs=words, answers=model.predict(words).argmax(-1), targets=tags)
        view(traces, path="view.html")
        view(superloop_core.intervene(model, words, at=5, set={"memo.cells": 0}), inputs=words)
        view(Recording(traces=one, name="seed 0"), Recording(traces=other, name="seed 1"))

    Args:
        recordings: one or two of: traces, arrays by name, a :class:`Recording`; or one result of
            :func:`superloop_core.intervene`.
        names: names or patterns of the traces to show; None: all.
        sequences: rows of the batch; None: the first four.
        title: of the page.
        max_bytes: of the page. The largest traces get 8 bits a number instead of 16, then they are left
            out; the page says so.
        path: a file to write.
        known: the arguments of :class:`Recording`, such as ``inputs``, for recordings that do not say them.

    Raises:
        SuperloopError: there is nothing to show, or more than two recordings.
        TraceError: a name matches no trace.
        OSError: the file cannot be written.
    """
    shown = [_recording(one, known) for one in _both(recordings)]
    if not 1 <= len(shown) <= 2:
        raise SuperloopError(f"view takes one or two recordings: {len(shown)}")
    page = make_page(shown, names, sequences, title, max_bytes)
    if path is not None:
        page.save(path)
    return page


def make_page(
    shown: Sequence[Recording],
    names: Collection[str] | str | None,
    sequences: Iterable[int] | None,
    title: str,
    max_bytes: int = MAX_BYTES,
    *,
    panel: str = "",
    at: int = 0,
    row: int | None = None,
) -> Page:
    """Return a page that opens at a timestep of a row, with a panel of HTML above the memories."""
    runs = [Run.of(one, names, sequences, index) for index, one in enumerate(shown)]
    changes = first_changes(runs)
    parts = [part for run in runs for part in run.parts]
    parts += [] if changes is None else differences(*runs)
    facts = {
        "title": title or " and ".join(run.name for run in runs if run.name) or "What the memory did",
        "runs": [run.facts for run in runs],
        "changes": changes,
        "at": at,
        "row": row,
    }
    return Page(fit_page(facts, parts, max_bytes, panel))


def _both(recordings: Sequence[Any]) -> list[Any]:
    """Return the recordings; those before and after, of an intervention."""
    if len(recordings) == 1 and hasattr(recordings[0], "before") and hasattr(recordings[0], "after"):
        return [Recording(traces=traces, name=name) for traces, name in halves(recordings[0])]
    return list(recordings)


def halves(change: Any) -> list[tuple[Traces, str]]:
    """Return the traces before and after an intervention, with their names on a page."""
    return [(change.before, "before"), (change.after, f"changed at {change.at}")]


def _recording(given: Any, known: Mapping[str, Any]) -> Recording:
    """Return a recording with what is known of all."""
    if unknown := set(known) - set(attrs.fields_dict(Recording)) | ({"traces"} & set(known)):
        raise TypeError(f"view() got an unexpected argument {min(unknown)!r}")
    if not isinstance(given, Recording):
        return Recording(traces=given, **known)
    rest = {name: value for name, value in known.items() if getattr(given, name) in (None, "")}
    return attrs.evolve(given, **rest)
