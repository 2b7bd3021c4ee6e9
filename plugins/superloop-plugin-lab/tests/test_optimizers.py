import inspect

import keras
import numpy as np
import pytest
from superloop_plugin_lab.checkpoint import optimizer_state
from superloop_plugin_lab.optimizers import make_optimizer
from superloop_plugin_lab.settings import OF_TRAIN, OPTIMIZERS, TrainConfig

from superloop_core import ConfigError

WRAPPERS = {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"}


def test_every_public_optimizer_of_keras_has_a_name():
    public = {
        name
        for name, cls in vars(keras.optimizers).items()
        if inspect.isclass(cls) and issubclass(cls, keras.optimizers.Optimizer)
    }
    assert set(OPTIMIZERS.values()) == public - WRAPPERS
    assert [name.replace("_", "") for name in OPTIMIZERS] == [cls.lower() for cls in OPTIMIZERS.values()]
    assert OF_TRAIN.keys() <= set(inspect.signature(keras.optimizers.SGD).parameters)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_moves_a_weight(name):
    optimizer = make_optimizer(TrainConfig(optimizer=name, schedule="constant", learning_rate=0.1))
    weight = keras.Variable(np.ones((3, 4), "float32"))
    optimizer.build([weight])
    for _ in range(2):
        optimizer.apply([np.full((3, 4), 0.5, "float32")])
    assert np.isfinite(weight.numpy()).all()
    assert (weight.numpy() < 1).all()


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_an_optimizer_is_whole(name, ema):
    rng, settings = np.random.default_rng(0), TrainConfig(optimizer=name, learning_rate=0.1, ema=ema)
    gradients = rng.normal(size=(4, 3, 4)).astype("float32")
    first = rng.normal(size=(3, 4)).astype("float32")

    def steps(gradients, weight, state=()):
        optimizer, variable = make_optimizer(settings), keras.Variable(weight)
        optimizer.build([variable])
        for held, value in zip(optimizer_state(optimizer), state, strict=False):
            held.assign(value)
        for gradient in gradients:
            optimizer.apply([gradient])
        return variable.numpy(), [np.array(held) for held in optimizer_state(optimizer)]

    whole, half = steps(gradients, first), steps(gradients[:2], first)
    resumed = steps(gradients[2:], *half)
    for one, other in zip([whole[0], *whole[1]], [resumed[0], *resumed[1]], strict=True):
        np.testing.assert_array_equal(one, other)


def test_arguments_are_those_of_keras():
    given = {"name": "adamw", "weight_decay": 0.25, "beta_2": 0.5, "amsgrad": True}
    optimizer = make_optimizer(TrainConfig(optimizer=given))
    assert type(optimizer) is keras.optimizers.AdamW
    assert (optimizer.weight_decay, optimizer.beta_2, optimizer.amsgrad) == (0.25, 0.5, True)


BAD_ARGUMENTS = {
    "a typo": (
        {"weight_decy": 0.1},
        "train: 'optimizer' AdamW takes no 'weight_decy'; did you mean 'weight_decay'?",
    ),
    "no number": ({"beta_1": "0.9"}, "train: 'optimizer.beta_1' must be a number: '0.9'"),
    "no bool": ({"amsgrad": 1}, "train: 'optimizer.amsgrad' must be true or false: 1"),
    "a name of the object": ({"kwargs": 1}, "takes no 'kwargs'"),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_an_argument_that_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ConfigError) as refused:
        make_optimizer(TrainConfig(optimizer={"name": "adamw", **arguments}))
    assert message in str(refused.value)


def test_what_an_optimizer_refuses_itself_is_an_error_of_the_config():
    with pytest.raises(ConfigError, match=r"'optimizer' cannot be made: SGD raised .*momentum"):
        make_optimizer(TrainConfig(optimizer={"name": "sgd", "momentum": 2.0}))


@pytest.mark.parametrize(
    ("optimizer", "message"),
    [
        (
            {"name": "adam", "global_clipnorm": 1.0},
            "'optimizer' takes no 'global_clipnorm'; set train.clip_norm",
        ),
        ({"weight_decay": 0.1}, "'optimizer' must have a name, as in { name = "),
        ({"name": "adamq"}, "did you mean 'adam'?"),
    ],
)
def test_a_wrong_table_is_refused_where_it_is_read(optimizer, message):
    with pytest.raises(ValueError, match="'optimizer'") as refused:
        TrainConfig(optimizer=optimizer)
    assert message in str(refused.value)
