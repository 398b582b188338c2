# SPDX-License-Identifier: Apache-2.0
"""Readers of the catalogues: each turns its own encoding into offers in USD per 1M tokens."""

import collections
import os
import re
from decimal import Decimal

from . import decimals
from .tables import FEES

# One catalogue's word on one row. start: first prompt size of the tier; dated: 'since' is the
# catalogue's own date, not the absence of one; rates: bucket -> Decimal, USD per 1M or per call.
Offer = collections.namedtuple("Offer", "source model since dated start service rates")


class Evidence:
    """All that the catalogues say of one provider's models."""

    def __init__(self, provider, dates):
        self.provider = provider
        self.dates = dates              # source -> the day its snapshot speaks for
        self.offers = []
        self.limits = collections.defaultdict(dict)    # model -> (source, column) -> tokens
        self.takes = collections.defaultdict(set)      # model -> input modalities
        self.gives = collections.defaultdict(set)      # model -> output modalities
        self.listed = collections.defaultdict(set)     # model -> sources that have a row

    def offer(self, source, model, rates, since="", dated=False, start=0, service="standard"):
        """Adds a row; absent rates (None) are left out."""
        self.listed[model].add(source)
        kept = {bucket: rate for bucket, rate in rates.items() if rate is not None}
        if kept:
            self.offers.append(Offer(source, model, since, dated, start, service, kept))

    def limit(self, source, model, context, output):
        """Context window and output ceiling; 0 and None are unknown."""
        for column, value in (("context_tokens", context), ("output_tokens", output)):
            if value:
                self.limits[model][(source, column)] = int(value)


# ---- models.dev ------------------------------------------------------------------------------

MODELS_DEV = {"input": "input", "output": "output", "cache_read": "cache_read",
              "cache_write": "cache_write_5m", "input_audio": "audio_in",
              "output_audio": "audio_out"}


def models_dev_rates(model, cost):
    """Its cost object; for image models it files the image rate under 'output'."""
    rates = {ours: cost.get(theirs) for theirs, ours in MODELS_DEV.items()}
    if "image" in model:
        rates["image_out"] = rates.pop("output")
    return rates


def models_dev_service(mode):
    """The service tier that a mode's request body asks for, or None."""
    body = (mode.get("provider") or {}).get("body") or {}
    if body.get("service_tier") == "ultrafast" or body.get("speed") == "fast":
        return "fast"
    return body.get("service_tier")


def read_models_dev(evidence, folder):
    """models.dev's API snapshot."""
    catalogue = decimals.load(os.path.join(folder, "models.json"))
    source = "models.dev"
    for name in evidence.provider.names[source]:
        for model, entry in catalogue.get(name, {}).get("models", {}).items():
            cost = entry.get("cost") or {}
            evidence.offer(source, model, models_dev_rates(model, cost))
            for tier in cost.get("tiers", ()):
                start = evidence.provider.start(tier["tier"]["size"])
                evidence.offer(source, model, models_dev_rates(model, tier), start=start)
            for mode in ((entry.get("experimental") or {}).get("modes") or {}).values():
                service = models_dev_service(mode)
                if service and mode.get("cost"):
                    evidence.offer(source, model, models_dev_rates(model, mode["cost"]),
                                   service=service)
            limit = entry.get("limit") or {}
            evidence.limit(source, model, limit.get("context"), limit.get("output"))
            modalities = entry.get("modalities") or {}
            evidence.takes[model].update(modalities.get("input", ()))
            evidence.gives[model].update(modalities.get("output", ()))


# ---- genai-prices ----------------------------------------------------------------------------

GENAI = {"input_mtok": "input", "output_mtok": "output", "cache_read_mtok": "cache_read",
         "cache_write_mtok": "cache_write_5m", "cache_write_1h_mtok": "cache_write_1h",
         "input_audio_mtok": "audio_in", "output_audio_mtok": "audio_out",
         "input_image_mtok": "image_in", "output_image_mtok": "image_out",
         "web_searches_kcount": "web_search", "storage_searches_kcount": "file_search"}
# What may follow a name that the catalogue matches by its beginning: a date or a version, no more.
GENAI_TAIL = re.compile(r"(-\d{8}|-\d{4}-\d\d-\d\d|-\d\d-\d{4}|-\d\d-\d\d|-00\d|-latest)?")


def genai_matches(tree, model):
    """Its match tree, read narrowly: a beginning or a part matches the name and its dates alone.
    Its own reading ('starts_with: claude-sonnet-5') also takes in later models."""
    (verb, operand), = tree.items()
    if verb == "or":
        return any(genai_matches(branch, model) for branch in operand)
    if verb == "and":
        return all(genai_matches(branch, model) for branch in operand)
    if verb == "equals":
        return model == operand
    if verb == "regex":
        return bool(re.search(operand, model))
    return model.startswith(operand) and bool(GENAI_TAIL.fullmatch(model[len(operand):]))


def genai_equals(tree):
    """The ids that the tree names outright."""
    (verb, operand), = tree.items()
    if verb == "equals":
        return {operand}
    if verb == "or":
        return set().union(*(genai_equals(branch) for branch in operand))
    return set()


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
    for theirs, ours in GENAI.items():
        if theirs in prices:
            rate = genai_at(prices[theirs], threshold)
            rates[ours] = rate / 1000 if ours in FEES else rate
    return rates


def genai_offer(evidence, model, entry):
    """One catalogue entry, spoken for one of our models."""
    schedule = entry["prices"]
    if isinstance(schedule, dict):
        schedule = [{"prices": schedule}]
    for item in schedule:
        since = item.get("constraint", {}).get("start_date", "")
        starts = {tier["start"] for price in item["prices"].values()
                  if isinstance(price, dict) for tier in price["tiers"]}
        for threshold in sorted({Decimal(0)} | starts):
            start = evidence.provider.start(threshold) if threshold else 0
            evidence.offer("genai-prices", model, genai_rates(item["prices"], threshold), since,
                           len(schedule) > 1, start)
    evidence.limit("genai-prices", model, entry.get("context_window"), None)


def read_genai(evidence, folder, also):
    """genai-prices' providers.json; also: our model -> the entry that a person matched to it."""
    aliases = {}
    for provider in decimals.load(os.path.join(folder, "providers.json")):
        if provider["id"] not in evidence.provider.names["genai-prices"]:
            continue
        entries = provider["models"]
        named = {entry["id"]: entry for entry in entries}
        for model in sorted(set(evidence.listed) | set(named)):
            entry = named.get(also.get(model)) or next(
                (entry for entry in entries if genai_matches(entry["match"], model)), None)
            if entry is not None:
                genai_offer(evidence, model, entry)
        for entry in entries:
            for alias in genai_equals(entry["match"]) - set(evidence.listed):
                aliases[alias] = entry["id"]
    return aliases


# ---- Portkey ---------------------------------------------------------------------------------

PORTKEY = {"request_token": "input", "response_token": "output",
           "cache_read_input_token": "cache_read", "cache_write_input_token": "cache_write_5m",
           "request_audio_token": "audio_in", "response_audio_token": "audio_out",
           "request_image_token": "image_in", "response_image_token": "image_out",
           "request_text_token": "input", "response_text_token": "output"}
# Its Google keys carry the tier in the name, whatever the model's own threshold is: '-gt-128k'
# means 128K for Gemini 1.5 and 200K for all later ones.
PORTKEY_TIER = re.compile(r"-(lte|gt)-(?:128|200)k$")


def portkey_rates(group):
    """Cents per token, and cents per call, in our units."""
    rates = {}
    for theirs, ours in PORTKEY.items():
        if theirs in group:
            rates[ours] = group[theirs]["price"] * 10000
    units = group.get("additional_units", {})
    for unit, ours, factor in (("cache_write_1h", "cache_write_1h", 10000),
                               ("image_token", "image_out", 10000),
                               ("web_search", "web_search", Decimal("0.01")),
                               ("file_search", "file_search", Decimal("0.01"))):
        if unit in units:
            rates[ours] = units[unit]["price"] * factor
    return rates


def portkey_modes(evidence, model, modes):
    """The default region's table of execution modes and context tiers."""
    for service, mode in modes.items():
        if "pricing_config" in mode:
            evidence.offer("portkey", model, portkey_rates(mode["pricing_config"]["pay_as_you_go"]),
                           service=service)
        for label, tier in mode.get("context_tiers", {}).items():
            start = evidence.provider.start(272000) if label == "gt-272k" else 0
            evidence.offer("portkey", model, portkey_rates(tier["pricing_config"]["pay_as_you_go"]),
                           start=start, service=service)


def read_portkey(evidence, folder):
    """Portkey's price files; where it has a table of modes, that is newer than the flat prices."""
    for name in evidence.provider.names["portkey"]:
        for key, entry in decimals.load(os.path.join(folder, name + ".json")).items():
            model, start = key, 0
            found = PORTKEY_TIER.search(key)
            if found:
                model = key[:found.start()]
                if found.group(1) == "gt":
                    threshold = 128000 if key.startswith("gemini-1.5") else 200000
                    start = evidence.provider.start(threshold)
            flat = entry.get("pricing_config", {})
            regions = entry.get("custom_pricing", {}).get("regions", {})
            modes = regions.get("default", {}).get("execution_modes", {})
            if "standard" not in modes:
                evidence.offer("portkey", model, portkey_rates(flat.get("pay_as_you_go", {})),
                               start=start)
            if "batch" not in modes and "batch_config" in flat:
                evidence.offer("portkey", model, portkey_rates(flat["batch_config"]), start=start,
                               service="batch")
            portkey_modes(evidence, model, modes)


# ---- litellm ---------------------------------------------------------------------------------

LITELLM = {"input_cost_per_token": "input", "output_cost_per_token": "output",
           "cache_read_input_token_cost": "cache_read",
           "cache_creation_input_token_cost": "cache_write_5m",
           "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
           "input_cost_per_audio_token": "audio_in", "output_cost_per_audio_token": "audio_out",
           "input_cost_per_image_token": "image_in", "output_cost_per_image_token": "image_out"}
LITELLM_KEY = re.compile(r"(.*?)(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?")
LITELLM_SERVICE = {None: "standard", "batches": "batch", "flex": "flex", "priority": "priority"}


def litellm_rates(provider, entry):
    """(start, service) -> rates."""
    rows = collections.defaultdict(dict)
    for key, value in entry.items():
        stem, above, service = LITELLM_KEY.fullmatch(key).groups()
        if stem in LITELLM:
            start = provider.start(int(above) * 1000) if above else 0
            rows[start, LITELLM_SERVICE[service]][LITELLM[stem]] = value * 1000000
    search = entry.get("search_context_cost_per_query", {})
    if search and (0, "standard") in rows:
        rows[0, "standard"]["web_search"] = max(search.values())
    return rows


def read_litellm(evidence, folder):
    """litellm's table. A key with its provider's prefix wins over the same id without it."""
    catalogue, entries = decimals.load(os.path.join(folder, "models.json")), {}
    names = evidence.provider.names["litellm"]
    for key in sorted(catalogue, key=lambda key: "/" in key):
        entry = catalogue[key]
        if entry["litellm_provider"] not in names:
            continue
        prefix, _, rest = key.partition("/")
        model = rest if rest and prefix in names else key
        if "/" not in model:
            entries[model] = entry
    for model, entry in entries.items():
        for (start, service), rates in litellm_rates(evidence.provider, entry).items():
            evidence.offer("litellm", model, rates, start=start, service=service)
        evidence.limit("litellm", model, entry.get("max_input_tokens"),
                       entry.get("max_output_tokens"))
        evidence.takes[model].update(entry.get("supported_modalities", ()))
        if entry.get("supports_vision"):
            evidence.takes[model].add("image")


# ---- pi-catalog ------------------------------------------------------------------------------

def pi_rates(cost):
    """Zeros of this catalogue mean unknown; they are left to the zero rule of the merge."""
    return {"input": cost["input"], "output": cost["output"], "cache_read": cost["cacheRead"],
            "cache_write_5m": cost["cacheWrite"]}


def read_pi(evidence, folder):
    """pi-catalog. It is made from models.dev: its prices speak only where models.dev is silent."""
    catalogue = decimals.load(os.path.join(folder, "models.json"))
    for name in evidence.provider.names["pi-catalog"]:
        for model, entry in catalogue.get(name, {}).items():
            evidence.limit("pi-catalog", model, entry["contextWindow"], entry["maxTokens"])
            if "models.dev" in evidence.listed.get(model, ()):
                continue
            cost = entry["cost"]
            evidence.offer("pi-catalog", model, pi_rates(cost))
            if "longContext" in cost:
                start = evidence.provider.start(cost["longContext"]["inputThreshold"])
                evidence.offer("pi-catalog", model, pi_rates(cost["longContext"]), start=start)


def read_all(provider, folder, dates, cleared, supplement):
    """The evidence on one provider, and genai-prices' aliases."""
    evidence = Evidence(provider, dates)
    for row in supplement:
        if row["provider"] == provider.name:
            evidence.takes[row["model"]].update((row["takes"] or "").split(","))
    read_models_dev(evidence, os.path.join(folder, "models.dev"))
    read_portkey(evidence, os.path.join(folder, "portkey"))
    read_litellm(evidence, os.path.join(folder, "litellm"))
    read_pi(evidence, os.path.join(folder, "pi-catalog"))
    also = {row["model"]: row["value"] for row in cleared.each("also", provider.name)
            if row["source"] == "genai-prices"}
    aliases = read_genai(evidence, os.path.join(folder, "genai-prices"), also)
    return evidence, aliases
