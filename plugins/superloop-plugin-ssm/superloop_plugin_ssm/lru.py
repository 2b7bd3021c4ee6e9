"""The linear recurrent unit."""

from typing import Any

import keras
from keras import ops

from superloop_core.layer import keras_objects
from superloop_plugin_ssm import LruConfig

SMALL = 1e-6  # of uniform numbers, whose logarithms are taken
LARGEST = 5.0  # of the logarithms of decay, phase and scale: exp(-exp(5)) is 0, and exp(5) rad many turns


@keras.saving.register_keras_serializable("superloop_plugin_ssm")
class LRUCell(keras.layers.Layer):  # type: ignore[misc]
    """A Keras RNN cell, linear, with a diagonal state of complex numbers.

    ::

        x' = lambda * x + gamma * (B u)               x (modes,), complex, at first 0
        y  = activation(Re(C x') + D u)               (units,)
        lambda = exp(-exp(nu_log) + i exp(theta_log)),  gamma = exp(gamma_log)         (modes,)

    u is the input; B and C are complex matrices, D is a real one. All are trained. Every modulus of lambda is
    less than 1, so that the state of a bounded input is bounded. Eigenvalues of a new cell are uniform on the
    ring between the radii ``r_min`` and ``r_max``, with phases from 0 to ``max_phase``; gamma is sqrt(1 -
    |lambda|^2), so that white noise gives states of one size. B and C are normal, with the variances 1 / (2
    inputs) of both parts of B, and 1 / modes of both parts of C; D is normal with the variance 1 / inputs.

    The cell is linear unless it has an activation. In the paper a nonlinear layer follows each unit; in a
    loop that may be ``activation="gelu"``, or a second cell. D is full here, and a diagonal in the paper,
    where inputs and outputs have one size. The logarithms of decay, phase and scale act up to 5 only, so that
    no training step makes them infinite.

    The complex numbers are pairs of real tensors, which any RNN of Keras takes, and ``SuperloopCell``. All
    but the output is in float32 at least, since float16 does not resolve a lambda near 1; but those two give
    a cell its states in their own dtype, float16 in mixed precision.

    Reference: Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", 2023,
    https://arxiv.org/abs/2303.06349

    Args:
        units: size of the output, ``(batch, units)``.
        modes: complex numbers in the state: ``x_re`` and ``x_im``, each ``(batch, modes)``; None: ``units``.
        r_min: smallest modulus of lambda at first.
        r_max: largest modulus at first, less than 1.
        max_phase: largest phase at first, in radians.
        activation: of the output, a name of Keras or a function.
    """

    state_names = ("x_re", "x_im")

    def __init__(
        self,
        units: int,
        modes: int | None = None,
        r_min: float = 0.0,
        r_max: float = 0.99,
        max_phase: float = 6.283185,
        activation: Any = None,
        **kwargs: Any,
    ):
        super().__init__(**{"autocast": False} | kwargs)
        self.units = units
        self.modes = modes or units
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        self.activation = keras.activations.get(activation)
        self.state_size = [self.modes, self.modes]
        self.output_size = units
        self.wide = keras.backend.result_type(self.compute_dtype, "float32")

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Make the weights for inputs ``(batch, input_size)``."""
        size, modes = input_shape[-1], self.modes
        draw = keras.initializers.RandomUniform(SMALL, 1.0)  # the same numbers each time

        def squared_modulus(shape: Any, dtype: Any) -> Any:
            return draw(shape, dtype) * (self.r_max**2 - self.r_min**2) + self.r_min**2

        def nu_log(shape: Any, dtype: Any) -> Any:
            return ops.log(-0.5 * ops.log(squared_modulus(shape, dtype)))

        def gamma_log(shape: Any, dtype: Any) -> Any:
            return 0.5 * ops.log(1 - squared_modulus(shape, dtype))

        phases = keras.initializers.RandomUniform(SMALL * self.max_phase, self.max_phase)
        self.nu_log = self._weight("nu_log", (modes,), nu_log)
        self.theta_log = self._weight(
            "theta_log", (modes,), lambda shape, dtype: ops.log(phases(shape, dtype))
        )
        self.gamma_log = self._weight("gamma_log", (modes,), gamma_log)
        for name, shape, added in (("b", (size, modes), 2 * size), ("c", (modes, self.units), modes)):
            for part in ("re", "im"):
                setattr(self, f"{name}_{part}", self._weight(f"{name}_{part}", shape, normal(added)))
        self.d = self._weight("d", (size, self.units), normal(size))

    def _weight(self, name: str, shape: tuple[int, ...], initializer: Any) -> Any:
        return self.add_weight(shape=shape, initializer=initializer, name=name, autocast=False)

    def prepare(self) -> tuple[Any, ...]:
        """Return lambda, real and imaginary part; gamma B, and C, of both parts; and D."""
        nu, theta, gamma = (
            ops.exp(ops.minimum(ops.convert_to_tensor(log), LARGEST))
            for log in (self.nu_log, self.theta_log, self.gamma_log)
        )
        b_re, b_im, c_re, c_im, d = (
            ops.convert_to_tensor(w) for w in (self.b_re, self.b_im, self.c_re, self.c_im, self.d)
        )
        modulus = ops.exp(-nu)
        b = ops.concatenate([gamma * b_re, gamma * b_im], axis=1)  # (input_size, 2 modes)
        c = ops.concatenate([c_re, -c_im], axis=0)  # (2 modes, units)
        return modulus * ops.cos(theta), modulus * ops.sin(theta), b, c, d

    def call(
        self, inputs: Any, states: Any, training: bool = False, prepared: Any = None
    ) -> tuple[Any, list[Any]]:
        """Take one timestep: inputs ``(batch, input_size)``, states ``[(batch, modes), (batch, modes)]``."""
        del training
        x_re, x_im = (ops.cast(x, self.wide) for x in states)
        lambda_re, lambda_im, b, c, d = prepared or self.prepare()
        u = ops.cast(inputs, self.wide)
        u_re, u_im = ops.split(u @ b, 2, axis=-1)
        x_re, x_im = lambda_re * x_re - lambda_im * x_im + u_re, lambda_re * x_im + lambda_im * x_re + u_im
        y = self.activation(ops.concatenate([x_re, x_im], axis=-1) @ c + u @ d)
        return ops.cast(y, self.compute_dtype), [ops.cast(x, states[0].dtype) for x in (x_re, x_im)]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Return zeros."""
        return [ops.zeros((batch_size, self.modes), dtype=self.wide) for _ in self.state_names]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of ``__init__``."""
        own = {name: getattr(self, name) for name in ("units", "modes", "r_min", "r_max", "max_phase")}
        activation = keras.activations.serialize(self.activation)
        return {**super().get_config(), **own, "activation": activation}


def normal(added: int) -> Any:
    """Return an initializer for a sum of ``added`` products."""
    return keras.initializers.RandomNormal(stddev=added**-0.5)


def lru(settings: LruConfig) -> LRUCell:
    """Return the cell that the settings describe."""
    ring = {name: getattr(settings, name) for name in ("modes", "r_min", "r_max", "max_phase")}
    return LRUCell(settings.units, **ring, **keras_objects(settings))
