import numpy as np
import pytest
import tensorflow as tf
from superloop_plugin_lab.experiment import read_experiment

from superloop_core import ConfigError

SCRATCH = {"use": "register_memory", "depth": 3, "width": 2}


def test_a_task_that_cannot_read_the_outputs_is_rejected_with_every_problem(experiment_of, summing):
    class Failing(summing):
        def loss(self, targets, results):
            return tf.matmul(results["outputs"], targets)

        def correct(self, targets, results):
            return tf.constant(True)

    with pytest.raises(ConfigError) as rejected:
        experiment_of(Failing)
    loss, correct = map(str, rejected.value.problems)
    assert loss.startswith("task: its loss cannot be computed from outputs (2, 5, 1) (of 2 sequences): ")
    assert correct == "task: its correct of 2 sequences must have shape (2): ()"


def test_figures_that_are_no_numbers_are_rejected(experiment_of, summing):
    class Texts(summing):
        def correct(self, targets, results):
            return np.array(["yes", "no"])

    with pytest.raises(ConfigError, match="task: its correct of 2 sequences must be numbers: <U3"):
        experiment_of(Texts)


def test_a_task_that_does_not_fit_the_loop_is_rejected_with_every_problem(small):
    systems = [{"id": "one", "use": "attention", "width": 10}, {"id": "tape", "use": "attention", "width": 9}]
    with pytest.raises(ConfigError) as error:
        read_experiment(small | {"loop": small["loop"] | {"systems": systems}})
    missing, misfit = map(str, error.value.problems)
    assert "task: provides no 'one_data', which the loop needs; it provides 'tape_data'; change" in missing
    assert "task: provides 'tape_data' of shape (4, 10), but the loop takes (any, 9); " in misfit
    assert misfit.endswith("; set loop.systems.tape.width = 10")


@pytest.mark.parametrize(
    ("loop", "move"),
    [
        ({"inputs": 5}, "set loop.inputs = 3"),
        ({"inputs": 5, "timesteps": 9}, "set loop.inputs = 3 and loop.timesteps = 6"),
        ({"inputs": 3, "timesteps": 9}, "set loop.timesteps = 6"),
        ({"inputs": 0, "timesteps": 6, "systems": [SCRATCH]}, "set loop.inputs = 3"),
    ],
)
def test_the_error_names_the_setting_to_change_and_its_value(echo, loop, move):
    with pytest.raises(ConfigError, match=f"; {move}$"):
        read_experiment(echo | {"loop": echo["loop"] | loop})
    changes = [change.replace(" ", "") for change in move.removeprefix("set ").split(" and ")]
    read_experiment(echo | {"loop": echo["loop"] | loop}, changes)


def test_a_loop_whose_input_the_task_lacks_is_to_take_none(small):
    with pytest.raises(ConfigError, match=r"no 'inputs', which the loop needs; .*; set loop\.inputs = 0$"):
        read_experiment(small | {"loop": small["loop"] | {"inputs": 2}})


def test_a_metric_of_an_unknown_trace_is_rejected(small):
    config = small | {"metrics": [{"use": "final_distance", "system": "tap"}]}
    with pytest.raises(ConfigError, match=r"no trace 'tap.position'; did you mean 'tape.position'\?"):
        read_experiment(config)


@pytest.mark.parametrize("metric", ["token_accuracy", "wrong_bits"])
def test_a_metric_of_tokens_is_refused_where_targets_are_none(small, metric):
    with pytest.raises(ConfigError) as refused:
        read_experiment(small | {"metrics": [{"use": metric}]})
    assert f"task: metric {metric}: needs a task whose targets are tokens or bits" in str(refused.value)
    assert "float32 of shape (2,); do without this metric" in str(refused.value)


BAD_CURRICULA = {
    "a sample that takes no longest": (
        ["task.use=old_echo"],
        r"curriculum: needs a task with a setting 'length' and a 'sample' that takes 'longest'; "
        "'superloop-lab-echo:old_echo' lacks one of them; remove the table",
    ),
    "a start beyond the end": (
        ["curriculum.start=7"],
        r"curriculum: 'start' must be <= the task's length \(6\): 7",
    ),
    "a start before the shortest": (
        ["curriculum.start=1"],
        r"curriculum: 'start' must be >= the task's min_length \(2\): 1",
    ),
    "no steps": (["curriculum.steps=0"], r"curriculum: 'steps' must be >= 1: 0"),
    "no shape": (["curriculum.shape=cubic"], r"curriculum: 'shape' must be one of .*: 'cubic'"),
}


@pytest.mark.parametrize(("overrides", "message"), BAD_CURRICULA.values(), ids=BAD_CURRICULA)
def test_a_curriculum_that_cannot_be_followed_is_rejected(echo, overrides, message):
    with pytest.raises(ConfigError, match=message):
        read_experiment(echo, ["curriculum.start=2", "curriculum.steps=4", *overrides])


def test_a_curriculum_needs_its_steps(echo):
    with pytest.raises(ConfigError, match=r"curriculum: .*'steps'"):
        read_experiment(echo | {"curriculum": {"start": 2}})
