# SPDX-License-Identifier: Apache-2.0
"""Reader of litellm's model_prices_and_context_window.json: USD per token or thing."""

import collections
import os
import re

from . import decimals
from .readers import dearer_output
from .tables import BASE

TOKENS = {"input_cost_per_token": "input", "output_cost_per_token": "output",
          "cache_read_input_token_cost": "cache_read",
          "cache_creation_input_token_cost": "cache_write_5m",
          "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
          "input_cost_per_audio_token": "audio_in", "output_cost_per_audio_token": "audio_out",
          "input_cost_per_image_token": "image_in", "output_cost_per_image_token": "image_out"}
KEY = re.compile(r"(.*?)(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?")
SERVICE = {None: "standard", "batches": "batch", "flex": "flex", "priority": "priority"}
# Prices of things, by what the model is for: the dearest of the keys is the fee, times the factor.
PICTURES = (("image", 1, ("output_cost_per_image", "input_cost_per_image")),)
TIME = (("second", 1, ("input_cost_per_second", "output_cost_per_second",
                       "output_cost_per_video_per_second", "input_cost_per_video_per_second")),)
THINGS = {"image_generation": PICTURES, "image_edit": PICTURES, "audio_transcription": TIME,
          "video_generation": TIME, "chat": TIME[:1] + (("request", 1, ("input_cost_per_request",)),),
          "audio_speech": (("character", 1000000, ("input_cost_per_character",)),),
          "ocr": (("page", 1, ("ocr_cost_per_page",)),),
          "rerank": (("search_unit", 1, ("input_cost_per_query",)),),
          "search": (("request", 1, ("input_cost_per_query",)),)}


def token_rates(provider, entry):
    """Key -> token rates of an object of costs."""
    rows = collections.defaultdict(dict)
    for name, value in entry.items():
        stem, above, service = KEY.fullmatch(name).groups()
        if stem in TOKENS:
            start = provider.start(int(above) * 1000) if above else 0
            rows[BASE._replace(start=start, service=SERVICE[service])][TOKENS[stem]] = \
                value * 1000000
    dearer_output(rows[BASE], entry.get("output_cost_per_reasoning_token", 0) * 1000000)
    return rows


def thing_fees(entry):
    """Fees for what is counted, of the standard row."""
    fees = {}
    for fee, factor, names in THINGS.get(entry.get("mode"), ()):
        found = [entry[name] for name in names if entry.get(name)]
        if found:
            fees[fee] = max(found) * factor
    return fees


def litellm_rates(provider, entry):
    """Key -> rates of one entry."""
    rows = token_rates(provider, entry)
    for tier in entry.get("tiered_pricing", ()):
        if "range" in tier:
            first = int(tier["range"][0])
            for key, rates in token_rates(provider, tier).items():
                start = provider.start(first) if first else 0
                rows[key._replace(start=start)].update(rates)
    rows[BASE].update(thing_fees(entry))
    search = entry.get("search_context_cost_per_query", {})
    if search and rows[BASE]:
        fee = "request" if provider.name == "perplexity" else "web_search"
        rows[BASE][fee] = max(search.values())
    return {key: rates for key, rates in rows.items() if rates}


def prefixes_of(names):
    """What stands in front of a key: the catalogue's provider, without its kind of model."""
    return set(names) | {name.partition("-")[0] for name in names}


def read_litellm(evidence, folder):
    """litellm's table. A key with its provider's prefix wins over the same id without it."""
    catalogue, entries = decimals.load(os.path.join(folder, "models.json")), {}
    names = evidence.provider.names["litellm"]
    prefixes = prefixes_of(names)
    for key in sorted(catalogue, key=lambda key: "/" in key):
        entry = catalogue[key]
        if entry["litellm_provider"] in names:
            prefix, _, rest = key.partition("/")
            entries[rest if rest and prefix in prefixes else key] = entry
    for raw, entry in entries.items():
        model, region = evidence.spell("litellm", raw)
        if model is None:
            continue
        for key, rates in litellm_rates(evidence.provider, entry).items():
            evidence.offer("litellm", model, rates, key=key._replace(region=region))
        evidence.listed[model].add("litellm")
        evidence.limit("litellm", model, entry.get("max_input_tokens"),
                       entry.get("max_output_tokens"))
        evidence.takes[model].update(entry.get("supported_modalities", ()))
        if entry.get("supports_vision"):
            evidence.takes[model].add("image")
