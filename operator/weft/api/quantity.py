"""Kubernetes quantities as numbers: `2Gi` is 2147483648, `500m` is 1 when a whole number is wanted.

Only memory is ever computed with (an out-of-memory retry multiplies it), so this is the reading half and no more.
"""

import re
from decimal import Decimal
from math import ceil

from weft.api.base import QUANTITY

MAX = 2**63 - 1
"""The largest quantity; what is larger counts as this, as in Kubernetes."""

_PARTS = re.compile(r"(?P<number>[-+]?[0-9.]+)(?P<suffix>[KMGTPE]i|[numkMGTPE]|)(?:[eE](?P<exponent>[-+]?[0-9]+))?")
_POWERS = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}


def parse_quantity(quantity: int | str) -> int:
    """The quantity as a whole number, rounded up; raises ValueError for what is none."""
    text = str(quantity)
    parts = _PARTS.fullmatch(text) if re.fullmatch(QUANTITY, text) else None
    if parts is None:
        raise ValueError(f"{text!r} is not a quantity such as 512Mi")
    suffix, exponent = parts["suffix"], max(-99, min(int(parts["exponent"] or 0), 99))
    factor = Decimal(1024 if suffix.endswith("i") else 1000) ** _POWERS[suffix.removesuffix("i")]
    return ceil(min(Decimal(parts["number"]).scaleb(exponent) * factor, Decimal(MAX)))
