/* SPDX-License-Identifier: Apache-2.0 */
/* Values of the contract's JSON: what is unknown is null. Each is new, NULL without memory. */
#ifndef FLYBALL_SIDECAR_JSON_H
#define FLYBALL_SIDECAR_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Takes the value over; one that could not be made is left out. */
void side_json_set(json_t *object, const char *name, json_t *value);

/* Stored text, which ends at its field's end at the latest; null for "". */
json_t *side_text_json(const char *text, size_t size);
#define TEXT_JSON(field) side_text_json(field, sizeof(field))
json_t *side_id_json(const uint8_t id[16]);
json_t *side_hash_json(const uint8_t hash[32]);
json_t *side_when_json(int64_t ts_ns); /* null for 0 */
json_t *side_usd_json(int64_t pusd);   /* null below 0 */
/* The texts of enum gov_reason. */
json_t *side_reasons_json(const uint16_t *reasons, unsigned count);

#endif
