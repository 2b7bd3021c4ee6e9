"""The tasks: worked values, what is learned from training examples only, and bad rows."""

import json
import random
import re

import attrs
import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_data.normalization import Normalization
from superloop_plugin_data.scoring import AbsoluteError, ClassAccuracy
from superloop_plugin_data.splits import SPLITS, divided

from superloop_core import ConfigError
from superloop_core.registry import load_registry
from superloop_core.task import PredictingTask, StoredTask


def made(name, **given):
    spec = load_registry().resolve("task", name).spec
    return spec.create(spec.config(**given))


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def labelled(tmp_path):
    """Forty sequences of two numbers, of lengths 1 to 5, three of four of class "no"."""
    rng = random.Random(0)
    rows = [
        {
            "x": [[rng.gauss(3, 2), rng.gauss(-1, 5)] for _ in range(1 + index % 5)],
            "y": "yes" if index % 4 == 0 else "no",
            "n": index,
        }
        for index in range(40)
    ]
    return rows, jsonl(tmp_path / "d.jsonl", rows)


def rows_of(task, split, **arguments):
    return [
        (id, batch, row) for batch in task.batches(split, 4, **arguments) for row, id in enumerate(batch.ids)
    ]


def test_each_example_comes_once_in_an_order_of_the_seed(labelled):
    rows, path = labelled
    task = made("classification", data=path, inputs=["x"], target="y", normalize=False)
    assert isinstance(task, StoredTask)
    assert [len(task.parts[split]) for split in SPLITS] == [32, 4, 4]
    every = [part for split in SPLITS for part in task.parts[split]]
    assert sorted(part.example for part in every) == list(range(40))
    for seed in (None, 0, 1):
        taken = rows_of(task, "train", seed=seed)
        assert sorted(id for id, _, _ in taken) == list(range(32))
        for id, batch, row in taken:
            stored = rows[task.parts["train"][id].example]
            length = batch.inputs["lengths"][row]
            np.testing.assert_allclose(batch.inputs["inputs"][row, :length], stored["x"], rtol=1e-6)
            assert not batch.inputs["inputs"][row, length:].any()
            assert task.classes[batch.targets[row]] == stored["y"]
    order = {seed: [id for id, _, _ in rows_of(task, "train", seed=seed)] for seed in (None, 0, 1)}
    assert order[None] == list(range(32))
    assert order[0] != order[1]
    assert order[0] == [id for id, _, _ in rows_of(task, "train", seed=0)]
    shapes = {batch.inputs["inputs"].shape[1] for batch in task.batches("train", 4, seed=0)}
    assert shapes <= {2, 3, 4, 5}


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=60), seed=st.integers(0, 2**32 - 1))
def test_the_splits_are_disjoint_whole_and_keep_the_shares_of_classes(labels, seed):
    fractions = np.array([0.6, 0.25, 0.15])
    parts = divided(len(labels), fractions, seed, labels)
    assert sorted(np.concatenate(parts)) == list(range(len(labels)))
    for part, fraction in zip(parts, fractions, strict=True):
        assert abs(len(part) - fraction * len(labels)) <= 1
        for label in set(labels):
            held = sum(labels[index] == label for index in part)
            assert abs(held - fraction * labels.count(label)) <= len(set(labels)) + 1


def test_what_is_learned_comes_from_the_training_examples(labelled, tmp_path):
    rows, path = labelled
    task = made("classification", data=path, inputs=["x"], target="y")
    trained = np.concatenate([rows[part.example]["x"] for part in task.parts["train"]])
    learned = task.learned()["inputs"]
    np.testing.assert_allclose(learned["mean"], trained.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(learned["scale"], trained.std(axis=0), rtol=1e-9)
    # Another test split learns the same; another training split does not.
    files = {
        split: jsonl(tmp_path / f"{split}.jsonl", [rows[part.example] for part in task.parts[split]])
        for split in SPLITS
    }
    again = made("classification", inputs=["x"], target="y", **files)
    assert again.learned() == task.learned()
    assert [len(again.parts[split]) for split in SPLITS] == [32, 4, 4]
    swapped = files | {"train": files["test"], "test": files["train"]}
    other = made("classification", inputs=["x"], target="y", **swapped)
    assert other.learned() != task.learned()


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    offset=st.floats(-1e6, 1e6),
    seed=st.integers(0, 100),
)
def test_means_and_deviations_are_those_of_all_values_at_once(sizes, offset, seed):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(offset, 2, size=(size, 3)) for size in sizes]
    for part in parts:
        part[rng.random(part.shape) < 0.2] = np.nan
    parts.append(np.full((1, 3), offset))
    everything = np.concatenate(parts)
    found = Normalization.over(parts, "x")
    np.testing.assert_allclose(found.mean, np.nanmean(everything, axis=0), rtol=1e-9, atol=1e-9)
    deviation = np.nanstd(everything, axis=0)
    np.testing.assert_allclose(found.scale, np.where(deviation < 1e-6, found.scale, deviation), rtol=1e-6)
    assert Normalization.over([np.full((4, 1), offset)], "x").scale == [1.0]


def test_a_column_divides_the_examples(labelled, tmp_path):
    rows, _ = labelled
    path = jsonl(tmp_path / "s.jsonl", [row | {"s": SPLITS[row["n"] % 3]} for row in rows])
    task = made("classification", data=path, inputs=["x"], target="y", split="s")
    for number, split in enumerate(SPLITS):
        assert [part.example for part in task.parts[split]] == list(range(number, 40, 3))
    path = jsonl(tmp_path / "s.jsonl", [row | {"s": "dev"} for row in rows])
    with pytest.raises(ConfigError, match=r"line 1: 's' must be one of train, validation, test.*'dev'"):
        made("classification", data=path, inputs=["x"], target="y", split="s")


def test_a_state_restores_what_was_learned_and_refuses_another_file(labelled, tmp_path):
    rows, path = labelled
    task = made("classification", data=path, inputs=["x"], target="y")
    state = json.loads(json.dumps(task.state()))
    again = made("classification", data=path, inputs=["x"], target="y")
    state["learned"]["inputs"]["mean"] = [0.0, 0.0]
    state["learned"]["classes"] = ["yes", "no"]
    again.set_state(state)
    assert again.learned() == state["learned"]
    batches = [next(one.batches("test", 4)) for one in (task, again)]
    np.testing.assert_array_equal(batches[0].targets, 1 - batches[1].targets)
    jsonl(tmp_path / "d.jsonl", rows[:-1])
    with pytest.raises(ConfigError, match="is not the file that the run was trained on"):
        made("classification", data=path, inputs=["x"], target="y").set_state(state)


def test_regression_and_its_error_by_hand(labelled):
    rows, path = labelled
    task = made("regression", data=path, inputs=["x"], target=["n"], tolerance=0.5)
    batch = next(task.batches("test", 4))
    trained = np.array([rows[part.example]["n"] for part in task.parts["train"]])
    numbers = np.array([rows[part.example]["n"] for part in task.parts["test"]])
    np.testing.assert_allclose(batch.targets[:, 0], (numbers - trained.mean()) / trained.std(), rtol=1e-5)
    off = np.array([0.0, 0.4, -0.6, 2.0])[:, None]
    outputs = np.zeros((4, 5, 1)) + 9
    outputs[:, -1] = batch.targets + off
    results = {"outputs": outputs.astype("float32")}
    np.testing.assert_allclose(task.loss(batch.targets, results), np.square(off).mean(), rtol=1e-5)
    np.testing.assert_array_equal(task.correct(batch.targets, results), [True, True, False, False])
    error = AbsoluteError(None)(batch.targets, results)
    np.testing.assert_allclose(error, np.abs(off)[:, 0], rtol=1e-4, atol=1e-6)
    assert str(numbers[0]) in task.annotate(batch, 0).title


def test_tagging_asks_for_what_is_there(tmp_path):
    rows = [{"x": [1, 2, 3], "y": ["a", None, "b"]}, {"x": [4, 5], "y": ["b", "a"]}] * 10
    task = made("tagging", data=jsonl(tmp_path / "d.jsonl", rows), inputs=["x"], target="y")
    batch = next(task.batches("train", 16))
    rows_of_kind = [int(np.argmax(batch.inputs["lengths"] == length)) for length in (3, 2)]
    batch = attrs.evolve(batch, targets=batch.targets[rows_of_kind])
    np.testing.assert_array_equal(batch.targets, [[0, -1, 1], [1, 0, -1]])
    logits = np.zeros((2, 3, 2), "float32")
    logits[0, 0, 0] = logits[1, 0, 0] = 100  # right, and wrong
    loss = (np.log(2) / 2 + (100 + np.log(2)) / 2) / 2
    np.testing.assert_allclose(task.loss(batch.targets, {"outputs": logits}), loss, rtol=1e-5)
    logits[:, :, :] = np.eye(2)[np.maximum(batch.targets, 0)]
    np.testing.assert_array_equal(task.correct(batch.targets, {"outputs": logits}), [True, True])


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_forecast_is_of_the_values_that_follow_and_splits_share_none(horizon, tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("t,u\n" + "".join(f"{t},{t * t}\n" for t in range(100)))
    task = made("forecasting", data=str(path), inputs=["t"], target=["u"], horizon=horizon, window=7)
    spans = {}
    for split in SPLITS:
        seen = []
        for batch in task.batches(split, 100):
            scale, mean = (np.array(task.learned()["inputs"][name]) for name in ("scale", "mean"))
            t = batch.inputs["inputs"][:, :, 0] * scale[0] + mean[0]
            u = batch.targets * scale[1] + mean[1]
            for row, length in enumerate(batch.inputs["lengths"]):
                for ahead in range(horizon):
                    expected = (t[row, :length] + 1 + ahead) ** 2
                    np.testing.assert_allclose(u[row, :length, ahead], expected, rtol=1e-3, atol=0.01)
                assert np.isnan(u[row, length:]).all()
                seen += [t[row, 0], t[row, length - 1] + horizon]
        spans[split] = min(seen), max(seen)
    assert [round(end) for split in SPLITS for end in spans[split]] == [0, 79, 80, 89, 90, 99]


@pytest.mark.parametrize("tokens", ["characters", "words"])
def test_the_next_token_of_a_text_in_order(tokens, tmp_path):
    text = " ".join(f"{a} plus {b} is {a + b}." for a in range(10) for b in range(10))
    path = tmp_path / "d.txt"
    path.write_text(text)
    task = made("next_token", data=str(path), tokens=tokens, window=20)
    names = task.inputs.tokenizer.names
    assert task.sizes.tokens == task.sizes.outputs == len(names)
    for split in SPLITS:
        batch = next(task.batches(split, 1000))
        for row, length in enumerate(batch.inputs["lengths"]):
            inputs, targets = batch.inputs["inputs"][row, :length], batch.targets[row, :length]
            np.testing.assert_array_equal(inputs[1:], targets[:-1])
            assert (batch.targets[row, length:] == -1).all()
    if tokens == "characters":
        shown = "".join(
            names[number]
            for batch in task.batches("train", 1000)
            for row in batch.inputs["inputs"]
            for number in row
        )
        assert text.startswith(shown[:300])


def test_tokens_that_training_does_not_have_are_one(tmp_path):
    train, test = tmp_path / "train.txt", tmp_path / "test.txt"
    train.write_text("abab\nba\n" * 10)
    test.write_text("abxy\n")
    task = made("next_token", train=str(train), test=str(test), window=0)
    assert task.inputs.tokenizer.names[1:] == ["a", "b"]
    batch = next(task.batches("test", 1))
    np.testing.assert_array_equal(batch.inputs["inputs"], [[1, 2, 0]])
    few = made("next_token", train=str(train), test=str(test), window=0, max_tokens=2)
    assert few.sizes.tokens == 2


GOOD = [{"x": [1.0, 2.0], "y": "a"}, {"x": [3.0], "y": "b"}] * 10


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"x": "abc"}, "line 3: 'x' must be a list with an entry for each timestep: 'abc'"),
        ({"x": []}, "line 3: 'x' must have timesteps"),
        ({"x": [1, "two"]}, "line 3: 'x' must be a number: 'two'"),
        ({"x": [1, None]}, "line 3: 'x' is missing; complete it, or set missing = \"mean\""),
        ({"x": [1, float("nan")]}, "line 3: 'x' is missing"),
        ({"x": [1, float("inf")]}, "line 3: 'x' must be finite"),
        ({"x": [[1, 2], [3]]}, "line 3: 'x' must have as many numbers at each timestep"),
        ({"x": [[1, 2], [3, 4]]}, "line 3: must have 1 inputs at a timestep: 2"),
        ({"y": None}, "line 3: 'y' is missing"),
        ({"y": ["a", "b"]}, "line 3: 'y' must be one class for a sequence: ['a', 'b']"),
        ({"y": {}}, "line 3: 'y' must be a text or a number"),
        (None, "line 3: has no 'y'"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_with_its_line(change, text, tmp_path):
    rows = [*GOOD]
    rows[2] = {"x": [1.0]} if change is None else rows[2] | change
    path = jsonl(tmp_path / "d.jsonl", rows)
    with pytest.raises(ConfigError) as error:
        made("classification", data=path, inputs=["x"], target="y")
    assert text in str(error.value)
    assert len(error.value.problems) == 1


def test_a_bad_number_is_refused_with_the_line_of_its_timestep(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("id,x,y\na,1,p\na,2,p\na,1e999,p\n")
    with pytest.raises(ConfigError, match=r"d\.csv, line 4: 'x' must be finite: '1e999'"):
        made("classification", data=str(path), sequence="id", inputs=["x"], target="y")


def test_missing_numbers_may_be_the_mean(tmp_path):
    rows = [*GOOD]
    rows[2] = {"x": [5.0, None], "y": "a"}
    path = jsonl(tmp_path / "d.jsonl", rows)
    task = made(
        "classification", data=path, inputs=["x"], target="y", missing="mean", fractions=(0.8, 0.1, 0.1)
    )
    split, row = next((s, r) for s in SPLITS for r, part in enumerate(task.parts[s]) if part.example == 2)
    batch = next(task.batches(split, 100))
    np.testing.assert_allclose(batch.inputs["inputs"][row, 1], 0, atol=1e-6)


def test_a_class_that_no_training_example_has_is_refused(tmp_path):
    files = {split: jsonl(tmp_path / f"{split}.jsonl", GOOD) for split in SPLITS}
    jsonl(tmp_path / "test.jsonl", [*GOOD, {"x": [1.0], "y": "c"}])
    with pytest.raises(ConfigError, match=r"test\.jsonl, line 21: no training example has the class 'c'"):
        made("classification", inputs=["x"], target="y", **files)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "either 'data' or 'train' must be the path"),
        ({"data": "a", "test": "b"}, "'validation' and 'test' go with 'train'"),
        ({"train": "a", "split": "b"}, "'split' goes with 'data'"),
        ({"data": "a", "inputs": ["x"], "text": "y"}, "either 'inputs' or 'text'"),
        ({"data": "a", "inputs": ["x", "x"]}, "must name each column once"),
        (
            {"data": "a", "inputs": ["x"], "fractions": (0.5, 0.1, 0.1)},
            "must be three numbers >= 0 with the sum 1",
        ),
    ],
)
def test_settings_that_contradict_are_refused(given, text):
    config = load_registry().resolve("task", "classification").spec.config
    with pytest.raises(ValueError, match=re.escape(text)):
        config(**({"target": "y"} | given))


def test_too_few_examples_for_three_splits_are_refused(tmp_path):
    path = jsonl(tmp_path / "d.jsonl", GOOD[:2])
    with pytest.raises(
        ConfigError, match=r"no example for validation and test \(train 2, validation 0, test 0\)"
    ):
        made("classification", data=path, inputs=["x"], target="y")


def test_a_large_file_is_read_again_and_gives_the_same(labelled, monkeypatch):
    from superloop_plugin_data.tasks import stored

    _, path = labelled
    small = made("classification", data=path, inputs=["x"], target="y")
    monkeypatch.setattr(stored, "CACHED", 0)
    large = made("classification", data=path, inputs=["x"], target="y")
    assert large._raw is None
    for one, other in zip(small.batches("train", 4, seed=3), large.batches("train", 4, seed=3), strict=True):
        np.testing.assert_array_equal(one.inputs["inputs"], other.inputs["inputs"])
        np.testing.assert_array_equal(one.targets, other.targets)
    assert attrs.asdict(small.sizes) == attrs.asdict(large.sizes)


def test_a_tokenizer_may_come_from_a_file(tmp_path):
    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"[UNK]": 0, "up": 1, "down": 2}, unk_token="[UNK]")
    )
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    rows = [{"t": "up down up", "y": "a"}, {"t": "down sideways", "y": "b"}] * 10
    settings = {"data": jsonl(tmp_path / "d.jsonl", rows), "text": "t", "target": "y"}
    task = made("classification", **settings, tokens=str(tmp_path / "tokenizer.json"))
    assert task.sizes.tokens == 3
    batch = next(task.batches("train", 16))
    (long,) = np.unique(batch.inputs["inputs"][batch.inputs["lengths"] == 3], axis=0)
    np.testing.assert_array_equal(long, [1, 2, 1])
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match="cannot be read as a tokenizer"):
        made("classification", **settings, tokens=str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match="must be characters, words, or the path of a tokenizer"):
        made("classification", **settings, tokens="letters")


def test_training_windows_may_overlap_and_others_do_not(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("t\n" + "".join(f"{t}\n" for t in range(100)))
    task = made("forecasting", data=str(path), inputs=["t"], window=10, stride=3, fractions=(0.5, 0.2, 0.3))
    assert [(part.start, part.stop) for part in task.parts["train"]] == [(n, n + 11) for n in range(0, 40, 3)]
    assert [(part.start, part.stop) for part in task.parts["validation"]] == [(50, 61), (60, 70)]
    assert task.parts["test"][0].start == 70


def of_new_rows(name, settings, rows):
    """The task as a run's folder knows it, on new rows, and their only batch."""
    spec = load_registry().resolve("task", name).spec
    state = json.loads(json.dumps(made(name, **settings).state()))
    task = spec.create(spec.config(**settings), state=state, rows=rows)
    assert isinstance(task, PredictingTask)
    (batch,) = task.batches("test", 10)
    return task, batch, state["learned"]


def answered(task, batch, outputs):
    return list(task.predictions(batch, {"outputs": np.array(outputs, "float32")}))


def test_a_class_is_predicted_with_the_probability_of_each(labelled, tmp_path):
    _, path = labelled
    new = jsonl(tmp_path / "new.jsonl", [{"x": [[1, 2], [3, 4]]}, {"x": [[5, 6]]}])
    task, batch, learned = of_new_rows("classification", {"data": path, "inputs": ["x"], "target": "y"}, new)
    mean, scale = (np.array(learned["inputs"][name]) for name in ("mean", "scale"))
    np.testing.assert_allclose(batch.inputs["inputs"][1, 0], ([5, 6] - mean) / scale, rtol=1e-6)
    rows = answered(task, batch, [[[9, 0], [np.log(3), 0]], [[9, 0], [0, 0.1]]])
    assert [row["predicted_y"] for row in rows] == ["no", "yes"]
    assert [row["example"] for row in rows] == [0, 1]
    np.testing.assert_allclose([rows[0][f"probability_{name}"] for name in ("no", "yes")], [3 / 4, 1 / 4])


def test_numbers_are_predicted_in_their_own_units(labelled, tmp_path):
    rows, path = labelled
    settings = {"data": path, "inputs": ["x"], "target": ["n"]}
    trained = [rows[part.example]["n"] for part in made("regression", **settings).parts["train"]]
    task, batch, _ = of_new_rows("regression", settings, jsonl(tmp_path / "new.jsonl", [{"x": [[1, 2]]}]))
    (row,) = answered(task, batch, [[[0.5]]])
    np.testing.assert_allclose(row["predicted_n"], np.mean(trained) + np.std(trained) / 2)


def test_a_tag_is_predicted_for_each_timestep_of_each_sequence(tmp_path):
    rows = [{"x": [1, 2, 3], "y": ["a", None, "b"]}, {"x": [4, 5], "y": ["b", "a"]}] * 10
    settings = {"data": jsonl(tmp_path / "d.jsonl", rows), "inputs": ["x"], "target": "y", "sequence": ""}
    new = jsonl(tmp_path / "new.jsonl", [{"x": [1]}, {"x": [2, 3]}])
    task, batch, _ = of_new_rows("tagging", settings, new)
    found = answered(task, batch, [[[0, 1], [1, 0]], [[1, 0], [0, 1]]])
    tags = [(row["example"], row["timestep"], row["predicted_y"]) for row in found]
    assert tags == [(0, 0, "b"), (1, 0, "a"), (1, 1, "b")]


def test_a_forecast_is_of_what_follows_the_last_window_of_each_series(tmp_path):
    def text(count, targets=True):
        lines = [f"{s},{t}" + (f",{t * t}" if targets else "") for s in "ab" for t in range(count)]
        return "\n".join(["id,t,u"[: 6 if targets else 4], *lines]) + "\n"

    (tmp_path / "d.csv").write_text(text(100))
    (tmp_path / "new.csv").write_text(text(9, targets=False))
    settings = {"data": str(tmp_path / "d.csv"), "inputs": ["t"], "target": ["u", "t"], "sequence": "id"}
    settings |= {"horizon": 2, "window": 5}
    task, batch, learned = of_new_rows("forecasting", settings, str(tmp_path / "new.csv"))
    mean, scale = (np.array(learned["inputs"][name]) for name in ("mean", "scale"))  # of t and u
    t = batch.inputs["inputs"][:, :, 0] * scale[0] + mean[0]
    np.testing.assert_allclose(t, [[4, 5, 6, 7, 8]] * 2, rtol=1e-4)
    outputs = np.zeros((2, 5, 4))
    outputs[1, -1] = [0, 1, 2, 3]  # u and t in one timestep, and in two
    rows = answered(task, batch, outputs)
    assert [(row["id"], row["ahead"]) for row in rows] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    u, t = ([row[f"predicted_{name}"] for row in rows[2:]] for name in "ut")
    np.testing.assert_allclose([u, t], [mean[1] + [0, 2 * scale[1]], mean[0] + [scale[0], 3 * scale[0]]])


def test_a_token_is_predicted_after_the_end_of_each_line(tmp_path):
    (tmp_path / "d.txt").write_text("abcabcabc\n" * 20)
    (tmp_path / "new.txt").write_text("cab\nx\n")
    settings = {"data": str(tmp_path / "d.txt"), "window": 2}
    task, batch, learned = of_new_rows("next_token", settings, str(tmp_path / "new.txt"))
    names = learned["vocabulary"]
    np.testing.assert_array_equal(batch.inputs["inputs"], [[names.index("a"), names.index("b")], [0, 0]])
    assert task.facts()["unknown"] == "1 tokens are not in the vocabulary"
    outputs = np.zeros((2, 2, len(names)))
    outputs[0, 1, names.index("c")] = outputs[1, 0, names.index("b")] = 9
    assert [row["predicted_token"] for row in answered(task, batch, outputs)] == ["c", "b"]


def test_new_rows_must_have_the_inputs_of_training(labelled, tmp_path):
    _, path = labelled
    settings = {"data": path, "inputs": ["x"], "target": "y"}
    new = jsonl(tmp_path / "new.jsonl", [{"x": [[1, 2]]}, {"x": [[1, 2, 3]]}])
    with pytest.raises(ConfigError, match=r"new\.jsonl, line 2: must have 2 inputs at a timestep: 3"):
        of_new_rows("classification", settings, new)
    new = jsonl(tmp_path / "new.jsonl", [{"z": [[1, 2]]}])
    with pytest.raises(ConfigError, match=r"new\.jsonl: has no column 'x'"):
        of_new_rows("classification", settings, new)


def test_the_share_of_right_classes_counts_what_is_asked_for():
    targets = np.array([[0, 1, -1], [1, 1, 1]], "int32")
    outputs = np.eye(2)[[[0, 0, 1], [1, 1, 0]]]
    np.testing.assert_allclose(ClassAccuracy()(targets, {"outputs": outputs}), [1 / 2, 2 / 3])


def test_the_lines_of_a_forecast_stand_where_its_values_are(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("t\n" + "".join(f"{t}\n" for t in range(100)))
    task = made("forecasting", data=str(path), inputs=["t"], horizon=3, window=8)
    batch = next(task.batches("validation", 1))
    (length,) = batch.inputs["lengths"]
    lines = task.picture_lines(batch, 0, {"outputs": batch.targets})  # a perfect forecast
    assert list(lines) == ["t", "1 ahead", "3 ahead"]
    np.testing.assert_allclose(lines["t"][:length], np.arange(81, 81 + length), rtol=1e-5)
    np.testing.assert_allclose(lines["1 ahead"], lines["t"])
    np.testing.assert_allclose(lines["3 ahead"][2:length], lines["t"][2:length], rtol=1e-5)
    assert np.isnan(lines["3 ahead"][:2]).all()
