"""How large a loop is, measured by building it."""

import math
from collections.abc import Mapping
from typing import Any

import attrs
import tensorflow as tf

from superloop_core.config.schema import LoopConfig
from superloop_core.errors import ConfigError, Problem
from superloop_core.layer.assembly import assemble
from superloop_core.layer.limited_variables import limited_build
from superloop_core.limits import in_bytes, machine_memory
from superloop_core.names import OUTPUTS, cell_path, read_path

FLOAT = 4  # bytes
COPIES = 4  # of the weights in training: the weights, the gradient, and two moments of Adam


@attrs.frozen(kw_only=True)
class PartSize:
    """The sizes of one part of a loop, in numbers for each batch element.

    Args:
        path: the part's name in traces: ``cells.0``, ``tape``; ``outputs`` for the projection.
        use: the plugin.
        input_size: size of the input at each timestep; of a system, its control size.
        output_size: size of the output, or of the read vector, at each timestep.
        state_size: size of the state, the read vector included; None where it grows with the
            number of timesteps, which is not known.
        weights: number of weights; a system's control projection is counted with it.
    """

    path: str
    use: str
    input_size: int
    output_size: int
    state_size: int | None
    weights: int


@attrs.frozen(kw_only=True)
class LoopSize:
    """The sizes of a loop, part by part."""

    parts: tuple[PartSize, ...]
    output_size: int

    @property
    def weights(self) -> int:
        """Number of weights."""
        return sum(part.weights for part in self.parts)

    @property
    def state_size(self) -> int | None:
        """Size of the state for each batch element; None where a part's is not known."""
        sizes = [part.state_size for part in self.parts if part.state_size is not None]
        return sum(sizes) if len(sizes) == len(self.parts) else None

    def memory(self, timesteps: int, batch_size: int, weights: int | None = None) -> dict[str, int] | None:
        """Return the least memory that training with Adam needs, in bytes: for weights and for states.

        None where the size of the state is not known.

        Args:
            timesteps: of the longest sequence.
            batch_size: sequences in a batch.
            weights: their number in the whole model; None: there are those of the loop alone.
        """
        if self.state_size is None:
            return None
        return {
            "weights": (self.weights if weights is None else weights) * FLOAT * COPIES,
            "states": timesteps * batch_size * (self.state_size + self.output_size) * FLOAT,
        }


def measure(loop: LoopConfig, timesteps: int | None = None) -> LoopSize:
    """Measure a loop by building it, in a graph, where no weight is allocated.

    Args:
        loop: the config.
        timesteps: the number of timesteps, for memories that grow with it; None: unknown.

    Raises:
        ConfigError: a factory rejects its settings, or the loop is too large to build.
        PluginError: a factory cannot be imported, or returns the wrong thing.
    """
    with limited_build(loop), tf.Graph().as_default():
        return _measured(loop, timesteps)


def check_memory(loop: LoopConfig, timesteps: int, batch_size: int) -> None:
    """Check that training with Adam can fit in this machine's memory, by its least need.

    Raises:
        ConfigError: it cannot, or the loop is too large to build.
        PluginError: a factory cannot be imported, or returns the wrong thing.
    """
    needed = measure(loop, timesteps).memory(timesteps, batch_size)
    if needed is not None and sum(needed.values()) > machine_memory():
        what = (
            f"does not fit in this machine's memory ({in_bytes(machine_memory())}): training needs at least "
            f"{memory_in_words(needed, timesteps, batch_size)}; make it, the batch or the sequences smaller"
        )
        raise ConfigError([Problem("loop", what)])


def memory_in_words(needed: Mapping[str, int], timesteps: int, batch_size: int) -> str:
    """Return what :meth:`LoopSize.memory` returned in words."""
    return (
        f"{in_bytes(needed['weights'] + needed['states'])}: {in_bytes(needed['weights'])} of weights and "
        f"gradients, {in_bytes(needed['states'])} of states ({timesteps:,} timesteps, batch size "
        f"{batch_size:,})"
    )


def _measured(loop: LoopConfig, timesteps: int | None) -> LoopSize:
    wiring = assemble(loop)
    wiring.build(loop.inputs)
    specs = wiring.state_specs(timesteps=timesteps or "any")
    states = dict(zip(wiring.state_names(specs), tf.nest.flatten(specs), strict=True))

    def part(path: str, use: str, input_size: int, output_size: int, *layers: Any) -> PartSize:
        sizes = [s.shape[1:].num_elements() for name, s in states.items() if name.startswith(f"{path}.")]
        learned = {**wiring.offsets.get(path, {}), **wiring.offsets.get(read_path(path), {})}
        weights = [*learned.values(), *(weight for layer in layers for weight in _weights_of(layer))]
        return PartSize(
            path=path,
            use=use,
            input_size=input_size,
            output_size=output_size,
            state_size=None if None in sizes else sum(sizes),
            weights=sum(math.prod(weight.shape) for weight in weights),
        )

    parts = []
    uses = [cell.use for cell in loop.cells for _ in range(cell.layers)]
    sizes = wiring.input_sizes(loop.inputs)
    for index, (use, size, cell) in enumerate(zip(uses, sizes, wiring.cells, strict=True)):
        norm = [] if wiring.norms[index] is None else [wiring.norms[index]]
        parts.append(part(cell_path(index), use, size, cell.output_size, cell, *norm))
    for config, system, control in zip(loop.systems, wiring.systems, wiring.controls, strict=True):
        own = [] if config.shares else [system]
        parts.append(part(config.id, config.use, system.control_size, system.output_size, *own, control))
    if wiring.projection is not None:
        kernel = wiring.projection.kernel  # (input size, output size)
        parts.append(part(OUTPUTS, "", *kernel.shape, wiring.projection))
    return LoopSize(parts=tuple(parts), output_size=wiring.output_size)


def _weights_of(layer: Any) -> Any:
    """The weights of a Builder or a layer, without the seeds of its dropout."""
    return getattr(layer, "weights", layer.variables)
