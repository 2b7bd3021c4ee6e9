"""Files of examples: what is read of each kind, and what is refused with its place."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from superloop_plugin_data.files import open_table

from superloop_core import ConfigError

ROWS = [("a", "1.5", "x"), ("a", "2", "x"), ("b", "-3e2", 'say "hi",\nthen go')]


def written(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


def test_a_csv_file_has_an_example_for_each_row_or_each_sequence(tmp_path):
    text = '\ufeffid, value ,note\na,1.5,x\n\na,2,x\nb,-3e2,"say ""hi"",\nthen go"\n'
    path = written(tmp_path, "d.csv", text)
    rows = open_table(path)
    assert [tuple(row.values()) for row in rows] == ROWS
    assert rows.columns == ("id", "value", "note")
    assert [rows.place(index).rpartition(", ")[2] for index in range(3)] == ["line 2", "line 4", "line 5"]
    sequences = open_table(path, "id")
    assert list(sequences) == [
        {"id": "a", "value": ["1.5", "2"], "note": ["x", "x"]},
        {"id": "b", "value": ["-3e2"], "note": [ROWS[2][2]]},
    ]
    assert sequences.place(0, 1).endswith("line 4")
    assert open_table(path, None).read(0)["value"] == ["1.5", "2", "-3e2"]


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            *[st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1) for _ in "ab"]
        ),
        min_size=1,
        max_size=8,
    )
)
def test_every_row_of_a_csv_file_is_found_again(rows, tmp_path_factory):
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("a", "b"), *rows])
    table = open_table(written(tmp_path_factory.mktemp("csv"), "d.csv", text.getvalue()))
    for index in np.random.default_rng(0).permutation(len(rows)):
        assert tuple(table.read(int(index)).values()) == rows[index]


def test_the_same_examples_come_from_every_kind_of_file(tmp_path):
    series = [[[0.5, 1.0]], [[1.0, 2.0], [3.0, 4.0]]]
    lines = [{"x": one, "y": index} for index, one in enumerate(series)]
    jsonl = open_table(written(tmp_path, "d.jsonl", "".join(json.dumps(line) + "\n\n" for line in lines)))
    padded = np.zeros((2, 2, 2))
    padded[0, :1], padded[1] = series
    np.savez(tmp_path / "d.npz", x=padded, y=np.arange(2), lengths=[1, 2])
    npz = open_table(str(tmp_path / "d.npz"))
    assert npz.columns == ("x", "y", "lengths")
    for index, line in enumerate(lines):
        assert jsonl.read(index) == line
        np.testing.assert_array_equal(npz.read(index)["x"], line["x"])
        assert npz.read(index)["y"] == line["y"]
    assert jsonl.place(1) == f"{tmp_path / 'd.jsonl'}, line 3"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(lines), tmp_path / "d.parquet")
    assert list(open_table(str(tmp_path / "d.parquet"))) == lines


@pytest.mark.parametrize(
    ("name", "content", "sequence", "text"),
    [
        ("d.csv", "", "", "d.csv: is empty"),
        ("d.csv", "a,b\n", "", "d.csv: holds no example"),
        ("d.csv", "a,a\n1,2\n", "", "two columns have one name"),
        ("d.csv", "a,b\n1,2\n1\n", "", "d.csv, line 3: must have 2 values, as the first line has: 1"),
        ("d.csv", b"a,b\n1,2\n1,\xff\n", "", "d.csv, line 3: is not in UTF-8"),
        ("d.csv", 'a,b\n1,2\n"1,2\n', "", "d.csv, line 3: "),
        ("d.csv", "a,b\n1,2\n", "id", "has no column 'id'; there are: a, b"),
        ("d.csv", "id,b\nu,2\nv,1\nu,3\n", "id", "line 4: the rows of the sequence 'u' must follow"),
        ("d.csv", "id,b\nu,2\n,1\nu,3\n", "id", "line 3: 'id' is missing, which says the row's sequence"),
        ("d.jsonl", '{"id": 0}\n{"id": null}\n', "id", "line 2: 'id' is missing, which says the row's"),
        ("d.jsonl", '{"a": 1}\n{"a": \n', "", "d.jsonl, line 2: is not valid JSON"),
        ("d.jsonl", "[1]\n", "", "d.jsonl, line 1: must be an object: list"),
        ("d.npz", "no zip", "", "d.npz: cannot be read as arrays"),
        ("d.txt", b"\xff", "", "d.txt, line 1: is not in UTF-8"),
        ("d.txt", "\n\n", "", "d.txt: holds no example"),
        ("d.xlsx", "", "", "a file of examples must end in .csv,"),
        ("d.parquet", "PAR1", "", "d.parquet: "),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_the_place(name, content, sequence, text, tmp_path):
    with pytest.raises(ConfigError) as error:
        open_table(written(tmp_path, name, content), sequence)
    assert text in str(error.value)


def test_a_missing_file_is_named_with_the_place_that_was_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"looked for at {tmp_path}/d\.csv\): cannot be read: No such"):
        open_table("d.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(ConfigError, match="Is a directory"):
        open_table("d.csv")


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path):
    path = written(tmp_path, "d.csv", "a\n1\n2\n")
    table = open_table(path)
    written(tmp_path, "d.csv", "a\n1\n2\n3\n")
    with pytest.raises(ConfigError, match="was changed while it was read"):
        table.read(0)
