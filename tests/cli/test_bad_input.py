"""Bad configs and bad command lines: exit code 2, one line that names the place, nothing printed on
standard output and nothing created."""
import importlib.util
import os
import pathlib
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ["ME_BUILD"]).resolve()


def load_table():
    spec = importlib.util.spec_from_file_location("bad_configs_table", HERE / "bad_configs" / "table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BAD_CONFIGS


BAD_CONFIGS = load_table()


@pytest.fixture
def places(tmp_path):
    """Where the config lies, and the empty folder that the program runs in."""
    for name in ("in", "out", "home"):
        (tmp_path / name).mkdir()
    return tmp_path / "in", tmp_path / "out"


def run(argv, folder, text=None):
    env = {"PATH": os.environ["PATH"], "HOME": str(folder.parent / "home"), "ME_TEST_EMPTY": "",
           "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    argv = [str(BUILD / argv[0]), *map(str, argv[1:])]
    return subprocess.run(argv, cwd=folder, env=env, input=text or b"", capture_output=True, timeout=60)


def check_refused(done, folder, *parts):
    """Returns the line."""
    line = done.stderr.decode()
    assert done.returncode == 2, line
    assert done.stdout == b""
    assert line.endswith("\n") and line.count("\n") == 1, line
    assert line.isprintable() or line[:-1].isprintable(), line
    for part in parts:
        assert part in line
    assert not list(folder.iterdir())
    assert not list((folder.parent / "home").iterdir())
    return line


def write_config(folder, text, mode=0o600):
    path = folder / "config.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def hosts(config, out):
    return ["me", "hosts", config, "--check", "-o", out / "gen.hosts"]


@pytest.mark.parametrize("text,place,message", [row[1:] for row in BAD_CONFIGS], ids=[row[0] for row in BAD_CONFIGS])
def test_bad_config(places, text, place, message):
    folder, out = places
    path = write_config(folder, text)
    check_refused(run(hosts(path, out), out), out, f"{path}{place}", message)


def test_there_are_enough():
    assert len(BAD_CONFIGS) >= 45 and len(BAD_LINES) >= 20
    assert len({row[0] for row in BAD_CONFIGS}) == len(BAD_CONFIGS)


GOOD = '{"machines": [{"machine_id": 1, "MACHINE_IP_ADDRESS": "192.0.2.1", "MACHINE_PASSWORD": "Xq7secret"}]}'


def test_standard_input_is_named(places):
    out = places[1]
    check_refused(run(hosts("-", out), out, b'{"machine": []}'), out, " -:1: machine: unknown key")


def test_text_is_named(places):
    out = places[1]
    check_refused(run(hosts('{"machine": []}', out), out), out, " (text):1: machine: unknown key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620], ids=oct)
def test_a_password_that_others_can_read(places, mode):
    folder, out = places
    path = write_config(folder, GOOD, mode)
    line = check_refused(run(hosts(path, out), out), out, str(path), f"mode 0{mode:o}", "chmod 600", "--insecure-config")
    assert "Xq7secret" not in line


def test_a_password_in_the_argument_list(places):
    out = places[1]
    line = check_refused(run(hosts(GOOD, out), out), out, "(text)", "others can read a command line")
    assert "Xq7secret" not in line


def test_files_that_are_none(places):
    folder, out = places
    check_refused(run(hosts(folder / "absent.json", out), out), out, f"{folder}/absent.json: No such file")
    check_refused(run(hosts(folder, out), out), out, f"{folder}: is a directory")
    check_refused(run(hosts("", out), out), out, "CONFIG is empty")
    check_refused(run(hosts("/dev/null", out), out), out, "/dev/null:1: empty")
    large = folder / "large.json"
    with open(large, "wb") as file:
        file.truncate((16 << 20) + 1)
    check_refused(run(hosts(large, out), out), out, f"{large}: larger than 16 MiB")


BAD_LINES = [
    (["me"], "me"),
    (["me", "host"], "did you mean hosts?"),
    (["me", "--verbose"], "--verbose"),
    (["me", "xyzzy"], "xyzzy"),
    (["me", "hosts"], "usage: me hosts"),
    (["me", "hosts", "a", "b"], "unexpected operand b"),
    (["me", "hosts", "a", "--chek"], "did you mean --check?"),
    (["me", "hosts", "a", "-o"], "-o needs a value"),
    (["me", "hosts", "a", "--output="], "--output: empty"),
    (["me", "hosts", "a", "--check=yes"], "--check takes no value"),
    (["me", "hosts", "a", "--skip-faild"], "did you mean --skip-failed?"),
    (["me", "hosts", GOOD, GOOD], "unexpected operand (text)"),
    (["me", "run"], "usage: me run"),
    (["me", "run", "a"], "usage: me run"),
    (["me", "run", "a", "b", "c"], "your own command goes behind --"),
    (["me", "run", "a", "b", "--"], "no command behind --"),
    (["me", "run", "a", "b", "--repeats", "0"], "--repeats: 0 is not a whole number from 1"),
    (["me", "run", "a", "b", "--sample-hz", "1e4"], "--sample-hz: 1e4 is not a number from 1 to 1000"),
    (["me", "report"], "usage: me report"),
    (["me", "report", "absent"], "absent"),
    (["me", "report", "absent", "--format", "xml"], "xml"),
    (["me", "report", "/dev/null"], "/dev/null"),
    (["me", "probe", "a"], "unexpected operand a"),
    (["me", "probe", "--root", "/nonexistent"], "/nonexistent"),
    (["me", "probe", "--jsn"], "did you mean --json?"),
    (["me", "clean"], "usage: me clean"),
    (["me", "clean", "a", "b"], "unexpected operand b"),
    (["me", "clean", "/nonexistent/c.json"], "/nonexistent/c.json: No such file"),
    (["me_bench"], "usage: me_bench"),
    (["me_bench", "a", "b"], "your own command goes behind --"),
    (["me_bench", "a", "--"], "no command behind --"),
    (["me_bench", "a", "--repeat", "3"], "unknown option --repeat; did you mean --repeats?"),
    (["me_bench", "a", "--repeats"], "--repeats needs a value"),
    (["me_bench", "a", "--repeats", "many"], "--repeats: many is not a whole number"),
    (["me_bench", "a", "--warmup", "-1"], "--warmup: -1 is not a whole number from 0"),
    (["me_bench", "a", "--idle", "inf"], "--idle: inf is not a number from 0"),
    (["me_bench", "a", "--cooldown", "1s"], "--cooldown: 1s is not a number"),
    (["me_bench", "a", "--sample-hz", "0"], "--sample-hz: 0 is not a number from 1 to 1000"),
    (["me_bench", "a", "--timeout", "-5"], "--timeout: -5 is not a number from 0"),
    (["me_bench", "a", "--progress", "loud"], "loud"),
    (["me_bench", "a", "--append", "--force"], "--force"),
    (["me_bench", "a", "-force"], "did you mean --force?"),
    (["me_bench", "a/.."], "a/.."),
    (["me_bench", "a", "--framework", "natvie"], "natvie"),
    (["me_bench", "a", "--sources", "powercp"], "powercp"),
]


@pytest.mark.parametrize("argv,message", BAD_LINES, ids=[" ".join(argv)[:60] for argv, _ in BAD_LINES])
def test_bad_command_line(places, argv, message):
    out = places[1]
    line = check_refused(run(argv, out), out, message)
    assert line.startswith(argv[0] + ":"), line
    assert "Xq7secret" not in line
