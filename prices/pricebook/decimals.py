# SPDX-License-Identifier: Apache-2.0
"""Exact decimal figures: every rate is read from text and stays a Decimal; no float anywhere."""

import decimal
import functools
import json
from decimal import Decimal

# Wide enough that no product or quotient by a power of ten below is ever rounded.
decimal.getcontext().prec = 60

LEAST = Decimal("1e-9")        # one nano-dollar per million tokens: the book's unit
NOISE = Decimal("1e-14")       # relative error that a double leaves behind
FEE_LEAST = Decimal("1e-15")   # one femto-dollar per thing
TOKEN_CEILING = Decimal(700)   # USD per 1M tokens; the dearest true rate is 600
TOKEN_FLOOR = Decimal("0.001")  # less is a price per something else
FEE_CEILING = Decimal(1)       # USD per call of a tool, picture, page, second


@functools.lru_cache(maxsize=None)
def load(path):
    """A JSON file with its numbers as Decimal; not to be changed."""
    with open(path, encoding="utf-8") as file:
        return json.load(file, parse_float=Decimal, parse_int=Decimal)


def dump(value, depth=0):
    """JSON text of what load() gave, keys sorted, numbers as plain decimals; a line per model."""
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {dump(value[key], depth + 1)}" for key in sorted(value)]
        if depth > 2 or not lines:
            return "{" + ", ".join(lines) + "}"
        indent = " " * (depth + 1)
        return "{\n" + ",\n".join(indent + line for line in lines) + f"\n{indent[:-1]}}}"
    if isinstance(value, list):
        between = ",\n" if depth < 2 else ", "
        return "[" + between.join(dump(item, depth + 1) for item in value) + "]"
    if isinstance(value, Decimal):
        return text(value)
    return json.dumps(value, ensure_ascii=False)


def snap(value, least=LEAST):
    """The value in whole units of 'least', the noise of a double removed; None: neither."""
    nearest = value.quantize(least, rounding=decimal.ROUND_HALF_EVEN)
    if value == nearest or (nearest > 0 and abs(value - nearest) / value < NOISE):
        return nearest.normalize()
    return None


def snap_up(value, least=FEE_LEAST):
    """The value in whole units of 'least', what is between them rounded up: an hour's price divided
    by 3600."""
    return snap(value, least) or value.quantize(least, rounding=decimal.ROUND_CEILING).normalize()


def text(value):
    """Plain decimal text without needless zeros: 0.125, 10, 0."""
    plain = format(value, "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
