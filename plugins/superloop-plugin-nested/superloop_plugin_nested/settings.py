"""Settings of loops within loops."""

from collections.abc import Mapping

import attrs

from superloop_core import LoopConfig, SystemSettings


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
