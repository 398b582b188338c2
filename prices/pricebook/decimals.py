# SPDX-License-Identifier: Apache-2.0
"""Exact decimal figures: every rate is read from text and stays a Decimal; no float anywhere."""

import decimal
import json
from decimal import Decimal

# Wide enough that no product or quotient by a power of ten below is ever rounded.
decimal.getcontext().prec = 60

LEAST = Decimal("1e-9")        # one nano-dollar per million tokens: the book's unit
NOISE = Decimal("1e-14")       # relative error that a double leaves behind
TOKEN_CEILING = Decimal(700)   # USD per 1M tokens; the dearest true rate is 600
FEE_CEILING = Decimal(1)       # USD per call of a tool


def load(path):
    """A JSON file with its numbers as Decimal."""
    with open(path, encoding="utf-8") as file:
        return json.load(file, parse_float=Decimal, parse_int=Decimal)


def dump(value, indent=""):
    """JSON text of what load() gave, keys sorted, numbers as plain decimals."""
    deeper = indent + " "
    if isinstance(value, dict):
        lines = [f"{deeper}{json.dumps(key)}: {dump(value[key], deeper)}" for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}" if lines else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(dump(item, deeper) for item in value) + "]"
    if isinstance(value, Decimal):
        return text(value)
    return json.dumps(value, ensure_ascii=False)


def snap(value):
    """The value in whole nano-dollars per 1M, the noise of a double removed; None: neither."""
    nearest = value.quantize(LEAST, rounding=decimal.ROUND_HALF_EVEN)
    if value == nearest or (nearest > 0 and abs(value - nearest) / value < NOISE):
        return nearest.normalize()
    return None


def text(value):
    """Plain decimal text without needless zeros: 0.125, 10, 0."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
