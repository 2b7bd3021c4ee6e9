"""What takes one timestep: the Builder protocol, and what is adapted to it."""

from superloop_core.builder.dtypes import addressing_dtype, dtype_policy
from superloop_core.builder.keras_cell import KerasCell
from superloop_core.builder.noise import draw_normal, draw_uniform, rows_from
from superloop_core.builder.protocol import Builder, Sequence, State, Tensor
from superloop_core.builder.system import System
from superloop_core.names import is_loss
from superloop_core.system_settings import SystemSettings

__all__ = [
    "Builder", "KerasCell", "Sequence", "State", "System", "SystemSettings", "Tensor",
    "addressing_dtype", "draw_normal", "draw_uniform", "dtype_policy", "is_loss", "rows_from",
]  # fmt: skip
