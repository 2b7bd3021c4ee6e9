"""The inputs of a call: checked, cast and masked."""

from collections.abc import Mapping
from typing import Any

import attrs
import tensorflow as tf
from keras import ops

from superloop_core.builder.dtypes import addressing_dtype
from superloop_core.builder.protocol import Tensor
from superloop_core.config.schema import LoopConfig
from superloop_core.errors import SourceError, did_you_mean, short_repr
from superloop_core.names import FEEDBACK, INPUTS, LENGTHS
from superloop_core.system_settings import shape_in_words


@attrs.frozen(kw_only=True, eq=False)
class Feed:
    """The inputs of a call.

    Args:
        batch_size: rows; an int, or a scalar tensor where it is not known yet.
        timesteps: an int, a scalar tensor where it is not known yet, or None where it is unknown.
        inputs: ``(batch, timesteps, inputs)``, or None where the loop takes none.
        mask: ``(batch, timesteps)`` of bool, False where there is padding; or None.
        sources: by full name; zeros where they are masked.
        source_masks: the masks of the sources that had one, ``(batch, slots, ...)`` of bool.
        feedback: the read vectors at t = 0, ``(batch, feedback_size)``, or None.
    """

    batch_size: Any
    timesteps: Any
    inputs: Tensor | None
    mask: Tensor | None
    sources: Mapping[str, Tensor]
    source_masks: Mapping[str, Tensor]
    feedback: Tensor | None

    def backwards(self) -> "Feed":
        """Return the same, the timesteps last to first."""
        flipped = [None if t is None else tf.reverse(t, [1]) for t in (self.inputs, self.mask)]
        return attrs.evolve(self, inputs=flipped[0], mask=flipped[1])

    @property
    def lengths(self) -> Tensor | None:
        """Valid timesteps of each row, ``(batch,)`` of int32, or None where it is unknown."""
        if self.mask is None and self.timesteps is None:
            return None
        if self.mask is None:
            return tf.fill([self.batch_size], tf.cast(self.timesteps, tf.int32))
        return tf.reduce_sum(tf.cast(self.mask, tf.int32), axis=1)


class FeedReader:
    """Reads the inputs of calls.

    Args:
        config: the loop's.
        name: the layer's, for messages.
        policy: the layer's dtype policy.
    """

    def __init__(self, config: LoopConfig, name: str, policy: Any):
        self._config = config
        self._name = name
        self._policy = policy

    def dtype_of(self, name: str) -> str:
        """Return the dtype of an input; mixed precision leaves sources alone, which may be addresses."""
        if name == LENGTHS:
            return "int32"
        if name not in self._config.sources:
            return str(self._policy.compute_dtype)
        dtype = self._config.sources[name].dtype
        return addressing_dtype(self._policy) if dtype == "float" else dtype

    def by_name(self, given: Any) -> Mapping[str, Any]:
        """Return inputs, their shapes or their masks by name.

        Args:
            given: a dict, one for the inputs, or a list of one for each of the config's ``input_shapes``.

        Raises:
            SourceError: the list has another length.
        """
        if isinstance(given, Mapping):
            return given
        is_list = isinstance(given, list | tuple)
        if not is_list or any(isinstance(one, int) for one in given):  # a saved model has a shape as a list
            return {INPUTS: given}
        names = list(self._config.input_shapes)
        if len(given) != len(names):
            listed = ", ".join(map(repr, names))
            raise SourceError(
                f"{self._name}: the inputs must be a tensor, a dict, or a list of {len(names)} ({listed}): "
                f"a {type(given).__name__} of {len(given)}"
            )
        return dict(zip(names, given, strict=True))

    def read(self, inputs: Any, mask: Any = None, *, one_timestep: bool = False) -> Feed:
        """Return the checked inputs.

        Args:
            inputs: the tensor of inputs, a dict of everything by name, or a list in the order of the config's
                ``input_shapes``.
            mask: of the inputs, a dict of masks by name, or a list where ``inputs`` is one; None: those that
                Keras attached to the tensors.
            one_timestep: expect everything but the inputs of each timestep.

        Raises:
            SourceError: an input is missing, unknown or of a wrong shape.
        """
        given = {name: tensor for name, tensor in self.by_name(inputs).items() if tensor is not None}
        if isinstance(inputs, list | tuple) and isinstance(mask, list | tuple):
            mask = self.by_name(mask)
        given, of_ragged = self._dense(given)
        masks = self._masks(given, mask)
        for name in of_ragged:
            if name in masks or (name == INPUTS and LENGTHS in given):
                raise SourceError(f"{self._name}: {name!r} is ragged, which says its lengths; give no others")
        masks |= of_ragged
        given = {name: _tensor(tensor) for name, tensor in given.items()}
        self._check(given, masks, one_timestep)
        given = {name: ops.cast(tensor, self.dtype_of(name)) for name, tensor in given.items()}
        batch_size = ops.shape(next(iter(given.values())))[0] if given else None
        timesteps = self._config.timesteps or (ops.shape(given[INPUTS])[1] if INPUTS in given else None)
        of_inputs = masks.pop(INPUTS, None)
        if LENGTHS in given:
            self._check_lengths(given[LENGTHS], of_inputs, timesteps)
            of_inputs = self._valid(given)
        sources = {name: given[name] for name in self._config.sources if name in given}
        return Feed(
            batch_size=batch_size,
            timesteps=timesteps,
            inputs=given.get(INPUTS),
            mask=of_inputs,
            sources=sources | {name: _masked(sources[name], mask) for name, mask in masks.items()},
            source_masks=masks,
            feedback=given.get(FEEDBACK),
        )

    def mask_of_inputs(self, inputs: Any, mask: Any) -> Tensor | None:
        """Return the mask of a call, for the next layers."""
        given, of_ragged = self._dense(self.by_name(inputs))
        return (
            self._valid(given)
            if given.get(LENGTHS) is not None
            else self.by_name(mask).get(INPUTS, of_ragged.get(INPUTS))
        )

    def _dense(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return inputs with ragged tensors padded, and the masks of these."""
        dense, masks = dict(given), {}
        for name, tensor in given.items():
            if isinstance(tensor, tf.SparseTensor):
                raise SourceError(f"{self._name}: {name!r} is sparse; give tf.sparse.to_dense of it")
            if isinstance(tensor, tf.RaggedTensor):
                dense[name] = tensor.to_tensor()
                masks[name] = tf.sequence_mask(tensor.row_lengths(), tf.shape(dense[name])[1])
        return dense, masks

    def _masks(self, given: Mapping[str, Tensor], mask: Any) -> dict[str, Tensor]:
        if isinstance(mask, Mapping):
            masks = {name: of_name for name, of_name in mask.items() if of_name is not None}
            if unknown := next((name for name in masks if name not in given), None):
                raise SourceError(f"{self._name}: a mask of {unknown!r}, which is not given")
        else:
            masks = {INPUTS: mask}
        for name in (INPUTS, *self._config.sources):  # Keras passes masks on for a single argument only
            if masks.get(name) is None:
                masks[name] = getattr(given.get(name), "_keras_mask", None)
        return {name: tf.cast(_tensor(m), tf.bool) for name, m in masks.items() if m is not None}

    def _check(self, given: Mapping[str, Tensor], masks: Mapping[str, Tensor], one_timestep: bool) -> None:
        config = self._config
        left_out = (INPUTS, FEEDBACK) if one_timestep else ()
        shapes = {name: shape for name, shape in config.input_shapes.items() if name not in left_out}
        known = (
            shapes
            | config.sources
            | {FEEDBACK: (config.feedback_size,)}
            | ({} if one_timestep else {LENGTHS: ()})
        )
        for name in given:
            if name not in known:
                raise SourceError(f"{self._name}: has no input {name!r}{did_you_mean(name, known)}")
        for name in shapes:
            if name not in given:
                raise SourceError(
                    f"{self._name}: {name!r} is missing; call the layer with a dict that holds "
                    f"{', '.join(f'{n!r} {shape_in_words(s)}' for n, s in shapes.items())}"
                )
        for name, tensor in given.items():
            if tf.as_dtype(tensor.dtype) == tf.string:
                raise SourceError(f"{self._name}: {name!r} must be numbers: {tensor.dtype}")
            self._check_shape(name, tensor, known[name])
        self._check_shared_axes(given)
        for name, mask in masks.items():
            if name == INPUTS:
                of_inputs = given[INPUTS].shape[1] if INPUTS in given else None
                self._check_shape("mask", mask, (config.timesteps or of_inputs,))
            elif name not in config.sources:
                raise SourceError(f"{self._name}: {name!r} can have no mask")
            else:
                axes = max(len(mask.shape) - 1, 1)
                self._check_shape(f"mask of {name}", mask, tuple(given[name].shape[1 : 1 + axes]))
        everything = {**given} | {f"mask of {name}": mask for name, mask in masks.items()}
        rows = {name: tensor.shape[0] for name, tensor in everything.items() if tensor.shape[0] is not None}
        if len(set(rows.values())) > 1:
            raise SourceError(f"{self._name}: everything must have the same batch size: {rows}")

    def _check_shared_axes(self, given: Mapping[str, Tensor]) -> None:
        """Check the sizes of the axes that have a name; in a graph, those that are known."""
        sizes: dict[str, dict[str, int]] = {}
        for name in self._config.sources.keys() & given.keys():
            for dim, size in zip(self._config.sources[name].dims, given[name].shape[1:], strict=True):
                if dim is not None and size is not None:
                    sizes.setdefault(dim, {})[name] = size
        for dim, of_dim in sizes.items():
            if len(set(of_dim.values())) > 1:
                listed = ", ".join(f"{name!r} {size}" for name, size in sorted(of_dim.items()))
                raise SourceError(f"{self._name}: the axis {dim!r} must have one size: {listed}")

    def _check_shape(self, name: str, tensor: Tensor, expected: tuple[int | None, ...]) -> None:
        received = tuple(tensor.shape)
        fits = len(received) == len(expected) + 1 and all(
            size is None or wanted is None or size == wanted
            for size, wanted in zip(received[1:], expected, strict=True)
        )
        if not fits:
            raise SourceError(
                f"{self._name}: {name!r} must have the shape {shape_in_words(expected)}: {received}"
            )

    def _valid(self, given: Mapping[str, Tensor]) -> Tensor:
        """Return the mask ``(batch, timesteps)`` of the lengths; works for Keras's symbolic tensors."""
        if INPUTS in given:
            counted = ops.cumsum(ops.ones_like(given[INPUTS][:, :, 0], dtype="int32"), axis=1)
        else:
            counted = ops.arange(1, self._config.timesteps + 1, dtype="int32")[None]
        return counted <= ops.expand_dims(ops.cast(given[LENGTHS], "int32"), 1)

    def _check_lengths(self, lengths: Tensor, mask: Tensor | None, timesteps: Any) -> None:
        if mask is not None:
            raise SourceError(
                f"{self._name}: both a mask and {LENGTHS!r} are given; pass one of them, or a mask that "
                "covers both"
            )
        if tf.executing_eagerly():
            short = [int(length) for length in lengths if not 0 <= length <= timesteps]
            if short:
                what = f"{LENGTHS!r} must be from 0 to the {int(timesteps)} timesteps there are"
                raise SourceError(f"{self._name}: {what}: {short_repr(short)}")


def _tensor(value: Any) -> Tensor:
    """Convert lists and arrays; leave tensors alone."""
    return value if hasattr(value, "shape") and hasattr(value, "dtype") else tf.convert_to_tensor(value)


def _masked(source: Tensor, mask: Tensor) -> Tensor:
    """Return zeros where the mask ``(batch, ...)`` is False."""
    sizes = tf.concat([tf.shape(mask), [1] * (len(source.shape) - len(mask.shape))], axis=0)
    return tf.where(tf.reshape(mask, sizes), source, tf.zeros_like(source))
