# SPDX-License-Identifier: Apache-2.0
"""What the catalogues say of one provider's models, in the book's units and spelling."""

import collections
import re

from .tables import BASE

# One catalogue's word on one row. dated: 'since' is the catalogue's own date, not the absence of
# one; rates: bucket -> Decimal, USD per 1M tokens or characters, or per counted thing.
Offer = collections.namedtuple("Offer", "source model since dated key rates")

VERSION = re.compile(r"-v(\d+)(?::\d+)?$|(?<!-v\d)-(\d+):\d+$")
STRIPPED = re.compile(r"-v1:\d+$")      # what a lookup strips by itself


class Evidence:
    """All that the catalogues say of one provider's models."""

    def __init__(self, provider, dates, spellings=None, versions=None):
        self.provider = provider
        self.dates = dates              # source -> the day its snapshot speaks for
        self.spellings = spellings
        self.versions = versions or {}  # spelling with a version -> without
        self.offers = []
        self.limits = collections.defaultdict(dict)    # model -> (source, column) -> tokens
        self.takes = collections.defaultdict(set)      # model -> input modalities
        self.gives = collections.defaultdict(set)      # model -> output modalities
        self.listed = collections.defaultdict(set)     # model -> sources that have a row
        self.released = {}                             # model -> day, where a catalogue has it

    def spell(self, source, name):
        """(id, region) of a catalogue's name; (None, "") when it is no id of requests."""
        if self.spellings is None:
            return name, ""
        name, region = self.spellings.spell(self.provider.name, source, name)
        return self.versions.get(name, name), region

    def offer(self, source, model, rates, since="", dated=False, key=BASE):
        """Adds a row; absent rates (None) are left out."""
        self.listed[model].add(source)
        kept = {bucket: rate for bucket, rate in rates.items() if rate is not None}
        if kept:
            self.offers.append(Offer(source, model, since, dated, key, kept))

    def limit(self, source, model, context, output):
        """Context window and output ceiling; 0 and None are unknown."""
        for column, value in (("context_tokens", context), ("output_tokens", output)):
            if value:
                self.limits[model][source, column] = max(
                    int(value), self.limits[model].get((source, column), 0))

    def start(self, threshold):
        """The first prompt size of a tier."""
        return self.provider.start(threshold)


def fold_versions(names):
    """{spelling: id}: '-v1:0', '-v1' and nothing behind a name are one id where no second version
    of it is listed; else '-v2:0' is '-v2'."""
    found = {name: VERSION.search(name) for name in names}
    groups = collections.defaultdict(set)
    for name, match in found.items():
        if match:
            groups[name[:match.start()]].add(match.group(1) or match.group(2))
    folded = {}
    for name, match in found.items():
        if match:
            base = name[:match.start()]
            alone = len(groups[base]) == 1
            folded[name] = base if alone else f"{base}-v{match.group(1) or match.group(2)}"
    return folded


def spelled_aliases(folded):
    """{spelling: id} of those spellings that a lookup would not find by itself."""
    return {name: base for name, base in folded.items()
            if not (STRIPPED.search(name) and STRIPPED.sub("", name) == base)}
