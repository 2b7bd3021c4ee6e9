import pickle

import numpy as np
import pytest
import tensorflow as tf

from superloop_core import SourceError, Superloop, SuperloopError, TraceError, WeightsError


def test_a_session_begins_where_it_is_asked_to_and_can_go_back(made, make_loop, assert_close):
    layer, feed = made(make_loop("tape", suppress_output=2), traces=["tape.*"])
    given = {"tape.position": np.full((3, 1), 2.0)}
    session = layer.session({"tape_data": feed["tape_data"]}, initial_state=given, traces=["tape.position"])
    assert session.traces == {}
    first = session.step(feed["inputs"][:, 0])
    assert_close(session.traces, given)
    assert session.timestep == 1
    session.step(feed["inputs"][:, 1])
    session.reset()
    assert session.timestep == 0
    assert_close(session.step(feed["inputs"][:, 0]), first)


def test_the_state_of_a_session_is_a_call_s_first(made, make_loop, assert_close):
    layer, feed = made(make_loop("tape"))
    session = layer.session({"tape_data": feed["tape_data"]})
    for t in range(2):
        session.step(feed["inputs"][:, t])
    rest = layer(feed | {"inputs": feed["inputs"][:, 2:]}, initial_state=session.state)
    assert_close(rest, layer(feed)[:, 2:])


def test_a_loop_without_inputs_is_stepped_with_nothing(made, make_loop, assert_close):
    layer, feed = made(make_loop("tape", inputs=0, timesteps=4))
    session = layer.session(feed)
    assert_close(np.stack([session.step() for _ in range(4)], axis=1), layer(feed))


def test_a_loop_without_sources_is_one_row_by_default(made, make_loop):
    layer, _ = made(make_loop("scratch"))
    assert layer.session().step(np.zeros((1, 2))).shape == (1, 2)
    assert layer.session(batch_size=5).step(np.zeros((5, 2))).shape == (5, 2)


def test_systems_know_the_number_of_timesteps_in_advance(made, make_loop, monkeypatch):
    layer, feed = made(make_loop("tape"))
    seen = []
    initial_state = layer.wiring.initial_state
    monkeypatch.setattr(layer.wiring, "initial_state", lambda seq: seen.append(seq) or initial_state(seq))
    layer.session({"tape_data": feed["tape_data"]})
    layer.session({"tape_data": feed["tape_data"]}, timesteps=9)
    assert (seen[0].timesteps, seen[0].lengths) == (None, None)
    assert seen[1].timesteps == 9
    np.testing.assert_array_equal(seen[1].lengths, [9, 9, 9])


def test_what_does_not_fit_is_reported_and_changes_nothing(made, make_loop):
    layer, feed = made(make_loop("tape"), name="loop")
    data = {"tape_data": feed["tape_data"]}
    session = layer.session(data)
    for wrong in (None, np.zeros((3, 3)), np.zeros((2, 2))):
        with pytest.raises(SourceError, match=r"loop: a step takes inputs of the shape \(3, 2\)"):
            session.step(wrong)
    assert session.timestep == 0
    with pytest.raises(SourceError, match="'tape_data' is missing"):
        layer.session()
    with pytest.raises(SourceError, match="has no input 'inputs'"):
        layer.session(feed)
    with pytest.raises(SourceError, match="batch_size is 2, but the sources have 3"):
        layer.session(data, batch_size=2)
    with pytest.raises(TraceError, match=r"no trace 'tape\.psition'"):
        layer.session(data, traces="tape.psition").step(feed["inputs"][:, 0])
    with pytest.raises(SuperloopError, match="has no weights yet"):
        Superloop(make_loop("scratch")).session()


@pytest.mark.parametrize("cell", ["lstm", "simple_rnn", "sgu", "peephole_lstm"])
def test_a_session_uses_the_weights_that_there_were_when_it_was_opened(cell, make_loop, made, assert_close):
    layer, feed = made(make_loop(cells=[cell]))
    expected, session = layer(feed), layer.session(batch_size=3)
    for weight in layer.trainable_weights:
        weight.assign(weight * 1.5 + 0.1)
    for t in range(4):
        assert_close(session.step(feed["inputs"][:, t]), expected[:, t])


def test_a_session_is_refused_where_it_would_forget_its_state(made, make_loop):
    layer, feed = made(make_loop("scratch"), name="loop")
    session = layer.session(batch_size=3)
    told = "loop: a session cannot be used inside a tf.function"
    for use in (lambda x: session.step(x), lambda x: layer.session(batch_size=3).step(x)):
        with pytest.raises(SuperloopError, match=told):
            tf.function(use, autograph=False)(tf.constant(feed["inputs"][:, 0]))
    session.step(feed["inputs"][:, 0])


@pytest.mark.parametrize("how", ["set", "pickle", "file"])
def test_a_session_goes_on_from_a_state_that_was_read(how, made, make_loop, assert_close, tmp_path):
    layer, feed = made(make_loop("tape", "scratch"))
    one, other = (layer.session({"tape_data": feed["tape_data"]}, traces="all") for _ in range(2))
    for t in range(2):
        one.step(feed["inputs"][:, t])
    if how == "file":
        one.save(tmp_path / "state.npz")
        other.load(tmp_path / "state.npz")
        assert other.timestep == 2
    else:
        other.state = one.state if how == "set" else pickle.loads(pickle.dumps(one.state))
    x = feed["inputs"][:, 2]
    assert_close(other.step(x), one.step(x), 0.0)
    assert_close(dict(other.traces), dict(one.traces), 0.0)


def test_a_state_of_another_session_is_refused_and_changes_nothing(made, make_loop, assert_close, tmp_path):
    layer, _ = made(make_loop("scratch"), name="loop")
    session, path = layer.session(batch_size=2), tmp_path / "state.npz"
    session.step(np.ones((2, 2)))
    before = session.state
    made(make_loop())[0].session(batch_size=2).save(path)
    with pytest.raises(SourceError, match=r"loop: .* has no 'scratch\.memory'; it is the state of another"):
        session.load(path)
    layer.session(batch_size=3).save(path)
    with pytest.raises(SourceError, match=r"'cells.0.h' of the state must have the shape \(2, 3\): \(3, 3\)"):
        session.load(path)
    path.write_bytes(b"no archive")
    with pytest.raises(WeightsError, match=r"state\.npz: is no saved state of a session: "):
        session.load(path)
    with pytest.raises(SuperloopError, match="pickle its 'state' and 'timestep', or call its 'save'"):
        pickle.dumps(session)
    assert_close(session.state, before, 0.0)
    assert session.timestep == 1
