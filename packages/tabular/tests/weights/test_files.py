"""Tables, pictures and the page that the command writes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from netvigil.errors import SourceError
from netvigil_tabular.weights import KINDS, generate, judge
from netvigil_tabular.weights.__main__ import weights as command
from netvigil_tabular.weights.files import PICTURES, table, write
from netvigil_tabular.weights.pictures import three_dimensions
from netvigil_tabular.weights.rules import usual_rules


def made_of(graphs=300, **settings):
    made = generate(graphs, seed=0, **settings)
    train, test = made.split(0.5, seed=0)
    return made, train, test, judge(usual_rules(), train, test)


def test_all_files_are_there_and_hold_the_graphs(tmp_path):
    made, train, test, verdicts = made_of(nodes=4, rate=0.5, kinds=tuple(KINDS))
    files = write(made, train, test, verdicts, tmp_path / "out")
    names = {path.relative_to(tmp_path / "out").as_posix() for path in files}
    assert names == {
        *("weights.parquet", "truth.parquet", "weights.html"),
        *(f"pictures/{name}.png" for name in PICTURES),
    }
    weights = pq.read_table(tmp_path / "out" / "weights.parquet")
    assert weights.column_names[:3] == ["graph", "edge_0_1", "edge_0_2"]
    assert np.array_equal(weights["edge_2_3"].to_numpy(), made.x[:, 5])
    truth = pq.read_table(tmp_path / "out" / "truth.parquet").to_pydict()
    assert truth["anomalous"] == made.y.tolist()
    assert truth["kind"] == made.kind.tolist()
    assert (tmp_path / "out" / "pictures" / "graph.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "weights.html").read_text("utf-8")
    assert page.count('data-figure="') == len(PICTURES)
    assert "median + 2 MAD of each edge" in page
    assert "script-src 'none'" in page


@pytest.mark.parametrize("nodes", [2, 3, 5])
@pytest.mark.parametrize("rate", [0, 0.4, 1])
def test_every_picture_of_any_graphs(nodes, rate):
    made, *_ = made_of(60, nodes=nodes, rate=rate)
    for title, draw in PICTURES.values():
        figure = draw(made)
        assert figure.axes, title


def test_a_point_for_each_graph_in_three_dimensions():
    made, *_ = made_of(50)
    assert np.array_equal(three_dimensions(made)[0], made.x)
    for nodes, filled in ((2, 1), (4, 3)):
        graphs, *_ = made_of(50, nodes=nodes)
        points, labels = three_dimensions(graphs)
        assert points.shape == (50, 3)
        assert (points.std(axis=0) > 0).sum() == filled
        assert labels[0] == "component 1"
        assert np.all(np.diff(points.std(axis=0)) <= 1e-9)


def test_the_table_says_what_is_undefined():
    *_, verdicts = made_of(rate=0)
    header, rows = table(verdicts)
    assert header == ["rule", "flagged", "precision", "recall"]
    assert rows[0][1:] == ["0", "\u2013", "\u2013"]


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x", "utf-8")
    with pytest.raises(SourceError, match="not empty"):
        write(*made_of(50), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_command_prints_the_rules_and_names_its_files(tmp_path):
    done = CliRunner().invoke(command, ["--to", str(tmp_path / "out"), "--graphs", "500"])
    assert done.exit_code == 0, done.output
    (first,) = [line for line in done.output.splitlines() if line.startswith("mean + 2 sd")]
    assert first.split()[-4:] == ["1.000", "1.000", "/", "1.000"]
    assert "weights.html" in done.output


@pytest.mark.slow
def test_a_wrong_call_is_said_in_words(tmp_path):
    call = [sys.executable, "-m", "netvigil_tabular.weights", "--to", str(tmp_path / "out")]
    done = subprocess.run(
        [*call, "--kinds", "brust"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert "Did you mean 'burst'?" in done.stderr
    assert "Traceback" not in done.stderr
