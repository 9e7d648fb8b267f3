"""The user's own training: a function of their file, files on every machine, and nothing that stays behind."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

BUILD = pathlib.Path(os.environ["ME_BUILD"])
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "scripts" / "python"))
import machine_energy  # noqa: E402

TRAIN = '''
    import os, sys
    import helper
    print("imported as", __name__, sys.argv[0].endswith("/train.py"), len(sys.argv))

    def train(epochs=1, name="none", *rest):
        print("train", epochs, name, rest, helper.VALUE, os.path.basename(os.getcwd()))
        return {"samples": 100 * epochs, "accuracy": 0.5 + epochs / 10, "loss": float("nan"), "name": name}

    def number():
        return 42

    def nothing(): pass

    def fails():
        print("before")
        raise ValueError("no data for it")

    def leaves():
        sys.exit(3)

    async def later(): pass

    def spread():
        import multiprocessing
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            return sum(pool.map(double, range(10)))

    def double(x):
        return 2 * x

    if __name__ == "__main__":
        print("MAIN RAN")
'''


@pytest.fixture
def env(tmp_path):
    names = ("LANG", "ME_DATASETS")
    clean = {name: os.environ[name] for name in names if name in os.environ}
    clean["PATH"] = f"{BUILD}:/usr/local/bin:/usr/bin:/bin"
    clean["HOME"] = str(tmp_path / "home")
    clean["OMPI_ALLOW_RUN_AS_ROOT"] = clean["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1"
    (tmp_path / "home").mkdir()
    return clean


@pytest.fixture
def work(tmp_path):
    """Where mpirun is started: the user's file and what it needs."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "train.py").write_text(textwrap.dedent(TRAIN))
    (folder / "helper.py").write_text("VALUE = 'helped'\n")
    return folder


def bench(env, work, *args, ranks=1, check=None, **more):
    argv = ["mpirun", "--oversubscribe", "-n", str(ranks), "me_bench", *map(str, args)]
    done = subprocess.run(argv, env=env, cwd=work, timeout=90, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **more)
    if check is not None:
        assert done.returncode == check, done.stderr
    return done


def log(work, experiment="exp", repeat=1, stream="out"):
    return (work / experiment / "logs" / f"machine0-repeat{repeat}.{stream}").read_text()


def left(env):
    """What a run left in its user's home; but for empty folders."""
    return sorted(str(path) for path in pathlib.Path(env["HOME"]).rglob("*") if not path.is_dir()) + \
        sorted(map(str, pathlib.Path(env["HOME"]).glob(".local/state/machine-energy")))


def metrics(work, experiment="exp"):
    table = machine_energy.read(work / experiment).metrics
    return dict(zip(table.metric, table.value))


def refuses(env, work, message, *args, ranks=1):
    done = bench(env, work, "exp", *args, ranks=ranks)
    lines = [line for line in done.stderr.splitlines() if line.startswith("me_bench: ")]
    assert done.returncode == 2, done.stderr
    assert message in done.stderr, done.stderr
    assert not (work / "exp").exists() and not left(env)
    return lines


# -- a function ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args, said", [
    (None, "train 1 none () helped"),
    ({"epochs": 3, "name": "a b'c"}, "train 3 a b'c () helped"),
    ([2, "x", None, [1.5]], "train 2 x (None, [1.5]) helped"),
    ({}, "train 1 none () helped"),
], ids=str)
def test_a_function_gets_its_arguments(env, work, args, said):
    words = [] if args is None else ["--args", json.dumps(args)]
    bench(env, work, "exp", "--train-func", "train.py:train", "--with", "helper.py", *words, check=0)
    lines = log(work).splitlines()
    assert lines[0] == "imported as train True 1"
    assert lines[1].startswith(said + " me-") and len(lines) == 2, "MAIN must not run"
    assert not left(env)


def test_what_the_function_returns_is_kept(env, work):
    bench(env, work, "exp", "--train-func", "train.py:train", "--with", "helper.py", "--args", '{"epochs": 2}',
          "--repeats", "2", check=0)
    result = machine_energy.read(work / "exp")
    table = result.metrics
    assert sorted(table.metric) == ["accuracy", "accuracy", "loss", "loss"]
    assert set(table.value[table.metric == "accuracy"]) == {0.7}
    assert table.value[table.metric == "loss"].isna().all()
    runs = result.repeats[result.repeats.phase == "run"]
    assert list(runs.work) == [200, 200] and set(runs.work_unit) == {"samples"}
    assert set(runs.workload) == {"function"} and set(runs.region) == {"train"}
    assert {"import", "train"} == set(result.regions.region)


def test_a_number_is_the_result(env, work):
    bench(env, work, "exp", "--train-func", "train.py:number", "--with", "helper.py", check=0)
    assert metrics(work) == {"result": 42}
    bench(env, work, "exp2", "--train-func", "train.py:nothing", "--with", "helper.py", check=0)
    assert metrics(work, "exp2") == {}


def test_the_function_may_start_processes(env, work):
    bench(env, work, "exp", "--train-func", "train.py:spread", "--with", "helper.py", "--timeout", "40", check=0)
    assert metrics(work) == {"result": 90}


def test_an_error_inside_is_the_users_own_traceback(env, work):
    done = bench(env, work, "exp", "--train-func", "train.py:fails", "--with", "helper.py", check=1)
    said = log(work, stream="err")
    assert said.splitlines()[-1] == "ValueError: no data for it"
    assert 'train.py", line' in said and "in fails" in said and "me_function" not in said
    assert log(work).splitlines()[-1] == "before"
    assert "status 1" in done.stderr
    assert not left(env)


def test_a_module_that_is_missing_is_told_by_the_log(env, work):
    bench(env, work, "exp", "--train-func", "train.py:train", check=1)  # without helper.py
    said = log(work, stream="err")
    assert said.splitlines()[-1] == "ModuleNotFoundError: No module named 'helper'"
    assert "importlib" not in said and "me_function" not in said


def test_an_exit_status_of_its_own(env, work):
    bench(env, work, "exp", "--train-func", "train.py:leaves", "--with", "helper.py", check=1)
    result = machine_energy.read(work / "exp")
    assert list(result.repeats.exit_status[result.repeats.phase == "run"]) == [3]


@pytest.mark.parametrize("text, name, message", [
    (None, "gone", "train.py: defines no function gone; it has train, number"),
    (None, "later", "train.py: later is asynchronous"),
    ("def f(:\n", "f", "train.py: line 1: invalid syntax"),
    ("x = 1\n", "f", "train.py: defines no function f"),
], ids=["missing", "async", "syntax", "empty"])
def test_a_function_that_is_not_there_is_refused(env, work, text, name, message):
    if text is not None:
        (work / "train.py").write_text(text)
    lines = refuses(env, work, message, "--train-func", f"train.py:{name}")
    assert "(machine 0): " in lines[0] and lines[-1].endswith("1 of 1 machine cannot run it; nothing was touched")


@pytest.mark.parametrize("signature, args, message", [
    ("epochs=1, *, rate=0.1", '{"epoch": 3}', "--args: train.py:f has no argument epoch; there are epochs, rate"),
    ("", '{"epoch": 3}', "--args: train.py:f has no argument epoch"),
    ("a, b", '{"a": 3}', "--args: train.py:f needs b too"),
    ("a, *, b", "[1]", "--args: train.py:f needs b too"),
    ("a", None, "--args: train.py:f needs a too"),
    ("a, b=2", "[1, 2, 3]", "--args: 3 values, and train.py:f takes 2 at most"),
    ("a, /, b=2", '{"a": 3}', "--args: train.py:f has no argument a; there are b"),
])
def test_arguments_that_the_function_does_not_take_are_refused(env, work, signature, args, message):
    (work / "train.py").write_text(f"def f({signature}):\n    return 7\n")
    lines = refuses(env, work, message, "--train-func", "train.py:f", *(["--args", args] if args else []))
    assert lines[0].endswith(message)


@pytest.mark.parametrize("text, args", [
    ("def f(a, *rest, b=1, **more):\n    return 7\n", '{"a": 1, "c": 2}'),
    ("def f(a, *rest):\n    return 7\n", "[1, 2, 3]"),
    ("def f(a, /, b=1, *, c=2):\n    return 7\n", "[1, 2]"),
    ("import functools\ndef more(g):\n    return lambda: g(1)\n@more\ndef f(a):\n    return 7\n", None),
    ("if True:\n    def f():\n        return 7\nelse:\n    def f(a):\n        return 8\n", None),
])
def test_arguments_that_it_takes_are_not(env, work, text, args):
    (work / "train.py").write_text(text)
    bench(env, work, "exp", "--train-func", "train.py:f", *(["--args", args] if args else []), check=0)
    assert metrics(work) == {"result": 7}


def test_a_function_by_another_way(env, work):
    (work / "train.py").write_text("import functools\ntry:\n    from none import f\nexcept ImportError:\n"
                                   "    f = functools.partial(int, '7')\n")
    bench(env, work, "exp", "--train-func", "train.py:f", check=0)
    assert metrics(work) == {"result": 7}


def test_a_file_named_as_a_module_of_python(env, work):
    (work / "json.py").write_text("def f(x):\n    import machine_energy\n    return x\n")
    bench(env, work, "exp", "--train-func", "json.py:f", "--args", "[5]", check=0)
    assert metrics(work) == {"result": 5}


def test_what_failed_says_where_its_words_are(env, work):
    done = bench(env, work, "exp", "--train-func", "train.py:fails", "--with", "helper.py", check=1)
    assert "me_bench: what the workloads printed: exp/logs\n" in done.stderr
    said = subprocess.run(["me", "report", "exp"], env=env, cwd=work, capture_output=True, text=True, check=True).stdout
    assert "\nfunction: train.py:fails\n" in said and "logs/machineN-repeatN.err" in said


def test_append_is_the_same_function_with_the_same_arguments(env, work):
    words = ["--train-func", "train.py:train", "--with", "helper.py"]
    bench(env, work, "exp", *words, "--args", '{"epochs": 2}', check=0)
    for other in ([*words, "--args", '{"epochs": 1}'], words, ["--train-func", "train.py:number", "--with", "helper.py"]):
        done = bench(env, work, "exp", "--append", *other, check=2)
        assert "--append must run the same again: \"train.py:train {" in done.stderr
    bench(env, work, "exp", "--append", *words, "--args", '{"epochs": 2}', check=0)
    assert len(metrics(work)) == 2


def test_append_trains_on_as_many_images(env, work):
    words = ["exp", "--framework", "native --epochs 1"]
    bench(env, work, *words, "--samples", "64", check=0)
    done = bench(env, work, *words, "--append", "--samples", "128", check=2)
    assert "--samples: --append must run the same again: 64 before, 128 now (0: all)" in done.stderr
    bench(env, work, *words, "--append", "--samples", "64", check=0)


def test_the_python_that_is_asked_for(env, work):
    python = work / "venv" / "bin" / "python3"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "by way of $0"\nexec /usr/bin/python3 "$@"\n')
    python.chmod(0o755)
    bench(env, work, "exp", "--train-func", "train.py:number", "--with", "helper.py", "--python", "venv", check=0)
    assert log(work).splitlines()[0] == f"by way of {python}"
    refuses_none = bench(env, work, "exp2", "--train-func", "train.py:number", "--python", "/no/venv", check=2)
    assert "--python: /no/venv is neither an interpreter nor a virtual environment" in refuses_none.stderr


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_command_runs_beside_its_files(env, work):
    (work / "data").mkdir()
    (work / "data" / "a").write_text("from a file\n")
    (work / "run.sh").write_text("#!/bin/sh\ncat data/a\npwd\nls -A\necho \"$ME_FILES\"\nstat -c %a run.sh data/a .\n")
    (work / "run.sh").chmod(0o755)
    bench(env, work, "exp", "--with", "run.sh", "--with=data", "--", "./run.sh", check=0)
    lines = log(work).splitlines()
    assert lines[0] == "from a file"
    assert lines[1] == lines[-4] and lines[1].startswith(env["HOME"] + "/.local/state/machine-energy/me-")
    assert lines[2:5] == [".machine-energy", "data", "run.sh"]
    assert lines[-3:] == ["700", "600", "700"]
    assert not left(env)
    plan = json.loads(machine_energy.read(work / "exp").attrs["plan"])
    assert plan["with"] == "run.sh\ndata" and "from a file" not in json.dumps(plan)
    assert b"from a file" not in (work / "exp" / "exp.h5").read_bytes()


def test_a_command_alone_stays_where_it_was(env, work):
    bench(env, work, "exp", "--", "sh", "-c", "pwd; echo $ME_FILES", check=0)
    where, files = log(work).splitlines()
    assert where == str(work) and files.startswith(env["HOME"])


def test_marks_from_a_plain_command(env, work):
    env["PYTHONPATH"] = "/some/where"
    script = ("import machine_energy as me, os, sys; assert me.active()\nwith me.region('mine'): pass\n"
              "print(os.environ['PYTHONPATH'].split(':')[1:])")
    bench(env, work, "exp", "--region", "mine", "--", "python3", "-c", script, check=0)
    assert log(work) == "['/some/where']\n"
    result = machine_energy.read(work / "exp")
    assert list(result.regions.region) == ["mine"]
    assert list(result.repeats.region[result.repeats.phase == "run"]) == ["mine"]


def test_who_and_how_many(env, work):
    bench(env, work, "exp", "--", "echo", "%i of %n, 100%% of %d", check=0)
    assert log(work) == "0 of 1, 100% of %d\n"


def test_what_the_workload_writes_stays_for_the_next_repeat_and_goes_at_the_end(env, work):
    (work / "count.sh").write_text("echo x >>seen; mkdir -p a/b; touch a/b/c; chmod 0 a/b; wc -l <seen\n")
    bench(env, work, "exp", "--with", "count.sh", "--repeats", "3", "--", "sh", "count.sh", check=0)
    assert [log(work, repeat=n).strip() for n in (1, 2, 3)] == ["1", "2", "3"]
    assert not left(env)


@pytest.mark.parametrize("words, message", [
    (["--with", "gone.csv"], "--with: gone.csv: No such file"),
    (["--with", "train.py", "--with", "other/train.py"], "--with: train.py and other/train.py have one name"),
    (["--with", "leaving"], "--with: leaving/link: the link leads out of the folder"),
    (["--with", "pipe"], "--with: pipe: neither a file nor a folder"),
    (["--with", ""], "--with: empty"),
    (["--with"], "--with needs a value"),
])
def test_files_that_cannot_be_shipped(env, work, words, message):
    (work / "other").mkdir()
    (work / "other" / "train.py").write_text("")
    (work / "leaving").mkdir()
    (work / "leaving" / "link").symlink_to("/etc/hostname")
    os.mkfifo(work / "pipe")
    lines = refuses(env, work, message, *words, "--", "true") if words != ["--with"] else \
        refuses(env, work, message, *words)
    assert len(lines) == 1


@pytest.mark.skipif("os.geteuid() != 0", reason="root can give a file to somebody else")
def test_a_file_that_may_not_be_read(env, work, tmp_path):
    tmp_path.chmod(0o755)
    (work / "closed").write_text("x")
    (work / "closed").chmod(0)
    for folder in (work, tmp_path / "home"):
        os.chown(folder, 65534, 65534)
    for parent in list(work.parents)[:-1]:
        if parent.stat().st_mode & 0o005 != 0o005:
            parent.chmod(parent.stat().st_mode | 0o055)  # pytest's own folders
    argv = ["mpirun", "-n", "1", "me_bench", "exp", "--with", "closed", "--", "true"]
    done = subprocess.run(argv, env=env, cwd=work, timeout=60, capture_output=True, text=True, user=65534, group=65534,
                          extra_groups=[], stdin=subprocess.DEVNULL)
    assert done.returncode == 2 and "--with: closed: Permission denied" in done.stderr, done.stderr


@pytest.mark.parametrize("words, message", [
    (["--train-func", "train.py"], "--train-func: train.py is not FILE.py:FUNCTION"),
    (["--train-func", "gone.py:f"], "--train-func: gone.py: No such file"),
    (["--train-func", "train.py:f", "--args", "{epochs: 3}"], "--args: {epochs: 3} is not JSON"),
    (["--train-func", "train.py:f", "--args", "3"], "--args: 3 is neither an object of keywords nor an array"),
    (["--args", "[]", "--", "true"], "--args: only with --train-func"),
    (["--train-func", "train.py:f", "--framework", "spin"], "--train-func: not together with --framework"),
    (["--train-func", "train.py:f", "--", "true"], "--train-func: not together with a command behind --"),
    (["--framework", "spin", "--", "true"], "--framework: not together with a command behind --"),
    (["--samples", "5", "--", "true"], "--samples: a command takes none"),
    (["--samples", "5", "--framework", "spin,sleep"], "--samples: spin,sleep takes none"),
    (["--samples", "5", "--train-func", "train.py:f"], "--samples: --train-func takes none"),
    (["--samples", "-1"], "--samples: -1 is not a whole number from 0"),
    (["--region", "two words"], "--region: two words is no region's name"),
    (["--framework", "kears"], "--framework: there is no kears; did you mean keras?"),
])
def test_bad_combinations(env, work, words, message):
    assert len(refuses(env, work, message, *words)) == 1


# -- machines that cannot ------------------------------------------------------------------------------------------


@pytest.fixture
def bare(env, work):
    """A Python without any framework, whatever else this machine has."""
    python = work / "bare"
    python.write_text('#!/bin/sh\necho "me: keras: keras is not installed for $0: install it" >&2\nexit 1\n')
    python.chmod(0o755)
    return python


def test_a_machine_without_the_framework(env, work, bare):
    lines = refuses(env, work, "keras: keras is not installed", "--framework", "keras", "--python", "./bare")
    assert len(lines) == 2 and "(machine 0): keras: keras is not installed for" in lines[0], lines


def test_two_machines_and_one_line_of_the_one_that_cannot(env, work, tmp_path):
    """Two ranks that take themselves for two machines: each has a boot id of its own."""
    roots = []
    for n in (0, 1):
        root = tmp_path / f"root{n}"
        (root / "proc/sys/kernel/random").mkdir(parents=True)
        (root / "proc/sys/kernel/random/boot_id").write_text(f"0000000{n}-0000-4000-8000-000000000000\n")
        roots.append(root)
    for n, cure in ((0, "exit 0"), (1, "echo 'me: pl: lightning is not installed; install it' >&2; exit 1")):
        folder = tmp_path / f"frameworks{n}" / "pl" / "bin"
        folder.mkdir(parents=True)
        (folder.parent / "complete").touch()
        (folder / "python3").write_text(f"#!/bin/sh\n{cure}\n")
        (folder / "python3").chmod(0o755)
        (folder.parent / "complete").touch()
    words = lambda n: ["-n", "1", "-x", f"ME_FRAMEWORKS_DIR={tmp_path}/frameworks{n}", "me_bench", "exp",  # noqa: E731
                       "--framework", "pl", "--root", str(roots[n])]
    done = subprocess.run(["mpirun", "--oversubscribe", *words(0), ":", *words(1)], env=env, cwd=work, timeout=60,
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    lines = [line for line in done.stderr.splitlines() if line.startswith("me_bench: ")]
    assert done.returncode == 2, done.stderr
    assert len(lines) == 2, done.stderr
    assert "(machine 1): pl: lightning is not installed; install it" in lines[0]
    assert lines[1] == "me_bench: 1 of 2 machines cannot run it; nothing was touched"
    assert not (work / "exp").exists() and not left(env)


def test_several_workloads_of_which_one_is_missing(env, work, bare):
    lines = refuses(env, work, "keras is not installed", "--framework", "keras,sleep", "--python", "./bare")
    assert len(lines) == 2


def test_check_alone(env, work, bare):
    def check(*words):
        return subprocess.run(["me_bench", "--check", *words], env=env, cwd=work, capture_output=True, text=True,
                              timeout=60, stdin=subprocess.DEVNULL)
    done = check("spin,sleep")
    assert done.returncode == 0 and [line.split(":")[0] for line in done.stdout.splitlines()] == ["spin", "sleep"]
    done = check("spin,keras", "--python", str(bare))
    assert done.returncode == 1 and "keras: keras is not installed" in done.stdout.splitlines()[1]
    done = check("kears")
    assert done.returncode == 2 and "did you mean keras?" in done.stderr and not done.stdout
    done = check("command")
    assert done.returncode == 2 and "command" in done.stderr
    assert check().returncode == 2 and check("spin", "--pythn", "x").returncode == 2
    assert not left(env)


# -- nothing stays behind ------------------------------------------------------------------------------------------


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def folders(env):
    return list(pathlib.Path(env["HOME"]).glob(".local/state/machine-energy/me-*"))


def test_after_a_timeout(env, work):
    bench(env, work, "exp", "--timeout", "0.5", "--with", "helper.py", "--", "sleep", "60", check=1)
    assert not left(env)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["while it runs", "while it is checked"])
def test_after_a_stop(env, work, how, when):
    python = work / "slow"
    python.write_text("#!/bin/sh\ntouch started\nexec sleep 50\n")
    python.chmod(0o755)
    if when == "while it runs":
        words = ["--with", "slow", "--", "./slow"]
    else:
        words = ["--framework", "keras", "--python", "./slow"]
    run = subprocess.Popen(["mpirun", "-n", "1", "me_bench", "exp", *words], env=env, cwd=work, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        assert wait_for(lambda: any((path / "started").exists() for path in folders(env))), "never started"
        run.send_signal(how)
        said, _ = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode != 0
    assert not left(env), said
    assert (work / "exp").exists() == (when == "while it runs"), said


def test_what_a_killed_run_left_goes_with_a_later_one(env, work):
    run = subprocess.Popen(["mpirun", "-n", "1", "me_bench", "exp", "--", "sleep", "97.5"], env=env, cwd=work,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    assert wait_for(lambda: folders(env) and (folders(env)[0] / ".machine-energy" / "lock").exists())
    folder = folders(env)[0]
    old = time.time() - 2 * 86400
    os.utime(folder, (old, old))
    bench(env, work, "other", "--", "true", check=0)
    assert folder.exists(), "it is old, but its run lives"
    pids = [int(p.name) for p in pathlib.Path("/proc").iterdir() if p.name.isdigit() and is_bench(p, "exp")]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    run.wait(30)
    assert wait_for(lambda: not any(is_bench(pathlib.Path("/proc", str(pid)), "exp") for pid in pids))
    assert folder.exists()
    os.utime(folder)
    bench(env, work, "other2", "--", "true", check=0)
    assert folder.exists(), "it may be looked at for a day"
    os.utime(folder, (old, old))
    (folder.parent / "me-mine").mkdir()
    os.utime(folder.parent / "me-mine", (old, old))
    bench(env, work, "other3", "--", "true", check=0)
    assert not folder.exists() and (folder.parent / "me-mine").exists()


def is_bench(process, experiment):
    try:
        return (process / "cmdline").read_bytes().split(b"\0")[:2] == [b"me_bench", experiment.encode()]
    except OSError:
        return False


def test_a_workload_that_removes_its_folder(env, work):
    """Its second repeat cannot start; the first stays, and so does nothing else."""
    done = bench(env, work, "exp", "--repeats", "2", "--with", "helper.py", "--", "sh", "-c", 'rm -r "$ME_FILES"; echo ok',
                 check=1)
    assert "cannot run '/usr/bin/sh' in " in done.stderr or "cannot run '/bin/sh' in " in done.stderr, done.stderr
    assert log(work) == "ok\n" and not left(env)


@pytest.mark.parametrize("script", [
    'mv "$ME_FILES" "$HOME/moved"; ln -s "$HOME/kept" "$ME_FILES"',
    'ln -s "$HOME/kept" link; mkdir -p a/b; ln -s "$HOME/kept/file" a/b; ln "$HOME/kept/file" a/hard; chmod 500 a/b a; chmod 0 .',
    '(setsid sleep 600 </dev/null >/dev/null 2>&1 &)',
])
def test_the_folder_goes_and_nothing_beside_it(env, work, script):
    kept = work.parent / "home" / "kept"
    kept.mkdir(mode=0o755)
    (kept / "file").write_text("kept")
    (kept / "file").chmod(0o644)
    bench(env, work, "exp", "--with", "helper.py", "--", "sh", "-c", script, check=0)
    assert (kept / "file").read_text() == "kept" and (kept / "file").stat().st_mode & 0o777 == 0o644
    assert kept.stat().st_mode & 0o777 == 0o755
    assert not (work.parent / "home" / ".local/state/machine-energy").exists()


def test_what_cannot_be_removed_is_said(env, work):
    if os.geteuid():
        pytest.skip("needs root")
    kept = work.parent / "home" / "kept"
    kept.mkdir()
    (kept / "file").write_text("kept")
    inside = ["unshare", "-m", "--propagation", "private"]
    script = 'mkdir m; mount --bind "$HOME/kept" m || exit 9'
    done = subprocess.run([*inside, "mpirun", "-n", "1", "me_bench", "exp", "--with", "helper.py", "--", "sh", "-c", script],
                          env=env, cwd=work, timeout=90, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert "me_bench: " in done.stderr and ": not all of it could be removed" in done.stderr, done.stderr
    assert (kept / "file").read_text() == "kept"


def test_force_twice_within_a_second(env, work):
    for _ in range(3):
        bench(env, work, "exp", "--sources", "model", "--force", "--", "true", check=0)
    assert len(list(work.glob("exp.old-*"))) == 2


def test_large_files_need_no_memory_where_they_go(env, work, tmp_path):
    """A machine with room for them on its disk only: each rank but the head may take 200 MiB at most."""
    with open(work / "large", "wb") as file:
        file.truncate(300 << 20)
    roots = []
    for n in (0, 1):
        root = tmp_path / f"root{n}"
        (root / "proc/sys/kernel/random").mkdir(parents=True)
        (root / "proc/sys/kernel/random/boot_id").write_text(f"0000000{n}-0000-4000-8000-000000000000\n")
        roots.append(root)
    words = lambda n: ["me_bench", "exp", "--root", str(roots[n]), "--with", "large", "--",  # noqa: E731
                       "stat", "-c", "%s", "large"]
    limited = ["sh", "-c", 'ulimit -d 204800; exec "$@"', "sh", *words(1)]
    done = subprocess.run(["mpirun", "--oversubscribe", "-n", "1", *words(0), ":", "-n", "1", *limited], env=env, cwd=work,
                          timeout=90, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert "no memory" not in done.stderr and "cannot run it" not in done.stderr, done.stderr
    assert (work / "exp").exists() and not left(env), done.stderr


def test_another_place_where_the_disk_is_full(env, work):
    """The files do not fit beside the journal; they are not begun there."""
    if os.geteuid():
        pytest.skip("needs root")
    (work / "large").write_bytes(bytes(3 << 20))
    script = 'mkdir -p "$HOME/.local/state" && mount -t tmpfs -o size=2m none "$HOME/.local/state" && exec "$@"'
    done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", "mpirun", "-n", "1", "me_bench",
                           "exp", "--with", "large", "--", "sh", "-c", 'pwd; stat -c %s large'],
                          env={**env, "TMPDIR": str(work)}, cwd=work, timeout=90, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    where, size = log(work).split()
    assert where.startswith(f"{work}/me-") and size == str(3 << 20)
    assert not list(work.glob("me-*"))


def test_another_place_where_the_home_has_none(env, work):
    (work.parent / "home" / ".local").write_text("a file")
    bench(env, work, "exp", "--with", "helper.py", "--", "cat", "helper.py", check=0)
    assert log(work) == "VALUE = 'helped'\n"
