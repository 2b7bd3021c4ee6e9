import json

import pytest
from superloop_plugin_lab.distributed import read_cluster

from superloop_core import ConfigError

WORKERS = ["a:1", "a:2", "b:1"]
SLURM = {
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_NODELIST": "n[9-10]",
    "SLURM_STEP_TASKS_PER_NODE": "2,1",
    "SLURM_PROCID": "0",
    "SLURMD_NODENAME": "n9",
    "SLURM_LOCALID": "0",
}


@pytest.fixture
def cluster_of(monkeypatch):
    def cluster_of(environment):
        for name in ("TF_CONFIG", *SLURM):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return read_cluster()

    return cluster_of


def told(cluster, **task):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


def test_without_a_cluster_a_process_is_alone(cluster_of):
    one = told({"worker": ["a:1"]}, type="worker", index=0)
    for environment in ({}, {"TF_CONFIG": " "}, {"SLURM_NTASKS": "4"}, {"SLURM_STEP_NUM_TASKS": "1"}, one):
        assert cluster_of(environment) is None


def test_tf_config_names_the_workers_and_this_one(cluster_of):
    cluster = cluster_of(told({"worker": WORKERS}, type="worker", index="1"))  # some write a string
    assert (cluster.index, cluster.index_on_machine, cluster.name(2)) == (1, 1, "worker 2 of 3 (b:1)")


def test_the_chief_of_tf_config_comes_first_and_an_evaluator_is_left_out(cluster_of):
    jobs = {"worker": WORKERS, "chief": ["b:9"], "evaluator": ["c:1"]}
    chief = cluster_of(told(jobs, type="chief", index=0))
    assert (chief.index, chief.addresses) == (0, ["b:9", *WORKERS])
    last = cluster_of(told(jobs, type="worker", index=2))
    assert (last.index, last.index_on_machine) == (3, 1)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{", "must be JSON"),
        ("[]", "must have 'cluster' and 'task'"),
        (told({"worker": WORKERS, "ps": ["c:1"]}, type="worker", index=0), "'chief' and 'worker' only"),
        (told({"worker": "a:1"}, type="worker", index=0), "a list of addresses HOST:PORT"),
        (told({"worker": ["a", "b"]}, type="worker", index=0), "a list of addresses HOST:PORT"),
        (told({"worker": ["a:1", "b:70123"]}, type="worker", index=0), "a list of addresses HOST:PORT"),
        (told({"worker": ["a:1", "a:1"]}, type="worker", index=0), "a different address for each worker"),
        (told({"chief": ["a:1", "b:1"]}, type="chief", index=0), "must have one 'chief'"),
        (told({"worker": WORKERS}, type="chief", index=0), "must have one of 'worker' as the task's 'type'"),
        (told({"worker": WORKERS}, type="worker", index=3), "must have 0 to 2 as the task's 'index', of 3"),
        (told({"worker": WORKERS}, type="evaluator", index=0), "must have one of 'worker'"),
    ],
)
def test_a_tf_config_that_is_wrong_is_refused_with_the_rule(cluster_of, text, rule):
    with pytest.raises(ConfigError, match=f"TF_CONFIG.*{rule}.*unset it to train in one process"):
        cluster_of(text if isinstance(text, dict) else {"TF_CONFIG": text})


def test_a_task_of_slurm_is_known_by_its_node_and_its_number_there(cluster_of):
    """TensorFlow sorts the nodes by name, so n10 comes first, and SLURM's own number is another's."""
    cluster = cluster_of(SLURM)
    assert cluster.addresses == ["n10:8888", "n9:8888", "n9:8889"]
    assert cluster.index == 1
    other = cluster_of(SLURM | {"SLURM_PROCID": "2", "SLURMD_NODENAME": "n10"})
    assert (other.index, other.index_on_machine) == (0, 0)


def test_a_step_of_slurm_that_says_too_little_is_refused(cluster_of):
    without = {name: value for name, value in SLURM.items() if name != "SLURM_LOCALID"}
    with pytest.raises(ConfigError, match=r"do not say which of 3 tasks this process is.*srun"):
        cluster_of(without)
