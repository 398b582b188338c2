# SPDX-License-Identifier: Apache-2.0
"""The hand-kept tables (tab-separated, '#' comments, a header line) and what they mean."""

import collections
import fnmatch
import os
import re
import sys
from decimal import Decimal, InvalidOperation

TOKEN_BUCKETS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "audio_in", "image_in",
                 "output", "audio_out", "image_out")
FEES = ("web_search", "file_search", "image", "page", "second", "character", "search_unit",
        "request")
# Fees that alone can be the price of a call: a row with one of them needs no price per token.
WHOLE = ("image", "page", "second", "character", "search_unit", "request")
BUCKETS = TOKEN_BUCKETS + FEES
LIMITS = ("context_tokens", "output_tokens")
SERVICES = ("standard", "priority", "flex", "batch", "fast")
CHEAPER = ("batch", "flex")
COLUMNS = ("provider", "model", "aliases", "from", "prompt_from", "service", "region",
           "hours") + BUCKETS + LIMITS + ("hidden_tps", "free")

# Which row of one price: the first prompt size of its tier, the service, "regional" or "", and the
# UTC hours or "".
Key = collections.namedtuple("Key", "start service region hours",
                             defaults=(0, "standard", "", ""))
BASE = Key()


def key_order(key):
    """Rows of one price stand in this order."""
    return (key.start, SERVICES.index(key.service), key.region, key.hours)


# What an id may consist of: the book's cells, lists of aliases and C strings can hold it.
NAME = re.compile(r"[!#-+\-->@-\[\]-~]{1,127}")


class TableError(Exception):
    """A hand-kept table cannot be used; the text says where and why."""


def read_table(path, required):
    """The rows of a table as dicts, '-' as None; each has its place in '_at'."""
    rows, header = [], None
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            line = line.rstrip("\n")
            if not line or line.startswith("#"):
                continue
            cells = line.split("\t")
            if header is None:
                header = cells
                missing = [name for name in required if name not in header]
                if missing:
                    raise TableError(f"{path}:{number}: no column {missing[0]}")
                continue
            if len(cells) != len(header):
                raise TableError(f"{path}:{number}: {len(cells)} cells, header has {len(header)}")
            row = {name: None if cell == "-" else cell for name, cell in zip(header, cells)}
            row["_at"] = f"{os.path.basename(path)}:{number}"
            rows.append(row)
    return rows


def number(row, column):
    """The exact figure in a cell, or None."""
    if row.get(column) is None:
        return None
    try:
        value = Decimal(row[column])
    except InvalidOperation:
        raise TableError(f"{row['_at']}: {column}: {row[column]!r} is not a number") from None
    if value < 0:
        raise TableError(f"{row['_at']}: {column}: {row[column]} is negative")
    return value


class Cleared:
    """cleared.tsv: what a person decided about the catalogues' rows, with reason and source."""

    VERBS = ("ignore", "alias", "also", "free", "default", "agreed", "regional",
             "moves")

    def __init__(self, path):
        self.rows = read_table(path, ("verb", "source", "provider", "model", "service", "bucket",
                                      "value", "reason", "reference"))
        self.used = set()
        self.by_verb = collections.defaultdict(list)
        for row in self.rows:
            self.by_verb[row["verb"], row["provider"]].append(row)
            if row["verb"] not in self.VERBS:
                raise TableError(f"{row['_at']}: verb {row['verb']!r} is none of "
                                 + ", ".join(self.VERBS))
            if not row["reason"] or not row["reference"]:
                raise TableError(f"{row['_at']}: every line needs a reason and a reference")

    @staticmethod
    def covers(row, model):
        """Whether a line is about this model; '*' is a wildcard in its cell."""
        return fnmatch.fnmatchcase(model, row["model"] or "*")

    def find(self, verb, provider, model, source=None, bucket=None, service=None):
        """The first line that applies; '-' in a line applies to all."""
        for row in self.by_verb.get((verb, provider), ()):
            if (self.covers(row, model)
                    and row["source"] in (None, source) and row["bucket"] in (None, bucket)
                    and row["service"] in (None, service)):
                self.used.add(row["_at"])
                return row
        return None

    def each(self, verb, provider):
        """All lines of one verb, counted as used."""
        found = self.by_verb.get((verb, provider), [])
        self.used.update(row["_at"] for row in found)
        return found

    def unused(self):
        """Lines that decided nothing: most often stale after new snapshots."""
        return [row for row in self.rows if row["_at"] not in self.used]


class Provider:
    """A line of providers.tsv."""

    OURS = ("provider", "tier", "versions", "report", "maker", "floats", "dates", "region", "hidden",
            "not", "_at")

    def __init__(self, row):
        self.name = row["provider"]
        self.inclusive = row["tier"] == "ge"
        self.versioned = row.get("versions") == "yes"
        self.brief = row.get("report") == "brief"
        self.maker = row.get("maker") == "yes"
        self.floats = row.get("floats")
        self.dates_listed = row.get("dates") == "listed"
        self.region_unseen = row.get("region") == "unseen"
        self.names = {source: cell.split(",") if cell else [] for source, cell in row.items()
                      if source not in self.OURS}
        self._hidden = re.compile(row["hidden"] or "(?!)")
        self._not = re.compile(row["not"] or "(?!)")

    def start(self, threshold):
        """The first prompt size of a tier, from a catalogue's threshold: 272000, 271999."""
        size = int(threshold)
        if (size + 1) % 1000 == 0:
            size += 1
        return size if self.inclusive else size + 1

    def hides(self, model):
        """Whether this model reasons out of sight."""
        return bool(self._hidden.fullmatch(model)) and not self._not.fullmatch(model)


class Spellings:
    """names.tsv: how a catalogue's spelling of an id becomes the id of requests."""

    def __init__(self, rows):
        self.rules = collections.defaultdict(list)
        for row in rows:
            pattern = re.compile(row["pattern"])
            self.rules[row["provider"]].append((row["source"], pattern, row["becomes"],
                                                row["region"] or ""))

    def spell(self, provider, source, name):
        """(id, region) of a catalogue's name, lower case; (None, "") when it is no id."""
        name, region = name.lower(), ""
        for theirs, pattern, becomes, where in self.rules[provider]:
            if theirs not in (None, source) or not pattern.fullmatch(name):
                continue
            if becomes is None:
                return None, ""
            name, region = pattern.sub(becomes, name, count=1), region or where
        return (name if NAME.fullmatch(name) else None), region


def read_providers(path):
    """The providers, in the order of the table."""
    return [Provider(row) for row in read_table(path, ("provider", "tier", "hidden", "not"))]


def read_spellings(path):
    """names.tsv."""
    return Spellings(read_table(path, ("provider", "source", "pattern", "becomes", "region")))


def warn(message):
    """A line on stderr."""
    print(f"prices/build: {message}", file=sys.stderr)
