import random

import pytest
from weft.kube.retry import jittered_backoff


@pytest.mark.parametrize(("failures", "whole"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (5000, 10)])
def test_the_back_off_doubles_up_to_its_bound_with_half_of_it_random(failures, whole):
    waits = [jittered_backoff(failures, first=1, longest=10, rng=random.Random(seed)) for seed in range(50)]
    assert all(whole / 2 <= wait <= whole for wait in waits)
    assert len(set(waits)) > 40
