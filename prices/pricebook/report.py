# SPDX-License-Identifier: Apache-2.0
"""Writes REPORT.md: all that a person should look at, and what was decided."""

import collections

from . import decimals
from .tables import Key

# Every note on a row begins with provider, model, since and the four parts of its key.
KEY = slice(3, 7)
BUCKET = 7


def place(since, key):
    """'from 2026-08-21, 272000+, batch', or ''."""
    key = Key(*key)
    parts = [f"from {since}"] if since else []
    if key.start:
        parts.append(f"{key.start}+")
    if key.service != "standard":
        parts.append(key.service)
    parts += [part for part in (key.region, key.hours) if part]
    return ", ".join(parts)


def where(note):
    """The place of a note's row."""
    return place(note[2], note[KEY])


def model_of(note):
    """provider/model."""
    return f"{note[0]}/{note[1]}"


def said(votes):
    """'models.dev 4, litellm 5'."""
    return ", ".join(f"{source} {decimals.text(rate)}" for source, rate in votes)


def table(title, why, head, rows):
    """One section."""
    lines = [f"## {title}", "", why, ""]
    if not rows:
        return lines + ["None.", ""]
    lines.append("| " + " | ".join(head) + " |")
    lines.append("|" + "---|" * len(head))
    lines.extend("| " + " | ".join(row) + " |" for row in rows)
    return lines + [""]


def vote_rows(notes):
    """Rows of the sections on differing sources."""
    for note in sorted(notes, key=lambda note: note[:BUCKET + 1]):
        votes, taken = note[BUCKET + 1:BUCKET + 3]
        yield [model_of(note), where(note), note[BUCKET], said(votes),
               decimals.text(taken)] + list(note[BUCKET + 3:])


def compact(notes):
    """One row per model and source or rule: 'input, output; batch: input'."""
    rows = {}
    for note in sorted(notes, key=lambda note: note[:BUCKET]):
        places = rows.setdefault((model_of(note), note[BUCKET + 1]), {})
        places.setdefault(where(note), []).append(note[BUCKET])
    for (model, tail), places in rows.items():
        together = {}
        for spot, buckets in places.items():
            together.setdefault(", ".join(dict.fromkeys(buckets)), []).append(spot or "standard")
        yield [model, tail, "; ".join(f"{' / '.join(spots)}: {buckets}"
                                      for buckets, spots in together.items())]


class Report:
    """The sections, at full length for the providers whose own list prices the book is made for,
    and as short as can be for the gateways' long tail."""

    def __init__(self, notes, providers):
        self.notes = notes
        self.brief = {provider.name for provider in providers if provider.brief}
        self.names = [provider.name for provider in providers]

    def full(self, name):
        """A kind of notes, without the long tail."""
        return [note for note in getattr(self.notes, name) if note[0] not in self.brief]

    def tail(self, name):
        """A kind of notes, of the long tail alone."""
        return [note for note in getattr(self.notes, name) if note[0] in self.brief]

    # ---- what a person has to look at ---------------------------------------------------------

    def disputes(self):
        """Sources that differ."""
        head = ("model", "row", "rate", "sources", "taken")
        return (table("To be cleared", "Sources differ and no single value has two of them: the "
                      "highest is taken. Decide in `cleared.tsv`.", head,
                      list(vote_rows(self.full("disagreements"))))
                + table("To be cleared, the long tail", "As above, for providers with "
                        "`report` brief: a line per model, the rate by which the sources differ "
                        "most, and how many others differ.",
                        ("model", "rate", "sources", "taken", "others"),
                        self.worst(self.tail("disagreements")))
                + table("Highest taken, looked at", "As above, and a person found it right.",
                        head + ("why",), list(vote_rows(self.full("agreed"))))
                + table("Outvoted", "Two or more sources agree; these differ from them.", head,
                        list(vote_rows(self.full("outvoted"))))
                + table("Not read, by hand", "Lines `ignore` of `cleared.tsv`.",
                        ("models", "source", "why", "figures"), self.ignored())
                + table("Rejected", "Outside any true price, or not exact.",
                        ("model", "rate", "source", "said", "why"), self.rejected()))

    @staticmethod
    def worst(notes):
        """A row per model."""
        models = collections.defaultdict(list)
        for note in notes:
            rates = [rate for _, rate in note[BUCKET + 1]]
            models[model_of(note)].append((max(rates) / min(rates), note))
        for model in sorted(models):
            _, note = max(models[model], key=lambda pair: (pair[0], pair[1][:BUCKET + 1]))
            spot = where(note)
            yield [model, note[BUCKET] + (f" ({spot})" if spot else ""), said(note[BUCKET + 1]),
                   decimals.text(note[BUCKET + 2]), str(len(models[model]) - 1)]

    def rejected(self):
        """One row per rejected figure, once."""
        rows = {}
        for note in self.full("rejected"):
            bucket, source, rate, why = note[-4:]
            rows[model_of(note), bucket, source, decimals.text(rate)] = why
        return [[model, bucket, source, rate, why]
                for (model, bucket, source, rate), why in sorted(rows.items())]

    def ignored(self):
        """One row per line of the hand table, with what it silenced: a few figures, as a token."""
        rows = {}
        for provider, models, source, why, bucket, rate in sorted(self.notes.ignored):
            figures = rows.setdefault((f"{provider}/{models or '*'}", source, why), {})
            figures.setdefault(bucket, []).append(decimals.text(rate))
        return [list(key) + ["; ".join(f"{bucket} {few(rates)}"
                                       for bucket, rates in figures.items())]
                for key, figures in rows.items()]

    # ---- what stands on one source or on a rule -----------------------------------------------

    def gaps(self):
        """Rates that nobody confirms, or that a rule gave."""
        return (table("Cache rates of one source, not taken", "Two others price the row without "
                      "one; absent means the input rate (reads) or 5/4 and 2 times it (writes).",
                      ("model", "row", "rate", "source", "said", "others"),
                      [[model_of(note), where(note), note[BUCKET], note[8],
                        decimals.text(note[9]), note[10]] for note in self.full("lone_caches")])
                + table("One source alone", "Nobody confirms these.",
                        ("model", "source", "rates"), list(compact(self.full("singles"))))
                + table("Context tiers not all list", "Taken where any source lists one.",
                        ("model", "prompt from", "listed by", "not by"),
                        [[f"{note[0]}/{note[1]}", str(note[2]), ", ".join(note[3]),
                          ", ".join(note[4])] for note in self.full("tiers")])
                + table("Regional rates that differ from the rule", "The higher is taken.",
                        ("model", "row", "rate", "listed", "by the rule"),
                        [[model_of(note), where(note), note[BUCKET], decimals.text(note[8]),
                          decimals.text(note[9])] for note in self.full("regions")])
                + table("Filled by a rule", "No source gives the rate for this very row.",
                        ("model", "rule", "rates"), list(compact(self.full("filled"))))
                + table("Carried into a later period", "Rows that no source repeats after a cut.",
                        ("model", "row"), [[model_of(note), where(note)]
                                           for note in self.full("carried")])
                + table("Not carried", "They would be below a risen price, or are a context tier "
                        "that the new price has not.", ("model", "row"),
                        [[model_of(note), where(note)] for note in self.full("uncarried")])
                + table("Incomplete rows, dropped", "They lack a rate that the standard row has.",
                        ("model", "row", "lacks"),
                        [[model_of(note), where(note), note[BUCKET]]
                         for note in self.full("incomplete")]))

    def models(self):
        """Limits, snapshots, and what is not in the book."""
        return (table("Limits that differ", "The larger is taken, or what a person read.",
                      ("model", "limit", "sources", "taken"),
                      [[f"{provider}/{model}", column,
                        ", ".join(f"{source} {value}" for source, value in votes), str(taken)]
                       for provider, model, column, votes, taken in self.full("limits")])
                + table("Ids that move", "They cost at least what the id does that they may stand "
                        "for.", ("id", "may stand for"),
                        [[f"{provider}/{name}", other]
                         for provider, name, other in self.notes.floating])
                + table("Limits raised", "To those of an id that it may stand for, or of the "
                        "model's maker.", ("model", "limit", "listed", "taken", "of"),
                        [[f"{provider}/{name}", column, str(mine), str(taken), whose]
                         for provider, name, column, mine, whose, taken in self.full("raised")])
                + table("Snapshots with a price of their own", "They differ from the undated id.",
                        ("snapshot", "undated id"),
                        [[f"{provider}/{name}", base]
                         for provider, name, base in self.notes.snapshots])
                + table("Not in the book", "Listed somewhere, but without a price per input token "
                        "or per call.", ("provider", "models"), self.unpriced()))

    def unpriced(self):
        """One row per provider."""
        rows = collections.defaultdict(list)
        for provider, model, _ in self.notes.unpriced:
            rows[provider].append(model)
        return [[name, ", ".join(rows[name])] for name in self.names if rows[name]]

    def counts(self, book_rows):
        """How many of each kind, by provider."""
        kinds = ("disagreements", "agreed", "outvoted", "rejected", "lone_caches", "singles",
                 "unpriced")
        counted = {kind: collections.Counter(note[0] for note in getattr(self.notes, kind))
                   for kind in kinds}
        rows = collections.Counter(line[0] for line in book_rows)
        models = collections.Counter(name for name, _ in {tuple(line[:2]) for line in book_rows})
        return table("By provider", "Rows and models of the book; figures of each kind below.",
                     ("provider", "rows", "models", "to be cleared", "looked at", "outvoted",
                      "rejected", "caches not taken", "one source", "not in the book"),
                     [[name, str(rows[name]), str(models[name])]
                      + [str(counted[kind][name]) for kind in kinds] for name in self.names])


def few(rates):
    """The first of many figures."""
    rates = list(dict.fromkeys(rates))
    return ", ".join(rates[:6]) + (f" and {len(rates) - 6} more" if len(rates) > 6 else "")


def report_text(date, book, snapshots, notes, providers):
    """REPORT.md."""
    rows = [line.split("\t") for line in book.splitlines()
            if not line.startswith(("#", "provider\t"))]
    models = {tuple(line[:2]) for line in rows}
    report = Report(notes, providers)
    lines = ["# How the price book was made", "",
             f"Generated by `prices/build` with the book of {date}. "
             f"{len(rows)} rows, {len(models)} models, {len(notes.disagreements)} open "
             f"disagreements. What is said of the long tail of gateways is shortened: "
             f"`prices/build --full` prints it whole.", "",
             "| source | date | version |", "|---|---|---|"]
    lines += [f"| {row['source']} | {row['date']} | {row['version'] or ''} |"
              for row in snapshots if row["source"] != "book"] + [""]
    lines += report.counts(rows) + report.disputes() + report.gaps() + report.models()
    return "\n".join(lines).rstrip("\n") + "\n"
