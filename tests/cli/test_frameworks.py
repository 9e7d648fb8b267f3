"""me frameworks: what can be run, and which of it this machine has. me_bench --check says the same of each."""
import json
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import me_test  # noqa: E402

FRAMEWORKS = ("keras", "pl", "pytorch", "jax", "sklearn", "xgboost")
KERNELS = ("native", "gemm", "stream", "fft", "cg", "spin", "sleep")
SLOW = "#!/bin/sh\ntouch {begun}\nexec sleep 58.5\n"


@pytest.fixture
def env(tmp_path):
    """A home without frameworks, a python3 that has none either, and a folder for what is unpacked."""
    (tmp_path / "tmp").mkdir()
    me_test.run(["/usr/bin/python3", "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    return {"PATH": f"{tmp_path}/venv/bin:{me_test.build_dir()}:/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path / "tmp"),
            "XDG_STATE_HOME": str(tmp_path / "state"), "LC_ALL": "C.UTF-8"}


def frameworks(env, *arguments):
    done = me_test.run([me_test.program("me"), "frameworks", *arguments], env=env, timeout=120)
    assert not os.listdir(env["TMPDIR"])
    return done


def rows(env, *arguments):
    done = frameworks(env, "--json", *arguments)
    assert (done.rc, done.err) == (0, ""), done
    return {row.pop("name"): row for row in json.loads(done.out)["frameworks"]}


def make_keras(folder, code=0, text="3.9.9"):
    """An environment whose Python answers as the keras script would."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python3").write_text(f"#!/bin/sh\necho 'keras: ready, keras {text}'\nexit {code}\n")
    (folder / "bin/python3").chmod(0o755)
    (folder / "complete").touch()


def test_all_are_told_and_what_is_missing_has_a_cure(env):
    told = rows(env)
    assert set(told) == {*FRAMEWORKS, *KERNELS}
    for name, row in told.items():
        assert set(row) == {"summary", "needs", "here", "answer"} and all(row[key] for key in ("summary", "needs", "answer"))
        assert row["here"] is (name in KERNELS), (name, row)
        assert not row["answer"].startswith((name + ":", "me:"))
        if name in FRAMEWORKS:
            assert f"scripts/install-framework {name}" in row["answer"], row
            assert f"me hosts CONFIG --install-framework {name}" in row["answer"], row


def test_the_table_says_what_json_says(env):
    told = rows(env)
    done = frameworks(env)
    assert (done.rc, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split()[:2] == ["name", "here"]
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)
    column = lines[0].index("here")
    firsts = [number for number, line in enumerate(lines) if number and not line.startswith(" ")]
    assert firsts[0] == 1 and len(firsts) == len(told)
    for number, end in zip(firsts, firsts[1:] + [len(lines)]):
        row = told[lines[number][:column].strip()]
        assert lines[number][column:].split(None, 1) == ["yes" if row["here"] else "no", row["summary"]]
        more = lines[number + 1:end]
        assert all(len(line) - len(line.lstrip()) == column + 6 for line in more)
        assert " ".join(line.strip() for line in more) == f"needs {row['needs']} {row['answer']}"


@pytest.mark.parametrize("folder, why", [("{}/none", "No such file or directory"), ("/dev/null", "Not a directory")])
def test_a_folder_for_temporary_files_that_cannot_be_used(env, tmp_path, folder, why):
    folder = folder.format(tmp_path)
    done = me_test.run([me_test.program("me"), "frameworks"], env={**env, "TMPDIR": folder})
    assert done.rc == 2 and not done.out
    assert done.err == f"me: cannot make a folder in {folder}; set TMPDIR to another: {why}\n"


def test_an_installed_environment_is_found(env, tmp_path):
    make_keras(tmp_path / ".local/share/machine-energy/frameworks/keras")
    assert rows(env)["keras"] | {"summary": "", "needs": ""} == {"summary": "", "needs": "", "here": True,
                                                                "answer": "ready, keras 3.9.9"}
    make_keras(tmp_path / "elsewhere/keras", text="elsewhere")
    assert rows({**env, "ME_FRAMEWORKS_DIR": str(tmp_path / "elsewhere")})["keras"]["answer"] == "ready, keras elsewhere"


def test_python_by_hand(env, tmp_path):
    make_keras(tmp_path / "mine", 1, "\u00e9 \u2264 \"quoted\" \\ \033[31m")
    for python in (tmp_path / "mine", tmp_path / "mine/bin/python3"):
        told = rows(env, "--python", str(python))
        assert not told["keras"]["here"] and told["keras"]["answer"].startswith('ready, keras \u00e9 \u2264 "quoted" \\ ')
        assert told["spin"]["here"]
    told = rows(env, "--python", str(tmp_path / "none"))
    assert all("neither an interpreter nor a virtual environment" in told[name]["answer"] for name in FRAMEWORKS)


def test_me_bench_says_the_same(env, tmp_path):
    told = rows(env)
    make_keras(tmp_path / "mine")

    def check(*arguments):
        return me_test.run([me_test.program("me_bench"), "--check", *arguments], env=env, timeout=120)

    done = check("sleep,keras")
    assert done.rc == 1 and done.out.splitlines()[0] == "sleep: " + told["sleep"]["answer"]
    assert told["keras"]["answer"] in done.out.splitlines()[1]
    assert check("sleep").rc == 0 and check("keras", "--python", str(tmp_path / "mine")).rc == 0
    unknown = check("kera")
    assert unknown.rc == 2 and "did you mean keras?" in unknown.err and not unknown.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_what_it_has_started(env, tmp_path, number):
    (tmp_path / "slow").write_text(SLOW.format(begun=tmp_path / "begun"))
    (tmp_path / "slow").chmod(0o755)
    child = me_test.start([me_test.program("me"), "frameworks", "--python", tmp_path / "slow"],
                          env={**env, "ME_TEST_MARK": str(tmp_path)})
    assert me_test.wait_until((tmp_path / "begun").exists, 30)
    child.send_signal(number)
    out, err = child.communicate(timeout=10)
    assert (child.returncode, out) == (-number, ""), (child.returncode, out, err)
    assert me_test.wait_until(lambda: not me_test.leftovers(marker=str(tmp_path).encode()))
    assert not os.listdir(tmp_path / "tmp")


@pytest.mark.parametrize("words,said", [(["x"], "unexpected operand x"), (["--jso"], "did you mean --json?")])
def test_misuse(env, words, said):
    done = frameworks(env, *words)
    assert done.rc == 2 and not done.out and said in done.err and done.err.count("\n") == 1
