"""What kopf is told to do."""

from weft.watching import KOPF_BACKOFFS


def test_kopf_outlasts_an_outage_and_asks_every_few_seconds() -> None:
    assert iter(KOPF_BACKOFFS) is not iter(KOPF_BACKOFFS)  # every request begins anew
    assert sum(KOPF_BACKOFFS) >= 1800
    assert max(KOPF_BACKOFFS) == 10
