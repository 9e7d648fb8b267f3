"""The Python and R readers, and HDF5's own tools, on a file that the C code wrote."""
import json
import math
import os
import pathlib
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["ME_BUILD"])
sys.path.insert(0, str(TOP / "scripts" / "python"))
import machine_energy  # noqa: E402

START = 1748779200123456789
SAMPLES, CHANNELS = 34, 2  # of every repeat but the idle one


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], capture_output=True, check=True, timeout=120, **more).stdout


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("result") / "exp1"
    folder.mkdir()
    run(BUILD / "tests" / "test_store", "--make", folder / "exp1.h5")
    return folder / "exp1.h5"


@pytest.fixture(scope="module")
def expected(sample):
    """What the C code reads, as JSON: not known is null."""
    return json.loads(run(BUILD / "tests" / "test_store", "--read", sample))


def expected_values():
    cells = np.arange(SAMPLES * CHANNELS).reshape(SAMPLES, CHANNELS)
    values = 9007199254740991.0 - SAMPLES * CHANNELS * 5e6 + cells * 5e6
    values[SAMPLES // 2] = math.nan
    return values


def same(value, wanted):
    if wanted is None:
        return isinstance(value, float) and math.isnan(value)
    return value == wanted and isinstance(value, str) == isinstance(wanted, str)


def test_python_reads_every_value(sample, expected):
    result = machine_energy.read(sample)
    for table in machine_energy.TABLES:
        frame = getattr(result, table)
        assert len(frame) == len(expected[table])
        for row, wanted in zip(frame.to_dict("records"), expected[table]):
            assert list(row) == list(wanted)
            for name in wanted:
                assert same(row[name], wanted[name]), (table, name, row[name], wanted[name])
        units = {name: unit for name, unit in frame.attrs["units"].items() if unit}
        assert units == expected["units"][table]
        assert frame.attrs["description"].endswith(".")
    assert len(result.regions) == 0 and "energy_j" in result.regions
    for name in ("experiment", "status", "created_utc", "tool_version", "workload", "command", "plan", "format_version"):
        assert result.attrs[name] == expected[name]
    assert json.loads(result.attrs["plan"])["repeats"] == 3


def test_python_types(sample):
    result = machine_energy.read(sample)
    assert result.machines["machine_id"].dtype == np.int32
    assert result.repeats["start_unix_ns"].dtype == np.int64
    assert result.repeats["late_samples"].dtype == np.uint32
    assert result.channels["counted"].dtype == np.int8
    assert result.summary["energy_mean_j"].dtype == np.float64
    assert result.machines["name"][1] == "grün" and result.machines["name"][3] == "東京-red"
    assert result.repeats["start_unix_ns"].iloc[0] == START  # no double holds it


def test_python_series(sample):
    result = machine_energy.read(sample.parent)  # the folder will do
    assert result.series_keys == [(m, r) for m in range(1, 5) for r in range(3)]
    frame = result.series(3, 2)
    assert list(frame.columns) == ["package-0", "dram-1"]
    assert frame.attrs["units"] == {"package-0": "uJ", "dram-1": "uJ"}
    np.testing.assert_array_equal(frame.to_numpy(), expected_values())
    assert isinstance(frame.index, pd.DatetimeIndex) and str(frame.index.tz) == "UTC"
    np.testing.assert_array_equal(frame.index.asi8, START + 3 + np.arange(SAMPLES) * 100_000_000)
    states = result.states(3, 2)
    assert (states.to_numpy() == 2).sum() == CHANNELS and states.iloc[SAMPLES // 2, 0] == 2
    with pytest.raises(KeyError, match="series_keys"):
        result.series(3, 99)


def test_python_lays_series_over_each_other(sample):
    """The sample's machines are a quarter of a second ahead of the one before, and a millisecond more at the end."""
    result = machine_energy.read(sample)
    ahead = result.repeats[(result.repeats.machine_id == 3) & (result.repeats.repeat == 2)].clock_offset_s.iloc[0]
    frame = result.series(3, 2, head_clock=True)
    np.testing.assert_array_equal(frame.index.asi8, result.series(3, 2).index.asi8 - round(ahead * 1e9))
    assert ahead == 0.75 and frame.attrs["clock_bound_s"] == 0.000125
    with pytest.raises(ValueError, match="not compared with the head's"):
        result.series(4, 2, head_clock=True)


@pytest.fixture
def apart(tmp_path):
    """A result whose series stayed apart, in the same folder."""
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state"), "ME_ROOT": "/", "OMPI_ALLOW_RUN_AS_ROOT": "1",
           "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    run(BUILD / "me_bench", "apart", "--series", "local", "--sources", "model", "--progress", "none", "--", "sleep", "0.3",
        cwd=tmp_path, env=env)
    return tmp_path / "apart" / "apart.h5"


def test_readers_follow_links_and_tell_what_is_not_there(apart):
    result = machine_energy.read(apart)
    assert len(result.series(0, 1)) >= 2
    text = 'source("%s"); cat(nrow(me_series("%s", 0, 1)))' % (TOP / "scripts/r/machine_energy.R", apart)
    assert int(run("Rscript", "--vanilla", "-e", text)) == len(result.series(0, 1))
    (file,) = (apart.parent / "series").iterdir()
    assert result.machines.series_file[0] == f"series/{file.name}"
    file.unlink()
    result = machine_energy.read(apart)
    assert result.series_keys == [(0, 1)]
    with pytest.raises(FileNotFoundError, match="samples of machine 0, repeat 1 are in series/machine0-.* not there: copy"):
        result.series(0, 1)
    said = subprocess.run(["Rscript", "--vanilla", "-e", text], capture_output=True, text=True, timeout=120)
    assert "with series/0/1 is not there: copy it" in said.stderr
    assert run(BUILD / "me", "report", apart)  # needs no samples


def test_python_refuses(tmp_path, sample):
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    with pytest.raises(ValueError, match="not a result"):
        machine_energy.read(tmp_path / "other.h5")
    later = tmp_path / "later.h5"
    later.write_bytes(sample.read_bytes())
    with h5py.File(later, "r+") as file:
        file.attrs["format_version"] = 2
    with pytest.raises(ValueError, match="use a newer"):
        machine_energy.read(later)


def test_python_reads_files_of_before(tmp_path, sample):
    """A table that came later is empty."""
    earlier = tmp_path / "earlier.h5"
    earlier.write_bytes(sample.read_bytes())
    with h5py.File(earlier, "r+") as file:
        del file["metrics"]
    assert len(machine_energy.read(earlier).metrics) == 0


def test_python_as_a_program(sample):
    env = {**os.environ, "PYTHONPATH": str(TOP / "scripts/python"), "PYTHONDONTWRITEBYTECODE": "1"}
    text = run("/usr/bin/python3", "-m", "machine_energy", sample.parent, text=True, env=env)
    assert "energy_mean_j" in text and len(text.splitlines()) == 7


def test_r_reads_every_value(sample, expected):
    lines = run("Rscript", "--vanilla", TOP / "tests/cli/readers.R", TOP / "scripts/r/machine_energy.R", sample)
    rows = [line.split("\t") for line in lines.decode("utf-8").splitlines()]
    cells = {(r[1], r[2], int(r[3])): r[4] for r in rows if r[0] == "cell"}
    kinds = {(r[1], r[2]): (r[3], r[4]) for r in rows if r[0] == "column"}
    counts = {r[1]: int(r[2]) for r in rows if r[0] == "rows"}
    checked = 0
    for table in machine_energy.TABLES:
        assert counts[table] == len(expected[table])
        for number, wanted in enumerate(expected[table]):
            for name, value in wanted.items():
                found, kind = cells[table, name, number], kinds[table, name][0]
                if isinstance(value, str):
                    assert kind == "character" and found == value
                elif value is None:
                    assert kind == "numeric" and found == "NaN"
                elif kind == "numeric":
                    assert float(found) == value
                else:
                    assert kind == ("integer64" if name == "start_unix_ns" else "integer") and int(found) == value
                checked += 1
    assert checked == len(cells) > 500
    units = {key: unit for key, (_, unit) in kinds.items() if unit}
    assert units == {(t, n): u for t, names in expected["units"].items() for n, u in names.items()}
    assert kinds["regions", "calls"][0] == "integer" and kinds["regions", "region"][0] == "character"
    attrs = {r[1]: (r[2], r[3]) for r in rows if r[0] == "attr"}
    assert attrs["command"] == ("character", expected["command"])
    assert attrs["format_version"] == ("integer", "1")


def test_r_series(sample):
    lines = run("Rscript", "--vanilla", TOP / "tests/cli/readers.R", TOP / "scripts/r/machine_energy.R", sample)
    rows = [line.split("\t") for line in lines.decode("utf-8").splitlines()]
    columns = {}
    for row in rows:
        if row[0] == "sample":
            columns.setdefault(row[1], []).append(row[2])
    assert [int(v) for v in columns["time_ns"]] == [START + 3 + i * 100_000_000 for i in range(SAMPLES)]
    found = np.array([[float(v) for v in columns[name]] for name in ("package-0", "dram-1")]).T
    np.testing.assert_array_equal(found, expected_values())
    rest = {row[0]: row[1:] for row in rows if row[0] in ("time", "states", "error")}
    assert rest["time"] == ["POSIXct", "2025-06-01T12:00:00"]
    assert rest["states"] == [f"{SAMPLES}x{CHANNELS}", str(CHANNELS)]
    assert "no samples at series/3/99" in rest["error"][0]
    assert [row[1:] for row in rows if row[0] == "unit"] == [["package-0", "uJ"], ["dram-1", "uJ"]]


def test_r_refuses(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w"):
        pass
    (tmp_path / "text.h5").write_text("no HDF5")
    for name in ("other.h5", "text.h5"):
        script = f'source("{TOP}/scripts/r/machine_energy.R"); me_read("{tmp_path / name}")'
        done = subprocess.run(["Rscript", "--vanilla", "-e", script], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "not a result of Machine Energy" in done.stderr


def test_hdf5_tools_accept_it(sample):
    listing = run("h5ls", "-r", sample, text=True)
    for name in machine_energy.TABLES:
        assert f"\n/{name} " in listing
    assert "/series/3/2/values" in listing and "{34, 2}" in listing
    header = run("h5dump", "-H", sample, text=True)
    assert "H5T_STR_NULLPAD" in header and "H5T_CSET_UTF8" in header
    # Readable by any HDF5 since 1.6: an early superblock, no newer object headers.
    assert "SUPERBLOCK_VERSION 1" in run("h5dump", "-B", "-H", sample, text=True)


def test_pandas_needs_no_reader_of_ours(sample):
    with h5py.File(sample, "r") as file:
        frame = pd.DataFrame(file["summary"][()])
    assert frame["energy_mean_j"].iloc[1] == 165.04
