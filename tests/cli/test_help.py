"""--help, --version, man pages, README and misuse: they all tell the same options."""
import json
import os
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["ME_BUILD"]).resolve()
README = (TOP / "README.md").read_text()
LONG = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")
# Lines of the README that give options to other programs.
FOREIGN = re.compile(r"^\s+(sudo|cmake|printf|SUBSYSTEM)\b|srun --mpi=\w+|pkg-config --cflags|curl -sk --netrc|scripts/bench --with-peers", re.M)


def run(*argv, **more):
    return subprocess.run([str(BUILD / argv[0]), *argv[1:]], capture_output=True, text=True, timeout=60, **more)


def commands_of_me():
    text = run("me", "--help").stdout
    return re.findall(r"^  (\w+)  +\S", text.split("Commands:")[1].split("Options:")[0], re.M)


COMMANDS = [("me", name) for name in commands_of_me()]
KERNELS = [("me_kernel", name) for name in ("native", "gemm", "stream", "fft", "cg", "spin", "sleep")]
ALL = [("me",), *COMMANDS, ("me_bench",), ("me_kernel",), *KERNELS]
PAGES = [("me",), *COMMANDS, ("me_bench",)]


def options(text):
    """The long options that a --help explains."""
    return set(re.findall(r"^ {2,6}(?:-\w, )?--([a-z-]+)", text, re.M))


def page_text(words):
    path = BUILD / ("-".join(words) + ".1")
    env = {**os.environ, "MANWIDTH": "200", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["man", "--warnings", "-l", path], capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def test_every_command_is_known():
    assert {name for _, name in COMMANDS} == {"probe", "frameworks", "hosts", "run", "report", "recover", "clean", "model"}


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help(words, tmp_path):
    done = run(*words, "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"Usage: {' '.join(words)} ") and lines[1].endswith(".")
    for line in lines:
        assert len(line) <= 100 and line == line.rstrip()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [w for w in ALL if w not in (("me",), ("me_kernel",))], ids=" ".join)
def test_help_wins_over_what_else_is_wrong(words):
    done = run(*words, "--no-such-option", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(*words, "-h").stdout == run(*words, "--help").stdout


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_version(words, tmp_path):
    version = re.search(r'ME_VERSION "(.*)"', (TOP / "include/me/version.h").read_text())[1]
    for option in ("--version", "-V"):
        done = run(*words, option, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == f"{words[0]} (Machine Energy) {version}\n"


@pytest.mark.parametrize("words", ALL, ids=" ".join)
@pytest.mark.parametrize("bad", [["--no-such-option"], ["-Z"], ["a", "b", "c", "d"]], ids=" ".join)
def test_misuse_is_one_line(words, bad, tmp_path):
    done = run(*words, *bad, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(words[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_man_page_has_every_option(words):
    text = page_text(words)
    told = options(run(*words, "--help").stdout)
    assert "help" in told
    assert told <= set(LONG.findall(text))
    assert f"{'-'.join(words).upper()}(1)" in text and f"{'-'.join(words)} - " in text


def test_man_page_keeps_the_lines_of_examples():
    lines = [line.strip() for line in page_text(("me",)).splitlines()]
    at = lines.index("me hosts config.json")
    assert lines[at + 1 : at + 4] == [". gen.hosts.d/env", "mpirun -hostfile gen.hosts me_bench exp1", "me report exp1"]


def test_readme_names_only_options_that_exist(tmp_path):
    conf = tmp_path / "slurm.conf"  # without one, Slurm's commands do not even tell their options
    conf.write_text("ClusterName=rig\nSlurmctldHost=localhost\n")
    lines = [line for line in README.splitlines() if not re.match(r"\s+(sudo|cmake)\b", line)]
    named = set(LONG.findall(FOREIGN.sub("", "\n".join(lines))))
    known = set().union(*(options(run(*words, "--help").stdout) for words in ALL))
    for words in (["sh", TOP / "scripts/install-framework"], ["sh", TOP / "scripts/docker/build"], ["docker", "run"],
                  ["srun"], ["sbatch"]):
        known |= options(subprocess.run([*words, "--help"], capture_output=True, text=True, check=True,
                                        env={**os.environ, "SLURM_CONF": str(conf)}).stdout)
    known |= {"epochs", "rounds"}  # of the examples in Python, whose --help needs the framework
    assert {"repeats", "accept-new", "root"} <= named
    assert named <= known


def test_readme_names_every_command_and_workload():
    for words in COMMANDS:
        assert " ".join(words) in README
    for _, kernel in KERNELS:
        assert f"| `{kernel}`" in README


def test_readme_names_every_source():
    probed = [source["name"] for source in json.loads(run("me", "probe", "--json").stdout)["sources"]]
    assert {"perf", "powercap", "nvml", "external", "model"} <= set(probed)
    rows = re.search(r"^\| source \| reads \|\n\|.*\n((?:\|.*\n)+)", README, re.M)[1]
    assert sorted(re.findall(r"^\| `(\w+)` \|", rows, re.M)) == sorted(probed)


def test_readme_names_every_file_of_the_companion_folder():
    text = (TOP / "src/cli/folder.c").read_text()
    for name in re.findall(r'"([\w.]+)"', re.search(r"names\[\] = \{(.*?)\}", text, re.S)[1]):
        assert f"`{name}`" in README


def test_the_map_has_every_folder():
    rows = re.findall(r"^\| `(\w+)/` \|", (TOP / "src/README.md").read_text(), re.M)
    assert sorted(rows) == sorted(path.name for path in (TOP / "src").iterdir() if path.is_dir())


def test_install_deps_is_quiet_when_nothing_is_missing():
    for arguments in ([], ["--tests"]):
        done = subprocess.run([TOP / "scripts/install-deps", *arguments], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_install_deps_says_what_it_would_need(tmp_path):
    """Neither root nor sudo: one line that names the packages, and apt-get is not touched."""
    for name, text in {"dpkg-query": "exit 1", "id": "echo 1000", "apt-get": "touch touched"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "grep").symlink_to("/usr/bin/grep")
    done = subprocess.run(["/bin/sh", TOP / "scripts/install-deps"], capture_output=True, text=True, timeout=60,
                          cwd=tmp_path, env={"PATH": str(tmp_path)})
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "no sudo" in done.stderr and "apt-get install gcc" in done.stderr
    assert not (tmp_path / "touched").exists()


def test_install_deps_refuses_other_arguments():
    done = subprocess.run([TOP / "scripts/install-deps", "--test"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
