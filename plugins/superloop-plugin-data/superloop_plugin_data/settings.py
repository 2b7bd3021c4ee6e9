"""Settings of the tasks; without Keras."""

from typing import Any, Literal

import attrs
from attrs.validators import deep_iterable, ge, lt

MAX_SEED = 2**32


def _fractions(instance: Any, attribute: Any, value: tuple[float, float, float]) -> None:
    del instance
    if min(value) < 0 or not 0.999 < sum(value) < 1.001 or value[0] == 0:
        raise ValueError(
            f"{attribute.name!r} must be three numbers >= 0 with the sum 1, the first > 0: {list(value)}"
        )


def _not_empty(instance: Any, attribute: Any, value: str) -> None:
    del instance
    if not value:
        raise ValueError(f"{attribute.name!r} must name a column")


@attrs.frozen(kw_only=True)
class DataConfig:
    """Examples in files, ``.csv``, ``.tsv``, ``.jsonl``, ``.npz``, ``.parquet`` or ``.txt`` by their endings.

    Args:
        data: the file of all examples, which ``fractions`` or the column ``split`` divide.
        train: the file of training examples, in the place of ``data``.
        validation: that of the examples that decide the best weights; without it, ``fractions`` divide
            ``train``.
        test: that of the examples that the final figures are of.
        fractions: of the examples for training, validation and test.
        split: the column with ``train``, ``validation`` or ``test`` for each example, in the place of
            ``fractions``.
        split_seed: of the random division.
        sequence: the column with a sequence's id, where a row is a timestep; the rows of a sequence follow
            one another. Empty: a row is a whole example.
        max_length: of a sequence in timesteps; what is longer is cut at its end; 0: nothing is cut.
        buckets: number of lengths that batches are padded to, each compiled by itself.
    """

    data: str = ""
    train: str = ""
    validation: str = ""
    test: str = ""
    fractions: tuple[float, float, float] = attrs.field(default=(0.8, 0.1, 0.1), validator=_fractions)
    split: str = ""
    split_seed: int = attrs.field(default=0, validator=[ge(0), lt(MAX_SEED)])
    sequence: str = ""
    max_length: int = attrs.field(default=0, validator=ge(0))
    buckets: int = attrs.field(default=4, validator=ge(1))

    def __attrs_post_init__(self) -> None:
        if bool(self.data) == bool(self.train):
            raise ValueError("either 'data' or 'train' must be the path of a file")
        if self.data and (self.validation or self.test):
            raise ValueError(
                "'validation' and 'test' go with 'train'; with 'data', use 'fractions' or 'split'"
            )
        if self.split and self.train:
            raise ValueError("'split' goes with 'data'; files of their own are divided already")


@attrs.frozen(kw_only=True)
class NumbersOrTextConfig(DataConfig):
    """Sequences of numbers, or text.

    Args:
        inputs: the columns with the numbers of a timestep.
        text: the column with text, in the place of ``inputs``.
        tokens: of the text: ``characters``, ``words``, or the path of a ``tokenizer.json``.
        max_tokens: size of the vocabulary, by frequency in training; all other tokens are one.
        normalize: shift and scale each input to mean 0 and standard deviation 1 over the training examples.
        missing: what an empty number is: ``refuse``, or ``mean``, that of the training examples.
    """

    inputs: tuple[str, ...] = ()
    text: str = ""
    tokens: str = attrs.field(default="characters", validator=_not_empty)
    max_tokens: int = attrs.field(default=10_000, validator=ge(2))
    normalize: bool = True
    missing: Literal["refuse", "mean"] = "refuse"

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if bool(self.inputs) == bool(self.text):
            raise ValueError("either 'inputs' or 'text' must name what is read")
        if len(set(self.inputs)) < len(self.inputs):
            raise ValueError(f"'inputs' must name each column once: {list(self.inputs)}")


@attrs.frozen(kw_only=True)
class ClassificationConfig(NumbersOrTextConfig):
    """One class for each sequence.

    Args:
        target: the column with the class: a text or a number; each value is a class.
        stratify: keep the share of each class in the splits that ``fractions`` make.
    """

    target: str = attrs.field(validator=_not_empty)
    stratify: bool = True


@attrs.frozen(kw_only=True)
class RegressionConfig(NumbersOrTextConfig):
    """Numbers for each sequence.

    Args:
        target: the columns with the numbers.
        tolerance: an answer is correct if each number is off by at most this many standard deviations.
    """

    target: tuple[str, ...] = attrs.field(validator=deep_iterable(_not_empty))
    tolerance: float = attrs.field(default=0.1, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not self.target:
            raise ValueError("'target' must name a column")


@attrs.frozen(kw_only=True)
class TaggingConfig(NumbersOrTextConfig):
    """A class for each timestep.

    Args:
        target: the column with the classes; an empty one is not asked for.
    """

    target: str = attrs.field(validator=_not_empty)


@attrs.frozen(kw_only=True)
class NextTokenConfig(DataConfig):
    """The next token at each timestep.

    Args:
        text: the column with the text of an example; not needed for ``.txt``.
        tokens: ``characters``, ``words``, or the path of a ``tokenizer.json``.
        max_tokens: size of the vocabulary, by frequency in training; all other tokens are one.
        window: a ``.txt`` file is one text that is cut into parts of this many characters, or of words for
            other tokens; then ``fractions`` are of the text from its beginning on. 0: each line is an
            example.
    """

    text: str = "text"
    tokens: str = attrs.field(default="characters", validator=_not_empty)
    max_tokens: int = attrs.field(default=10_000, validator=ge(2))
    window: int = attrs.field(default=64, validator=ge(0))


@attrs.frozen(kw_only=True)
class ForecastingConfig(DataConfig):
    """The next values at each timestep of time series.

    Args:
        fractions: of each series for training, validation and test, in this order from its beginning on, so
            that what is measured comes after what was trained on.
        split: the column with ``train``, ``validation`` or ``test`` for each series, in the place of
            ``fractions``.
        split_seed: of no use here, as nothing is divided at random.
        sequence: the column with a series' id; the rows of a series follow one another. Empty: all rows of a
            file are one series.
        inputs: the columns with the numbers of a timestep.
        target: the columns to forecast; empty: the inputs.
        horizon: number of timesteps ahead; all of them are forecast.
        window: timesteps of a part of a series.
        stride: timesteps from the beginning of a training window to that of the next; 0: the window, so that
            none overlap. Others never do.
        normalize: as for the inputs of other tasks; targets are always normalized.
        missing: what an empty number is: ``refuse``, or ``mean``, that of the training examples.
        tolerance: an answer is correct if each number is off by at most this many standard deviations.
    """

    inputs: tuple[str, ...] = attrs.field(validator=deep_iterable(_not_empty))
    target: tuple[str, ...] = ()
    horizon: int = attrs.field(default=1, validator=ge(1))
    window: int = attrs.field(default=64, validator=ge(2))
    stride: int = attrs.field(default=0, validator=ge(0))
    normalize: bool = True
    missing: Literal["refuse", "mean"] = "refuse"
    tolerance: float = attrs.field(default=0.1, validator=ge(0))

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not self.inputs:
            raise ValueError("'inputs' must name a column")


@attrs.frozen(kw_only=True)
class AbsoluteErrorConfig:
    """The mean absolute error; no settings."""
