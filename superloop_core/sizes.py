"""How large a loop is, by what its parts' settings tell of themselves: nothing of Keras is needed.

A setting's class tells ``output_size`` and ``state_size`` (numbers of a row; None where the sequence
decides), and ``count_weights(input_size)``; for a system, of its control. Where one does not, nobody knows
without making the weights.
"""

from typing import Any

import attrs

from superloop_core.config import CellConfig, LoopConfig, SystemConfig

FLOAT = 4  # bytes
COPIES = 4  # of the weights in training: themselves, the gradient, and two of Adam's


@attrs.frozen(kw_only=True)
class PartSize:
    """One part of a loop.

    Args:
        path: as traces name it: ``cells.0``, ``tape``; ``outputs`` for the projection.
        use: the plugin.
        input_size: numbers that it takes of a row at each timestep.
        output_size: numbers that it gives.
        state_size: numbers that it keeps of a row from one timestep to the next; None where the number of
            timesteps decides, and is not known.
        weights: how many numbers are learned; a system's control projection is counted with it.
    """

    path: str
    use: str
    input_size: int
    output_size: int
    state_size: int | None
    weights: int


@attrs.frozen(kw_only=True)
class LoopSize:
    """A whole loop, part by part."""

    parts: tuple[PartSize, ...]
    output_size: int

    @property
    def weights(self) -> int:
        """How many numbers are learned."""
        return sum(part.weights for part in self.parts)

    @property
    def state_size(self) -> int | None:
        """Numbers of a row that go from one timestep to the next, what the systems answered included.

        None where that of a part is not known.
        """
        sizes = [part.state_size for part in self.parts if part.state_size is not None]
        return sum(sizes) if len(sizes) == len(self.parts) else None

    def memory(self, timesteps: int, batch_size: int) -> dict[str, int] | None:
        """Bytes that training with Adam needs at least: of the weights, and of what the gradient goes by.

        None where the size of the state is not known.
        """
        if self.state_size is None:
            return None
        return {
            "weights": self.weights * FLOAT * COPIES,
            "states": timesteps * batch_size * (self.state_size + self.output_size) * FLOAT,
        }


def size_of(loop: LoopConfig) -> LoopSize | None:
    """Return the size of a loop, or None where the settings of a part do not tell."""
    parts: list[PartSize] = []
    size = loop.inputs + loop.feedback_size
    for config in loop.cells:
        for _ in range(config.layers):
            part = _cell(config, f"cells.{len(parts)}", size)
            if part is None:
                return None
            parts.append(part)
            size = part.output_size
    for system in loop.systems:
        part = _system(system, size)
        if part is None:
            return None
        parts.append(part)
    if loop.outputs:
        seen = size + (loop.feedback_size if loop.outputs_read_systems else 0)
        parts.append(
            PartSize(
                path="outputs",
                use="",
                input_size=seen,
                output_size=loop.outputs,
                state_size=0,
                weights=(seen + 1) * loop.outputs,
            )
        )
    return LoopSize(parts=tuple(parts), output_size=loop.outputs or size)


def _cell(config: CellConfig, path: str, input_size: int) -> PartSize | None:
    settings: Any = config.settings
    if config.learn_initial_state or not _tells(settings):
        return None
    return PartSize(
        path=path,
        use=config.use,
        input_size=input_size,
        output_size=settings.output_size,
        state_size=settings.state_size,
        weights=settings.count_weights(input_size),
    )


def _system(config: SystemConfig, input_size: int) -> PartSize | None:
    settings: Any = config.settings
    if config.learn_initial_state or not _tells(settings):
        return None
    control = settings.control_size
    learned = settings.output_size if config.learn_initial_read else 0
    return PartSize(
        path=config.id,
        use=config.use,
        input_size=control,
        output_size=settings.output_size,
        state_size=settings.state_size + settings.output_size,
        weights=(input_size + 1) * control + settings.count_weights(control) + learned,
    )


def _tells(settings: Any) -> bool:
    told = [getattr(settings, name, None) for name in ("output_size", "state_size", "count_weights")]
    return None not in told
