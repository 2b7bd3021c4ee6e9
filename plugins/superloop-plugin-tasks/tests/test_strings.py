"""Every string task against its definition, in plain Python, one string at a time."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def parity(string, task):
    return str(sum(symbol == "1" for symbol in string) % 2)


def even_pairs(string, task):
    return str(sum(string[i : i + 2] in ("01", "10") for i in range(len(string))) % 2)


def cycle(string, task):
    place = 0
    for step in string:
        place += {"-": -1, "0": 0, "+": 1}[step]
        place = {-1: task.places - 1, task.places: 0}.get(place, place)
    return str(place)


def compute(string, task):
    return str(eval(string) % task.modulus)


def solve(string, task):
    left, right = string.split("=")
    (solution,) = (x for x in task.answers if eval(left.replace("x", x)) % task.modulus == int(right))
    return solution


def stack(string, task):
    held = []
    for symbol in string:
        if symbol == "P":
            del held[-1:]
        else:
            held.append({"o": "0", "i": "1"}.get(symbol, symbol))
    return "".join(reversed(held)) + "."


def missing(string, task):
    word = string.removesuffix("_")
    half = len(word) // 2
    (found,) = (
        bit for bit in "01" if (whole := word.replace("?", bit))[:half] == whole[half:] and len(word) % 2 == 0
    )
    return found


def calculate(string, task):
    (operator,) = (symbol for symbol in string if symbol in "+*")
    a, b = (int(number[::-1], 2) for number in string.split(operator))
    return f"{a + b if operator == '+' else a * b:b}"[::-1] + "."


def root(string, task):
    return f"{math.isqrt(int(string, 2)):0{math.ceil(len(string) / 2)}b}"


DEFINITIONS = {
    "even_pairs": even_pairs,
    "parity_check": parity,
    "cycle_navigation": cycle,
    "modular_arithmetic": compute,
    "stack_manipulation": stack,
    "reverse_string": lambda string, task: string[::-1],
    "modular_arithmetic_brackets": compute,
    "solve_equation": solve,
    "duplicate_string": lambda string, task: string + string,
    "missing_duplicate": missing,
    "odds_first": lambda string, task: string[::2] + string[1::2],
    "binary_addition": calculate,
    "binary_multiplication": calculate,
    "compute_sqrt": root,
    "bucket_sort": lambda string, task: "".join(sorted(string)),
}
OTHER_SETTINGS = {
    "cycle_navigation": {"places": 3},
    "modular_arithmetic": {"modulus": 10},
    "modular_arithmetic_brackets": {"modulus": 7, "multiply": False},
    "solve_equation": {"modulus": 2},
    "reverse_string": {"symbols": 26},
    "duplicate_string": {"symbols": 3},
    "odds_first": {"symbols": 3},
    "bucket_sort": {"symbols": 26},
}
WORKED = [
    ("even_pairs", "001110", "0"),
    ("even_pairs", "0101001", "1"),
    ("parity_check", "1010100", "1"),
    ("parity_check", "01111", "0"),
    ("cycle_navigation", "+-0--", "3"),
    ("cycle_navigation", "+++-", "2"),
    ("modular_arithmetic", "1+2*3", "2"),
    ("modular_arithmetic", "1-1-1", "4"),
    ("modular_arithmetic", "0*1+4*3-2", "0"),
    ("stack_manipulation", "0110iPP", "110."),
    ("stack_manipulation", "110PPP", "."),
    ("modular_arithmetic_brackets", "((1-3)*-2)", "4"),
    ("solve_equation", "((1-x)+-2)=3", "1"),
    ("missing_duplicate", "01100?10", "1"),
    ("missing_duplicate", "101?01_", "1"),
    ("odds_first", "aabbabab", "abaaabbb"),
    ("binary_addition", "001+01101", "01011."),
    ("binary_multiplication", "001*01101", "0001101."),
    ("compute_sqrt", "100101", "110"),
    ("bucket_sort", "bacaebbc", "aabbbcce"),
]
NAMES = pytest.mark.parametrize("name", DEFINITIONS)


@pytest.mark.parametrize(("name", "string", "answer"), WORKED, ids=lambda value: value)
def test_the_definitions_of_these_tests_solve_the_worked_examples(make, name, string, answer):
    assert DEFINITIONS[name](string, make(name).settings) == answer


@NAMES
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), data=st.data())
def test_every_answer_follows_the_definition(make, read, name, seed, data):
    config = make(name).settings
    lengths = st.integers(0, 25).map(lambda times: config.shortest + config.step * times)
    low, high = sorted(data.draw(st.lists(lengths, min_size=2, max_size=2)))
    others = data.draw(st.sampled_from([{}, OTHER_SETTINGS.get(name, {})]))
    task = make(name, min_length=low, length=high, **others)
    batch = task.sample(np.random.default_rng(seed), 10)
    for row in range(10):
        string, answer = read(task, batch, row)
        assert low <= len(string) <= high
        assert answer == DEFINITIONS[name](string, task.settings)


@NAMES
def test_the_tokens_of_a_picture_are_the_string_and_the_answers(make, read, name):
    task = make(name, length=13)
    batch = task.sample(np.random.default_rng(0), 20)
    logits = np.eye(len(task.settings.answers))[np.maximum(batch.targets, 0)]  # all correct
    tokens = task.tokens(batch, {"outputs": logits})
    for row in range(20):
        string, answer = read(task, batch, row)
        assert "".join(tokens["inputs"][row]).rstrip(".") == string.rstrip(".")
        assert "".join(tokens["targets"][row]) == answer.replace("-", "") or "-" in task.settings.answers
        assert tokens["answers"][row] == tokens["targets"][row]


@NAMES
def test_every_sequence_has_exactly_the_timesteps_of_its_answer(make, read, name):
    task = make(name, length=13)
    batch = task.sample(np.random.default_rng(0), 300)
    for row in range(300):
        string, _ = read(task, batch, row)
        asked = task.settings.answer_length(len(string))
        assert batch.inputs["lengths"][row] == len(string) + asked
        assert batch.inputs["inputs"][row, :, -1].sum() == asked


@NAMES
def test_blank_timesteps_may_lie_between_a_string_and_its_answer(make, read, name):
    plain, thinking = make(name, length=13), make(name, length=13, think_steps=2)
    assert thinking.settings.timesteps == plain.settings.timesteps + 2
    at_once, later = (task.sample(np.random.default_rng(0), 20) for task in (plain, thinking))
    np.testing.assert_array_equal(later.inputs["lengths"], at_once.inputs["lengths"] + 2)
    for row in range(20):
        length = len(read(plain, at_once, row)[0])
        blank = slice(length, length + 2)
        assert not later.inputs["inputs"][row, blank].any()
        assert (later.targets[row, blank] == -1).all()
        for ours, theirs in (
            (later.inputs["inputs"], at_once.inputs["inputs"]),
            (later.targets, at_once.targets),
        ):
            np.testing.assert_array_equal(np.delete(ours[row], blank, axis=0), theirs[row])


@pytest.mark.parametrize("name", ["stack_manipulation", "binary_addition", "binary_multiplication"])
def test_an_answer_with_an_end_can_fill_all_timesteps(make, read, name):
    task = make(name, length=5)
    batch = task.sample(np.random.default_rng(0), 2000)
    answers = (read(task, batch, row) for row in range(2000))
    assert min(task.settings.answer_length(len(string)) - len(answer) for string, answer in answers) == 0


@pytest.mark.parametrize("name", ["binary_addition", "binary_multiplication", "compute_sqrt"])
def test_numbers_can_have_more_bits_than_a_machine_word(make, read, name):
    task = make(name, length=300, min_length=300)
    batch = task.sample(np.random.default_rng(1), 20)
    for row in range(20):
        string, answer = read(task, batch, row)
        assert answer == DEFINITIONS[name](string, task.settings)


def test_the_initial_stack_has_every_size_equally_often(make, read):
    task = make("stack_manipulation", length=5, min_length=5)
    batch = task.sample(np.random.default_rng(2), 8000)
    strings = [read(task, batch, row)[0] for row in range(8000)]
    starts = [next(i for i, symbol in enumerate(string) if symbol in "Poi") for string in strings]
    np.testing.assert_allclose(np.bincount(starts) / 8000, [0, *[1 / 4] * 4], atol=0.025)


def test_every_bit_is_missing_equally_often(make, read):
    task = make("missing_duplicate", length=7, min_length=7)
    batch = task.sample(np.random.default_rng(3), 9000)
    places = [read(task, batch, row)[0].index("?") for row in range(9000)]
    np.testing.assert_allclose(np.bincount(places) / 9000, [1 / 6] * 6, atol=0.02)


def test_expressions_have_every_shape_of_their_length_equally_often(make, read):
    task = make("modular_arithmetic_brackets", length=9, min_length=9, modulus=2, multiply=False)
    batch = task.sample(np.random.default_rng(4), 6000)
    shapes = [read(task, batch, row)[0].replace("1", "0").replace("+", "-") for row in range(6000)]
    found = {shape: shapes.count(shape) / 6000 for shape in set(shapes)}
    wanted = {"(0-(0-0))", "(-0-(-0))", "((0)-(0))", "((-0)--0)", "((0-0)-0)"}
    assert found.keys() == wanted
    np.testing.assert_allclose(list(found.values()), 1 / 5, atol=0.025)


def test_every_digit_of_an_equation_is_the_unknown_equally_often(make, read):
    task = make("solve_equation", length=7, min_length=7)
    batch = task.sample(np.random.default_rng(5), 4000)
    places = [read(task, batch, row)[0].index("x") for row in range(4000)]
    np.testing.assert_allclose(np.bincount(places, minlength=4) / 4000, [0, 0.5, 0, 0.5], atol=0.03)


@NAMES
def test_answers_are_not_always_the_same(make, read, name):
    task = make(name, length=13, min_length=13)
    batch = task.sample(np.random.default_rng(6), 400)
    answers = [read(task, batch, row)[1] for row in range(400)]
    assert max(answers.count(answer) for answer in set(answers)) < 300
    assert all(symbol in "".join(answers) for symbol in task.settings.answers)
