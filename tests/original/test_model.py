import functools
import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import superloop_core as superloop
from superloop_core import ConfigError, WeightsError
from superloop_core.original.weights import original_variables

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = sorted(path.stem for path in GOLDEN.glob("*.json"))


def golden_config(case):
    config = json.loads((GOLDEN / f"{case}.json").read_text())
    if "Attention" in config:  # what the original's code did, unlike its README
        config["Attention"]["kernel"] = "inverse_distance"
    return config


def golden_model(case, **changes):
    model = superloop.Model(golden_config(case) | changes)
    model.build_all()
    return model


@functools.cache
def unchanged_model(name):
    """A model that no test may change: the golden case of this name, or one of OTHERS, or the toy."""
    if name in CASES:
        return golden_model(name)
    model = superloop.Model(OTHERS.get(name, toy()))
    model.build_all()
    return model


def toy(**changes):
    """The config of the original's example, shrunk."""
    config = {
        "timesteps": 4,
        "model_inputs": 1,
        "model_outputs": 0,
        "recurrent_model": "SGU",
        "recurrent_layers": 2,
        "recurrent_units": 3,
        "superloop_models": ["Attention"],
        "Attention": {"datapoints": 5, "outputs": 1},
        "printvalues": False,
        "batch_size": 8,
        "epochs": 2,
        "steps_per_epoch": 2,
        "tensorboard_logs": None,
        "save_model_file": None,
        "save_json_file": None,
        "load_model_file": None,
    }
    return config | changes


def test_there_are_golden_cases():
    assert len(CASES) == 5


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_the_original_answers_are_ours(case, unroll, golden_errors, unrolled):
    config = golden_config(case)
    slmodel = superloop.Model(config, unroll=unroll)
    fed, output = slmodel.build_all()
    slmodel.load_weights(GOLDEN / f"{case}.h5")
    assert (output is None) == (config["model_outputs"] == 0)
    with np.load(GOLDEN / f"{case}.npz") as recorded:
        golden = dict(recorded)
    inputs = [fed]
    feed = [golden.pop("input") if config["model_inputs"] else golden.pop("dummy_input")]
    answers = {} if output is None else {"rnn_output": output}
    for system in slmodel.superloop_models:
        answers[f"{system.id.lower()}_final_output"] = system.out
        if system.id == "Attention":
            inputs.append(system.data)
            feed.append(golden.pop("attention_data"))
            answers["attention_final_position"] = system.position
        else:
            answers["register_final_memory"] = system.memory
    answered = dict(keras.Model(inputs, answers).predict(feed, verbose=0))
    given = {"inputs": feed[0]} if config["model_inputs"] else {}
    if "Attention" in config:
        given["Attention_data"] = feed[1]
    for index, state in enumerate(unrolled(slmodel.layer, given, static=unroll).state.cells):
        answered[f"recurrent_{index}_final_state"] = state.h
    assert answered.keys() == golden.keys()
    for name, expected in golden.items():
        assert answered[name].shape == expected.shape, name
        error = float(np.abs(answered[name] - expected).max())
        golden_errors.append(error)
        assert error < 1e-5, name


@pytest.mark.release
def test_the_example_of_the_original_runs_and_trains():
    slmodel = superloop.Model(toy())
    (input, output) = slmodel.build_all()
    assert output is None
    attention = slmodel.superloop_models[0]
    model = keras.models.Model(inputs=[input, attention.data], outputs=attention.position)
    model.compile(loss="mean_squared_error", optimizer=keras.optimizers.RMSprop(0.01))
    feed = [np.zeros((8, 4, 1)), np.random.default_rng(0).normal(size=(8, 5, 1))]
    target = np.ones((8, 1))
    before = np.mean((model.predict(feed, verbose=0) - target) ** 2)
    losses = model.fit(feed, target, epochs=10, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(before, rel=1e-3)
    assert losses[-1] < losses[0]


def test_an_untrained_attention_walks(assert_close):
    slmodel = superloop.Model(toy(Attention={"datapoints": 5, "outputs": 1}))
    (input, _) = slmodel.build_all()
    attention = slmodel.superloop_models[0]
    model = keras.Model([input, attention.data], attention.position)
    position = model([np.zeros((1, 4, 1)), np.zeros((1, 5, 1))])
    assert_close(position, [[3 * 0.9 / 1.9]])


def test_a_system_holds_its_sources_before_and_its_states_after_the_build():
    slmodel = superloop.Model(golden_config("original_sgu_attention_registers"))
    attention, registers = slmodel.superloop_models
    assert (attention.id, registers.id) == ("Attention", "RegisterMemory")
    assert attention.data.shape == (None, 6, 3)
    with pytest.raises(
        AttributeError, match=r"no 'position'; it has data, id \(and more after build_all\(\)\)"
    ):
        attention.position  # noqa: B018
    slmodel.build_all()
    assert attention.position.shape == (None, 1)
    assert attention.out.shape == (None, 3)
    assert registers.memory.shape == (None, 4, 2)
    assert registers.out.shape == (None, 2)


def test_inputs_are_named_after_the_model():
    slmodel = superloop.Model(toy(model_name="Other"))
    (input, _) = slmodel.build_all()
    assert input.name == "Other_Input"
    assert slmodel.superloop_models[0].data.name == "Other_Attention_data"


def test_without_inputs_a_placeholder_of_the_systems_answers_is_fed():
    slmodel = superloop.Model(golden_config("original_no_input_attention"))
    (input, output) = slmodel.build_all()
    assert input.shape == (None, 1)
    assert output.shape == (None, 5, 2)


def test_outputs_are_suppressed_and_states_are_not():
    slmodel = golden_model("original_sgu_registers")
    traces = slmodel._built().output
    assert traces["outputs"].shape == (None, 4, 2)
    assert traces["RegisterMemory.memory"].shape == (None, 6, 3, 4)


def test_a_wrong_config_is_rejected_in_the_words_of_the_original():
    with pytest.raises(ConfigError, match="no setting 'timestep'; did you mean 'timesteps'"):
        superloop.Model(toy(timestep=4))


# Weights.


def arrays(slmodel):
    return [np.asarray(weight) for weight in slmodel.layer.weights]


@pytest.mark.parametrize("name", ["mine.weights.h5", "mine.h5", "mine", "my weights.bin"])
def test_weights_are_written_to_any_name_and_read_again(name, tmp_path, assert_close):
    case = "original_sgu_attention_registers"
    one, other = golden_model(case), golden_model(case)
    one.load_weights(GOLDEN / f"{case}.h5")
    path = tmp_path / name
    path.write_text("an older file")
    one.save_weights(path)
    other.load_weights(str(path))
    assert_close(arrays(other), arrays(one), 0)
    assert [child.name for child in tmp_path.iterdir()] == [name]


def test_weights_serve_another_number_of_timesteps_and_another_name(tmp_path, assert_close):
    case = "original_sgu_attention"
    one, other = golden_model(case), golden_model(case, timesteps=9, suppress_output=3, model_name="Other")
    one.load_weights(GOLDEN / f"{case}.h5")
    one.save_weights(tmp_path / "weights")
    other.load_weights(tmp_path / "weights")
    assert_close(arrays(other), arrays(one), 0)


def registers(**settings):
    return {
        "superloop_models": ["RegisterMemory"],
        "RegisterMemory": {"depth": 2, "register_width": 1},
    } | settings


OTHERS = {
    "more units": toy(recurrent_units=4),
    "a layer more": toy(recurrent_layers=3),
    "a layer fewer": toy(recurrent_layers=1),
    "an output": toy(model_outputs=1),
    "more inputs": toy(model_inputs=2),
    "a wider tape": toy(Attention={"datapoints": 5, "outputs": 2}),
    "registers": {key: value for key, value in toy(**registers()).items() if key != "Attention"},
    "another cell": toy(recurrent_model="lstm"),
    "no system": {key: value for key, value in toy(superloop_models=[]).items() if key != "Attention"},
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("written_by", ["us", "the original"])
def test_weights_of_another_config_are_rejected_and_none_is_changed(
    other, written_by, tmp_path, assert_close
):
    theirs, ours = unchanged_model(other), unchanged_model("toy")
    path = tmp_path / "theirs.h5"
    if written_by == "us":
        theirs.save_weights(path)
    else:
        if other == "another cell":  # the original had SGU only: a file of it, and a model of another cell
            theirs, ours = ours, theirs
        as_the_original_wrote(theirs, path)
    before = [weight.copy() for weight in arrays(ours)]
    with pytest.raises(WeightsError, match=r"theirs\.h5: (holds|is the original's)"):
        ours.load_weights(path)
    assert_close(arrays(ours), before, 0)


def as_the_original_wrote(slmodel, path):
    with h5py.File(path, "w") as file:
        for place, variable in original_variables(slmodel.layer).items():
            layer, _, index = place.rpartition("/")
            file[f"Main/{layer.replace('D', '1.D', 1)}/{index}"] = np.asarray(variable)
            file.require_dataset(f"Main/{layer.replace('D', '1.D', 1)}/length", (1,), "int64")


def test_our_copy_of_the_format_of_the_original_is_read(tmp_path, assert_close):
    one, other = superloop.Model(toy()), superloop.Model(toy())
    one.build_all()
    other.build_all()
    as_the_original_wrote(one, tmp_path / "weights")
    other.load_weights(tmp_path / "weights")
    assert_close(arrays(other), arrays(one), 0)


def test_weights_of_other_parts_are_rejected_even_where_all_shapes_fit(tmp_path):
    one, other = superloop.Model(toy()), superloop.Model(toy())
    one.build_all()
    other.build_all()
    path = tmp_path / "weights"
    one.save_weights(path)
    with h5py.File(path, "r+") as file:
        parts = file.attrs["superloop_parts"]
        assert json.loads(parts)["systems"] == ["superloop-plugin-attention:attention"]
        file.attrs["superloop_parts"] = parts.replace("attention:attention", "attention:another")
    with pytest.raises(WeightsError, match=r"holds the weights of .*another.*, not of .*attention:attention"):
        other.load_weights(path)


def test_a_missing_file_is_rejected(tmp_path):
    slmodel = golden_model("original_sgu_attention")
    with pytest.raises(WeightsError, match=r"nowhere\.h5: is no file of weights that can be read"):
        slmodel.load_weights(tmp_path / "nowhere.h5")
    with pytest.raises(WeightsError, match="is no file of weights that can be read"):
        slmodel.load_weights(tmp_path)


def text_in_an_array(path):
    with h5py.File(path, "r+") as file:
        at = "Main/1.DenseOutMain/1" if "Main" in file else "layers/superloop/wiring/projection/vars/1"
        del file[at]
        file[at] = [b"a", b"b", b"c"]


def half_of_it(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def an_array_less(path):
    with h5py.File(path, "r+") as file:
        del file["Main/1.DenseOutMain/1" if "Main" in file else "layers/superloop/wiring/projection/vars/1"]


@pytest.mark.parametrize(
    "spoil",
    [
        text_in_an_array,
        half_of_it,
        an_array_less,
        lambda path: path.write_text("no weights"),
        lambda path: path.write_bytes(b""),
    ],
    ids=["text", "half", "an array less", "a text file", "empty"],
)
@pytest.mark.parametrize("written_by", ["us", "the original"])
def test_garbage_is_rejected_and_no_weight_is_changed(spoil, written_by, tmp_path, assert_close):
    slmodel = unchanged_model("original_sgu_attention")
    path = tmp_path / "weights.h5"
    if written_by == "us":
        golden_model("original_sgu_attention").save_weights(path)
    else:
        path.write_bytes((GOLDEN / "original_sgu_attention.h5").read_bytes())
    spoil(path)
    before = [weight.copy() for weight in arrays(slmodel)]
    with pytest.raises(WeightsError, match=r"weights\.h5: "):
        slmodel.load_weights(path)
    assert_close(arrays(slmodel), before, 0)


def test_there_are_no_weights_before_the_build(tmp_path):
    slmodel = superloop.Model(toy())
    for method in (slmodel.save_weights, slmodel.load_weights):
        with pytest.raises(WeightsError, match=r"before build_all\(\) was called"):
            method(tmp_path / "weights")


# printvalues.


def test_printvalues_prints_every_timestep_as_json_and_at_most_the_limit_of_values(capfd):
    config = golden_config("original_sgu_attention_registers")
    rng = np.random.default_rng(0)
    feed = {"inputs": rng.normal(size=(3, 5, 2)), "data": rng.normal(size=(3, 6, 3))}
    answers = {}
    for printvalues in (False, 4):
        slmodel = superloop.Model(config | {"printvalues": printvalues, "model_name": "Main"})
        (input, output) = slmodel.build_all()
        slmodel.load_weights(GOLDEN / "original_sgu_attention_registers.h5")
        attention, registers = slmodel.superloop_models
        model = keras.Model([input, attention.data], [output, attention.position, registers.memory])
        capfd.readouterr()
        answers[printvalues] = model.predict([feed["inputs"], feed["data"]], verbose=0)
        printed = capfd.readouterr().out.splitlines()
        if not printvalues:
            assert printed == []
    np.testing.assert_allclose(answers[4][1], answers[False][1], atol=1e-6)
    lines = [json.loads(line) for line in printed]
    assert [line["timestep"] for line in lines] == sorted(line["timestep"] for line in lines)
    assert {line["timestep"] for line in lines} == set(range(5))
    names = {line["trace"] for line in lines}
    assert {"Attention.position", "Attention.read", "RegisterMemory.memory"} <= names
    assert len(lines) == 5 * len(names)
    values = {(line["trace"], line["timestep"]): line["values"] for line in lines}
    assert values["Attention.position", 0] == [0, 0, 0]
    np.testing.assert_allclose(values["Attention.position", 4], answers[4][1][:, 0], rtol=1e-6)
    np.testing.assert_allclose(values["RegisterMemory.memory", 4], answers[4][2].ravel()[:4], rtol=1e-6)
    assert {len(line["values"]) for line in lines} == {3, 4}


def test_a_model_that_prints_trains_and_is_saved_and_loaded(capfd, tmp_path):
    slmodel = superloop.Model(toy(printvalues=1))
    (input, _) = slmodel.build_all()
    attention = slmodel.superloop_models[0]
    model = keras.Model([input, attention.data], attention.position)
    model.compile("sgd", "mse")
    feed = [np.zeros((2, 4, 1), "float32"), np.ones((2, 5, 1), "float32")]
    weights = arrays(slmodel)
    model.fit(feed, np.ones((2, 1)), verbose=0)
    assert any(np.any(new != old) for new, old in zip(arrays(slmodel), weights, strict=True))
    model.save(tmp_path / "printing.keras")
    capfd.readouterr()
    np.testing.assert_allclose(
        superloop.load_model(tmp_path / "printing.keras").predict(feed, verbose=0), model(feed), atol=1e-6
    )
    assert "Attention.position" in capfd.readouterr().out


def test_the_whole_model_compiles_under_xla():
    slmodel = golden_model("original_sgu_attention")
    feed = {tensor.name: tf.ones((2, *tensor.shape[1:])) for tensor in slmodel._built().inputs}
    names = list(feed)
    plain = slmodel._built()([feed[name] for name in names])
    compiled = tf.function(slmodel._built(), jit_compile=True)([feed[name] for name in names])
    for name, value in plain.items():
        np.testing.assert_allclose(compiled[name], value, atol=1e-5, err_msg=name)
