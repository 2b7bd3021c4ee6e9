"""How large a loop is, by making it: where its parts' settings do not tell."""

import math
from collections.abc import Iterable
from typing import Any

import tensorflow as tf

from superloop_core.assembly import assemble
from superloop_core.config import LoopConfig
from superloop_core.sizes import LoopSize, PartSize


def measured_size(loop: LoopConfig, timesteps: int | None = None) -> LoopSize:
    """Make a loop's weights, and count them; ``timesteps`` of a sequence tell the size of what grows."""
    wiring = assemble(loop)
    wiring.build(loop.inputs)
    specs = wiring.state_specs(timesteps=timesteps or True)
    kept: dict[str, int | None] = dict.fromkeys(
        (*(f"cells.{index}" for index in range(len(wiring.cells))), *wiring.ids), 0
    )
    for name, spec in zip(wiring.state_names(specs), tf.nest.flatten(specs), strict=True):
        part, size = _part_of(name, kept), spec.shape[1:].num_elements()
        before = kept[part]
        kept[part] = None if before is None or size is None else before + size
    weights = dict.fromkeys(kept, 0)
    for path, learned in wiring.offsets.items():
        weights[path.removesuffix(".read")] += sum(math.prod(weight.shape) for weight in learned.values())
    parts, size = [], loop.inputs + loop.feedback_size
    uses = [cell.use for cell in loop.cells for _ in range(cell.layers)]
    for path, use, cell in zip(kept, uses, wiring.cells, strict=False):
        weights[path] += _count(cell)
        parts.append(_part(path, use, size, cell.output_size, kept[path], weights[path]))
        size = cell.output_size
    for config, system, control in zip(loop.systems, wiring.systems, wiring.controls, strict=True):
        path = config.id
        weights[path] += _count(system) + _count(control)
        sizes = system.control_size, system.output_size, kept[path], weights[path]
        parts.append(_part(path, config.use, *sizes))
    if wiring.projection is not None:
        kernel = wiring.projection.kernel
        weights["outputs"] = _count(wiring.projection)
        parts.append(_part("outputs", "", kernel.shape[0], kernel.shape[1], 0, weights["outputs"]))
    return LoopSize(parts=tuple(parts), output_size=wiring.output_size)


def _part(
    path: str, use: str, input_size: int, output_size: int, state_size: int | None, weights: int
) -> PartSize:
    return PartSize(
        path=path,
        use=use,
        input_size=input_size,
        output_size=output_size,
        state_size=state_size,
        weights=weights,
    )


def _part_of(name: str, parts: Iterable[str]) -> str:
    """``cells.0.h`` -> ``cells.0``."""
    return next(part for part in parts if name.startswith(f"{part}."))


def weights_of(part: Any) -> list[Any]:
    """Return the weights of a Builder or a layer, without the seeds that its dropout has."""
    return list(getattr(part, "weights", part.variables))


def _count(part: object) -> int:
    return sum(math.prod(weight.shape) for weight in weights_of(part))
