"""The README is true to the letter: its config loads, and its snippets run as they stand."""
import json
import os
import pathlib
import re
import subprocess
import textwrap

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["ME_BUILD"]).resolve()
README = (TOP / "README.md").read_text()


def block(marker):
    """The indented block that holds the marker, as one would copy it."""
    blocks = [textwrap.dedent(text) for text in re.findall(r"(?:(?:^    .*\n)+\n?)+", README, re.M)]
    found = [text for text in blocks if marker in text]
    assert len(found) == 1, marker
    return found[0]


def run(argv, cwd, **more):
    return subprocess.run([str(word) for word in argv], cwd=cwd, capture_output=True, text=True, timeout=60, **more)


@pytest.fixture
def place(tmp_path):
    """A folder with exp1 and, as in the repository, scripts."""
    (tmp_path / "exp1").mkdir()
    run([BUILD / "tests/test_store", "--make", tmp_path / "exp1/exp1.h5"], tmp_path).check_returncode()
    (tmp_path / "scripts").symlink_to(TOP / "scripts")
    return tmp_path


def test_config_loads(tmp_path):
    """As far as a command goes that meets no machine: me clean, where me hosts never was."""
    (tmp_path / "config.json").write_text(block('"run_local"'))
    env = {**os.environ, "SERVER_PASSWORD": "x"}
    done = run([BUILD / "me", "clean", "config.json"], tmp_path, env=env)
    assert done.returncode == 2 and "gen.hosts.d/id_ed25519.pub is not there" in done.stderr


def test_python_snippet(place):
    text = block("machine_energy.read").split("# R:")[0]
    packages = re.search(r"apt-get install ([\w -]+);", text)[1].split()
    assert packages == ["python3-h5py", "python3-pandas"]
    path = re.search(r"export PYTHONPATH=(\S+)", text)[1]
    done = run(["/usr/bin/python3", "-B", "-c", text + "\nprint(len(samples))"], place,
               env={**os.environ, "PYTHONPATH": path})
    assert done.returncode == 0, done.stderr
    assert "energy_mean_j" in done.stdout and done.stdout.endswith("\n34\n")


def test_r_snippet(place):
    text = "# R:" + block("machine_energy.read").split("# R:")[1]
    done = run(["Rscript", "--vanilla", "-e", text + "\nprint(nrow(samples))"], place)
    assert done.returncode == 0, done.stderr
    assert "energy_mean_j" in done.stdout and "[1] 34" in done.stdout


def test_tables_are_those_of_the_file(place):
    done = run([BUILD / "me", "report", "exp1", "--format", "json"], place)
    tables = [name for name, value in json.loads(done.stdout).items() if isinstance(value, list)]
    sentence = re.search(r"The tables (.*?), and the samples", README, re.S)[1]
    assert re.findall(r"`(\w+)`", sentence) == tables


def marks_of(argv, cwd, **more):
    reading, writing = os.pipe()
    try:
        done = run(argv, cwd, env={**os.environ, **more, "ME_MARK_FD": str(writing)}, pass_fds=[writing])
    finally:
        os.close(writing)
    with os.fdopen(reading) as marks:
        lines = marks.read().splitlines()
    assert done.returncode == 0, done.stderr
    return lines


def test_c_snippet(tmp_path):
    include, *calls = block("#include <me/mark.h>").splitlines()
    program = f"{include}\nint main(void) {{ {' '.join(calls)} }}\n"
    argv = ["gcc", "-Wall", "-Werror", f"-I{TOP}/include", "-xc", "-", "-o", "solver"]
    assert run(argv, tmp_path, input=program).returncode == 0
    marks = ["begin solve", "end solve", "work 1 problems", "metric loss 0.02"]
    assert [line[:16] for line in marks_of([tmp_path / "solver"], tmp_path)] == marks


def test_python_marks_snippet(tmp_path):
    argv = ["/usr/bin/python3", "-B", "-c", block("import machine_energy as me")]
    marks = ["begin solve", "work 1.0 problems", "end solve", "metric loss 0.02"]
    assert marks_of(argv, tmp_path, PYTHONPATH=str(TOP / "scripts/python")) == marks


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_shell_snippet(tmp_path, shell):
    """dash knows descriptors of one digit only; the workload's is 3."""
    line = block("echo ").strip()
    as_the_workload = f'exec 3>&"$ME_MARK_FD"; ME_MARK_FD=3 exec {shell} -c "$0"'
    assert marks_of(["bash", "-c", as_the_workload, line], tmp_path) == ["begin solve"]
    header = (TOP / "src/workload/environment.h").read_text()
    assert re.search(r"ME_ENVIRONMENT_MARK_FD\D+3\b", header)
