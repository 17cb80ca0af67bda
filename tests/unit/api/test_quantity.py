import pytest
from weft.api.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        (128974848, 128974848),
        ("129e6", 129_000_000),
        ("129M", 129_000_000),
        ("123Mi", 123 * 2**20),
        ("1Ki", 1024),
        ("1k", 1000),
        ("1.5Gi", 3 * 2**29),
        ("2Ei", 2**61),
        ("1E", 10**18),
        ("1E3", 1000),
        ("128974848000m", 128974848),
        ("1m", 1),
        ("0", 0),
        (".5Gi", 2**29),
        ("1E999999999", 2**63 - 1),
        ("8Ei", 2**63 - 1),
        ("1e-999999999", 1),
    ],
)
def test_a_quantity_is_a_number_as_kubernetes_reads_it(text, number):
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "Mi", "1Mb", "1 Gi", "one", "1mi", "--1", "1Gi\n"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)
