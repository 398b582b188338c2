# SPDX-License-Identifier: Apache-2.0
"""Reader of Portkey's price files: US cents per token or thing, by region, service and tier."""

import os
import re
from decimal import Decimal

from . import decimals
from .readers import dearer_output
from .tables import BASE

CENTS = Decimal("0.01")
TOKENS = {"request_token": "input", "response_token": "output",
          "cache_read_input_token": "cache_read", "cache_write_input_token": "cache_write_5m",
          "request_audio_token": "audio_in", "response_audio_token": "audio_out",
          "request_image_token": "image_in", "response_image_token": "image_out",
          "request_text_token": "input", "response_text_token": "output"}
# Units beside tokens: pattern, ours, factor. The dearest of those that fit.
UNITS = ((re.compile(r"cache_write_1h"), "cache_write_1h", 10000),
         (re.compile(r"image_token"), "image_out", 10000),
         (re.compile(r"web_search"), "web_search", CENTS),
         (re.compile(r"file_search"), "file_search", CENTS),
         (re.compile(r"video_seconds|video_duration_seconds_.*"), "second", CENTS),
         (re.compile(r"web_search_(low|medium|high)_context"), "request", CENTS))
# Its Google keys carry the tier in the name, whatever the model's own threshold is: '-gt-128k'
# means 128K for Gemini 1.5 and 200K for all later ones.
NAMED_TIER = re.compile(r"-(lte|gt)-(?:128|200)k$")
# Things whose price stands under the key of a token, by a part of the model's name.
DISGUISED = (("rerank", "search_unit"), ("ocr", "page"))
TIER = re.compile(r"gt-(\d+)k")
# Things whose price stands under the key of a token, by a part of the model's name; no token of
# theirs costs as much.
DISGUISED = (("rerank", "search_unit"), ("ocr", "page"))
DISGUISED_ABOVE = 100


def portkey_rates(group):
    """Cents per token, and cents per call, in our units."""
    rates = {}
    for theirs, ours in TOKENS.items():
        if theirs in group:
            rates[ours] = group[theirs]["price"] * 10000
    dearer_output(rates, group.get("reasoning_token", {}).get("price", 0) * 10000)
    for unit, price in (group.get("additional_units") or {}).items():
        for pattern, ours, factor in UNITS:
            if pattern.fullmatch(unit):
                rates[ours] = max(price["price"] * factor, rates.get(ours, 0))
    pictures = [size["price"] for quality in group.get("image", {}).values()
                for size in quality.values()]
    if pictures:
        rates["image"] = max(pictures) * CENTS
    return rates


def unmask(model, rates):
    """A price per search or page that stands under the key of tokens."""
    for part, fee in DISGUISED:
        if part in model and rates.get("input", 0) > DISGUISED_ABOVE:
            return {fee: rates["input"] / 10000 * CENTS}
    return rates


def portkey_modes(evidence, model, modes, base):
    """One region's table of execution modes and context tiers."""
    for service, mode in modes.items():
        key = base._replace(service=service)
        if "pricing_config" in mode:
            evidence.offer("portkey", model, portkey_rates(mode["pricing_config"]["pay_as_you_go"]),
                           key=key)
        for label, tier in mode.get("context_tiers", {}).items():
            above = TIER.fullmatch(label)
            start = evidence.start(int(above.group(1)) * 1000) if above else 0
            evidence.offer("portkey", model, portkey_rates(tier["pricing_config"]["pay_as_you_go"]),
                           key=key._replace(start=start))


def portkey_flat(evidence, model, config, modes, base):
    """The prices without modes; a table of modes is newer than they are."""
    if "standard" not in modes:
        rates = portkey_rates(config.get("pay_as_you_go", {}))
        fixed = config.get("fixed_cost", {}).get("request", {}).get("price", 0)
        if fixed:
            rates["request"] = fixed * CENTS
        evidence.offer("portkey", model, unmask(model, rates), key=base)
    if "batch" not in modes and "batch_config" in config:
        evidence.offer("portkey", model, unmask(model, portkey_rates(config["batch_config"])),
                       key=base._replace(service="batch"))


def split_regions(regions):
    """(the table of those who do not choose a region, [tables of regions])."""
    everywhere = "global" if "global" in regions else "default"
    chosen = [table for names, table in regions.items()
              if names != everywhere and not all("gov" in name for name in names.split(","))]
    return regions.get(everywhere, {}), chosen


def portkey_entry(evidence, key, entry):
    """One model."""
    model, region = evidence.spell("portkey", NAMED_TIER.sub("", key))
    if model is None:
        return
    base, found = BASE._replace(region=region), NAMED_TIER.search(key)
    if found and found.group(1) == "gt":
        threshold = 128000 if key.startswith("gemini-1.5") else 200000
        base = base._replace(start=evidence.start(threshold))
    regions = (entry.get("custom_pricing") or {}).get("regions", {})
    everywhere, chosen = split_regions(regions)
    modes = everywhere.get("execution_modes", {})
    portkey_flat(evidence, model, entry.get("pricing_config") or {}, modes, base)
    portkey_modes(evidence, model, modes, base)
    for table in chosen:
        portkey_modes(evidence, model, table.get("execution_modes", {}),
                      base._replace(region="regional"))


def read_portkey(evidence, folder):
    """Portkey's price files."""
    for name in evidence.provider.names["portkey"]:
        for key, entry in decimals.load(os.path.join(folder, name + ".json")).items():
            portkey_entry(evidence, key, entry)
