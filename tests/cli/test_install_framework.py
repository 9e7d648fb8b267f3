"""scripts/install-framework: what it refuses, what it leaves behind when it is cut off, and one framework for real.

The steps are tried with a house of stand-in wheels: the pinned names and versions, a few lines in each."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "lib"))
import me_test  # noqa: E402

SCRIPT = TOP / "scripts" / "install-framework"
NAMES = ["keras", "pl", "pytorch", "jax", "sklearn", "xgboost"]
PYTHON = "/usr/bin/python3"
NETWORK = "class Network:\n    def __init__(self, max_iter):\n        pass\n\n    def fit(self, x, y):\n        pass\n"
STANDINS = {
    "scikit-learn": {"sklearn/__init__.py": "", "sklearn/neural_network.py": NETWORK + "\nMLPClassifier = Network\n"},
    "numpy": {"numpy/__init__.py": "def ones(shape, kind=None):\n    return shape\n"},
    "torch": {"torch/__init__.py": "from . import nn\n\ndef from_numpy(x):\n    return x\n",
              "torch/nn.py": "def Linear(a, b):\n    return lambda x: x\n"},
}


def install(*words, **changes):
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    env.update({key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "XDG_"))})
    env.update(changes)
    env = {key: str(value) for key, value in env.items() if value is not None}
    return me_test.run([SCRIPT, *words], env=env, timeout=300)


def pins(*words):
    done = install("--dry-run", "--dir", "/nowhere", *words)
    assert done.rc == 0, done.err
    return [line.strip() for line in done.out.splitlines() if line.startswith("    ")]


def wheel(folder, name, version, files=None):
    """A wheel of a few lines; one whose name needs no module of its own gets an empty one."""
    plain = re.sub(r"[-_.]+", "_", name)
    files = dict(files or {f"{plain}/__init__.py": ""})
    info = f"{plain}-{version}.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{plain}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def house(folder, requirements):
    for line in requirements:
        name, version = line.split(";")[0].strip().split("==")
        wheel(folder, name, version, STANDINS.get(name))


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house") / "wheels"
    house(folder, pins("sklearn"))
    return folder


@pytest.fixture
def stage(tmp_path, wheels):
    """install() with an empty folder of frameworks, a blank in its name, and the stand-ins instead of an index."""
    folder = tmp_path / "frame works"

    def call(*words, **changes):
        house_env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels, "PIP_NO_CACHE_DIR": "1",
                     "ME_FRAMEWORKS_DIR": folder, **changes}
        return install(*words, **house_env)

    call.folder = folder
    call.env = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_NO_CACHE_DIR": "1",
                "ME_FRAMEWORKS_DIR": str(folder)}
    return call


@pytest.mark.parametrize("words, said", [
    ([], "a NAME is wanted: keras pl pytorch jax sklearn xgboost"),
    (["kears"], "kears: no such framework; there are keras pl pytorch jax sklearn xgboost"),
    (["torch"], "did you mean pytorch?"),
    (["sklearn", "lightning"], "did you mean pl?"),
    (["../sklearn"], "../sklearn: no such framework"),
    (["--gpus", "keras"], "--gpus: unknown"),
    (["--dir"], "--dir wants a value"),
    (["--python", "", "keras"], "--python wants a value"),
    (["--gpu", "--index-url", "https://localhost/cpu", "pl"], "exclude each other"),
    (["--check", "--remove", "keras"], "--check and --remove exclude each other"),
    (["--list", "keras"], "--list takes no NAME"),
    (["--index-url", "localhost/cpu", "pl"], "not an address"),
    (["--python", "/bin/false", "keras"], "it is not a Python that starts"),
    (["--python=/nowhere/python", "keras"], "it is not a Python that starts"),
])
def test_misuse_is_one_line_and_touches_nothing(words, said, tmp_path):
    done = install(*words, ME_FRAMEWORKS_DIR=tmp_path / "frameworks")
    assert done.rc == 2 and said in done.err and done.err.count("\n") == 1 and done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_no_home_and_no_folder():
    done = install("--check", "keras", HOME=None, ME_FRAMEWORKS_DIR=None, XDG_DATA_HOME=None)
    assert done.rc == 2 and "--dir" in done.err and done.err.count("\n") == 1


def test_credentials_are_refused_and_not_repeated(tmp_path):
    done = install("--index-url", "https://someone:wordofmine@localhost/cpu", "pl", ME_FRAMEWORKS_DIR=tmp_path / "f")
    assert done.rc == 2 and "wordofmine" not in done.err + done.out and not (tmp_path / "f").exists()


@pytest.mark.parametrize("version", ["2.7", "3.9", "3.14", "4.0"])
def test_a_python_without_wheels_is_named(version, tmp_path):
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\necho {version}\n")
    fake.chmod(0o755)
    done = install("--python", fake, "--dir", tmp_path / "f", "keras")
    assert done.rc == 2 and f"is Python {version}" in done.err and "3.10 to 3.13" in done.err
    assert not (tmp_path / "f").exists()


def test_help_names_every_framework_and_option():
    done = install("--help")
    assert done.rc == 0 and done.err == ""
    assert all(re.search(rf"\b{name}\b", done.out) for name in NAMES)
    taken = set(re.findall(r"--[a-z-]+", SCRIPT.read_text().split("\nmain() {")[1].split("\n    done")[0]))
    assert taken and all(option in done.out for option in taken)


def test_what_is_not_there(tmp_path):
    done = install("--check", *NAMES, ME_FRAMEWORKS_DIR=tmp_path / "f")
    assert done.rc == 1 and done.out.count(": not there") == 6
    assert install("--check", "--quiet", "keras", ME_FRAMEWORKS_DIR=tmp_path / "f") == (1, "", "")
    listed = install("--list", XDG_DATA_HOME=tmp_path, ME_FRAMEWORKS_DIR=None)
    assert listed.rc == 0 and [line.split()[0] for line in listed.out.splitlines()] == ["name", *NAMES]
    assert install("--remove", "keras", ME_FRAMEWORKS_DIR=tmp_path / "f").rc == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_package_is_pinned_and_cuda_comes_only_when_asked_for(name):
    index = ["--index-url", "https://localhost/cpu"] if name in ("pl", "pytorch") else []
    plain, gpu = pins(*index, name), pins("--gpu", name)
    for line in plain + gpu:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*(; [a-z_]+ [=!<>]+ '[0-9a-z._]+')?", line), line
    assert not [line for line in plain if re.match("nvidia|cuda|triton|jax-cuda|xgboost==|tensorflow==.*== ", line)]
    assert name == "sklearn" or [line for line in gpu if line.startswith("nvidia-")]
    assert len({line.split("==")[0] for line in gpu}) == len(gpu)


def test_made_once_then_left_alone(stage):
    done = stage("sklearn")
    assert done.rc == 0 and "sklearn: ready" in done.out and str(stage.folder) not in done.err
    home = stage.folder / "sklearn"
    before = (home / "complete").stat().st_mtime_ns
    again = stage("sklearn", PIP_FIND_LINKS="/nowhere")
    assert (again.rc, again.out) == (0, "sklearn: there already\n")
    assert (home / "complete").stat().st_mtime_ns == before
    checked = stage("--check", "sklearn")
    assert checked.rc == 0 and "scikit-learn 1." in checked.out and str(home) in checked.out
    assert "scikit-learn 1." in stage("--list").out
    (home / "complete").write_text("cpu 0000\n")  # what it was made from is no longer what the script holds
    assert "have changed since" in stage("--check", "sklearn").out
    assert "ready" in stage("sklearn").out and (home / "complete").read_text() != "cpu 0000\n"
    next(home.glob("lib/python*/site-packages/scipy")).rename(stage.folder / "scipy")
    broken = stage("--check", "sklearn")
    assert broken.rc == 1 and "broken: scipy not found" in broken.out
    quiet = stage("--quiet", "sklearn")
    assert quiet.rc == 0 and quiet.out == ""
    assert stage("--check", "sklearn").rc == 0
    assert stage("--remove", "sklearn").rc == 0 and not home.exists() and stage("--check", "sklearn").rc == 1


def begin(stage, until):
    process = subprocess.Popen([SCRIPT, "sklearn"], env=stage.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, start_new_session=True)
    for line in process.stdout:
        if until in line:
            return process
    raise AssertionError(process.stderr.read())


@pytest.mark.parametrize("number, until", [(signal.SIGINT, "virtual environment"), (signal.SIGTERM, "installing"),
                                           (signal.SIGHUP, "virtual environment")])
def test_a_signal_leaves_nothing_half_made(stage, number, until):
    process = begin(stage, until)
    time.sleep(0.3)
    os.kill(process.pid, number)
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert me_test.wait_until(lambda: not group(process.pid))
    assert [path.name for path in stage.folder.iterdir() if path.is_dir()] == []
    assert stage("--check", "sklearn").rc == 1


def group(session):
    """The processes of a session that a test began."""
    done = subprocess.run(["ps", "-o", "pid=,stat=", "-s", str(session)], capture_output=True, text=True)
    return [line for line in done.stdout.splitlines() if "Z" not in line.split()[1]]


def test_a_killed_installation_is_redone(stage):
    process = begin(stage, "virtual environment")
    assert me_test.wait_until(lambda: (stage.folder / "sklearn/pyvenv.cfg").exists())
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=20)
    found = stage("--check", "sklearn")
    assert found.rc == 1 and "begun and never completed" in found.out
    done = stage("sklearn")
    assert done.rc == 0 and "sklearn: ready" in done.out, done.err
    assert {path.name for path in stage.folder.iterdir() if path.is_dir()} == {"sklearn"}


def test_two_at_once_make_it_once(stage):
    results = []
    threads = [threading.Thread(target=lambda: results.append(stage("sklearn"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [done.rc for done in results] == [0, 0, 0]
    assert sorted("sklearn: ready" in done.out for done in results) == [False, False, True]
    assert sum("waiting" in done.out and "there already" in done.out for done in results) == 2


def test_a_missing_wheel_is_named(stage, wheels, tmp_path):
    less = tmp_path / "less"
    less.mkdir()
    for path in wheels.iterdir():
        if not path.name.startswith("scipy"):
            (less / path.name).symlink_to(path)
    done = stage("sklearn", PIP_FIND_LINKS=less)
    assert done.rc == 1 and done.err.count("\n") == 1
    assert re.search(r"pip's index has no wheel of scipy==\S+ for Python 3\.\d+ on \S+; .*--python", done.err)
    assert not (stage.folder / "sklearn").exists() and (stage.folder / "sklearn.log").exists()


def test_a_framework_that_does_not_run_is_not_complete(stage, tmp_path):
    bad = tmp_path / "bad"
    house(bad, pins("sklearn"))
    version = next(line.split("==")[1] for line in pins("sklearn") if line.startswith("scikit-learn=="))
    wheel(bad, "scikit-learn", version, {"sklearn/__init__.py": "raise ImportError('not on this processor')\n"})
    done = stage("sklearn", PIP_FIND_LINKS=bad)
    assert done.rc == 1 and "not on this processor" in done.err and "does not run here" in done.err
    assert not (stage.folder / "sklearn").exists()


def test_an_index_out_of_reach_is_said_and_its_credentials_are_not(stage):
    done = stage("sklearn", PIP_NO_INDEX=None, PIP_FIND_LINKS=None, PIP_RETRIES="1", PIP_CONFIG_FILE="/dev/null",
                 PIP_INDEX_URL="http://someone:wordofmine@127.0.0.1:9/simple", PIP_EXTRA_INDEX_URL="")
    assert done.rc == 1 and "cannot reach its package index" in done.err and done.err.count("\n") == 1
    assert "wordofmine" not in done.out + done.err + (stage.folder / "sklearn.log").read_text()


@pytest.mark.parametrize("what", ["folder", "link", "file"])
def test_what_it_did_not_make_it_leaves_alone(stage, what, tmp_path):
    stage.folder.mkdir()
    home, kept = stage.folder / "sklearn", tmp_path / "kept"
    kept.mkdir()
    (kept / "thesis.txt").write_text("years")
    if what == "folder":
        kept.rename(home)
    elif what == "link":
        home.symlink_to(kept)
    else:
        home.write_text("years")
    for action in ([], ["--remove"]):
        done = stage(*action, "sklearn")
        assert done.rc == 2 and "name another folder with --dir" in done.err and done.err.count("\n") == 1
    assert home.read_text() == "years" if what == "file" else (home / "thesis.txt").read_text() == "years"


def test_torch_comes_from_the_index_that_is_named(stage, tmp_path):
    index, rest = tmp_path / "index", tmp_path / "rest"
    wanted = pins("--index-url", "https://localhost/cpu", "pytorch")
    house(rest, [line for line in wanted if not line.startswith("torch==")])
    version = next(line.split("==")[1] for line in wanted if line.startswith("torch=="))
    index.mkdir()
    wheel(index / "torch", "torch", f"{version}+cpu", STANDINS["torch"])
    name = next((index / "torch").iterdir()).name
    (index / "torch" / "index.html").write_text(f'<a href="{name.replace("+", "%2B")}">{name}</a>')
    done = stage("--index-url", f"file://{index}", "pytorch", PIP_NO_INDEX=None, PIP_FIND_LINKS=rest,
                 PIP_CONFIG_FILE="/dev/null", PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0")
    assert done.rc == 0 and f"torch {version}+cpu" in done.out, done.err
    assert "there already" in stage("pytorch").out  # asked for without the index it stays


WITHOUT = """
set -eu
mount -t tmpfs tmpfs "$(/usr/bin/python3 -c 'import os, ensurepip; print(os.path.dirname(ensurepip.__file__))')"
[ ! -d /usr/lib/python3/dist-packages/torch ] || mount -t tmpfs tmpfs /usr/lib/python3/dist-packages/torch
"""


def namespace(script, **env):
    return me_test.run(["unshare", "--mount", "sh", "-c", WITHOUT + textwrap.dedent(script)],
                       env={**os.environ, "SCRIPT": str(SCRIPT), **env}, timeout=120)


@pytest.mark.parametrize("name, packages", [("sklearn", "python3-venv"), ("pl", "python3-venv python3-torch")])
def test_a_user_is_told_the_line(name, packages, tmp_path):
    tmp_path.chmod(0o777)
    script = f'setpriv --reuid 65534 --regid 65534 --clear-groups sh -s -- --dir "$TARGET" {name} <"$SCRIPT"'
    done = namespace(script, TARGET=str(tmp_path / "f"), PATH="/usr/bin:/bin", HOME="/")
    assert done.rc == 3 and done.out == "", done.err
    assert done.err == (f"install-framework: {name}: missing here; as root run: apt-get install "
                        f"--no-install-recommends {packages}\n")
    assert not (tmp_path / "f").exists()


def test_root_gets_it_installed(tmp_path, wheels):
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "apt-get").write_text(f"""#!/bin/sh
        echo "$@" >>'{tmp_path}/apt'
        case "$*" in *python3-venv*) umount /usr/lib/python3*/ensurepip ;; esac
    """)
    (bin_dir / "apt-get").chmod(0o755)
    done = namespace('"$SCRIPT" --dir "$TARGET" sklearn', TARGET=str(tmp_path / "f"), PATH=f"{bin_dir}:/usr/bin:/bin",
                     PIP_NO_INDEX="1", PIP_FIND_LINKS=str(wheels))
    assert done.rc == 0 and "sklearn: installing python3-venv" in done.out and "sklearn: ready" in done.out, done.err
    asked = (tmp_path / "apt").read_text()
    assert "install -y --no-install-recommends python3-venv\n" in asked and "torch" not in asked


def test_one_for_real(tmp_path):
    folder = tmp_path / "frame works"
    with SCRIPT.open() as text:  # as it goes to another machine
        done = subprocess.run(["sh", "-s", "--", "--dir", folder, "sklearn"], stdin=text, capture_output=True,
                              text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    python = folder / "sklearn/bin/python"
    have = subprocess.run([python, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True)
    assert set(pins("sklearn")) <= set(have.stdout.split())
    train = """
        import numpy
        from sklearn.neural_network import MLPClassifier
        x = numpy.random.default_rng(1).random((400, 2))
        y = x[:, 0] > x[:, 1]
        print(MLPClassifier(max_iter=400, random_state=1).fit(x, y).score(x, y) > 0.9)
    """
    alone = subprocess.run(["unshare", "--net", python, "-W", "ignore", "-c", textwrap.dedent(train)],
                           capture_output=True, text=True, check=True, timeout=120, env={"PATH": "/usr/bin:/bin"})
    assert alone.stdout == "True\n"
    assert install("--check", "--dir", folder, "sklearn").rc == 0
