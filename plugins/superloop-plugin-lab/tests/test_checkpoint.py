"""Checkpoints, right and wrong, without a training run."""

import io
import json
import math
import zipfile

import attrs
import numpy as np
import pytest
from superloop_plugin_lab.checkpoint import Checkpoint, put_back

from superloop_core import WeightsError


def checkpoint():
    return Checkpoint(
        step=5,
        variables=[np.arange(3.0)],
        optimizer=[np.array(5)],
        best=[np.zeros(3)],
        best_step=2,
        merit=(0.5, -1.25),
        recent=[(0.1, 0.2)],
        generator=dict(np.random.default_rng(3).bit_generator.state),
        metrics_size=123,
        seconds=1.5,
    )


def test_a_checkpoint_is_loaded_as_it_was_saved(tmp_path):
    rng = np.random.default_rng(3)
    rng.random(7)
    saved = Checkpoint(
        step=5,
        variables=[np.arange(3.0), np.array([1, 2], "uint32")],
        optimizer=[np.array(5)],
        best=[],
        best_step=2,
        merit=(0.5, -1.25),
        recent=[(0.1, 0.2)],
        generator=dict(rng.bit_generator.state),
        metrics_size=123,
        seconds=1.5,
    )
    saved.save(tmp_path / "a.npz")
    read = Checkpoint.load(tmp_path / "a.npz")
    again = np.random.default_rng(0)
    again.bit_generator.state = read.generator
    assert again.random() == rng.random()
    for name in ("step", "best", "best_step", "merit", "recent", "generator", "metrics_size", "seconds"):
        assert getattr(read, name) == getattr(saved, name)
    for name in ("variables", "optimizer"):
        for one, other in zip(getattr(read, name), getattr(saved, name), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)


GENERATOR = checkpoint().generator
WRONG = {
    "a step that is a string": {"step": "5"},
    "a step that is a number": {"step": 5.0},
    "a step that is true": {"step": True},
    "a step below 0": {"step": -1},
    "a step of more than 64 bits": {"step": 2**70},
    "no step": {"step": None},
    "a best step after the last": {"best_step": 6},
    "a best step that is a list": {"best_step": [2]},
    "a merit of one number": {"merit": [0.5]},
    "a merit of words": {"merit": "ab"},
    "a merit that is none": {"merit": None},
    "a merit of integers": {"merit": [1, 0]},
    "recent figures in a table": {"recent": {"a": 1}},
    "recent figures that are no pairs": {"recent": [[0.1]]},
    "recent figures of strings": {"recent": [["a", "b"]]},
    "a generator that is a string": {"generator": "PCG64"},
    "a generator without a state": {"generator": {"bit_generator": "PCG64"}},
    "a generator of another kind": {"generator": GENERATOR | {"bit_generator": "MT19937"}},
    "a generator whose state is a string": {"generator": GENERATOR | {"state": {"state": "1", "inc": 1}}},
    "a generator whose state is too large": {"generator": GENERATOR | {"state": {"state": 2**200, "inc": 1}}},
    "a size of the metrics below 0": {"metrics_size": -1},
    "a size of the metrics that is a string": {"metrics_size": "1"},
    "endless seconds": {"seconds": math.inf},
    "seconds that are no number": {"seconds": math.nan},
    "seconds in a list": {"seconds": [1.0]},
    "an unknown field": {"stop": 1},
}


def with_values(path, **changes):
    """The file of a checkpoint with other values in its JSON."""
    checkpoint().save(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file}
    values = json.loads(str(arrays["told"])) | changes
    np.savez(path, **arrays | {"told": np.array(json.dumps(values))})
    return path


@pytest.mark.parametrize("changes", WRONG.values(), ids=WRONG)
def test_a_checkpoint_with_values_of_wrong_types_or_ranges_is_rejected_with_the_name(tmp_path, changes):
    path = with_values(tmp_path / "a.npz", **changes)
    with pytest.raises(WeightsError, match=r"a\.npz: cannot be loaded: ") as rejected:
        Checkpoint.load(path)
    assert len(str(rejected.value)) < 1000


@pytest.mark.parametrize("name", ["variables", "optimizer", "best"])
def test_a_checkpoint_whose_arrays_are_no_numbers_is_rejected(tmp_path, name):
    saved = checkpoint()
    object.__setattr__(saved, name, [np.array(["a"])])
    saved.save(tmp_path / "a.npz")
    with pytest.raises(WeightsError, match=f"'{name}' must be arrays of numbers: <U1"):
        Checkpoint.load(tmp_path / "a.npz")


def test_an_array_that_claims_more_than_it_holds_is_rejected_before_it_is_made(tmp_path):
    path, header = tmp_path / "a.npz", io.BytesIO()
    claims = {"shape": (10**12,), "fortran_order": False, "descr": "<f8"}
    np.lib.format.write_array_header_1_0(header, claims)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("variables.0.npy", header.getvalue() + bytes(24))
    with pytest.raises(WeightsError, match=r"does not hold what its header says: \(1000000000000,\) of"):
        Checkpoint.load(path)


def test_a_compressed_checkpoint_that_claims_gigabytes_is_rejected(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("variables.0.npy", bytes(100_000_000))
    with pytest.raises(WeightsError, match="claims 100 MB of content, but has only"):
        Checkpoint.load(path)


def test_a_pickle_in_a_checkpoint_is_not_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", **{"variables.0": np.array([{}], dtype=object)})
    with pytest.raises(WeightsError, match=r"does not hold what its header says: .* of object"):
        Checkpoint.load(tmp_path / "a.npz")


def test_values_of_another_type_than_a_variable_are_not_put_back():
    class Variable(np.ndarray):
        def assign(self, value):
            raise AssertionError(value)

    variable = np.zeros(3, "float32").view(Variable)
    with pytest.raises(WeightsError, match="holds weights of other types than the run's: float64"):
        put_back([variable], [np.zeros(3)], "weights")
    with pytest.raises(WeightsError, match=r"holds weights of shapes \[\(2,\)\]"):
        put_back([variable], [np.zeros(2, "float32")], "weights")


def test_a_checkpoint_is_not_made_of_wrong_values():
    with pytest.raises(ValueError, match="'seconds' must be < inf"):
        attrs.evolve(checkpoint(), seconds=math.inf)
