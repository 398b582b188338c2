# SPDX-License-Identifier: Apache-2.0
"""What follows the merge: gaps that have one safe answer, snapshots that need no row, aliases."""

import re
from decimal import Decimal

from .floating import dearer
from .tables import BASE, CHEAPER, FEES, TOKEN_BUCKETS, number

DATE = re.compile(r"-(\d{8}|\d{4}-\d\d-\d\d)$")


def ratio_of(text):
    """A factor of the hand table: 11/10."""
    above, below = text.split("/")
    return Decimal(above) / Decimal(below)


class Completer:
    """Completes one provider's merged models."""

    def __init__(self, evidence, cleared, notes):
        self.evidence = evidence
        self.provider = evidence.provider
        self.cleared = cleared
        self.notes = notes

    def note(self, model, since, key, bucket, why):
        """A line of the report for a figure that no catalogue gave for this very row."""
        self.notes.filled.append((self.provider.name, model, since) + key + (bucket, why))

    def fill_fees(self, model, rows):
        """Fees are the provider's, not the row's: the default of the hand table where none is
        listed, and the standard row's in every other."""
        base = rows[BASE]
        for fee in FEES:
            line = self.cleared.find("default", self.provider.name, model, None, fee)
            if fee not in base and "input" in base and line is not None:
                base[fee] = number(line, "value")
            if fee in base:
                for rates in rows.values():
                    rates.setdefault(fee, base[fee])

    def fill_kinds(self, model, since, rows):
        """A model that takes images or sound and lists one input rate charges it for them."""
        for bucket, kind in (("image_in", "image"), ("audio_in", "audio")):
            if kind not in self.evidence.takes[model] or bucket in rows[BASE]:
                continue
            for key, rates in rows.items():
                if "input" in rates and bucket not in rates:
                    rates[bucket] = rates["input"]
                    self.note(model, since, key, bucket, "the input rate: no other is listed")

    def fill_sound(self, model, since, rows):
        """A model that gives nothing but sound charges its output rate for it."""
        if self.evidence.gives[model] != {"audio"}:
            return
        for key, rates in rows.items():
            if "output" in rates and "audio_out" not in rates:
                rates["audio_out"] = rates["output"]
                self.note(model, since, key, "audio_out", "the output rate: it gives only sound")

    def fill_discounts(self, model, since, rows):
        """A discounted row without a cache or kind rate takes the standard row's, which is never
        less, but no cache read above its own input."""
        for key, rates in rows.items():
            base = rows.get(key._replace(service="standard"), {})
            if key.service not in CHEAPER:
                continue
            for bucket, rate in base.items():
                if bucket in rates:
                    continue
                if bucket == "cache_read":
                    rate = min(rate, rates.get("input", rate))
                rates[bucket] = rate
                self.note(model, since, key, bucket, "the standard row's rate")

    def fill_tiers(self, rows):
        """A tier row without a rate that its base has, and without an input rate to default to,
        would be free: it takes the base's."""
        for key, rates in rows.items():
            if key.start:
                for bucket, rate in rows.get(key._replace(start=0), {}).items():
                    if bucket in ("input", "output"):
                        rates.setdefault(bucket, rate)

    def fill_ceiling(self, model):
        """No answer is longer than the context window; a ceiling that no source lists is that."""
        base = model.periods[min(model.periods)][BASE]
        window = model.limits.get("context_tokens")
        if window and "output_tokens" not in model.limits and "output" in base:
            model.limits["output_tokens"] = window
            self.note(model.name, "", BASE, "output_tokens", "the context window")

    def factor(self, name):
        """What a region of the caller's choice costs by the hand table's rule, or None. A rule with
        a day holds for models released on it or later."""
        released = (self.evidence.released.get(name)
                    or self.evidence.released.get(DATE.sub("", name), ""))
        for line in self.cleared.each("regional", self.provider.name):
            ratio, _, day = line["value"].partition(" ")
            if self.cleared.covers(line, name) and released >= day:
                return ratio_of(ratio)
        return None

    def fill_regions(self, model, since, rows):
        """Regional rows by the rule, the dearer where a catalogue lists one too."""
        factor = self.factor(model.name)
        if factor is None:
            return
        for key in [key for key, rates in rows.items()
                    if not key.region and any(bucket in rates for bucket in TOKEN_BUCKETS)]:
            rates = {bucket: rate * factor if bucket in TOKEN_BUCKETS else rate
                     for bucket, rate in rows[key].items()}
            listed = rows.setdefault(key._replace(region="regional"), rates)
            for bucket, rate in rates.items():
                if listed.get(bucket, rate) != rate:
                    self.notes.regions.append((self.provider.name, model.name, since) + key
                                              + (bucket, listed[bucket], rate))
                listed[bucket] = max(rate, listed.get(bucket, 0))

    def fill_long_writes(self, model, since, rows):
        """Writes that are kept for long, by the hand table's rule, where no source lists them."""
        line = self.cleared.find("default", self.provider.name, model, None, "cache_write_1h")
        for key, rates in rows.items() if line is not None else ():
            if "cache_write_5m" in rates and "cache_write_1h" not in rates:
                rates["cache_write_1h"] = rates["input"] * ratio_of(line["value"])
                self.note(model, since, key, "cache_write_1h", f"{line['value']} of the input rate")

    def fold_regions(self, rows):
        """Where a call does not tell its region, the dearer of both is the price."""
        for key in [key for key in rows if key.region] if self.provider.region_unseen else ():
            regional, plain = rows.pop(key), key._replace(region="")
            rows[plain] = dearer(rows.get(plain, {}), regional)

    def complete(self, model):
        """All gaps of one model."""
        if model.free:
            return
        self.fill_ceiling(model)
        for since, rows in model.periods.items():
            self.fill_tiers(rows)
            self.fill_fees(model.name, rows)
            self.fill_kinds(model.name, since, rows)
            self.fill_sound(model.name, since, rows)
            self.fill_long_writes(model.name, since, rows)
            self.fill_discounts(model.name, since, rows)
            self.fill_regions(model, since, rows)
            self.fold_regions(rows)


def agrees(model, base):
    """Whether no rate of a dated snapshot differs from the undated id's at the same place."""
    for since, rows in model.periods.items():
        held = base.periods.get(since)
        if held is None:
            return False
        for key, rates in rows.items():
            known = held.get(key, {})
            if any(known.get(bucket, rate) != rate for bucket, rate in rates.items()
                   if bucket not in FEES):
                return False
    return True


def fold_snapshots(provider, models, notes):
    """Drops dated ids that cost what their undated id costs. What the sources list for the snapshot
    alone, and the larger limits, go to the undated id. Must run before the gaps are filled. Gives
    {dropped: undated id} of those that no lookup finds by taking the date off: where a snapshot is
    left, none does."""
    folded, kept = {}, set()
    for name in sorted(models):
        base = models.get(DATE.sub("", name))
        if base is None or base.name == name:
            continue
        if not agrees(models[name], base):
            notes.snapshots.append((provider.name, name, base.name))
            kept.add(base.name)
            continue
        for since, rows in models[name].periods.items():
            for key, rates in rows.items():
                held = base.periods[since].setdefault(key, {})
                for bucket, rate in rates.items():
                    held[bucket] = max(rate, held.get(bucket, rate))
        for column, value in models[name].limits.items():
            base.limits[column] = max(value, base.limits.get(column, 0))
        folded[name] = base.name
        del models[name]
    return {name: base for name, base in folded.items() if provider.dates_listed or base in kept}


def undotted(name):
    """The key under which a spelling with dashes for dots is the same id."""
    return name.replace(".", "-")


def name_aliases(provider, models, listed, folded, cleared):
    """model -> its other names: those that a catalogue lists outright, snapshots that would not be
    found by it, and the hand table's."""
    aliases = {}
    for name, base in folded.items():
        aliases.setdefault(base, set()).add(name)
    dotted = {undotted(name) for name in set(models) | set(listed) if "." in name}
    for alias, target in sorted(listed.items()):
        plain = DATE.sub("", alias)
        spelling = "." not in plain and plain in dotted
        known = alias in models or plain in models or plain in listed and plain != alias
        if target in models and not spelling and not known:
            aliases.setdefault(target, set()).add(alias)
    for row in cleared.each("alias", provider):
        if row["value"] in models:
            models.pop(row["model"], None)
            aliases.setdefault(row["value"], set()).add(row["model"])
    return aliases
