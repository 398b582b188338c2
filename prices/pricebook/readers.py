# SPDX-License-Identifier: Apache-2.0
"""Readers of models.dev, genai-prices and pi-catalog: their encodings into offers."""

import os
import re
from decimal import Decimal

from . import decimals
from .tables import BASE

# ---- models.dev ------------------------------------------------------------------------------

MODELS_DEV = {"input": "input", "output": "output", "cache_read": "cache_read",
              "cache_write": "cache_write_5m", "input_audio": "audio_in",
              "output_audio": "audio_out"}


def dearer_output(rates, reasoning):
    """Output includes reasoning: a dearer rate for it is the output's, on the safe side."""
    if reasoning is not None and rates.get("output") is not None:
        rates["output"] = max(rates["output"], reasoning)
    return rates


def models_dev_rates(model, cost):
    """Its cost object; for image models it files the image rate under 'output'."""
    rates = {ours: cost.get(theirs) for theirs, ours in MODELS_DEV.items()}
    dearer_output(rates, cost.get("reasoning"))
    if "image" in model:
        rates["image_out"] = rates.pop("output")
    return rates


def models_dev_service(mode):
    """The service tier that a mode's request body asks for, or None."""
    body = (mode.get("provider") or {}).get("body") or {}
    if body.get("service_tier") == "ultrafast" or body.get("speed") == "fast":
        return "fast"
    return body.get("service_tier")


def models_dev_entry(evidence, model, entry, region):
    """One model of the catalogue."""
    source, cost = "models.dev", entry.get("cost") or {}
    base = BASE._replace(region=region)
    evidence.offer(source, model, models_dev_rates(model, cost), key=base)
    for tier in cost.get("tiers", ()):
        start = evidence.start(tier["tier"]["size"])
        evidence.offer(source, model, models_dev_rates(model, tier), key=base._replace(start=start))
    for mode in ((entry.get("experimental") or {}).get("modes") or {}).values():
        service = models_dev_service(mode)
        if service and mode.get("cost"):
            evidence.offer(source, model, models_dev_rates(model, mode["cost"]),
                           key=base._replace(service=service))
    limit = entry.get("limit") or {}
    evidence.limit(source, model, limit.get("context"), limit.get("output"))
    modalities = entry.get("modalities") or {}
    evidence.takes[model].update(modalities.get("input", ()))
    evidence.gives[model].update(modalities.get("output", ()))
    if entry.get("release_date"):
        evidence.released.setdefault(model, entry["release_date"])


def read_models_dev(evidence, folder):
    """models.dev's API snapshot."""
    catalogue = decimals.load(os.path.join(folder, "models.json"))
    for name in evidence.provider.names["models.dev"]:
        for raw, entry in catalogue.get(name, {}).get("models", {}).items():
            model, region = evidence.spell("models.dev", raw)
            if model is not None:
                models_dev_entry(evidence, model, entry, region)


# ---- genai-prices ----------------------------------------------------------------------------

GENAI = {"input_mtok": ("input", 1), "output_mtok": ("output", 1),
         "cache_read_mtok": ("cache_read", 1), "cache_write_mtok": ("cache_write_5m", 1),
         "cache_write_1h_mtok": ("cache_write_1h", 1), "input_audio_mtok": ("audio_in", 1),
         "output_audio_mtok": ("audio_out", 1), "input_image_mtok": ("image_in", 1),
         "output_image_mtok": ("image_out", 1), "web_searches_kcount": ("web_search", 1000),
         "storage_searches_kcount": ("file_search", 1000),
         "input_document_kpages": ("page", 1000), "requests_kcount": ("request", 1000),
         "rerank_searches_kcount": ("search_unit", 1000), "audio_hours": ("second", 3600),
         "input_mchars": ("character", 1)}
# What may follow a name that the catalogue matches by its beginning: a date or a version, no more.
GENAI_TAIL = re.compile(r"(-\d{8}|-\d{4}-\d\d-\d\d|-\d\d-\d{4}|-\d\d-\d\d|-00\d|-latest)?")
PARTNERS = "huggingface_"       # this catalogue's name for a model at one partner of a router


def genai_matches(tree, model):
    """Its match tree, read narrowly: a beginning or a part matches the name and its dates alone.
    Its own reading ('starts_with: claude-sonnet-5') also takes in later models."""
    (verb, operand), = tree.items()
    if verb == "or":
        return any(genai_matches(branch, model) for branch in operand)
    if verb == "and":
        return all(genai_matches(branch, model) for branch in operand)
    if verb == "regex":
        return bool(re.search(operand, model))
    operand = operand.lower()
    if verb == "equals":
        return model == operand
    return model.startswith(operand) and bool(GENAI_TAIL.fullmatch(model[len(operand):]))


def genai_equals(tree):
    """The ids that the tree names outright."""
    (verb, operand), = tree.items()
    if verb == "equals":
        return {operand.lower()}
    if verb == "or":
        return set().union(*(genai_equals(branch) for branch in operand))
    return set()


def genai_loose(tree):
    """Whether the tree can match an id that it does not name outright."""
    (verb, operand), = tree.items()
    return verb != "equals" if verb != "or" else any(genai_loose(branch) for branch in operand)


def genai_at(price, threshold):
    """The rate of one unit for prompts beyond a threshold."""
    if isinstance(price, Decimal):
        return price
    rate = price["base"]
    for tier in price["tiers"]:
        if tier["start"] <= threshold:
            rate = tier["price"]
    return rate


def genai_rates(prices, threshold):
    """All units at one tier, in our buckets."""
    rates = {}
    for theirs, (ours, per) in GENAI.items():
        if theirs in prices:
            rates[ours] = genai_at(prices[theirs], threshold) / per
    return rates


def genai_offer(evidence, model, entry):
    """One catalogue entry, spoken for one of our models. Hours of the day are not read: the
    dearest of them stands."""
    schedule = entry["prices"]
    if isinstance(schedule, dict):
        schedule = [{"prices": schedule}]
    days = {item.get("constraint", {}).get("start_date", "") for item in schedule}
    for item in schedule:
        since = item.get("constraint", {}).get("start_date", "")
        starts = {tier["start"] for price in item["prices"].values()
                  if isinstance(price, dict) for tier in price["tiers"]}
        for threshold in sorted({Decimal(0)} | starts):
            key = BASE._replace(start=evidence.start(threshold) if threshold else 0)
            evidence.offer("genai-prices", model, genai_rates(item["prices"], threshold), since,
                           len(days) > 1, key)
    evidence.limit("genai-prices", model, entry.get("context_window"), None)


class GenaiEntries:
    """The entries of one of its providers, to be found by our ids."""

    def __init__(self, evidence, entries):
        self.entries = entries
        self.named, self.equal, self.loose = {}, {}, []
        for place, entry in enumerate(entries):
            name, _ = evidence.spell("genai-prices", entry["id"])
            if name is not None:
                self.named[name] = entry
            for alias in genai_equals(entry["match"]):
                name, _ = evidence.spell("genai-prices", alias)
                self.equal.setdefault(name, place)
            if genai_loose(entry["match"]):
                self.loose.append(place)

    def find(self, model):
        """The first entry that matches, or None."""
        found = self.equal.get(model, len(self.entries))
        for place in self.loose:
            if place < found and genai_matches(self.entries[place]["match"], model):
                found = place
        return self.entries[found] if found < len(self.entries) else None


def read_genai(evidence, folder, also):
    """genai-prices' providers.json; also: our model -> the entry that a person matched to it."""
    aliases = {}
    for provider in decimals.load(os.path.join(folder, "providers.json")):
        if provider["id"] not in evidence.provider.names["genai-prices"]:
            continue
        entries = GenaiEntries(evidence, provider["models"])
        partner = provider["id"].startswith(PARTNERS) and provider["id"][len(PARTNERS):]
        for model in sorted(set(entries.named) | (set(() if partner else evidence.listed))):
            entry = entries.named.get(also.get(model)) or entries.find(model)
            if entry is not None:
                genai_offer(evidence, model, entry)
                if partner:
                    genai_offer(evidence, f"{model}:{partner}", entry)
        for name, entry in entries.named.items():
            for alias in genai_equals(entry["match"]):
                alias, _ = evidence.spell("genai-prices", alias)
                if alias is not None and alias not in evidence.listed:
                    aliases[alias] = name
    return aliases


# ---- pi-catalog ------------------------------------------------------------------------------

def pi_rates(cost):
    """Zeros of this catalogue mean unknown; they are left to the zero rule of the merge."""
    return {"input": cost["input"], "output": cost["output"], "cache_read": cost["cacheRead"],
            "cache_write_5m": cost["cacheWrite"]}


def read_pi(evidence, folder):
    """pi-catalog. It is made from models.dev: its prices speak only where models.dev is silent."""
    catalogue = decimals.load(os.path.join(folder, "models.json"))
    for name in evidence.provider.names["pi-catalog"]:
        for raw, entry in catalogue.get(name, {}).items():
            model, region = evidence.spell("pi-catalog", raw)
            if model is None:
                continue
            evidence.limit("pi-catalog", model, entry["contextWindow"], entry["maxTokens"])
            if "models.dev" in evidence.listed.get(model, ()):
                continue
            cost, base = entry["cost"], BASE._replace(region=region)
            evidence.offer("pi-catalog", model, pi_rates(cost), key=base)
            if "longContext" in cost:
                start = evidence.start(cost["longContext"]["inputThreshold"])
                evidence.offer("pi-catalog", model, pi_rates(cost["longContext"]),
                               key=base._replace(start=start))
