"""Memories that learn at each timestep: weights as memory."""

from collections.abc import Iterator

import attrs
from attrs.validators import and_, ge, gt, le, lt, optional

from superloop_core import SystemSettings, SystemSpec, hookimpl


@attrs.frozen(kw_only=True)
class TttLinearConfig(SystemSettings):
    """A linear layer and a layer normalization that learn at each timestep to give a value for a key.

    Args:
        width: numbers in a key, a query, a value and a read; of fewer than 3, a normalized one is a sign.
        heads: number of memories, each with its own keys and values.
        max_step: least upper bound of the step length of the inner gradient descent.
    """

    width: int = attrs.field(default=8, validator=ge(3))
    heads: int = attrs.field(default=1, validator=ge(1))
    max_step: float = attrs.field(default=0.5, validator=and_(gt(0), le(1)))

    @property
    def control_size(self) -> int:
        """For each head a step length, a key, a query and a value."""
        return self.heads * (1 + 3 * self.width)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@attrs.frozen(kw_only=True)
class TitansConfig(SystemSettings):
    """A network that learns at each timestep, by gradient descent with momentum, to give a value for a key.

    Args:
        key_size: numbers in a key and in a query.
        width: numbers in a value.
        heads: number of memories, each with its own keys and values.
        hidden_size: units of a hidden layer; 0: none, the memory is linear.
        max_momentum: least upper bound of the momentum, the share of the last step that is taken again.
        max_step: least upper bound of the step length; None: (1 - max_momentum)^2 / (2 + 2 max_momentum),
            with which no control makes the memory explode.
    """

    key_size: int = attrs.field(default=8, validator=ge(1))
    width: int = attrs.field(default=8, validator=ge(1))
    heads: int = attrs.field(default=1, validator=ge(1))
    hidden_size: int = attrs.field(default=0, validator=ge(0))
    max_momentum: float = attrs.field(default=0.5, validator=and_(ge(0), lt(1)))
    max_step: float | None = attrs.field(default=None, validator=optional(and_(gt(0), le(1))))

    @property
    def largest_step(self) -> float:
        """The step length that ``max_step`` gives."""
        if self.max_step is not None:
            return self.max_step
        return (1 - self.max_momentum) ** 2 / (2 + 2 * self.max_momentum)

    @property
    def control_size(self) -> int:
        """For each head a step length, a momentum, a share to forget, a key, a query and a value."""
        return self.heads * (3 + 2 * self.key_size + self.width)

    @property
    def output_size(self) -> int:
        """A value for each head."""
        return self.heads * self.width


@hookimpl
def superloop_register() -> Iterator[SystemSpec]:
    """Register the two memories."""
    yield SystemSpec(
        name="ttt_linear",
        config=TttLinearConfig,
        factory="superloop_plugin_neural_memory.ttt_linear:TTTLinear",
        summary="Linear layer that learns at each timestep, TTT-Linear (Sun et al., 2024)",
        example={"width": 3, "heads": 2},
        reference="Sun et al., 2024, https://arxiv.org/abs/2407.04620",
    )
    yield SystemSpec(
        name="titans",
        config=TitansConfig,
        factory="superloop_plugin_neural_memory.titans:Titans",
        summary="Network that learns at each timestep with momentum and forgetting (Behrouz et al., 2025)",
        example={"key_size": 3, "width": 2, "heads": 2},
        reference="Behrouz, Zhong and Mirrokni, 2025, https://arxiv.org/abs/2501.00663",
    )
