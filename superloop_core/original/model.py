"""Model: the interface of the original superloop (csirmaz/superloop, 2018), on today's wiring.

A thin facade: it reads the original's config and files of weights, and has the values that the original's
attributes had after its last timestep.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from superloop_core.builder.protocol import Tensor
from superloop_core.config.original import read_original
from superloop_core.errors import WeightsError
from superloop_core.layer.print_traces import PrintTraces
from superloop_core.layer.superloop import Superloop
from superloop_core.names import FEEDBACK, INPUTS, OUTPUTS, READ, source_name
from superloop_core.original.weights import load_weights, save_weights
from superloop_core.registry.registry import load_registry


class Model:
    """The original's ``Model``.

    Args:
        config: the original's flat dict: ``superloop_core.original.OriginalConfig`` lists its keys.
            Inputs and sources are named ``<model_name>_Input`` and ``<model_name>_<id>_<source>``.
        unroll: whether to unroll the timesteps statically, as the original did, instead of looping.

    Attributes:
        superloop_models: the systems, in the config's order, each a :class:`SuperloopModel`.

    Raises:
        ConfigError: with every problem found in the config.
    """

    def __init__(self, config: Mapping[str, Any], *, unroll: bool = False):
        self.config, loop = read_original(config, load_registry())
        traces = [f"{system.id}.*" for system in loop.systems] or [OUTPUTS]
        self.layer = Superloop(loop, traces=traces, unroll=unroll, name=self._named("superloop"))
        self._inputs = {
            name: keras.Input(shape, name=self._named("Input" if name in (INPUTS, FEEDBACK) else name))
            for name, shape in self.layer.input_shapes.items()
        }
        if not loop.inputs:
            # The original had to be fed zeros.
            size = loop.feedback_size
            self._inputs.setdefault(FEEDBACK, keras.Input((size,), name=self._named("NoInputInput")))
        self.superloop_models = [
            SuperloopModel(
                system.id, {name: self._inputs[source_name(system.id, name)] for name in system.sources}
            )
            for system in loop.systems
        ]
        self._model: keras.Model | None = None

    def build_all(self) -> tuple[Tensor, Tensor | None]:
        """Build every timestep.

        Returns:
            the input, ``(batch, timesteps, model_inputs)``, or where ``model_inputs`` is 0 a placeholder
            ``(batch, sum of the systems' outputs)`` to be fed zeros; and the output,
            ``(batch, timesteps - suppress_output, model_outputs)``, or None where there is none.
        """
        results = self.layer(self._inputs)
        if self.config.printvalues:
            results = PrintTraces(self.config.printvalues)(results)
        outputs = results.pop(OUTPUTS)
        for system in self.superloop_models:
            system.take(results)
        self._model = keras.Model(list(self._inputs.values()), {OUTPUTS: outputs} | results)
        fed = self._inputs[INPUTS if INPUTS in self._inputs else FEEDBACK]
        return fed, outputs if self.config.model_outputs else None

    def save_weights(self, path: str | Path) -> None:
        """Write the weights in Keras's format, under any name; an older file is replaced at once or not.

        Raises:
            WeightsError: ``build_all`` has not been called.
        """
        save_weights(Path(path), self._built(), self.layer)

    def load_weights(self, path: str | Path) -> None:
        """Read weights that ``save_weights`` wrote, the original's or ours.

        Raises:
            WeightsError: the file is none of these, or is another config's; no weight was changed.
        """
        load_weights(Path(path), self._built(), self.layer, self.config.model_name)

    def _built(self) -> keras.Model:
        if self._model is None:
            raise WeightsError("there are no weights before build_all() was called")
        return self._model

    def _named(self, name: str) -> str:
        return f"{self.config.model_name}_{name}".replace("/", "_")


class SuperloopModel:
    """A system of a :class:`Model`, with the attributes of the original.

    Their values are those that the cells saw at the last timestep: the original did not step its systems
    in it.

    Attributes:
        id: the system's name in ``superloop_models``.
        out: its answer, ``(batch, output_size)``, after ``build_all``.

    A source (``data`` of Attention) is a Keras input of this name; a field of the state (``position``,
    ``memory``) is a tensor of this name, after ``build_all``.
    """

    def __init__(self, id: str, sources: Mapping[str, Tensor]):
        self.id = id
        self.__dict__.update(sources)

    def take(self, traces: Mapping[str, Tensor]) -> None:
        """Keep the last timestep of this system's traces."""
        for path, trace in traces.items():
            id, _, name = path.partition(".")
            if id == self.id:
                self.__dict__["out" if name == READ else name] = trace[:, -1]

    def __getattr__(self, name: str) -> Tensor:
        known = ", ".join(sorted(self.__dict__))
        raise AttributeError(f"a system has no {name!r}; it has {known} (and more after build_all())")
