"""Some seeds of scripts/torture; what is killed and what must be true stands in kills.py."""

import pytest
from kills import line, one, raise_ground


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    c = raise_ground(tmp_path_factory.mktemp("torture") / "c")
    yield c
    c.down()


# A rank, a daemon, and whatever these seeds choose.
@pytest.mark.parametrize("seed", [2, 3, 5, 6])
def test_nothing_is_lost_and_nothing_is_left(ground, seed):
    outcome = one(ground, seed)
    print(line(outcome))
    assert not outcome.wrong
