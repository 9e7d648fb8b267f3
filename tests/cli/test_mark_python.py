"""scripts/python/machine_energy: the marks, and the callbacks with stand-ins for their frameworks (the real ones are
met where frameworks are trained)."""
import os
import pathlib
import subprocess
import textwrap
import threading

import pytest

MODULES = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "python"
PYTHONS = ["/usr/bin/python3"]


def run(script, cwd, heard=True, path=(), **more):
    """The marks that a script makes; with `heard` False nobody listens."""
    reading, writing = os.pipe()
    lines = []

    def drain():
        with os.fdopen(reading, "rb") as marks:
            lines.extend(marks.read().decode().splitlines())

    thread = threading.Thread(target=drain)
    thread.start()
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(cwd),
           "PYTHONPATH": os.pathsep.join([str(MODULES), *map(str, path)])}
    if heard:
        env["ME_MARK_FD"] = str(writing)
    env.update(more.pop("env", {}))
    try:
        done = subprocess.run([PYTHONS[0], "-c", textwrap.dedent(script)], cwd=cwd, env=env, pass_fds=[writing],
                              capture_output=True, text=True, timeout=60, **more)
    finally:
        os.close(writing)
        thread.join()
    assert done.returncode == 0, done.stderr
    assert not heard or not done.stderr
    return lines, done.stdout


SCRIPT = """
    import machine_energy as me
    with me.region("outer"):
        with me.region("a/b-c_d.e9"): pass
    @me.region("call")
    def call(a, *, b):
        "its words"
        return a + b
    assert call(1, b=2) == 3 and call.__name__ == "call" and call.__doc__ == "its words"
    me.begin("x"); me.end("x")
    me.work(180000, "samples"); me.work(0.5, "samples")
    me.metric("accuracy", 0.875); me.metric("loss", float("nan")); me.metric("loss", float("-inf"))
    print(me.active())
"""
MARKS = ["begin outer", "begin a/b-c_d.e9", "end a/b-c_d.e9", "end outer", "begin call", "end call", "begin x", "end x",
         "work 180000.0 samples", "work 0.5 samples", "metric accuracy 0.875", "metric loss nan", "metric loss -inf"]


def test_marks(tmp_path):
    assert run(SCRIPT, tmp_path) == (MARKS, "True\n")


def test_nobody_listens(tmp_path):
    assert run(SCRIPT, tmp_path, heard=False) == ([], "False\n")


@pytest.mark.parametrize("value", ["", "x", "-1", "0", "2", "3.5", "99", "4294967295", "99999999999999999999", "٣"])
def test_no_such_pipe(tmp_path, value):
    assert run(SCRIPT, tmp_path, env={"ME_MARK_FD": value}) == ([], "False\n")


@pytest.mark.parametrize("opened", ["os.open('mine', os.O_RDWR | os.O_CREAT)", "os.open('/dev/null', os.O_RDWR)",
                                    "os.pipe()[0]", "socket.socketpair()[0].detach()"])
def test_a_file_that_is_no_pipe_of_ours(tmp_path, opened):
    script = f"import os, socket\nos.dup2({opened}, 50)\nos.environ['ME_MARK_FD'] = '50'\n" + textwrap.dedent(SCRIPT)
    assert run(script, tmp_path) == ([], "False\n")
    assert not (tmp_path / "mine").exists() or (tmp_path / "mine").read_bytes() == b""


def test_exceptions_end_regions(tmp_path):
    marks, _ = run("""
        import machine_energy as me
        @me.region("in")
        def fail(): raise KeyError("x")
        try:
            with me.region("out"): fail()
        except KeyError: me.metric("caught", 1)
        with me.region("last"): raise SystemExit(0)
    """, tmp_path)
    assert marks == ["begin out", "begin in", "end in", "end out", "metric caught 1.0", "begin last", "end last"]


def test_coroutines_and_generators(tmp_path):
    marks, out = run("""
        import asyncio, machine_energy as me
        @me.region("co")
        async def co():
            await asyncio.sleep(0); me.metric("in", 1); return 5
        @me.region("gen")
        def gen():
            got = yield 1; me.metric("in", got); return 7
        print(asyncio.run(co()))
        g = gen(); next(g)
        try: g.send(2)
        except StopIteration as stop: print(stop.value)
        g = gen(); next(g); g.close()
        try:
            @me.region("agen")
            async def agen(): yield 1
        except TypeError as error: print(error)
    """, tmp_path)
    assert marks == ["begin co", "metric in 1.0", "end co", "begin gen", "metric in 2.0", "end gen", "begin gen", "end gen"]
    assert out.splitlines()[:2] == ["5", "7"] and "asynchronous generator" in out


@pytest.mark.parametrize("heard", [True, False])
def test_names(tmp_path, heard):
    """Refused wherever it runs, since a mistake that only shows when measured is found late; and nothing is written."""
    marks, _ = run("""
        import machine_energy as me
        bad = ["", " ", "a b", "a\\n", "a\\nend b", "\\xe4", "a;b", "a,b", "x" * 48, "a\\0"]
        calls = [lambda name: me.region(name), lambda name: me.begin(name), lambda name: me.end(name),
                 lambda name: me.metric(name, 1), lambda name: me.work(1, name)]
        for call in calls:
            for name in bad:
                try: call(name)
                except ValueError: continue
                raise SystemExit(f"{name!r} was taken")
            for name in (None, 1, b"a"):
                try: call(name)
                except TypeError: continue
                raise SystemExit(f"{name!r} was taken")
        for amount in (-1, float("nan"), float("inf"), "x"):
            try: me.work(amount, "items")
            except ValueError: continue
            raise SystemExit(f"{amount!r} was taken")
        me.region("x" * 47)
        me.work(1, "x" * 23)
    """, tmp_path, heard=heard)
    assert marks == (["work 1.0 " + "x" * 23] if heard else [])


def test_threads_and_forks(tmp_path):
    marks, _ = run("""
        import os, threading, machine_energy as me
        def work(name):
            for i in range(2000):
                with me.region(name): pass
        threads = [threading.Thread(target=work, args=(c * 40,)) for c in "abcdefgh"]
        for t in threads: t.start()
        for t in threads: t.join()
        if not os.fork():
            me.work(1, "forks")
            os._exit(0)
        os.wait()
    """, tmp_path)
    assert len(marks) == 32001 and marks[-1] == "work 1.0 forks"
    for c in "abcdefgh":
        assert marks.count(f"begin {c * 40}") == marks.count(f"end {c * 40}") == 2000


def test_who_listened_is_gone(tmp_path):
    """The reader ends while the program goes on: no exception, no SIGPIPE, no message."""
    reading, writing = os.pipe()
    script = ("import machine_energy as me\nprint(me.active(), flush=True); input()\n"
              "for i in range(5):\n with me.region('a'): me.work(1, 'x'); me.metric('m', 1)\nprint(me.active())")
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(MODULES), "ME_MARK_FD": str(writing), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen([PYTHONS[0], "-c", script], env=env, pass_fds=[writing], text=True, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as program:
        assert program.stdout.readline() == "True\n"
        os.close(writing)
        os.close(reading)
        assert program.communicate("\n", timeout=30)[0] == "False\n"
    assert program.returncode == 0


def test_numbers_of_other_kinds(tmp_path):
    marks, _ = run("""
        import decimal, fractions, numpy as np, machine_energy as me
        me.work(np.int64(3), "x"); me.work(np.float32(0.5), "x"); me.work(decimal.Decimal("1.5"), "x"); me.work(True, "x")
        me.metric("loss", np.array(0.25)); me.metric("loss", fractions.Fraction(1, 8)); me.metric("loss", 10**15)
        me.metric("loss", 1e-300); me.work(1e22, "x")
    """, tmp_path)
    assert marks == ["work 3.0 x", "work 0.5 x", "work 1.5 x", "work 1.0 x", "metric loss 0.25", "metric loss 0.125",
                     "metric loss 1000000000000000.0", "metric loss 1e-300", "work 1e+22 x"]


def test_importing_costs_nothing(tmp_path):
    """Nothing beyond what Python has loaded itself; on machines the reader is not there at all."""
    _, out = run("""
        import sys
        before = set(sys.modules)
        import machine_energy as me
        print(sorted(set(sys.modules) - before - {"machine_energy", "fcntl", "stat", "_stat"}))
        assert {"read", "Result", "TABLES"} <= set(dir(me))
        try: me.nothing
        except AttributeError as error: print(error)
        print(callable(me.read), "h5py" in sys.modules)
    """, tmp_path)
    assert out.splitlines() == ["[]", "module 'machine_energy' has no attribute 'nothing'", "True True"]


def test_many_names_do_not_pile_up(tmp_path):
    _, out = run("""
        import machine_energy as me
        for i in range(20000):
            with me.region(f"r{i}"): pass
        print(len(me._kept))
    """, tmp_path)
    assert int(out) <= 4096


KERAS = """
    class callbacks:
        class Callback:
            def on_train_batch_begin(self, batch, logs=None): pass
            on_train_batch_begin._is_default = True
"""


def test_keras(tmp_path):
    (tmp_path / "keras.py").write_text(textwrap.dedent(KERAS))
    script = """
        from machine_energy.keras import Regions
        def fit(r, fail=False):
            r.on_train_begin()
            for e in range(2):
                r.on_epoch_begin(e, {})
                for b in range(2):
                    if hasattr(r, "on_train_batch_end"): r.on_train_batch_begin(b, logs={}); r.on_train_batch_end(b, logs={})
                if fail: return
                r.on_test_begin()
                if hasattr(r, "on_test_batch_end"): r.on_test_batch_begin(0); r.on_test_batch_end(0)
                r.on_test_end({})
                r.on_epoch_end(e)
            r.on_train_end()
        r = Regions(ARGUMENTS)
        fit(r, True)
        fit(r)
        r.on_test_begin(); r.on_test_end(); r.on_predict_begin(); r.on_predict_end()
    """
    epoch = ["begin train/epoch", "begin train/validate", "end train/validate", "end train/epoch"]
    failed = ["begin train", "begin train/epoch", "end train/epoch", "end train"]
    rest = ["begin test", "end test", "begin predict", "end predict"]
    marks, _ = run(script.replace("ARGUMENTS", ""), tmp_path, path=[tmp_path])
    assert marks == failed + ["begin train"] + epoch + epoch + ["end train"] + rest
    marks, _ = run(script.replace("ARGUMENTS", "epochs=False"), tmp_path, path=[tmp_path])
    assert marks == failed[::3] + ["begin train"] + epoch[1:3] * 2 + ["end train"] + rest
    marks, _ = run(script.replace("ARGUMENTS", "batches=True"), tmp_path, path=[tmp_path])
    assert marks.count("begin train/batch") == marks.count("end train/batch") == 6
    assert marks.count("begin train/validate/batch") == marks.count("end train/validate/batch") == 2
    assert [m for m in marks if not m.endswith("/batch")] == failed + ["begin train"] + epoch + epoch + ["end train"] + rest


def test_keras_of_tensorflow(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("")
    (tmp_path / "tensorflow" / "keras.py").write_text(textwrap.dedent(KERAS))
    script = """
        import sys
        sys.modules["keras"] = None
        from machine_energy.keras import Regions
        Regions().on_predict_begin()
    """
    assert run(script, tmp_path, path=[tmp_path])[0] == ["begin predict"]


@pytest.mark.parametrize("package, imported", [("lightning/pytorch", "lightning.pytorch"),
                                               ("pytorch_lightning", "pytorch_lightning"), ("pytorch_lightning", "sys")])
def test_lightning(tmp_path, package, imported):
    folder = tmp_path / package
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("class Callback: pass\n")
    script = f"""
        import {imported}
        from machine_energy.lightning import Regions
        print(Regions.__mro__[1].__module__)
        r = Regions(batches=True)
        r.on_validation_start(1, 2); r.on_validation_end(1, 2)
        for fail in (True, False):
            r.on_train_start(1, 2)
            r.on_train_epoch_start(1, 2)
            r.on_train_batch_start(1, 2, 3, 4)
            if fail:
                r.on_exception(1, 2, KeyError())
                continue
            r.on_train_batch_end(1, 2, 3, 4, 5)
            r.on_validation_start(1, 2); r.on_validation_batch_start(1, 2, 3, 4, 0); r.on_validation_batch_end(1, 2, 3, 4, 5, 0)
            r.on_validation_end(1, 2)
            r.on_train_epoch_end(1, 2)
            r.on_train_end(1, 2)
        r.on_test_start(1, 2); r.on_test_batch_start(1, 2, 3, 4, 0); r.on_test_batch_end(1, 2, 3, 4, 5, 0); r.on_test_end(1, 2)
        r.on_predict_start(1, 2); r.on_predict_batch_start(1, 2, 3, 4, 0); r.on_predict_batch_end(1, 2, 3, 4, 5, 0)
        r.on_predict_end(1, 2)
    """
    marks, out = run(script, tmp_path, path=[tmp_path])
    assert out.strip() == package.replace("/", ".")

    def nested(*names):
        return [f"begin {name}" for name in names] + [f"end {name}" for name in reversed(names)]

    training = nested("train", "train/epoch", "train/batch")
    validation = nested("train/validate", "train/validate/batch")
    assert marks == (nested("validate") + training + training[:4] + validation + training[4:] +
                     nested("test", "test/batch") + nested("predict", "predict/batch"))
