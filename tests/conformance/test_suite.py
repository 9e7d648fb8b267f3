"""The suite itself: every row has its case, every case says where its bug was seen."""

import ast
import re
from pathlib import Path

ROWS = set(range(1, 19))  # of the list of pitfalls: those that concern counters and gauges
SEEN = re.compile(r"[\w.-]+/[\w.-]+(?: (?:PR)?#\d+)?|turbostat|HPE Cray EX|Performance Tuning Guide")


def cases():
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if path.name == Path(__file__).name:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield path.name, node.name, ast.get_docstring(node) or ""


def test_every_row_has_a_case():
    rows = {int(name.split("_")[1]) for _, name, _ in cases() if name.split("_")[1].isdigit()}
    assert rows == ROWS


def test_every_case_says_where_it_was_seen():
    for path, name, text in cases():
        assert re.match(r"test_(\d\d|more)_\w+$", name), (path, name)
        assert len(text) > 40 and SEEN.search(text), (path, name)
