"""Stored, the base class: from files to batches."""

import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from superloop_core import Annotation, Batch, ConfigError, Metric, Sizes
from superloop_core.errors import Problem
from superloop_core.task import Split
from superloop_plugin_data.files import Table, open_table
from superloop_plugin_data.splits import SPLITS, divided
from superloop_plugin_data.tasks.inputs import Numbers, Text
from superloop_plugin_data.values import as_label

MAX_PROBLEMS = 10  # of rows, in one message
CACHED = 2**28  # bytes of files whose examples stay in memory
WINDOW = 50  # batches whose examples are put in the order of their lengths


class Part(NamedTuple):
    """An example, or a part of one."""

    table: int
    example: int  # by its number in its file
    start: int = 0  # timesteps
    stop: int | None = None


class Encoded(NamedTuple):
    """An example as numbers."""

    inputs: np.ndarray  # (timesteps, numbers) of float, or (timesteps,) of tokens
    target: np.ndarray


class Stored(abc.ABC):
    """A task whose examples are stored in files.

    Reading has three passes: every example is read and checked; what is learned is learned from the training
    examples; and every example is encoded. Small files stay in memory, others are read again.

    Args:
        settings: where the examples are, and what they are.
        state: of a run, for new examples.
        rows: the path of a file with new examples, which is read in the place of those in the settings;
            their targets are not read.

    Attributes:
        predicts: whether the examples are new.

    Raises:
        ConfigError: a file or rows of it cannot be used; lists the places.
    """

    traces: tuple[str, ...] = ()
    own_metrics: Mapping[str, Metric] = MappingProxyType({})
    headline = "accuracy"
    sizes: Sizes
    inputs: Numbers | Text
    per_timestep = False  # whether there is a target for each timestep
    no_target: float = -1  # in the padding
    without_sequence: str | None = ""  # a row is an example; None: all rows of a file are

    def __init__(self, settings: Any, state: Mapping[str, Any] | None = None, rows: str = ""):
        self.settings = settings
        self.predicts = bool(rows)
        files = [rows] if rows else [settings.data, settings.train, settings.validation, settings.test]
        sequence = settings.sequence or self.without_sequence
        self.tables = [open_table(path, sequence) for path in files if path]
        small = sum(table.path.stat().st_size for table in self.tables) <= CACHED
        self.parts: dict[Split, list[Part]]
        self._raw: dict[tuple[int, int], Any] | None = {} if small else None
        self._encoded: dict[Part, Encoded] | None = {} if small else None
        for table in self.tables:
            table.check_columns(self.columns())
        if state is not None:
            self.set_learned(state["learned"])
        self._check_all()
        if self.predicts:
            self.parts = {"train": [], "validation": [], "test": self._whole(0, range(len(self.tables[0])))}
            self._learned()
            return
        self.parts = self._divide()
        if empty := [split for split in SPLITS if not self.parts[split]]:
            counts = ", ".join(f"{split} {len(self.parts[split]):,}" for split in SPLITS)
            paths = ", ".join(str(table.path) for table in self.tables)
            raise ConfigError(
                f"{paths}: there is no example for {' and '.join(empty)} ({counts}); change 'fractions', "
                f"name a file for each, or add examples"
            )
        self.learn(self.parts["train"])
        self._learned()

    # What a kind of task says.

    @abc.abstractmethod
    def columns(self) -> list[str]:
        """Return the columns that are read."""

    @abc.abstractmethod
    def raw(self, example: Mapping[str, Any], place: Callable[[int], str]) -> Any:
        """Return what an example holds, before anything is learned.

        Args:
            example: by column.
            place: gives the place of a timestep, for messages.

        Raises:
            ConfigError: it cannot be used.
        """

    @abc.abstractmethod
    def learn(self, parts: Sequence[Part]) -> None:
        """Learn from the training examples."""

    @abc.abstractmethod
    def encode(self, raw: Any, part: Part) -> Encoded:
        """Return an example as numbers, by what was learned.

        Raises:
            ConfigError: it holds what the training examples do not, such as another class.
        """

    @abc.abstractmethod
    def measured_sizes(self) -> Sizes:
        """Return the sizes, once everything is learned."""

    @abc.abstractmethod
    def learned(self) -> dict[str, Any]:
        """Return what was learned, as JSON holds it."""

    @abc.abstractmethod
    def set_learned(self, state: Mapping[str, Any]) -> None:
        """Take over what was learned."""

    @abc.abstractmethod
    def title(self, target: np.ndarray) -> str:
        """Return the target of a sequence in a few words."""

    @abc.abstractmethod
    def loss(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return the mean loss over sequences, a scalar."""

    @abc.abstractmethod
    def correct(self, targets: Any, results: Mapping[str, Any]) -> Any:
        """Return whether each sequence is answered correctly, ``(batch,)`` of bool."""

    @abc.abstractmethod
    def answers(self, outputs: np.ndarray, length: int) -> Iterator[dict[str, Any]]:
        """Yield what the outputs for a new example mean, by column.

        Args:
            outputs: ``(timesteps, outputs)`` of float64.
            length: of the example, in timesteps; the others are padding.
        """

    def facts(self) -> dict[str, str]:
        """Return what was read, in words, by name."""
        if self.predicts:
            found = {"read": self._in_words("test")}
            unknown = sum(self.inputs.unknown(self._encode(part).inputs) for part in self.parts["test"])
            return found | ({"unknown": f"{unknown:,} tokens are not in the vocabulary"} if unknown else {})
        return {split: self._in_words(split) for split in SPLITS} | self.inputs.facts() | self.learned_facts()

    def learned_facts(self) -> dict[str, str]:
        """Return what was learned besides the inputs, in words, by name."""
        return {}

    # What the lab calls.

    def count(self, split: Split) -> int:
        """Return the number of examples of a split."""
        return len(self.parts[split])

    def sample(self, rng: np.random.Generator, batch_size: int) -> Batch:
        """Draw training examples, or new ones."""
        split: Split = "test" if self.predicts else "train"
        chosen = rng.integers(0, len(self.parts[split]), size=batch_size)
        return self._batch(split, chosen, longest=self.longest)

    def batches(self, split: Split, batch_size: int, *, seed: int | None = None) -> Iterator[Batch]:
        """Yield every example of a split once.

        With a seed the order is random; of every 50 batches those of similar lengths are together.

        Args:
            split: which examples.
            batch_size: the most rows of a batch.
            seed: of the order; None: that of the files.
        """
        order = np.arange(len(self.parts[split]))
        if seed is None:
            blocks = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        else:
            rng = np.random.default_rng(seed)
            order = rng.permutation(order)
            blocks = []
            for start in range(0, len(order), WINDOW * batch_size):
                window = order[start : start + WINDOW * batch_size]
                if self.settings.buckets > 1:
                    window = window[np.argsort(self.lengths[split][window], kind="stable")]
                cut = [window[at : at + batch_size] for at in range(0, len(window), batch_size)]
                blocks += [cut[index] for index in rng.permutation(len(cut))]
        for block in blocks:
            yield self._batch(split, block)

    def annotate(self, batch: Batch, row: int) -> Annotation:
        """Return the example's number and its target."""
        number = "" if batch.ids is None else f"example {batch.ids[row]}"
        title = ": ".join(filter(None, (number, self.title(batch.targets[row]))))
        return Annotation(title=title, system="")

    def predictions(self, batch: Batch, results: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield what the results for new examples mean: the example's number or sequence, and the answers."""
        assert batch.ids is not None
        for row, id in enumerate(batch.ids):
            part = self.parts["test"][id]
            name = self.settings.sequence
            own = {name: self.tables[0].read(part.example)[name]} if name else {"example": part.example}
            outputs = np.asarray(results["outputs"][row], "float64")
            yield from (own | answer for answer in self.answers(outputs, int(batch.inputs["lengths"][row])))

    def state(self) -> dict[str, Any]:
        """Return the checksums of the files, and what was learned."""
        files = {str(table.path): table.checksum() for table in self.tables}
        return {"files": files, "learned": self.learned()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take over what was learned.

        Raises:
            ConfigError: a file is not the one of the state.
        """
        sums = list(state["files"].values())
        for table in self.tables:
            if table.checksum() not in sums:
                raise ConfigError(
                    f"{table.path}: is not the file that the run was trained on; put that back, or train anew"
                )
        if state["learned"] != self.learned():
            self.set_learned(state["learned"])
            self._learned()

    # Inner workings.

    @property
    def longest(self) -> int:
        """The timesteps of the longest example."""
        return int(max((lengths.max() for lengths in self.lengths.values() if len(lengths)), default=1))

    def raw_of(self, part: Part) -> Any:
        """Return what an example holds."""
        key = part.table, part.example
        if self._raw is not None and key in self._raw:
            return self._raw[key]
        table = self.tables[part.table]
        example = table.read(part.example)
        if missing := [name for name in self.columns() if name not in example]:
            raise ConfigError(f"{table.place(part.example)}: has no {missing[0]!r}")
        raw = self.raw(example, lambda timestep: table.place(part.example, timestep))
        if self._raw is not None:
            self._raw[key] = raw
        return raw

    def parts_of(self, table: int, index: int) -> list[Part]:
        """Return the parts of an example; by default it is one."""
        return [Part(table, index)]

    def label_of(self, raw: Any) -> str | None:
        """Return the class whose share is kept in all splits; None: there is none."""
        del raw
        return None

    def _learned(self) -> None:
        """Encode every example, and note the lengths."""
        if self._encoded is not None:
            self._encoded.clear()
        self.sizes = self.measured_sizes()
        self.lengths: dict[Split, np.ndarray] = {}
        problems: list[str] = []
        for split in SPLITS:
            lengths = []
            for part in self.parts[split]:
                try:
                    lengths.append(len(self._encode(part).inputs))
                except ConfigError as error:
                    _add(problems, str(error))
            self.lengths[split] = np.array(lengths, int)
        _raise(problems)

    def _in_words(self, split: Split) -> str:
        lengths = self.lengths[split]
        of_length = f", {lengths.min():,} to {lengths.max():,} timesteps" if len(lengths) else ""
        return f"{len(lengths):,} example{'s' * (len(lengths) != 1)}{of_length}"

    def _encode(self, part: Part) -> Encoded:
        if self._encoded is not None and part in self._encoded:
            return self._encoded[part]
        place = self.tables[part.table].place(part.example)
        try:
            encoded = self.encode(self.raw_of(part), part)
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from error
        if not len(encoded.inputs):
            raise ConfigError(f"{place}: has no timestep")
        if self.settings.max_length:
            most = self.settings.max_length
            target = encoded.target[:most] if self.per_timestep else encoded.target
            encoded = Encoded(encoded.inputs[:most], target)
        if self._encoded is not None:
            self._encoded[part] = encoded
        return encoded

    def _batch(self, split: Split, rows: np.ndarray, longest: int | None = None) -> Batch:
        examples = [self._encode(self.parts[split][row]) for row in rows]
        lengths = np.array([len(example.inputs) for example in examples], "int32")
        timesteps = self._padded(int(lengths.max())) if longest is None else longest
        return Batch(
            inputs={"inputs": _stacked([one.inputs for one in examples], timesteps, 0), "lengths": lengths},
            targets=(
                _stacked([one.target for one in examples], timesteps, self.no_target)
                if self.per_timestep
                else np.stack([one.target for one in examples])
            ),
            ids=np.asarray(rows),
        )

    def _padded(self, length: int) -> int:
        """Return the smallest of the ``buckets`` lengths that holds a length."""
        ends = np.ceil(self.longest * np.arange(1, self.settings.buckets + 1) / self.settings.buckets)
        return int(ends[np.searchsorted(ends, length)])

    def _check_all(self) -> None:
        problems: list[str] = []
        for number, table in enumerate(self.tables):
            for index in range(len(table)):
                try:
                    self.raw_of(Part(number, index))
                except ConfigError as error:
                    _add(problems, str(error))
        _raise(problems)

    def _divide(self) -> dict[Split, list[Part]]:
        """Return the parts of each split."""
        settings = self.settings
        if settings.split:
            return self._by_column(self.tables[0], settings.split)
        names: list[Split] = [split for split in SPLITS if getattr(settings, split)] or ["train"]
        parts: dict[Split, list[Part]] = {split: [] for split in SPLITS}
        for number, (split, table) in enumerate(zip(names, self.tables, strict=True)):
            if split == "train":
                missing: list[Split] = [other for other in SPLITS if other == "train" or other not in names]
                shares = [settings.fractions[SPLITS.index(other)] for other in missing]
                for other, found in zip(missing, self.divide(number, table, shares), strict=True):
                    parts[other] = found
            else:
                parts[split] = self._whole(number, range(len(table)))
        return parts

    def divide(self, number: int, table: Table, shares: Sequence[float]) -> list[list[Part]]:
        """Divide the examples of a file into splits with some shares."""
        labels = [self.label_of(self.raw_of(Part(number, index))) for index in range(len(table))]
        strata = None if None in labels else [str(label) for label in labels]
        shares = np.array(shares) / np.sum(shares)
        return [
            self._whole(number, found)
            for found in divided(len(table), shares, self.settings.split_seed, strata)
        ]

    def _whole(self, number: int, indexes: Any) -> list[Part]:
        return [part for index in indexes for part in self.parts_of(number, int(index))]

    def _by_column(self, table: Table, column: str) -> dict[Split, list[Part]]:
        table.check_columns([column])
        parts: dict[Split, list[Part]] = {split: [] for split in SPLITS}
        for index in range(len(table)):
            value = table.read(index)[column]
            values = {as_label(one, column) for one in (value if isinstance(value, list) else [value])}
            if len(values) > 1 or (name := values.pop()) not in SPLITS:
                what = f"{column!r} must be one of {', '.join(SPLITS)} for a whole example"
                raise ConfigError(f"{table.place(index)}: {what}: {value!r}")
            parts[name] += self.parts_of(0, index)  # type: ignore[index]
        return parts


def _stacked(arrays: Sequence[np.ndarray], timesteps: int, empty: float) -> np.ndarray:
    """Stack ``(some timesteps, ...)`` arrays to ``(batch, timesteps, ...)``, with ``empty`` at the ends."""
    stacked = np.full((len(arrays), timesteps, *arrays[0].shape[1:]), empty, arrays[0].dtype)
    for row, array in enumerate(arrays):
        stacked[row, : len(array)] = array
    return stacked


def _add(problems: list[str], problem: str) -> None:
    problems.append(problem)
    if len(problems) >= MAX_PROBLEMS:
        problems.append("there may be more")
        _raise(problems)


def _raise(problems: list[str]) -> None:
    if problems:
        raise ConfigError([Problem("task", problem) for problem in problems])
