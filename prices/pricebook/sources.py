# SPDX-License-Identifier: Apache-2.0
"""All catalogues, read for one provider."""

import os

from .evidence import Evidence, fold_versions, spelled_aliases
from .litellm import read_litellm
from .portkey import read_portkey
from .readers import read_genai, read_models_dev, read_pi


def read_catalogues(evidence, folder, cleared):
    """Every catalogue into the evidence; genai-prices' aliases."""
    read_models_dev(evidence, os.path.join(folder, "models.dev"))
    read_portkey(evidence, os.path.join(folder, "portkey"))
    read_litellm(evidence, os.path.join(folder, "litellm"))
    read_pi(evidence, os.path.join(folder, "pi-catalog"))
    also = {row["model"]: row["value"] for row in cleared.each("also", evidence.provider.name)
            if row["source"] == "genai-prices"}
    return read_genai(evidence, os.path.join(folder, "genai-prices"), also)


def read_all(provider, folder, dates, spellings, cleared, supplement):
    """The evidence on one provider, and the catalogues' aliases."""
    evidence = Evidence(provider, dates, spellings)
    aliases = read_catalogues(evidence, folder, cleared)
    if provider.versioned:
        versions = fold_versions(set(evidence.listed) | set(aliases) | set(aliases.values()))
        evidence = Evidence(provider, dates, spellings, versions)
        aliases = read_catalogues(evidence, folder, cleared)
        aliases.update(spelled_aliases(versions))
    for row in supplement:
        if row["provider"] == provider.name:
            evidence.takes[row["model"]].update((row["takes"] or "").split(","))
    return evidence, aliases
