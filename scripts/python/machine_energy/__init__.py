"""Machine Energy in Python: marks for programs that are measured, and the reader of results.

    import machine_energy as me

    with me.region("train"):            # energy and time of what is inside
        ...
    @me.region("evaluate")              # of each call; of a coroutine and a generator too
    def evaluate(): ...
    me.begin("load"); me.end("load")    # where neither fits
    me.work(180000, "samples")          # adds up over a run: joules per sample
    me.metric("accuracy", 0.874)        # what came of it; the last word counts; nan and inf are told as they are

    from machine_energy.keras import Regions        # model.fit(..., callbacks=[Regions()])
    from machine_energy.lightning import Regions    # Trainer(callbacks=[Regions()])

    result = me.read("exp1")            # see machine_energy._read; needs h5py and pandas, marks need nothing

Outside of me_bench marks do nothing, cheaply; active() tells which it is. Names are letters, digits and _ - . /, up
to 47 of them (a unit: 23); regions may nest, repeat and overlap, and are told apart by name alone. A region that an
exception leaves has ended too.

Threads: each mark is one write() that the kernel keeps whole, so all may mark. Processes: the child of a fork goes on
marking. One that was started anew marks if the pipe was handed on: subprocess.run(..., close_fds=False) or
pass_fds=[int(os.environ["ME_MARK_FD"])], which no multiprocessing of the kinds spawn and forkserver does.
"""
import os as _os

_ALLOWED = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./"
_NAME_MAX, _UNIT_MAX = 47, 23
_KEPT_MAX = 4096  # regions: who makes a new name each batch pays for making it, not with memory
_OF_READER = ("FORMAT", "FORMAT_VERSION", "TABLES", "Result", "read")

__all__ = ["Region", "active", "begin", "end", "metric", "region", "work", *_OF_READER]


def _find():
    """The pipe's descriptor, or -1. A program on the way here may have closed it, and another file may have its
    number by now: we write to a pipe only, and to its writing end."""
    text = _os.environ.get("ME_MARK_FD", "")
    if not text.isdecimal() or int(text) < 3:
        return -1
    try:
        import fcntl
        import stat
        fd = int(text)
        is_pipe = stat.S_ISFIFO(_os.fstat(fd).st_mode)
        return fd if is_pipe and fcntl.fcntl(fd, fcntl.F_GETFL) & _os.O_ACCMODE == _os.O_WRONLY else -1
    except (ImportError, OSError, OverflowError):
        return -1


_fd = _find()
_write = _os.write
_kept = {}


def _send(line):
    global _fd
    try:
        _write(_fd, line)
    except OSError:  # nobody listens any more; that is no reason to fail
        _fd = -1


def _checked(name, most, what):
    if not isinstance(name, str):
        raise TypeError(f"{what} is a str, not {type(name).__name__}")
    if not name or len(name) > most or name.strip(_ALLOWED):
        raise ValueError(f"{what} {name!r}: letters, digits and _ - . / are allowed, up to {most}")
    return name


class Region:
    """A named span, made by region(): a context manager and a decorator. It has no state, so that one object may be
    entered again and again, inside itself and by many threads."""

    __slots__ = ("name", "_begin", "_end")

    def __init__(self, name):
        self.name = _checked(name, _NAME_MAX, "the name of a region")
        self._begin = f"begin {name}\n".encode()
        self._end = f"end {name}\n".encode()

    def __enter__(self):
        if _fd >= 0:
            _send(self._begin)
        return self

    def __exit__(self, *_):
        if _fd >= 0:
            _send(self._end)

    def __call__(self, function):
        return _wrapped(self, function) if _fd >= 0 else function

    def __repr__(self):
        return f"machine_energy.region({self.name!r})"


def _wrapped(span, function):
    import functools
    import inspect

    if inspect.isasyncgenfunction(function):
        raise TypeError(f"{function.__qualname__}: an asynchronous generator has no one end; use `with` inside of it")
    if inspect.iscoroutinefunction(function):
        async def wrapper(*args, **kwargs):
            with span:
                return await function(*args, **kwargs)
    elif inspect.isgeneratorfunction(function):
        def wrapper(*args, **kwargs):
            with span:
                return (yield from function(*args, **kwargs))
    else:
        def wrapper(*args, **kwargs):
            with span:
                return function(*args, **kwargs)
    return functools.wraps(function)(wrapper)


def region(name):
    """`with region("train"):` or `@region("train")`."""
    try:
        return _kept[name]
    except KeyError:
        made = Region(name)
        if len(_kept) < _KEPT_MAX:
            _kept[name] = made
        return made


def begin(name):
    """A region begins. end() with the same name ends the one begun last."""
    region(name).__enter__()


def end(name):
    region(name).__exit__()


def work(amount, unit):
    """So much more was done: work(180000, "samples"). All of a run are added, and must be of one unit."""
    number = float(amount)
    if not 0 <= number < float("inf"):
        raise ValueError(f"the amount of work {amount!r}: a number from 0 on, and finite")
    _checked(unit, _UNIT_MAX, "the unit of work")
    if _fd >= 0:
        _send(f"work {number!r} {unit}\n".encode())


def metric(name, value):
    """What came of it: metric("accuracy", 0.874). The report knows accuracy (0 to 1, of data not trained on) and loss."""
    number = float(value)
    _checked(name, _NAME_MAX, "the name of a metric")
    if _fd >= 0:
        _send(f"metric {name} {number!r}\n".encode())


def active():
    """Whether somebody listens: this runs under me_bench."""
    return _fd >= 0


class _Open:
    """The regions that a callback has begun and not yet ended, the innermost last."""

    def __init__(self):
        self._open = []

    def __contains__(self, name):
        return name in self._open

    def begin(self, name):
        self.end(name)  # of a run that an exception ended, without our being told
        self._open.append(name)
        begin(name)

    def end(self, name):
        """Ends it and what is open inside of it; nothing if it is not open."""
        while name in self._open:
            end(self._open.pop())

    def end_all(self):
        while self._open:
            end(self._open.pop())


def __getattr__(name):  # the reader is looked for when it is wanted
    if name not in _OF_READER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _read
    return getattr(_read, name)


def __dir__():
    return sorted({*globals(), *_OF_READER})
