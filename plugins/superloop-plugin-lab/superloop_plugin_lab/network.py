"""The Keras model around the loops: embedding, dropout, further loops, head."""

from collections import Counter
from collections.abc import Iterator, Mapping

import attrs
import keras

from superloop_core import ConfigError, LoopConfig, Sizes, Superloop, TraceError
from superloop_core.errors import Problem
from superloop_core.task import Batch
from superloop_plugin_lab.compatibility import as_dict, as_float32
from superloop_plugin_lab.settings import ModelConfig
from superloop_plugin_lab.sizes import output_size

Shape = tuple[int | None, ...]


@attrs.frozen(kw_only=True, eq=False)
class Network:
    """A model and its loops; the task gets float32 whatever the dtype policy is.

    Args:
        loops: the first one, or its forward direction, and those of ``[[model.loops]]``.
        model: maps a task's inputs to a dict of ``outputs`` and traces.
    """

    loops: tuple[Superloop, ...]
    model: keras.Model


@attrs.frozen(kw_only=True, eq=False)
class Plan:
    """What a network is made of.

    Args:
        config: the table ``[model]``.
        sizes: what the task says of the model; None: nothing.
        layers: the loops' layers.
    """

    config: ModelConfig
    sizes: Sizes | None
    layers: tuple[Superloop, ...]

    @property
    def tokens(self) -> int:
        """Number of different tokens; 0: the inputs are numbers."""
        return 0 if self.sizes is None else self.sizes.tokens

    @property
    def is_plain(self) -> bool:
        """Whether the model is the loop alone."""
        return not self.tokens and self.config == ModelConfig()

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shapes of the inputs that a task must provide, without the batch axis."""
        first, *further = (layer.input_shapes for layer in self.layers)
        shapes: dict[str, Shape] = dict(first)
        if self.tokens:
            shapes["inputs"] = first["inputs"][:1]
        return shapes | {n: shape for of_loop in further for n, shape in of_loop.items() if n != "inputs"}

    @property
    def sources(self) -> dict[str, Shape]:
        """Shapes of all sources, those that may be left out too."""
        return {name: source for layer in self.layers for name, source in layer.config.sources.items()}

    def connect(self, batch: Batch) -> Network:
        """Connect the layers; ``lengths`` are an input where a batch has them.

        Raises:
            ConfigError: a loop has no trace of a name that the task or a metric reads.
        """
        try:
            return self._connected("lengths" in batch.inputs)
        except TraceError as error:
            raise ConfigError([Problem("task", str(error))]) from error

    def _connected(self, lengths: bool) -> Network:
        config, (first, *further) = self.config, self.layers
        inputs = first.symbolic_inputs(lengths=lengths)
        inputs = dict(inputs) if isinstance(inputs, Mapping) else {"inputs": inputs}
        feed = dict(inputs)
        embedding = None
        if self.tokens:
            shape = self.input_shapes["inputs"]
            inputs["inputs"] = keras.Input(shape, dtype="int32", name="inputs")
            if config.embedding:
                embedding = keras.layers.ReversibleEmbedding(self.tokens, config.embedding, name="embedding")
                feed["inputs"] = embedding(inputs["inputs"])
            else:
                feed["inputs"] = keras.ops.one_hot(inputs["inputs"], self.tokens)
        if config.input_dropout:
            dropout = keras.layers.Dropout(config.input_dropout, name="input_dropout")
            feed["inputs"] = dropout(feed["inputs"])
        loops = [first]
        if config.bidirectional:
            both = keras.layers.Bidirectional(first, name="bidirectional")
            loops, results = [both.forward_layer], {"outputs": both(feed)}
        else:
            results = as_dict(first(feed))
        for index, layer in enumerate(further, 1):
            own = layer.symbolic_inputs()
            own = dict(own) if isinstance(own, Mapping) else {}
            inputs |= {name: tensor for name, tensor in own.items() if name != "inputs"}
            feed = own | {"inputs": results["outputs"]}
            loops.append(layer)
            if lengths and config.bidirectional and index == 1:  # which has no mask to pass on
                feed = feed | {"lengths": inputs["lengths"]}
            made = as_dict(layer(feed))
            results |= {prefixed(index, name): trace for name, trace in made.items() if name != "outputs"}
            results["outputs"] = made["outputs"]
        outputs = results["outputs"]
        if config.output_dropout:
            outputs = keras.layers.Dropout(config.output_dropout, name="output_dropout")(outputs)
        if config.head == "dense":
            assert self.sizes is not None
            outputs = keras.layers.Dense(self.sizes.outputs, name="head")(outputs)
        if config.tied:
            assert embedding is not None
            # A copy has no mask, with which Keras's embedding would warn that it drops it.
            outputs = embedding(keras.ops.copy(outputs), reverse=True)
        model = keras.Model(inputs, as_float32(results | {"outputs": outputs}))
        return Network(loops=tuple(loops), model=model)


def prefixed(index: int, name: str) -> str:
    """Return the name that a trace of a loop has in the results: ``loops.1.stack.read``."""
    return f"loops.{index}.{name}" if index else name


def make_layers(
    loop: LoopConfig, config: ModelConfig, traces: Mapping[str, None], jit_compile: bool | str
) -> tuple[Superloop, ...]:
    """Make the loops' layers, each with the traces that the task and the metrics read of it."""
    layers = []
    for index, of_loop in enumerate((loop, *config.loops)):
        others = tuple(prefixed(other, "") for other in range(1, len(config.loops) + 1) if other != index)
        prefix = prefixed(index, "")
        own = [n.removeprefix(prefix) for n in traces if n.startswith(prefix) and not n.startswith(others)]
        name = f"superloop_{index}" if index else "superloop"
        layers.append(Superloop(of_loop, traces=tuple(own), jit_compile=jit_compile, name=name))
    return tuple(layers)


def check_model(
    loop: LoopConfig, config: ModelConfig, sizes: Sizes | None, traces: Mapping[str, None]
) -> None:
    """Check that the table ``[model]`` fits the loop and the task.

    Raises:
        ConfigError: it does not; lists every problem.
    """
    problems = []
    tokens = 0 if sizes is None else sizes.tokens
    if tokens and loop.inputs != (config.embedding or tokens):
        of = "the embedding" if config.embedding else "a one-hot token"
        what = f"'inputs' must be the size of {of} ({config.embedding or tokens}), or be left out"
        problems.append(Problem("loop", f"{what}: {loop.inputs}"))
    if config != ModelConfig():
        problems += [Problem("model", what) for what in _problems(loop, config, sizes, traces)]
        problems += _problems_of_further(loop, config)
    if problems:
        raise ConfigError(problems)


def _problems(
    loop: LoopConfig, config: ModelConfig, sizes: Sizes | None, traces: Mapping[str, None]
) -> Iterator[str]:
    tokens, outputs = (0, 0) if sizes is None else (sizes.tokens, sizes.outputs)
    if config.embedding and not tokens:
        yield f"'embedding' must be 0, as the task's inputs are no tokens: {config.embedding}"
    if config.input_dropout and not loop.inputs:
        yield f"'input_dropout' must be 0, as the loop has no inputs: {config.input_dropout}"
    if config.head == "dense" and not outputs:
        yield "'head' must be 'none', as the task does not say how many outputs it needs: 'dense'"
    last = config.loops[-1] if config.loops else loop
    size = output_size(last) * (2 if config.bidirectional and not config.loops else 1)
    if config.tied and outputs != tokens:
        yield f"'tied' needs a task whose outputs ({outputs}) are its tokens ({tokens})"
    elif config.tied and size != config.embedding:
        where = f"model.loops.{len(config.loops) - 1}" if config.loops else "loop"
        yield f"'tied' needs {where}.outputs = {config.embedding}, the size of the embedding: {size}"
    elif config.head == "none" and not config.tied and outputs not in (0, size):
        yield f'must have {outputs} outputs, as the task says: {size}; set head = "dense"'
    if config.bidirectional:
        if not loop.inputs:
            yield "'bidirectional' needs a loop with inputs"
        if loop.suppress_output:
            yield f"'bidirectional' needs loop.suppress_output = 0: {loop.suppress_output}"
        if own := [name for name in traces if not name.startswith("loops.")]:
            yield f"'bidirectional' gives no traces of the loop, and the task or a metric reads {own[0]!r}"
    names = Counter(name for one in (loop, *config.loops) for name in one.sources)
    for name in (name for name, count in names.items() if count > 1):
        yield f"two inputs of the model would be called {name!r}; give a system another id"


def _problems_of_further(loop: LoopConfig, config: ModelConfig) -> Iterator[Problem]:
    before, where_before, factor = loop, "loop", 2 if config.bidirectional else 1
    for index, after in enumerate(config.loops):
        where, size = f"model.loops[{index}]", factor * output_size(before)
        if after.inputs != size:
            what = f"'inputs' must be the outputs of the loop before ({size}), or be left out"
            yield Problem(where, f"{what}: {after.inputs}")
        if after.timesteps:
            what = "'timesteps' must be left out, as they are those of the loop before"
            yield Problem(where, f"{what}: {after.timesteps}")
        if before.suppress_output:
            what = "'suppress_output' must be 0 in a loop before another"
            yield Problem(where_before, f"{what}: {before.suppress_output}")
        before, where_before, factor = after, where, 1
