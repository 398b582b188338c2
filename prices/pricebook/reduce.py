# SPDX-License-Identifier: Apache-2.0
"""Makes prices/sources from full snapshots: only the book's providers, only data it reads."""

import glob
import os
import shutil

from . import decimals

MODELS_DEV = ("id", "cost", "limit", "modalities", "reasoning", "release_date", "status")
GENAI = ("id", "match", "prices", "context_window", "price_comments")
PI = ("contextWindow", "cost", "maxTokens")
PORTKEY = ("pay_as_you_go", "batch_config", "fixed_cost")
LITELLM = ("litellm_provider", "mode", "max_input_tokens", "max_output_tokens", "deprecation_date",
           "supported_modalities", "supports_vision", "search_context_cost_per_query",
           "web_search_billing_unit")


def keep(entry, names):
    """The named members of an object."""
    return {name: entry[name] for name in names if name in entry}


def reduce_models_dev(catalogue, names):
    """Modes are kept only where they have a price or a request body; costs that repeat a tier are
    not."""
    reduced = {}
    for name in names:
        models = {}
        for model, entry in catalogue[name]["models"].items():
            models[model] = keep(entry, MODELS_DEV)
            if entry.get("cost"):
                models[model]["cost"] = {key: value for key, value in entry["cost"].items()
                                         if key != "context_over_200k"}
            modes = (entry.get("experimental") or {}).get("modes")
            if modes:
                models[model]["experimental"] = {"modes": modes}
        reduced[name] = {"models": models}
    return reduced


def reduce_genai(catalogue, names):
    """Providers without their extractors."""
    providers = catalogue if isinstance(catalogue, list) else catalogue["providers"]
    return [{"id": provider["id"], "models": [keep(model, GENAI) for model in provider["models"]]}
            for provider in providers if provider["id"] in names]


def reduce_portkey(catalogue):
    """Prices, without how to multiply them."""
    reduced = {}
    for model, entry in catalogue.items():
        if model == "default":
            continue
        reduced[model] = {"pricing_config": keep(entry.get("pricing_config") or {}, PORTKEY)}
        regions = (entry.get("custom_pricing") or {}).get("regions")
        if regions:
            reduced[model]["custom_pricing"] = {"regions": regions}
    return reduced


def reduce_litellm(catalogue, names):
    """Costs and limits."""
    reduced = {}
    for model, entry in catalogue.items():
        if entry.get("litellm_provider") in names:
            costs = {key for key in entry if "cost" in key or key == "tiered_pricing"}
            reduced[model] = keep(entry, sorted(costs.union(LITELLM)))
    return reduced


def write(folder, files):
    """Writes a source's files and removes those that it no longer has."""
    os.makedirs(folder, exist_ok=True)
    for name, value in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(decimals.dump(value) + "\n")
    for path in glob.glob(os.path.join(folder, "*.json")):
        if os.path.basename(path) not in files:
            os.remove(path)


def names_of(providers, source):
    """All that a source calls our providers."""
    return sorted({name for provider in providers for name in provider.names[source] if name})


def reduce_source(source, path, providers):
    """One snapshot: file name -> reduced catalogue."""
    names = names_of(providers, source)
    if source == "portkey":
        return {name + ".json": reduce_portkey(decimals.load(os.path.join(path, name + ".json")))
                for name in names}
    whole = decimals.load(path)
    if source == "models.dev":
        return {"models.json": reduce_models_dev(whole, names)}
    if source == "genai-prices":
        return {"providers.json": reduce_genai(whole, names)}
    if source == "litellm":
        return {"models.json": reduce_litellm(whole, names)}
    return {"models.json": {name: {model: keep(entry, PI) for model, entry in whole[name].items()}
                            for name in names}}


def reduce_all(snapshots, folder, out, providers):
    """All snapshots that SNAPSHOTS.tsv lists, with their licences; all are read before any is
    written."""
    rows = [row for row in snapshots if row["path"] is not None]
    reduced = [reduce_source(row["source"], os.path.join(folder, row["path"]), providers)
               for row in rows]
    for row, files in zip(rows, reduced):
        target = os.path.join(out, row["source"])
        write(target, files)
        licence = os.path.join(target, "LICENSE")
        shutil.copyfile(os.path.join(folder, row["licence"]), licence)
        os.chmod(licence, 0o644)
