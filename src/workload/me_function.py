"""Runs a function of the user's Python file: me_function.py FILE.py:FUNCTION [--args JSON] [--check]

The file is imported within the region "import", under its own name; what stands under `if __name__ == "__main__"`
does not run. The function is called within the region "train": with the members of a JSON object as keywords, those
of an array as positional arguments, or none. What it returns becomes metrics: of a dict the entries that are
numbers, each under its key ("accuracy" and "loss" are known to the report), but "samples", which is the work; a
number alone is "result". An exception ends it with status 1 and its traceback.

--check only tells whether the file parses, defines the function and takes these arguments, without running any of it.
"""
import os
import sys

if __name__ == "__main__":  # not in a process that multiprocessing made, which has the path as it shall be
    FOLDER = os.environ.get("ME_FILES")
    sys.path[:] = [path for path in sys.path if path != FOLDER]  # a user's json.py is not the one wanted here

import ast  # noqa: E402
import importlib.util  # noqa: E402
import json  # noqa: E402
import traceback  # noqa: E402

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./"


def fail(text, status=1):
    print(text, file=sys.stderr)
    sys.exit(status)


def read_words(words):
    """(path, function, arguments, whether only to check)"""
    check = "--check" in words
    words = [word for word in words if word != "--check"]
    path, _, name = words[0].rpartition(":") if words else ("", "", "")
    if not path or not name or words[1:] and (len(words) != 3 or words[1] != "--args"):
        fail("usage: me_function.py FILE.py:FUNCTION [--args JSON] [--check]", 2)
    try:
        arguments = json.loads(words[2], strict=False) if words[1:] else []
    except ValueError as error:
        fail(f"--args: not JSON: {error}", 2)
    if not isinstance(arguments, (dict, list)):
        fail("--args: neither an object of keywords nor an array", 2)
    return path, name, arguments, check


# --- before anything runs ---------------------------------------------------------------------------------------


def definitions(statements):
    """(name, statement) of all that a file's top level binds; "*" for what an import of everything may bring."""
    for statement in statements:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield statement.name, statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                yield alias.asname or alias.name.split(".")[0], statement
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for node in (node for target in targets for node in ast.walk(target)):
                if isinstance(node, ast.Name):
                    yield node.id, statement
        else:  # if, try, with: at the top level too
            for field in ("body", "orelse", "finalbody"):
                yield from definitions(getattr(statement, field, []))
            for handler in getattr(statement, "handlers", []):
                yield from definitions(handler.body)


def check_arguments(file, name, function, arguments):
    """Whether the function takes what --args holds; its definition tells that before anything runs."""
    spec = function.args
    places = [argument.arg for argument in spec.posonlyargs + spec.args]
    keywords = [argument.arg for argument in spec.args + spec.kwonlyargs]
    needed = places[:len(places) - len(spec.defaults)]
    only = [argument.arg for argument, default in zip(spec.kwonlyargs, spec.kw_defaults) if default is None]
    if isinstance(arguments, dict):
        given = set(arguments)
        strange = sorted(given - set(keywords)) if not spec.kwarg else []
        there = f"; there are {', '.join(keywords)}" if keywords else ""
        if strange:
            fail(f"--args: {file}:{name} has no argument {strange[0]}{there}")
    else:
        given = set(places[:len(arguments)])
        if len(arguments) > len(places) and not spec.vararg:
            fail(f"--args: {len(arguments)} values, and {file}:{name} takes {len(places)} at most")
    missing = [argument for argument in needed + only if argument not in given]
    if missing:
        fail(f"--args: {file}:{name} needs {missing[0]} too")


def check_file(path, name, arguments):
    file = os.path.basename(path)
    try:
        with open(path, "rb") as source:
            tree = ast.parse(source.read(), path)
    except OSError as error:
        fail(f"{file}: {error.strerror}")
    except SyntaxError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        fail(f"{file}: line {error.lineno}: {error.msg} (Python {version})")
    except ValueError as error:
        fail(f"{file}: {error}")
    every = list(definitions(tree.body))
    found = dict(every)
    if name not in found and "*" not in found:
        functions = [key for key, node in found.items() if isinstance(node, ast.FunctionDef)]
        there = f"; it has {', '.join(functions[:8])}" if functions else ""
        fail(f"{file}: defines no function {name}{there}")
    if isinstance(found.get(name), ast.AsyncFunctionDef):
        fail(f"{file}: {name} is asynchronous; name a plain function that runs it, by asyncio.run")
    if isinstance(found.get(name), ast.FunctionDef) and not found[name].decorator_list and \
            sum(key == name for key, _ in every) == 1:
        check_arguments(file, name, found[name], arguments)
    print(f"{file}:{name}, Python {'.'.join(map(str, sys.version_info[:3]))}")


# --- the run ----------------------------------------------------------------------------------------------------


def load(path):
    """The file as a module of its own name, so that other processes (multiprocessing, pickle) find it by that."""
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def number(value):
    """A float of what is a number in Python, numpy, torch, jax or TensorFlow; None of anything else."""
    if isinstance(value, (bool, str, bytes)) or value is None:
        return None
    try:
        return float(value)
    except Exception:  # an array, a list, a model: whatever they raise, they are no number
        return None


def report(me, result):
    entries = result.items() if isinstance(result, dict) else [("result", result)]
    for key, value in entries:
        value = number(value)
        if value is None:
            continue
        if key == "samples" and isinstance(result, dict) and 0 <= value < float("inf"):
            me.work(value, "samples")
        elif isinstance(key, str) and key and len(key) <= 47 and not key.strip(LETTERS):
            me.metric(key, value)
        else:
            print(f"machine_energy: {key!r:.60}: no name of a metric (letters, digits and _ - . /); left out",
                  file=sys.stderr)


def tell(error):
    """The traceback from the user's own file on: ours above it says nothing to them."""
    trace = error.__traceback__
    while trace and trace.tb_next and (trace.tb_frame.f_code.co_filename == __file__ or
                                       "importlib" in trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    sys.stdout.flush()
    traceback.print_exception(type(error), error, trace)


def main():
    path, name, arguments, check = read_words(sys.argv[1:])
    if check:
        check_file(path, name, arguments)
        return 0
    path = os.path.abspath(path)
    sys.argv = [path]
    if sys.path[:1] == [os.path.dirname(os.path.abspath(__file__))]:
        del sys.path[0]  # PYTHONPATH has it, further behind
    sys.path.insert(0, os.path.dirname(path))
    import machine_energy as me
    try:
        with me.region("import"):
            function = getattr(load(path), name)
        with me.region("train"):
            if isinstance(arguments, dict):
                result = function(**arguments)
            else:
                result = function(*arguments)
    except Exception as error:
        tell(error)
        return 1
    report(me, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
