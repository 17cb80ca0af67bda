"""Each planted bug fits the source as it is today; that the simulation finds it takes `make mutants`."""

import pytest
from support.chaos.mutants import MUTANTS, PACKAGE, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_planted_bug_fits(mutant: Mutant) -> None:
    source = (PACKAGE / mutant.file).read_text()
    assert source.count(mutant.words) == 1
    compile(source.replace(mutant.words, mutant.instead), mutant.file, "exec")
