"""Fast and Forgetful Memory."""

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np
from keras import ops

from superloop_core import Sequence, System, TraceView
from superloop_core.builder import Tensor
from superloop_plugin_ssm import FfmConfig

FORGOTTEN = 0.01  # a channel of a new network decays to this share within its timesteps
EPSILON = 1e-5  # of the layer normalization


class FFMState(NamedTuple):
    """The sums S, complex numbers as two real tensors."""

    real: Tensor  # (batch, channels, contexts)
    imaginary: Tensor  # (batch, channels, contexts)


class FFM(System[FfmConfig]):
    """Sums of all that was written, each with the decay of a channel and the frequency of a context.

    ::

        x, skip, in, out = control, split in channels, width, channels and width numbers
        gamma_ij = exp(-|alpha_i| + i omega_j)                        alpha (channels,), omega (contexts,)
        S'_ij    = gamma_ij S_ij + x_i sigmoid(in_i)
        z        = LN(W flat(S') + b)                                 W (width, 2 channels contexts)
        read     = sigmoid(out) z + (1 - sigmoid(out)) skip

    LN(z) = (z - mean(z)) / sqrt(variance(z) + 1e-5) has no weights. What was written n timesteps ago is in S
    with the factor exp(-|alpha_i| n), turned by the angle omega_j n: the angle tells how long ago it was, and
    the modulus how far it is forgotten. flat(S) has for each channel and context the real part, then the
    imaginary one. All sums decay, so that S is bounded if alpha is not 0.

    It is the whole cell of the paper: its four linear layers of the input are the projection to the control,
    which the core has, and its fifth is W and b. S is complex in the paper; here it is two real tensors,
    which can be learned at t = 0, are states of ``SuperloopCell`` too, and cost the same four products.

    Channels of a new network decay to 1% in ``longest`` to ``shortest`` timesteps, and its contexts have
    periods of ``shortest`` to ``longest``, both in equal ratios; a period of 1 is no oscillation. The
    authors' code spaces alpha and the periods linearly instead. ``trained = false`` leaves alpha and omega as
    they are at first.

    Reference: Morad, Kortvelesy, Liwicki and Prorok, "Reinforcement Learning with Fast and Forgetful Memory",
    2023, https://arxiv.org/abs/2310.04128

    Traces: before the step ``real`` and ``imaginary`` ``(batch, channels, contexts)``; of the step
    ``written``, x sigmoid(in), ``(batch, channels)``, and ``output_gate``, sigmoid(out), ``(batch, width)``.
    """

    trace_views: ClassVar = {
        "real": TraceView("slots", "channel", "context"),
        "imaginary": TraceView("slots", "channel", "context"),
        "written": TraceView("vector", "channel"),
        "output_gate": TraceView("scalar", "number"),
    }

    def build(self, input_size: int) -> None:
        """Make alpha, omega, W and b."""
        del input_size
        config = self.config
        longest, shortest = config.longest, config.shortest
        alpha = -math.log(FORGOTTEN) / np.geomspace(longest, shortest, config.channels)
        omega = 2 * math.pi / np.geomspace(shortest, longest, config.contexts)
        for name, start in (("alpha", alpha), ("omega", omega)):
            made = self.add_weight(
                shape=start.shape,
                initializer=lambda shape, dtype, start=start: ops.convert_to_tensor(start, dtype),
                trainable=config.trained,
                name=name,
            )
            setattr(self, name, made)
        sums = 2 * config.channels * config.contexts
        self.mix_kernel = self.add_weight(
            shape=(sums, config.width), initializer="glorot_uniform", name="mix_kernel"
        )
        self.mix_bias = self.add_weight(shape=(config.width,), initializer="zeros", name="mix_bias")

    def initial_state(self, sequence: Sequence) -> FFMState:
        """Start with sums of 0."""
        zeros = ops.zeros(
            (sequence.batch_size, self.config.channels, self.config.contexts), dtype=self.variable_dtype
        )
        return FFMState(zeros, zeros)

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the real and the imaginary part of gamma, ``(channels, contexts)``, W and b."""
        modulus = ops.exp(-ops.abs(ops.convert_to_tensor(self.alpha)))[:, None]
        omega = ops.convert_to_tensor(self.omega)
        mix = (ops.convert_to_tensor(weight) for weight in (self.mix_kernel, self.mix_bias))
        return modulus * ops.cos(omega), modulus * ops.sin(omega), *mix

    def constants(self, sequence: Sequence) -> tuple[Tensor, ...]:
        """Return what :meth:`prepare` does."""
        return self.prepare() if sequence.prepared is None else sequence.prepared

    def step(
        self, control: Tensor, state: FFMState, constants: Any
    ) -> tuple[Tensor, FFMState, dict[str, Tensor]]:
        """Decay, turn and write, then read. The control is ``(batch, control_size)``."""
        gamma_re, gamma_im, kernel, bias = constants
        m, width = self.config.channels, self.config.width
        x, skip, gates = ops.split(control, [m, m + width], axis=-1)
        in_gate, out_gate = ops.split(ops.sigmoid(gates), [m], axis=-1)
        written = x * in_gate
        real = gamma_re * state.real - gamma_im * state.imaginary + written[..., None]
        imaginary = gamma_re * state.imaginary + gamma_im * state.real
        sums = ops.reshape(ops.stack([real, imaginary], axis=-1), (-1, kernel.shape[0]))
        z = _normalized(sums @ kernel + bias)
        read = out_gate * z + (1 - out_gate) * skip
        return read, FFMState(real, imaginary), {"written": written, "output_gate": out_gate}


def _normalized(z: Tensor) -> Tensor:
    centred = z - ops.mean(z, axis=-1, keepdims=True)
    return centred * ops.rsqrt(ops.mean(ops.square(centred), axis=-1, keepdims=True) + EPSILON)
