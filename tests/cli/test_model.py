"""me model: CSV of machines in, watts out."""
import csv
import io
import json
import pathlib
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from me_test import REPOSITORY, program, run  # noqa: E402

HEADER = "cpu,sockets,cores,memory_gb,load\n"
ADDED = ["package_w", "wall_w", "wall_low_w", "wall_high_w", "basis"]


def model(text, *args):
    return run([program("me"), "model", *args], stdin=text)


def rows_of(text):
    done = model(text)
    assert (done.rc, done.err) == (0, "")
    return list(csv.DictReader(io.StringIO(done.out)))


def test_golden_rows():
    """The numbers of scripts/train-model, through the command."""
    cases = list(csv.DictReader((REPOSITORY / "tests/golden/model_cases.csv").open(encoding="utf-8")))
    out = io.StringIO()
    writer = csv.DictWriter(out, HEADER.strip().split(","), extrasaction="ignore")
    writer.writeheader()
    writer.writerows(cases)
    found = rows_of(out.getvalue())
    assert len(found) == len(cases) > 150
    for case, row in zip(cases, found):
        assert [row[k] for k in HEADER.strip().split(",")] == [case[k] for k in HEADER.strip().split(",")]
        for column in ADDED[:4]:
            assert float(row[column]) == pytest.approx(float(case[column]), abs=0.006)
        assert float(row["wall_low_w"]) <= float(row["wall_w"]) <= float(row["wall_high_w"])
        assert row["basis"]


def test_measured_machines_lie_within():
    """Published results at the wall, of machines that stand in the training data: SPECpower_ssj2008 (SPEC)."""
    cases = [("Intel Xeon Platinum 8280", 8, 224, 768, 398, 1860), ("AMD EPYC 7763", 6, 384, 768, 430, 1731),
             ("Intel Xeon 6980P", 2, 256, 768, 301, 1200), ("Intel Xeon E-2388G", 1, 8, 16, 21.2, 84.1),
             ("Intel Xeon Gold 6448Y", 2, 64, 256, 122, 602), ("Intel Xeon Platinum 8490H", 2, 120, 256, 216, 781)]
    text = HEADER + "".join("%s,%d,%d,%d,%d\n" % (*c[:4], load) for c in cases for load in (0, 1))
    for i, row in enumerate(rows_of(text)):
        assert float(row["wall_low_w"]) <= cases[i // 2][4 + i % 2] <= float(row["wall_high_w"]), row


def test_columns_in_any_order_and_others_pass_through():
    done = model('load,note,cpu,memory_gb,rack,cores,sockets\r\n'
                 '0.5,"say ""hi"", twice","AMD EPYC 7763, 2.45 GHz",512,r1,128,2\r\n\r\n'
                 ' 0.5 ,,AMD EPYC 7763 64-Core Processor,512,,128,2\n')
    assert (done.rc, done.err) == (0, "")
    head, first, second = csv.reader(io.StringIO(done.out))
    assert head == ["load", "note", "cpu", "memory_gb", "rack", "cores", "sockets", *ADDED]
    assert first[:7] == ["0.5", 'say "hi", twice', "AMD EPYC 7763, 2.45 GHz", "512", "r1", "128", "2"]
    assert first[7:] == second[7:]


def test_stdin_file_and_dash(tmp_path):
    text = HEADER + "AMD EPYC 7763,2,128,512,0.6\n"
    path = tmp_path / "machines.csv"
    path.write_text("\ufeff" + text, encoding="utf-8")
    outs = [run([program("me"), "model", path]), model(text), model(text, "-")]
    assert {(o.rc, o.err) for o in outs} == {(0, "")} and len({o.out for o in outs}) == 1
    assert model(HEADER).out == HEADER.strip() + "," + ",".join(ADDED) + "\n"


def test_unknown_cells_widen():
    whole, *lacking, nothing = rows_of(HEADER + "".join(f"{row}\n" for row in (
        "AMD EPYC 7763,2,128,256,0.5", "AMD EPYC 7763,2,128,,0.5", "AMD EPYC 7763,,128,256,0.5",
        "AMD EPYC 7763,2,128,256,", "Elbrus-8C,2,128,256,0.5", ",,,,")))

    def width(row):
        return float(row["wall_high_w"]) / float(row["wall_low_w"])
    assert all(width(row) > width(whole) for row in lacking)
    assert width(nothing) > max(width(row) for row in lacking)
    assert "guessed: memory" in lacking[0]["basis"] and "guessed: sockets" in lacking[1]["basis"]
    assert "no curve of this processor" in lacking[3]["basis"]


def test_more_load_is_more_watts():
    for cpu in ("AMD EPYC 9654", "Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", "POWER9", ""):
        rows = rows_of(HEADER + "".join(f"{cpu},,,,{i / 100}\n" for i in range(101)))
        for column in ADDED[:2]:
            watts = [float(row[column]) for row in rows]
            assert watts == sorted(watts) and 0 < watts[0] < watts[-1]


def test_much_memory_is_not_hundreds_of_watts():
    little, much = (float(r["wall_w"]) for r in rows_of(HEADER + "AMD EPYC 7763,2,128,128,0\nAMD EPYC 7763,2,128,2048,0\n"))
    assert 0 < much - little < 150


def test_big_file():
    cpus = ["AMD EPYC 7763", "Intel Xeon Platinum 8380", "Intel Xeon E5-2660", "Neoverse-N1"]
    text = HEADER + "".join(f"{cpus[i % 4]},{1 + i % 2},,{64 << i % 4},{i % 101 / 100}\n" for i in range(200000))
    begin = time.monotonic()
    done = model(text)
    assert done.rc == 0 and done.out.count("\n") == 200001
    assert time.monotonic() - begin < 30


BAD = [
    ("", "standard input:1: cpu: no such column"),
    ("AMD EPYC 7763,2,128,512,0.6\n", "standard input:1: cpu: no such column; the first line names the columns"),
    ("cpu,sockets,cores,memory,load\n", "standard input:1: memory_gb: no such column"),
    ("cpu;sockets;cores;memory_gb;load\n", "standard input:1: cpu: no such column"),
    ("cpu,sockets,cores,memory_gb,load,load\n", "standard input:1: load: two columns have that name"),
    ("cpu,sockets,cores,memory_gb,load,wall_w\n", "standard input:1: wall_w: would be there twice"),
    (HEADER + "x,1,1,1,1.5\n", 'standard input:2: load: "1.5" is not a number from 0 to 1 (0.5 is 50 %)'),
    (HEADER + "x,1,1,1,50%\n", "standard input:2: load: \"50%\" is not"),
    (HEADER + "x,1,1,1,nan\n", "standard input:2: load: "),
    (HEADER + "x,1,1,1,-0.1\n", "standard input:2: load: "),
    (HEADER + "x,1,1,1,1\n\n\nx,1.5,1,1,1\n", 'standard input:5: sockets: "1.5" is not a whole number'),
    (HEADER + '"a\nb",1,1,1,1\nx,0,1,1,1\n', "standard input:4: sockets: "),
    (HEADER + "x,1,none,1,1\n", 'standard input:2: cores: "none" is not'),
    (HEADER + "x,1,1,64 GB,1\n", "standard input:2: memory_gb: "),
    (HEADER + "x,1,1,0,1\n", "standard input:2: memory_gb: "),
    (HEADER + "x,1,1,1\n", "standard input:2: load: 4 cells, but the header names 5"),
    (HEADER + "Xeon, old,1,1,1,1\n", "standard input:2: load: 6 cells, but the header names 5; leave unknown cells "
     "empty, and quote those with a comma"),
    (HEADER + 'x,1,1,1,1\n"x,1,1,1,1\n', "standard input:3: cpu: the quote is not closed"),
    (HEADER + "x" * 5000 + ",1,1,1,1\nx,1,1,1,1\n", "standard input:2: a row beyond 4 KiB"),
    (HEADER + "x,1,1,1,1\n" + "x" * 5000, "standard input:3: a row beyond 4 KiB"),
    (HEADER.strip() + ",c" * 30 + "\n", "standard input:1: more than 24 columns"),
    (HEADER.strip() + "," + "c" * 2000 + "\n", "standard input:1: more than 24 columns, or a header beyond 1 KiB"),
    (HEADER + "x\0,1,1,1,1\n", "standard input: holds NUL bytes"),
]


@pytest.mark.parametrize("text, part", BAD, ids=range(len(BAD)))
def test_bad_input(text, part):
    good = HEADER + "x,1,1,1,1\n"
    assert model(good).rc == 0
    done = model(text)
    assert (done.rc, done.out) == (2, "")
    assert done.err.startswith("me: " + part) and done.err.count("\n") == 1


@pytest.mark.parametrize("args, part", [
    (["absent.csv"], "me: absent.csv: No such file or directory"),
    (["."], "me: .: cannot be read: Is a directory"),
    (["a", "b"], "me: "),
    (["--load", "1"], "me: "),
])
def test_misuse(args, part, tmp_path):
    done = run([program("me"), "model", *args], cwd=tmp_path)
    assert (done.rc, done.out) == (2, "") and done.err.startswith(part) and done.err.count("\n") == 1


def test_names_as_people_write_them():
    """One processor in several spellings has one curve."""
    for names in (["Intel(R) Xeon(R) Platinum 8480+", "Intel(R) Xeon(R) 8480+,", "Xeon Platinum 8480+ @ 2.0GHz"],
                  ["AMD EPYC 7742 64-Core Processor", "AMD EPYC 7742 2.25Ghz", "epyc 7742", "AMD EPYC\u2122 7742"],
                  ["Intel Xeon E3-1240V2", "Intel(R) Xeon(R) CPU E3-1240 V2 @ 3.40GHz", "E3-1240 v2"],
                  ["Intel Xeon E5-2660 2.2 GHz (Intel Turbo Boost Technology up to 3.00 GHz)", "Intel Xeon E5-2660"]):
        rows = rows_of(HEADER + "".join(f'"{name}",2,,,0.5\n' for name in names))
        assert len({json.dumps([row[c] for c in ADDED]) for row in rows}) == 1, names
