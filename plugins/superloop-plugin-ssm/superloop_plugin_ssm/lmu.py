"""The linear memory of the Legendre memory unit."""

from typing import Any, ClassVar, NamedTuple

from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_ssm import LmuConfig
from superloop_plugin_ssm.legendre import delay, zero_order_hold


class LMUState(NamedTuple):
    """The windows of all signals."""

    memory: Tensor  # (batch, signals, order)


class LMU(System[LmuConfig]):
    """A memory of the last ``theta`` timesteps of each signal, in shifted Legendre polynomials.

    ::

        theta dm/dt = A m + B u                         one signal u, in continuous time
        A_ij = (2i + 1) (-1 if i < j else (-1)^(i-j+1)),  B_i = (2i + 1) (-1)^i        i, j = 0 ... order - 1
        m'   = A_d m + B_d u                            in one timestep, in which u is constant
        A_d  = exp(A / theta),  B_d = A^-1 (A_d - I) B
        read = m' of all signals

    The control is the signals, as they are. The discretization is exact, a zero-order hold. A and B are not
    trained.

    The signal at a delay, from 0 to theta, is nearly a sum with the Legendre polynomials P_i::

        u(t - delay) = sum_i P_i(2 delay / theta - 1) m_i(t)

    So all delays are linear in m, and a dense layer reads any of them; the delay theta is the sum of m. The
    middle of a timestep j timesteps ago is at the delay j + 1/2. The error falls as the order grows: a window
    takes about four numbers for each period of the signal in it. The eigenvalues of A have negative real
    parts, so that the memory of a bounded signal is bounded for each order and each theta.

    The paper's cell has a hidden state and trained encoders around this memory. In a superloop the cells are
    the hidden state, and the projection to the control encodes.

    Reference: Voelker, Kajic and Eliasmith, "Legendre Memory Units: Continuous-Time Representation in
    Recurrent Neural Networks", NeurIPS 2019

    Traces: before the step ``memory`` ``(batch, signals, order)``; of the step ``written``, the signals,
    ``(batch, signals)``.
    """

    trace_views: ClassVar = {
        "memory": TraceView("slots", "signal", "order"),
        "written": TraceView("vector", "signal"),
    }

    def __init__(self, config: LmuConfig):
        super().__init__(config)
        a, b = delay(config.order)
        self.a_d, self.b_d = zero_order_hold(a / config.theta, b / config.theta)

    def initial_state(self, sequence: Sequence) -> LMUState:
        """Start with signals that were 0."""
        shape = (sequence.batch_size, self.config.signals, self.config.order)
        return LMUState(ops.zeros(shape, dtype=self.variable_dtype))

    def constants(self, sequence: Sequence) -> tuple[Tensor, Tensor]:
        """Return A_d, transposed to act on rows, ``(order, order)``, and B_d, ``(order,)``."""
        del sequence
        a_d, b_d = (ops.convert_to_tensor(x, dtype=self.variable_dtype) for x in (self.a_d.T, self.b_d))
        return a_d, b_d

    def step(
        self, control: Tensor, state: LMUState, constants: Any
    ) -> tuple[Tensor, LMUState, dict[str, Tensor]]:
        """Move the windows on by a timestep, then read. The control is ``(batch, signals)``."""
        a_d, b_d = constants
        memory = state.memory @ a_d + control[..., None] * b_d
        read = ops.reshape(memory, (-1, self.config.output_size))
        return read, LMUState(memory), {"written": control}
