"""Settings of parts that hold loops and cells."""

from collections.abc import Mapping

import attrs
from attrs.validators import ge, le

from superloop_core import CellConfig, LoopConfig, SystemSettings


@attrs.frozen(kw_only=True)
class LoopCellConfig:
    """A loop as a cell.

    Args:
        loop: the inner loop. Its input size is the size of the inputs from below.
    """

    loop: LoopConfig

    @property
    def sources(self) -> Mapping[str, tuple[int | None, ...]]:
        """The sources of its systems."""
        return self.loop.sources


@attrs.frozen(kw_only=True)
class LoopSystemConfig(SystemSettings):
    """A loop as a system.

    Args:
        loop: the inner loop. ``inputs`` and ``outputs`` must be set.
    """

    loop: LoopConfig

    @property
    def control_size(self) -> int:
        """The inner loop's inputs."""
        return self.loop.inputs

    @property
    def output_size(self) -> int:
        """The inner loop's outputs."""
        return self.loop.outputs

    @property
    def sources(self) -> Mapping[str, tuple[int | None, ...]]:
        """The sources of its systems."""
        return self.loop.sources


@attrs.frozen(kw_only=True)
class ActConfig:
    """Adaptive computation time around a cell.

    Args:
        cell: the inner cell. Its state must be of floating-point numbers.
        max_steps: the largest number of its steps at each timestep; all of them are computed.
        ponder_cost: factor of the number of steps in the loss; 0: none.
    """

    cell: CellConfig
    max_steps: int = attrs.field(default=8, validator=[ge(1), le(100)])
    ponder_cost: float = attrs.field(default=0.001, validator=ge(0))

    @property
    def sources(self) -> Mapping[str, tuple[int | None, ...]]:
        """Those of the inner cell."""
        return self.cell.sources
