/* SPDX-License-Identifier: Apache-2.0 */
#include "sidecar/json.h"

#include <string.h>

#include "sidecar/side_int.h"

void side_json_set(json_t *object, const char *name, json_t *value)
{
    (void)json_object_set_new(object, name, value);
}

json_t *side_text_json(const char *text, size_t size)
{
    size_t length = strnlen(text, size);

    return length > 0 ? json_stringn(text, length) : json_null();
}

json_t *side_id_json(const uint8_t id[16])
{
    char text[37];

    client_uuid_text(id, text);
    return json_string(text);
}

json_t *side_hash_json(const uint8_t hash[32])
{
    char text[STORE_HEX_TEXT];

    store_hex(hash, text);
    return json_string(text);
}

json_t *side_when_json(int64_t ts_ns)
{
    char text[32];

    return ts_ns > 0 ? json_string(side_time_text(ts_ns, text)) : json_null();
}

json_t *side_usd_json(int64_t pusd)
{
    char text[METER_USD_TEXT];

    return pusd >= 0 ? json_string(meter_usd_text(pusd, text)) : json_null();
}

json_t *side_reasons_json(const uint16_t *reasons, unsigned count)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < count && i < GOV_CODES_MAX; i++)
        (void)json_array_append_new(list,
                                    json_string(gov_reason_text((enum gov_reason)reasons[i])));
    return list;
}
