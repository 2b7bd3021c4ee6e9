"""Linear state-space memories and cells."""

from collections.abc import Iterator

import attrs
from attrs.validators import and_, ge, gt, lt, optional

from superloop_core import CellSpec, SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class LmuConfig(SystemSettings):
    """The linear memory of the Legendre memory unit: the last theta timesteps of each signal.

    Args:
        order: numbers that hold the window of one signal; the more, the finer.
        theta: length of the window in timesteps.
        signals: number of signals, each with a memory of its own.
    """

    order: int = attrs.field(default=8, validator=ge(1))
    theta: float = attrs.field(default=32.0, validator=ge(1))
    signals: int = attrs.field(default=4, validator=ge(1))

    @property
    def control_size(self) -> int:
        """The signals."""
        return self.signals

    @property
    def output_size(self) -> int:
        """The whole memory."""
        return self.signals * self.order


@attrs.frozen(kw_only=True)
class FfmConfig(SystemSettings):
    """Fast and Forgetful Memory: decaying sums of what is written, in oscillating contexts.

    Args:
        channels: numbers that are written in a timestep, m in the paper; each has its own decay.
        contexts: number of frequencies, c in the paper; each channel is summed with each of them.
        width: numbers in the read vector.
        shortest: the timesteps in which the fastest channel decays to 1%, and the shortest period of a
            context, of a new network.
        longest: the same of the slowest channel, and of the longest period.
        trained: train the decays and the frequencies; false: they stay as they are at first.
    """

    channels: int = attrs.field(default=16, validator=ge(1))
    contexts: int = attrs.field(default=4, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(2))
    shortest: float = attrs.field(default=1.0, validator=ge(1))
    longest: float = attrs.field(default=100.0, validator=ge(1))
    trained: bool = True

    def __attrs_post_init__(self) -> None:
        if self.longest < self.shortest:
            raise ValueError(f"'longest' must be >= 'shortest', {self.shortest}: {self.longest}")

    @property
    def control_size(self) -> int:
        """What is written, what is passed on, and a gate for each number of both."""
        return 2 * (self.channels + self.width)

    @property
    def output_size(self) -> int:
        """A mixture of the memory and of what is passed on."""
        return self.width


@attrs.frozen(kw_only=True)
class LruConfig:
    """Linear recurrent unit: a linear cell with a diagonal state of complex numbers.

    Args:
        units: size of the output.
        modes: complex numbers in the state; as many as units where it is left out.
        r_min: smallest modulus of an eigenvalue of a new cell, from 0 to r_max.
        r_max: largest modulus, less than 1.
        max_phase: largest phase of an eigenvalue of a new cell, in radians; 6.283185, all phases.
        activation: of the output, by Keras's name, such as gelu; none where it is left out.
    """

    units: int = attrs.field(validator=ge(1))
    modes: int | None = attrs.field(default=None, validator=optional(ge(1)))
    r_min: float = attrs.field(default=0.0, validator=and_(ge(0), lt(1)))
    r_max: float = attrs.field(default=0.99, validator=and_(gt(0), lt(1)))
    max_phase: float = attrs.field(default=6.283185, validator=gt(0))
    activation: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.r_max < self.r_min:
            raise ValueError(f"'r_max' must be >= 'r_min', {self.r_min}: {self.r_max}")

    @property
    def output_size(self) -> int:
        """The output."""
        return self.units


@hookimpl
def superloop_register() -> Iterator[SystemSpec | CellSpec]:
    """Register the two memories and the cell."""
    yield SystemSpec(
        name="lmu",
        config=LmuConfig,
        factory="superloop_plugin_ssm.lmu:LMU",
        summary="The last timesteps of signals, in Legendre polynomials (Voelker et al., 2019)",
        example={"order": 4, "theta": 6.0, "signals": 2},
        reference=(
            "Voelker, Kajic and Eliasmith, 2019, "
            "https://papers.nips.cc/paper/9689-legendre-memory-units-continuous-time-representation-in-recurrent-neural-networks"
        ),
    )
    yield SystemSpec(
        name="ffm",
        config=FfmConfig,
        factory="superloop_plugin_ssm.ffm:FFM",
        summary="Decaying sums in oscillating contexts (Morad et al., 2023)",
        example={"channels": 3, "contexts": 2, "width": 3, "longest": 10.0},
        reference="Morad et al., 2023, https://arxiv.org/abs/2310.04128",
    )
    yield CellSpec(
        name="lru",
        config=LruConfig,
        factory="superloop_plugin_ssm.lru:lru",
        summary="Linear recurrent unit, a diagonal state of complex numbers (Orvieto et al., 2023)",
        example={"units": 8},
        reference="Orvieto et al., 2023, https://arxiv.org/abs/2303.06349",
    )
