"""Reads a result of Machine Energy (HDF5, format 1) into pandas data frames.

    import machine_energy
    result = machine_energy.read("exp1")          # the experiment's folder, or its .h5 file
    result.summary.sort_values("energy_mean_j")
    result.summary.attrs["units"]["energy_mean_j"]  # "J"
    result.series(1, 1).plot()                    # samples of machine 1, repeat 1

Needs h5py and pandas (Debian: python3-h5py python3-pandas). `python3 -m machine_energy exp1` prints the summary.
"""
import pathlib

import h5py
import pandas as pd

FORMAT = "machine-energy"
FORMAT_VERSION = 1
TABLES = ("machines", "channels", "repeats", "energies", "activities", "regions", "metrics", "jobs", "job_nodes",
          "summary")


class Result:
    """One experiment: a data frame a table, `attrs` (dict), and the samples by series()."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        with h5py.File(self.path, "r") as file:
            self.attrs = {name: _plain(value) for name, value in file.attrs.items()}
            if self.attrs.get("format") != FORMAT:
                raise ValueError(f"{self.path}: not a result of Machine Energy")
            if self.attrs["format_version"] > FORMAT_VERSION:
                raise ValueError(
                    f"{self.path}: of format {self.attrs['format_version']}, this reader knows up to "
                    f"{FORMAT_VERSION}; use a newer machine_energy"
                )
            for table in TABLES:
                # A table that came later is not in files of earlier programs.
                setattr(self, table, _frame(file[table]) if table in file else pd.DataFrame())
            self.series_keys = sorted(
                (int(machine), int(repeat))
                for machine, repeats in file["series"].items()
                for repeat in repeats
                if machine.isdigit() and repeat.isdigit()
            )

    def series(self, machine_id, repeat, head_clock=False):
        """The samples of one repeat (0: the idle phase): a column a channel, indexed by time (UTC).

        The time is the machine's own; with head_clock it is the head's, so that the series of several machines can be
        laid over each other. `attrs["clock_bound_s"]` is then by how much it may be wrong.
        """
        with h5py.File(self.path, "r") as file:
            frame = _samples(_group(file, machine_id, repeat), "values")
        return self._on_head_clock(frame, machine_id, repeat) if head_clock else frame

    def states(self, machine_id, repeat):
        """The state of each sample, shaped as series(): 0 absent, 1 good, 2 failed."""
        with h5py.File(self.path, "r") as file:
            return _samples(_group(file, machine_id, repeat), "states")

    def _on_head_clock(self, frame, machine_id, repeat):
        rows = self.repeats
        rows = rows[(rows.machine_id == machine_id) & (rows.repeat == repeat) & rows.phase.isin(["run", "idle"])]
        known = rows[rows.clock_offset_s.notna()] if "clock_offset_s" in rows else rows.iloc[:0]
        if known.empty:
            raise ValueError(f"machine {machine_id}, repeat {repeat}: its clock was not compared with the head's")
        frame.index = frame.index - pd.Timedelta(round(known.clock_offset_s.iloc[0] * 1e9), unit="ns")
        frame.attrs["clock_bound_s"] = float(known.clock_bound_s.iloc[0])
        return frame

    def __repr__(self):
        return f"<machine_energy.Result {self.attrs['experiment']}: {len(self.machines)} machines>"


def read(path):
    """Reads an experiment's folder, or a .h5 file."""
    path = pathlib.Path(path)
    if path.is_dir():
        path = path / f"{path.resolve().name}.h5"
    return Result(path)


def _plain(value):
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if getattr(value, "shape", None) == ():
        return value.item()
    if hasattr(value, "tolist"):
        return [_plain(item) for item in value.tolist()]
    return value


def _frame(dataset):
    rows = dataset[()]
    columns = {}
    for name in rows.dtype.names:
        column = rows[name]
        if column.dtype.kind == "S":
            columns[name] = pd.Series([text.decode("utf-8") for text in column], dtype=object)
        else:
            columns[name] = pd.Series(column.copy())
    frame = pd.DataFrame(columns)
    frame.attrs["units"] = dict(zip(rows.dtype.names, _plain(dataset.attrs["units"])))
    frame.attrs["description"] = _plain(dataset.attrs["description"])
    return frame


def _group(file, machine_id, repeat):
    name = f"series/{machine_id}/{repeat}"
    link = file.get(name, getlink=True) if f"series/{machine_id}" in file else None
    if link is None:
        raise KeyError(f"no samples of machine {machine_id}, repeat {repeat}; see series_keys")
    try:
        return file[name]
    except KeyError:
        if not isinstance(link, h5py.ExternalLink):
            raise
        raise FileNotFoundError(
            f"{file.filename}: the samples of machine {machine_id}, repeat {repeat} are in {link.filename}, which is not "
            "there: copy it there from its machine (machines.series_file)"
        ) from None


def _samples(group, dataset):
    channels = _plain(group.attrs["channels"])
    time = pd.to_datetime(group["time_ns"][()], unit="ns", utc=True).rename("time")
    frame = pd.DataFrame(group[dataset][()], index=time, columns=channels)
    frame.attrs["units"] = dict(zip(channels, _plain(group[dataset].attrs["units"])))
    return frame
