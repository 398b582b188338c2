# SPDX-License-Identifier: Apache-2.0
"""usage: receipts.py SCHEMA-DIR < RECEIPTS

Checks receipts, one JSON object a line: against their schema, by the rules that a schema cannot say, and
their hash by RFC 8785. Prints what is wrong, a line each, then `N admissions, M settlements`.
"""
import hashlib
import json
import re
import sys

KINDS = {
    "AttemptAdmissionReceipt": "attempt-admission-receipt.v0.1.schema.json",
    "BudgetSettlementReceipt": "budget-settlement-receipt.v0.1.schema.json",
}
KNOWN = {"$schema", "$id", "title", "type", "additionalProperties", "required", "properties", "const", "enum",
         "minimum", "pattern"}


def is_type(value, name):
    if name == "object":
        return isinstance(value, dict)
    if name == "string":
        return isinstance(value, str)
    if name == "boolean":
        return isinstance(value, bool)
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    raise ValueError(name)


def against(schema, value, where=""):
    """What is wrong with value. Knows the words that these schemas use, and no others."""
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "type" in schema and not is_type(value, schema["type"]):
        yield f"{where}: is no {schema['type']}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where}: is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{where}: {value} is too small"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} does not match"
    for name in schema.get("required", []):
        if name not in value:
            yield f"{where}.{name}: is missing"
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        if name in schema.get("properties", {}):
            yield from against(schema["properties"][name], inner, f"{where}.{name}")
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from against(schema["additionalProperties"], inner, f"{where}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{where}.{name}: is not in the schema"


def canonical(value):
    """RFC 8785: the text that is hashed."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, float):
        return number(value)
    return json.dumps(value, ensure_ascii=False)


def number(value):
    """ECMAScript's text of a number."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    digits, _, exponent = repr(value).partition("e")
    mantissa = digits.replace(".", "").lstrip("-")
    point = len(digits.lstrip("-").partition(".")[0]) + int(exponent or 0)
    mantissa = mantissa.rstrip("0")
    leading = len(mantissa) - len(mantissa.lstrip("0"))
    mantissa, point = mantissa[leading:], point - leading
    sign = "-" if value < 0 else ""
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{mantissa}"
    if 0 < point < len(mantissa):
        return f"{sign}{mantissa[:point]}.{mantissa[point:]}"
    if len(mantissa) <= point <= 21:
        return sign + mantissa + "0" * (point - len(mantissa))
    tail = f".{mantissa[1:]}" if len(mantissa) > 1 else ""
    return f"{sign}{mantissa[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def rules_of_all(receipt):
    text = canonical({name: value for name, value in receipt.items() if name != "receipt_hash"})
    want = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    if receipt["receipt_hash"] != want:
        yield f"receipt_hash: is not {want}"
    if not receipt["attempt_id"].startswith("attempt:"):
        yield "attempt_id: does not name the call"


def rules_of_admission(receipt):
    call, run = receipt["attempt_id"].partition(":")[2], receipt["run_id"]
    for name, want in (("receipt_id", f"attempt-admission-receipt:{call}"),
                       ("governed_run_contract_ref", f"governed-run-contract:{run}"),
                       ("safety_preflight_ref", f"safety-preflight:{call}"),
                       ("authority_state_ref", f"authority-state:{run}"),
                       ("trustops_runtime_action_ref", f"runtime-guardrail-decision:{call}")):
        if receipt[name] != want and not (name == "receipt_id" and receipt[name].startswith(want + ":")):
            yield f"{name}: is not {want}"
    estimate = receipt["budget_estimate"]
    if receipt["admitted"]:
        if receipt["safety_preflight_outcome"] not in ("pass", "warn") or \
                receipt["runtime_action"] not in ("allow", "warn") or \
                receipt["authority_decision"] in ("suspended", "revoked"):
            yield "admitted: against what else it says"
        if receipt["admission_decision"] != "admit" or receipt["reason_code"] != "admitted":
            yield "admitted: without being an admission"
        if estimate["projected_cost_usd"] > estimate["remaining_budget_usd"] + 1e-12:
            yield "admitted: beyond what remained"
    elif receipt["admission_decision"] == "admit":
        yield "admission_decision: admits what is not admitted"
    if receipt["admission_decision"] == "fail-closed" and not receipt.get("fail_closed_reason"):
        yield "fail_closed_reason: is missing"


def rules_of_settlement(receipt):
    call = receipt["attempt_id"].partition(":")[2]
    for name, want in (("settlement_id", f"budget-settlement:{call}"),
                       ("admission_receipt_ref", f"attempt-admission-receipt:{call}")):
        if receipt[name] != want and not receipt[name].startswith(want + ":"):
            yield f"{name}: is not {want}"
    overrun, status = receipt["overrun"], receipt["settlement_status"]
    projected, cost = receipt["estimate"]["projected_cost_usd"], receipt["actuals"]["cost_usd"]
    if overrun["estimated_cost_usd"] != projected or overrun["actual_cost_usd"] != cost:
        yield "overrun: has other figures"
    if overrun["over_budget"] is not (cost > projected):
        yield "overrun.over_budget: is wrong"
    if (overrun["status"] == "overrun") is not overrun["over_budget"]:
        yield "overrun.status: is wrong"
    if overrun["over_budget"] and status == "settled" or status == "overrun" and not overrun["over_budget"]:
        yield "settlement_status: hides an overrun, or claims one"
    if status in ("missing_actuals", "invalid_actuals", "fail-closed") and not receipt.get("fail_closed_reason"):
        yield "fail_closed_reason: is missing"
    if status == "missing_actuals" and receipt["settlement_provenance"] != "missing":
        yield "settlement_provenance: is not missing"
    if status == "missing_actuals" and cost != projected:
        yield "actuals.cost_usd: is not the hold"


def main(folder):
    schemas, counts, seen = {}, dict.fromkeys(KINDS, 0), set()
    for kind, name in KINDS.items():
        with open(f"{folder}/{name}", encoding="utf-8") as file:
            schemas[kind] = json.load(file)
    for line in sys.stdin:
        receipt = json.loads(line)
        kind = receipt["recordType"]
        counts[kind] += 1
        wrong = list(against(schemas[kind], receipt))
        if not wrong:
            wrong += rules_of_all(receipt)
            wrong += (rules_of_admission if "Admission" in kind else rules_of_settlement)(receipt)
        identity = receipt.get("receipt_id") or receipt.get("settlement_id")
        if identity in seen:
            wrong.append(f"{identity}: is there twice")
        seen.add(identity)
        for what in wrong:
            print(kind, receipt.get("attempt_id"), what)
    print("{} admissions, {} settlements".format(*counts.values()))


main(sys.argv[1])
