"""The panel of a live page: a change of one timestep, as a form of HTML."""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import attrs
import numpy as np

from superloop_core import Traces
from superloop_core.errors import SuperloopError, TraceError, short_repr
from superloop_core.names import CONTROL, READ

KINDS = ("set", "off", "swap")


@attrs.frozen
class Choices:
    """What can be changed, by name.

    Args:
        tensors: states, read vectors and controls.
        systems: those that can be switched off.
        parts: those whose states two sequences can swap.
        sequences: the rows on the page.
    """

    tensors: Sequence[str]
    systems: Sequence[str]
    parts: Sequence[str]
    sequences: Sequence[int]

    @classmethod
    def of(cls, traces: Traces, sequences: Sequence[int]) -> "Choices":
        """Find them in the traces of a model."""
        states = sorted((name for name in traces if name in traces.states), key=_is_of_cell)
        controls = [name for name in traces if name.rpartition(".")[2] == CONTROL]
        systems = [name.rpartition(".")[0] for name in traces if name.rpartition(".")[2] == READ]
        owners = [name.rpartition(".")[0] for name in states if name.rpartition(".")[2] != READ]
        return cls([*states, *controls], systems, list(dict.fromkeys(owners)), sequences)


@attrs.frozen
class Change:
    """What a form says.

    Args:
        at: the timestep.
        kind: ``set``, ``off`` or ``swap``.
        name: what is changed.
        entry: the first places in it, such as ``3, 2``; empty: all of it.
        value: a number, or numbers separated by commas.
        row: the sequence; None: all.
        other: the sequence that it swaps with.
    """

    at: int
    kind: str
    name: str
    entry: str = ""
    value: str = ""
    row: int | None = None
    other: int | None = None

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> "Change":
        """Read the fields of a form.

        Raises:
            SuperloopError: a field cannot be used; the message says which, and what is expected.
        """
        kind = fields.get("kind", "")
        if kind not in KINDS:
            raise SuperloopError(f"kind must be one of {', '.join(KINDS)}: {short_repr(kind)}")
        row = fields.get("row", "")
        return cls(
            at=_whole(fields.get("at", ""), "timestep"),
            kind=kind,
            name=fields.get(kind, ""),
            entry=fields.get("entry", ""),
            value=fields.get("value", ""),
            row=None if row in ("", "all") else _whole(row, "sequence"),
            other=_whole(fields.get("other", ""), "other sequence") if kind == "swap" else None,
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of :func:`superloop_core.intervene`.

        Raises:
            SuperloopError: the value is none, or a swap does not say both sequences.
        """
        rows = None if self.row is None else [self.row]
        if self.kind == "swap":
            if self.row in (None, self.other):
                raise SuperloopError("a swap is of two different sequences: choose one, and not all")
            return {"at": self.at, "swap": {self.name: (self.row, self.other)}}
        if self.kind == "off":
            return {"at": self.at, "off": [self.name], "rows": rows}
        return {"at": self.at, "set": {self.name: self._edit()}, "rows": rows}

    def _edit(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that puts the value into a tensor ``(batch, ...)``."""
        try:
            values = [float(one) for one in self.value.split(",")]
        except ValueError:
            given = short_repr(self.value)
            raise SuperloopError(f"value must be a number, or numbers separated by commas: {given}") from None
        places = [_whole(one, "entry") for one in self.entry.split(",")] if self.entry.strip() else []

        def edit(old: np.ndarray) -> np.ndarray:
            where: Any = (slice(None), *places)
            new = old.astype(np.result_type(old, np.float64))  # intervene refuses what the state cannot hold
            shape, entry = (", ".join(map(str, sizes)) for sizes in (old.shape[1:], places))
            try:
                room = new[where].shape[1:]
                new[where] = values[0] if len(values) == 1 else values
            except IndexError as error:
                raise TraceError(
                    f"{self.name!r} at a timestep has the shape ({shape}), without an entry ({entry})"
                ) from error
            except ValueError as error:
                raise TraceError(
                    f"{self.name!r}: the entry ({entry}) has the shape ({', '.join(map(str, room))}), which "
                    f"{len(values)} numbers do not fit"
                ) from error
            return new

        return edit


def _is_of_cell(name: str) -> bool:
    """Whether a state is that of a cell, in any loop: ``encoder.cells.0.h``."""
    return "cells" in name.split(".")


def _whole(text: str, what: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text.strip()):
        raise SuperloopError(f"{what} must be a whole number from 0 on: {short_repr(text)}")
    return int(text)


def panel(choices: Choices, change: Change | None, error: str, token: str) -> str:
    """Return the panel, with the change that was asked for, and why it could not be made."""
    change = change or Change(at=0, kind="set", name="")

    def select(name: str, options: Sequence[Any], chosen: Any, label: str) -> str:
        made = "".join(
            f"<option{' selected' if one == chosen else ''}>{escape(str(one))}</option>" for one in options
        )
        return f'<label>{label} <select name="{name}" id="what-if-{name}">{made}</select></label>'

    def kind(name: str, label: str, *fields: str) -> str:
        checked = " checked" if change.kind == name else ""
        radio = f'<label><input type="radio" name="kind" value="{name}"{checked}> {label}</label>'
        return f'<div class="kind">{radio} {" ".join(fields)}</div>'

    rows = list(choices.sequences)
    alert = f'<p class="missed" role="alert">{escape(error)}</p>' if error else ""
    of_set = (
        select("set", choices.tensors, change.name, "of"),
        f'<label>entry <input name="entry" id="what-if-entry" size="8" value="{escape(change.entry)}" '
        'placeholder="all"></label>',
        f'<label>to <input name="value" id="what-if-value" size="14" value="{escape(change.value)}" '
        'placeholder="0, or 1, 0, 0"></label>',
    )
    other = change.other if change.other in rows else rows[-1]
    kinds = [
        kind("set", "set numbers", *of_set),
        kind("off", "switch off", select("off", choices.systems, change.name, "the system"), "from then on"),
    ]
    if len(rows) > 1:
        swapped = (
            select("swap", choices.parts, change.name, "the state of"),
            select("other", rows, other, "with sequence"),
        )
        kinds.append(kind("swap", "swap", *swapped))
    return (
        f'<section id="what-if" aria-label="What if"><details open><summary><h2>What if</h2></summary>'
        f'<form method="post" action="/{token}/"><div class="kind"><label>at timestep '
        f'<input name="at" id="what-if-at" type="number" min="0" value="{change.at}"></label>'
        f"{select('row', ['all', *rows], 'all' if change.row is None else change.row, 'in sequence')}</div>"
        f"{''.join(kinds)}{alert}"
        f'<p><button type="submit">Run</button> <a href="/{token}/">Undo</a> '
        "<span>Click a number of a memory to choose it.</span></p></form></details></section>"
    )
