# SPDX-License-Identifier: Apache-2.0
"""Ids that move: what '-latest', '-preview' or an id without its date may stand for costs at least
what the ids do that it may stand for. Also context windows and longest answers across one model's
ids: too small a figure makes a hold too small, so the larger counts."""

import collections
import re
from decimal import Decimal

from .tables import BASE, CHEAPER, LIMITS

# What follows a model's stem in its dated ids, and the order of such ids; a day without a year has
# none.
DATED = ((re.compile(r"-(20\d\d)(\d\d)(\d\d)"), (1, 2, 3)),
         (re.compile(r"-(20\d\d)-(\d\d)-(\d\d)"), (1, 2, 3)),
         (re.compile(r"-(\d\d)-(20\d\d)"), (2, 1)),
         (re.compile(r"-(2[3-9])(0[1-9]|1[0-2])"), (1, 2)),
         (re.compile(r"-(00\d)"), (1,)),
         (re.compile(r"-(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])"), ()))
TAIL = re.compile("(?:" + "|".join(pattern.pattern for pattern, _ in DATED) + ")$")
LATEST = "-latest"
MOVING = (LATEST, "-preview")
# What stands around a model's name in the ids of those who serve other makers' models.
AROUND = re.compile(r"^.*/|(?<!^ft):.*$")
BEFORE = re.compile(r"^(?:(?:us|eu|apac|jp|au|ca|sa|in|us-gov|global)\.)?[a-z]+\.(?=[a-z])")
RELEASE = re.compile(r"-(?:20\d{6}|20\d\d-\d\d-\d\d|latest)$")
ABSENT = {"cache_read": Decimal(1), "cache_write_5m": Decimal("1.25"), "cache_write_1h": Decimal(2)}


def dated(name):
    """(stem, order) of a dated id; order () where no year is known. (name, None): it has no date."""
    found = TAIL.search(name)
    if found is None:
        return name, None
    for pattern, parts in DATED:
        match = pattern.fullmatch(found.group())
        if match:
            order = tuple(int(match.group(part)) for part in parts)
            return name[:found.start()], (order[0] % 2000,) + order[1:] if order else ()
    raise AssertionError(name)


# ---- the dearer of two prices ----------------------------------------------------------------

def or_absent(rates, bucket):
    """A rate, or what its absence stands for, or None."""
    rate, base = rates.get(bucket), rates.get("input")
    if rate is not None or base is None or bucket not in ABSENT:
        return rate
    return base * ABSENT[bucket]


def dearer(mine, theirs):
    """Rate by rate. What theirs does not list is unknown, not dear; but no cache rate of a lower
    input rate outlives it: absent means the dear default."""
    rose = theirs.get("input", 0) > mine.get("input", 0)
    rates = {bucket: rate for bucket, rate in mine.items()
             if bucket in theirs or not (rose and bucket in ABSENT)}
    for bucket, rate in theirs.items():
        known = rates.get(bucket, or_absent(mine, bucket))
        if known is None or rate > known:
            rates[bucket] = rate
    return rates


def raised_rows(mine, theirs):
    """All rows of one day. Discounts that theirs do not have end where the standard price rises."""
    rows, rose = {}, dearer(mine[BASE], theirs[BASE]) != mine[BASE]
    for key in sorted(set(mine) | set(theirs)):
        cheaper = key.service in CHEAPER
        if key in mine and key in theirs or not cheaper:
            rows[key] = dearer(mine.get(key, mine[BASE]), theirs.get(key, theirs[BASE]))
        elif key in mine and not rose:
            rows[key] = dict(mine[key])
    return rows


def in_force(periods, since):
    """The rows that hold on a day; {}: none yet."""
    begun = [day for day in periods if day <= since]
    return periods[max(begun)] if begun else {}


def raise_to(model, other):
    """Makes a model cost at least what another one does; whether it costs more than before."""
    raised, changed = {}, False
    for since in sorted(set(model.periods) | set(other.periods)):
        mine, theirs = in_force(model.periods, since), in_force(other.periods, since)
        if BASE not in mine:
            continue
        rows = raised_rows(mine, theirs) if BASE in theirs else mine
        if rows != in_force(raised, since):
            raised[since] = rows
        changed = changed or rows != mine
    if changed:
        model.periods.clear()
        model.periods.update(raised)
    return changed


# ---- which ids an id may stand for -----------------------------------------------------------

def siblings(models):
    """stem -> {order: its dated ids}."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for name in sorted(models):
        stem, order = dated(name)
        if order is not None:
            found[stem][order].append(name)
    return found


def newest(by_order):
    """The newest of a stem's dated ids; a day without a year tells only where it stands alone."""
    years = [order for order in by_order if order]
    if years:
        return by_order[max(years)]
    return by_order[()] if len(by_order.get((), ())) == 1 else []


def targets(provider, models, name, by_stem):
    """The ids that this one may stand for."""
    stem = name[:-len(LATEST)] if name.endswith(LATEST) else name
    if dated(name)[1] is not None or not (name.endswith(MOVING) or provider.floats):
        return []
    if provider.floats == "any" and by_stem[stem]:
        return [one for group in by_stem[stem].values() for one in group]
    return newest(by_stem[stem]) or [other for other in (stem,) if other in models
                                     and other != name]


def raise_floating(provider, models, cleared, notes):
    """Raises all moving ids of one provider, and those of the hand table's lines 'moves'."""
    by_stem = siblings(models)
    for name in sorted(models):
        line = cleared.find("moves", provider.name, name)
        wanted = [line["value"]] if line is not None else targets(provider, models, name, by_stem)
        for other in wanted:
            if other in models and other != name and not models[other].free \
                    and not models[name].free:
                if raise_to(models[name], models[other]):
                    notes.floating.append((provider.name, name, other))
                raise_limits(provider.name, models[name], models[other].limits, other, notes)


# ---- limits ----------------------------------------------------------------------------------

def raise_limits(provider, model, limits, whose, notes):
    """Raises a model's known limits; an unknown one bounds nothing, and stays so."""
    for column in LIMITS:
        mine, theirs = model.limits.get(column), limits.get(column)
        if mine is not None and theirs is not None and theirs > mine:
            notes.raised.append((provider, model.name, column, mine, whose, theirs))
            model.limits[column] = theirs


def family(name):
    """A model's name, the same with its maker and with all who serve it."""
    name = BEFORE.sub("", AROUND.sub("", name))
    name = re.sub(r"(?<=\d)p(?=\d)", ".", RELEASE.sub("", name))
    return name.replace(".", "-").replace("_", "-")


def raise_to_makers(sections, notes):
    """Nobody is believed to serve a model with a smaller window than its maker, or with shorter
    answers; sections: (provider, models)."""
    made = collections.defaultdict(dict)
    for provider, models in sections:
        for model in models.values() if provider.maker else ():
            for column, value in model.limits.items():
                if value > made[family(model.name)].get(column, (0, ""))[0]:
                    made[family(model.name)][column] = (value, f"{provider.name}/{model.name}")
    for provider, models in sections:
        for model in models.values():
            for column, (value, whose) in made.get(family(model.name), {}).items():
                raise_limits(provider.name, model, {column: value}, whose, notes)
