# SPDX-License-Identifier: Apache-2.0
"""The rules that make one book of several catalogues. docs/PRICES.md states them."""

import collections
import statistics
from decimal import Decimal

from . import decimals
from .tables import BASE, BUCKETS, FEES, LIMITS, WHOLE, Key, number

CACHES = ("cache_read", "cache_write_5m", "cache_write_1h")
# What is known of one model: periods maps 'from' ("" first) to {Key: {bucket: rate}}.
Model = collections.namedtuple("Model", "name periods limits free hidden")


class Notes:
    """What the report tells: lists of tuples that begin with provider and model."""

    def __init__(self):
        for name in ("disagreements", "agreed", "outvoted", "rejected", "lone_caches", "singles",
                     "tiers", "ignored", "filled", "carried", "uncarried", "limits", "unpriced",
                     "snapshots", "incomplete", "regions", "floating", "raised"):
            setattr(self, name, [])

    def keep(self, provider, models):
        """Forgets what was noted on ids that the book does not carry in the end."""
        for name in ("disagreements", "agreed", "outvoted", "lone_caches", "singles", "tiers",
                     "filled", "carried", "uncarried", "limits", "incomplete", "regions", "floating",
                     "raised"):
            setattr(self, name, [note for note in getattr(self, name)
                                 if note[0] != provider or note[1] in models])
        self.singles = [note for note in self.singles if note[0] != provider
                        or Key(*note[3:7]) in models[note[1]].periods.get(note[2], ())]


class Merger:
    """Merges the evidence on one provider."""

    def __init__(self, evidence, cleared, supplement, notes):
        self.evidence = evidence
        self.provider = evidence.provider
        self.cleared = cleared
        self.notes = notes
        self.by_hand = collections.defaultdict(list)
        for row in supplement:
            if row["provider"] == self.provider.name:
                self.by_hand[row["model"]].append(row)
        self.offers = collections.defaultdict(list)
        for offer in evidence.offers:
            self.offers[offer.model].append(offer)

    # ---- what may speak ------------------------------------------------------------------

    def usable(self, offer, bucket, rate):
        """The rate of an offer in the book's unit, or None: zero, ignored by hand, or absurd."""
        where = (self.provider.name, offer.model, bucket)
        line = self.cleared.find("ignore", self.provider.name, offer.model, offer.source, bucket,
                                 offer.key.service)
        if line is not None:
            self.notes.ignored.append((self.provider.name, line["model"], offer.source,
                                       line["reason"], bucket, rate))
            return None
        if rate == 0:
            return None
        fee = bucket in FEES and bucket != "character"
        exact = decimals.snap_up(rate) if fee else decimals.snap(rate)
        ceiling = decimals.FEE_CEILING if fee else decimals.TOKEN_CEILING
        floor = 0 if fee else decimals.TOKEN_FLOOR
        if exact is None or not floor <= exact <= ceiling:
            why = "not a whole nano-dollar" if exact is None else "outside any true price"
            self.notes.rejected.append(where + (offer.source, rate, why))
            return None
        return exact

    def period_of(self, offer, froms):
        """Which period an offer speaks for. An undated one was true on its snapshot's day; on a
        day of change itself it still shows the old price."""
        if offer.dated:
            return offer.since
        day = self.evidence.dates[offer.source]
        return max(since for since in froms if since == "" or since < day)

    def votes(self, model):
        """{from: {Key: {bucket: [(source, rate)]}}} of one model's offers. A catalogue that lists a
        model twice, for two ways to reach it, speaks with its higher price."""
        offers = self.offers[model]
        froms = {""} | {offer.since for offer in offers if offer.dated}
        froms |= {row["from"] or "" for row in self.by_hand[model]}
        said = {since: collections.defaultdict(lambda: collections.defaultdict(dict))
                for since in sorted(froms)}
        for offer in offers:
            row = said[self.period_of(offer, froms)][offer.key]
            for bucket, rate in offer.rates.items():
                exact = self.usable(offer, bucket, rate)
                if exact is not None:
                    row[bucket][offer.source] = max(exact, row[bucket].get(offer.source, 0))
        return {since: {key: {bucket: list(votes.items()) for bucket, votes in row.items()}
                        for key, row in table.items()} for since, table in said.items()}

    # ---- one rate ------------------------------------------------------------------------

    def guarded(self, where, votes):
        """Votes without those that are 20 times or more under the median of the others."""
        kept = []
        for source, rate in votes:
            others = [other for name, other in votes if name != source]
            if len(others) >= 2 and rate * 20 <= statistics.median_low(others):
                self.notes.rejected.append(where + (source, rate, "20 times under the others"))
            else:
                kept.append((source, rate))
        return kept

    def lone_cache(self, where, votes, row):
        """A cache rate of one source, where two others price the row without one, is not believed:
        absent means the dearer default."""
        sources = {source for source, _ in votes}
        without = {source for source, _ in row.get("input", ())} - sources
        if where[-1] not in CACHES or len(sources) != 1 or len(without) < 2:
            return False
        line = self.cleared.find("agreed", self.provider.name, where[1], None, where[-1])
        if line is not None:
            return False
        self.notes.lone_caches.append(where + votes[0] + (", ".join(sorted(without)),))
        return True

    def choose(self, where, votes, row):
        """The rate to take: what two sources agree on, else the highest; None: none."""
        votes = self.guarded(where, votes)
        if not votes or self.lone_cache(where, votes, row):
            return None
        values = collections.Counter(rate for _, rate in votes)
        highest = max(values)
        if len(values) == 1:
            if len(votes) == 1 and where[-1] not in ("web_search", "file_search"):
                self.notes.singles.append(where + votes[0])
            return highest
        shared = [rate for rate, count in values.items() if count >= 2]
        if len(shared) == 1:
            self.notes.outvoted.append(where + (votes, shared[0]))
            return shared[0]
        line = self.cleared.find("agreed", self.provider.name, where[1], None, where[-1])
        if line is not None:
            self.notes.agreed.append(where + (votes, highest, line["reason"]))
        else:
            self.notes.disagreements.append(where + (votes, highest))
        return highest

    # ---- one model -----------------------------------------------------------------------

    def merge_row(self, model, since, key, row):
        """All buckets of one row, in the book's order."""
        where = (self.provider.name, model, since) + key
        rates = {}
        for bucket in BUCKETS:
            if row.get(bucket):
                rate = self.choose(where + (bucket,), row[bucket], row)
                if rate is not None:
                    rates[bucket] = rate
        return rates

    def lay_hand_rows(self, model, since, rows):
        """The supplement's rows of one period, over the merged ones."""
        for row in self.by_hand[model]:
            if (row["from"] or "") != since:
                continue
            key = Key(int(row["prompt_from"] or 0), row["service"] or "standard", "",
                      row.get("hours") or "")
            rates = rows.setdefault(key, {})
            for bucket in BUCKETS:
                rate = number(row, bucket)
                if rate is not None:
                    rates[bucket] = rate

    def carry(self, model, since, before, rows):
        """Rows that nobody repeats in a later period go on, unless the price rose (a discount on a
        lower price must not outlive it) or the row is a context tier of a service that has a new
        price without one."""
        priced = {key for key in rows if key.start == 0}
        rose = any(rows.get(BASE, {}).get(bucket, 0) > rate
                   for bucket, rate in before.get(BASE, {}).items())
        for key, rates in before.items():
            if key not in rows:
                note = (self.provider.name, model, since) + key
                # a tier that the new price has not
                ended = key.start > 0 and key._replace(start=0) in priced
                if ended or (rose and key != BASE):
                    self.notes.uncarried.append(note)
                else:
                    rows[key] = dict(rates)
                    self.notes.carried.append(note)
            elif key == BASE:
                self.carry_buckets(rates, rows[key], rose)

    @staticmethod
    def carry_buckets(before, rates, rose):
        """Single rates of the standard row that nobody repeats; over a rise a kind of input costs
        at least the new input rate, and caches are left to their defaults."""
        for bucket, rate in before.items():
            if not rose or bucket in FEES:
                rates.setdefault(bucket, rate)
            elif bucket in ("audio_in", "image_in"):
                rates.setdefault(bucket, max(rate, rates["input"]))

    def periods(self, model):
        """All rows of a model, by period."""
        periods, before = {}, {}
        for since, table in self.votes(model).items():
            rows = {key: self.merge_row(model, since, key, row) for key, row in table.items()}
            rows = {key: rates for key, rates in rows.items() if rates}
            self.lay_hand_rows(model, since, rows)
            if not rows:
                continue
            self.carry(model, since, before, rows)
            self.drop_idle(rows)
            self.drop_incomplete(model, since, rows)
            self.drop_alternatives(rows)
            periods[since] = before = rows
        return periods

    def drop_incomplete(self, model, since, rows):
        """A row that lacks the input or output rate of its standard row would be free."""
        base = rows.get(BASE, {})
        for key in sorted(rows):
            lacks = [bucket for bucket in ("input", "output")
                     if bucket in base and bucket not in rows[key]]
            if lacks and key.start == 0:
                self.notes.incomplete.append((self.provider.name, model, since) + key + (lacks[0],))
                del rows[key]

    @staticmethod
    def drop_idle(rows):
        """A context tier or region that costs no more than its base is none."""
        for key in sorted(rows, reverse=True):
            for plain in (key._replace(start=0), key._replace(region="")):
                base, rates = rows.get(plain, {}), rows.get(key, {})
                if plain != key and all(rate <= base.get(bucket, -1)
                                        for bucket, rate in rates.items()):
                    rows.pop(key, None)

    @staticmethod
    def drop_alternatives(rows):
        """Where tokens are the price, a price per picture or second is another way to say it."""
        for rates in rows.values():
            for fee, tokens in (("image", ("image_out", "output")), ("second", ("input",)),
                                ("page", ("input",)), ("character", ("input",))):
                if any(bucket in rates for bucket in tokens):
                    rates.pop(fee, None)

    def ignored_limit(self, model, source, column, value):
        """Whether a person silenced it."""
        line = self.cleared.find("ignore", self.provider.name, model, source, column)
        if line is not None:
            self.notes.ignored.append((self.provider.name, line["model"], source, line["reason"],
                                       column, Decimal(value)))
        return line is not None

    def limits(self, model):
        """The larger where sources differ, so that a hold is never too small; what a person read
        wins."""
        limits = {}
        for column in LIMITS:
            votes = {source: value for (source, name), value in self.evidence.limits[model].items()
                     if name == column and not self.ignored_limit(model, source, column, value)}
            votes.update({"by hand": int(number(row, column)) for row in self.by_hand[model]
                          if row.get(column)})
            taken = votes.get("by hand", max(votes.values(), default=0))
            if len(set(votes.values())) > 1:
                self.notes.limits.append((self.provider.name, model, column,
                                          sorted(votes.items()), taken))
            if votes and not (column == "output_tokens" and "embedding" in model):
                limits[column] = taken
        return limits

    def note_tiers(self, model, periods):
        """Context tiers that some catalogues list and others, which price the model, do not."""
        offers = self.offers[model]
        present = {key.start for rows in periods.values() for key in rows if key.start}
        for start in sorted(present):
            for_it = {offer.source for offer in offers if offer.key.start == start}
            against = {offer.source for offer in offers
                       if offer.key.service == "standard"} - for_it
            if for_it and against:
                self.notes.tiers.append((self.provider.name, model, start, sorted(for_it),
                                         sorted(against)))

    def merge(self, model):
        """One model, or None: no catalogue prices its input tokens, or whole calls of it."""
        free = self.cleared.find("free", self.provider.name, model) is not None
        periods = {"": {BASE: {}}} if free else self.periods(model)
        for since, rows in list(periods.items()):
            if not free and not any(name in rows.get(BASE, {}) for name in ("input",) + WHOLE):
                del periods[since]
        if not periods:
            self.notes.unpriced.append((self.provider.name, model,
                                        sorted(self.evidence.listed[model])))
            return None
        self.note_tiers(model, periods)
        hidden = [row["hidden_tps"] for row in self.by_hand[model] if row.get("hidden_tps")]
        return Model(model, periods, self.limits(model), free, hidden[0] if hidden else None)

    def models(self):
        """All models that a catalogue or a person lists; '*' stands for all others, free."""
        names = sorted(set(self.evidence.listed) | set(self.by_hand)
                       | {row["model"] for row in self.cleared.each("free", self.provider.name)
                          if "*" not in row["model"] or row["model"] == "*"})
        wanted = [name for name in names
                  if not self.cleared.find("ignore", self.provider.name, name, None, "model")]
        merged = [self.merge(name) for name in wanted]
        return {model.name: model for model in merged if model is not None}
