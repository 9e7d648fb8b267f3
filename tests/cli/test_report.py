"""me report as people call it: on a folder or a file, in each format, and what it refuses."""
import json
import os
import pathlib
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["ME_BUILD"])


def report(*args, cwd=None, **more):
    argv = [str(BUILD / "me"), "report", *(str(a) for a in args)]
    return subprocess.run(argv, cwd=cwd, capture_output=True, timeout=60, **more)


@pytest.fixture
def experiment(tmp_path):
    folder = tmp_path / "exp1"
    folder.mkdir()
    subprocess.run([BUILD / "tests" / "test_store", "--make", folder / "exp1.h5"], check=True)
    return folder


def test_every_way_to_name_it(experiment):
    golden = (TOP / "tests/golden/report_many.csv").read_bytes()
    for name, cwd in ((experiment, None), (f"{experiment}/", None), (experiment / "exp1.h5", None), (".", experiment),
                      ("exp1", experiment.parent), ("../exp1//", experiment)):
        done = report(name, "--format", "csv", cwd=cwd)
        assert (done.returncode, done.stderr, done.stdout) == (0, b"", golden)


def test_text_is_the_default(experiment):
    done = report(experiment)
    assert done.returncode == 0
    text = done.stdout.decode()
    assert text == report(experiment, "--format=text").stdout.decode()
    assert text.startswith("exp1: complete\nnative on 6 machines")


def test_json(experiment):
    found = json.loads(report(experiment, "-f", "json").stdout)
    assert [row["place"] for row in found["summary"]] == [1, 1, 2, 3, 1, 0]
    assert found["summary"][5]["energy_mean_j"] is None


def test_output_file(experiment, tmp_path):
    done = report(experiment, "--format", "csv", "-o", tmp_path / "out.csv")
    assert (done.returncode, done.stdout) == (0, b"")
    assert (tmp_path / "out.csv").read_bytes() == (TOP / "tests/golden/report_many.csv").read_bytes()
    before = (experiment / "exp1.h5").read_bytes()
    done = report(experiment, "-o", experiment / ".." / "exp1" / "exp1.h5")
    assert done.returncode == 2 and b"that is the result itself" in done.stderr
    assert (experiment / "exp1.h5").read_bytes() == before


@pytest.mark.parametrize("args, part", [
    ([], "too few operands"),
    (["absent"], "absent: no such experiment; give its folder or its .h5 file"),
    (["absent/exp.h5"], "no such experiment"),
    (["empty"], "empty: holds no result (empty/empty.h5)"),
    (["text.h5"], "text.h5: not a result of Machine Energy"),
    (["text.h5/x"], "text.h5/x: Not a directory"),
    (["exp1", "--format", "xml"], "--format xml: unknown; there are text, json, csv"),
    (["exp1", "--format", "jsn"], "did you mean json?"),
    (["exp1", "--formt", "csv"], "did you mean --format?"),
    (["exp1", "exp2"], "unexpected operand exp2"),
    (["exp1", "-o", "no/such/file"], "no/such/file: No such file or directory"),
])
def test_misuse(experiment, args, part):
    (experiment.parent / "empty").mkdir()
    (experiment.parent / "text.h5").write_text("energy")
    done = report(*args, cwd=experiment.parent)
    line = done.stderr.decode()
    assert (done.returncode, done.stdout) == (2, b"")
    assert line.startswith("me: ") and part in line and line.count("\n") == 1


def test_full_disk(experiment):
    with open("/dev/full", "wb") as full:
        argv = [str(BUILD / "me"), "report", str(experiment)]
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1 and b"standard output: No space left on device" in done.stderr


def test_help():
    done = report("--help")
    assert done.returncode == 0 and b"--format" in done.stdout and done.stderr == b""
