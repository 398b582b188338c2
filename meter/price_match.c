/* SPDX-License-Identifier: Apache-2.0 */
/* From the model's id in a request or an answer to an entry of the book. Every lookup is exact; an
 * id that is merely alike is unknown, because a wrong price is worse than none. What an id may
 * carry beside the name is taken off by the steps of its provider, one at a time, in the order of
 * the table. docs/PRICES.md says the same. */
#include "meter/meter_int.h"

#define ID_ROOM    512u /* an id with its wrappers */
#define STEPS_MAX  5u
#define EVERYTHING "*" /* a provider's row for all other models: free, or it could not be read */

/* The part of the id that is still looked at. */
struct span {
    const char *at;
    size_t bytes;
};

/* ---- lookups ------------------------------------------------------------------------------ */

static int order_of(const char *name, const char *other, size_t other_bytes)
{
    int order = strncmp(name, other, other_bytes);

    return order != 0 ? order : name[other_bytes] != '\0';
}

const struct price_provider *price_provider_find(const struct meter_price_book *book,
                                                 const char *name)
{
    size_t low = 0, high = book->provider_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(price_text(book, book->providers[middle].name), name);

        if (order == 0)
            return &book->providers[middle];
        if (order > 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct price_name *price_name_find(const struct meter_price_book *book,
                                         const struct price_provider *provider, const char *name,
                                         size_t name_bytes)
{
    size_t low = provider->first, high = low + provider->count;

    if (name_bytes == 0 || name_bytes >= METER_MODEL_MAX)
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = order_of(price_text(book, book->names[middle].name), name, name_bytes);

        if (order == 0)
            return &book->names[middle];
        if (order > 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* ---- steps -------------------------------------------------------------------------------- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of a pattern's match at the front of the id: '*' is one segment of a path, not empty; 0:
 * it does not match. */
static size_t wrapper_bytes(const struct span *id, const char *pattern)
{
    size_t at = 0;

    for (; *pattern != '\0'; pattern++) {
        size_t begin = at;

        if (*pattern != '*') {
            if (at == id->bytes || id->at[at] != *pattern)
                return 0;
            at++;
            continue;
        }
        while (at < id->bytes && id->at[at] != '/')
            at++;
        if (at == begin)
            return 0;
    }
    return at;
}

static void strip_wrapper(struct span *id, const char *pattern)
{
    size_t bytes = wrapper_bytes(id, pattern);

    id->at += bytes;
    id->bytes -= bytes;
}

static void strip_suffix(struct span *id, const char *suffix)
{
    size_t bytes = strlen(suffix);

    if (id->bytes > bytes && memcmp(id->at + id->bytes - bytes, suffix, bytes) == 0)
        id->bytes -= bytes;
}

/* Everything from the first of these characters on. */
static void strip_from(struct span *id, const char *what)
{
    const char *found = memchr(id->at, *what, id->bytes);

    if (found != NULL)
        id->bytes = (size_t)(found - id->at);
}

/* "arn:aws:bedrock:us-east-1::foundation-model/ID": the last segment. */
static void strip_arn(struct span *id, const char *what)
{
    const char *slash = id->bytes > 0 ? memrchr(id->at, '/', id->bytes) : NULL;

    if (wrapper_bytes(id, what) == 0 || slash == NULL)
        return;
    id->bytes -= (size_t)(slash + 1 - id->at);
    id->at = slash + 1;
}

/* "-v1:0" at the end, what is "-v1:". A second version may cost more. */
static void strip_version(struct span *id, const char *what)
{
    size_t end = id->bytes, bytes = strlen(what);

    while (end > 0 && is_digit(id->at[end - 1]))
        end--;
    if (end < id->bytes && end >= bytes && memcmp(id->at + end - bytes, what, bytes) == 0)
        id->bytes = end - bytes;
}

/* A fine-tuned model, "ft:<base>:<organisation>:<name>:<id>", is priced as "ft:<base>". */
static void strip_tuned(struct span *id, const char *what)
{
    size_t prefix = strlen(what);
    const char *end = NULL;

    if (id->bytes > prefix && memcmp(id->at, what, prefix) == 0)
        end = memchr(id->at + prefix, ':', id->bytes - prefix);
    if (end != NULL)
        id->bytes = (size_t)(end - id->at);
}

static bool digits_in_range(const char *text, unsigned low, unsigned high)
{
    if (!is_digit(text[0]) || !is_digit(text[1]))
        return false;
    unsigned value = (unsigned)(text[0] - '0') * 10 + (unsigned)(text[1] - '0');
    return value >= low && value <= high;
}

/* Bytes of a date at the end: "-2026-03-05" (dash 1) or "-20260305" (0); 0: there is none, or
 * nothing before it. */
static size_t date_bytes(const struct span *id, size_t dash)
{
    size_t length = 9 + 2 * dash;

    if (id->bytes <= length)
        return 0;
    const char *date = id->at + id->bytes - length;
    return date[0] == '-' && digits_in_range(date + 1, 20, 20) &&
                   digits_in_range(date + 3, 0, 99) &&
                   (dash == 0 || (date[5] == '-' && date[8] == '-')) &&
                   digits_in_range(date + 5 + dash, 1, 12) &&
                   digits_in_range(date + 7 + 2 * dash, 1, 31)
               ? length
               : 0;
}

static void strip_date(struct span *id, const char *what)
{
    size_t bytes = date_bytes(id, 1);

    (void)what;
    id->bytes -= bytes > 0 ? bytes : date_bytes(id, 0);
}

/* Whether a date and no more stands behind the first bytes of a name. */
static bool is_dated(const char *name, size_t bytes)
{
    struct span id = {name, strlen(name)};

    strip_date(&id, "");
    return id.bytes == bytes;
}

/* ---- the steps of each provider ----------------------------------------------------------- */

struct step {
    void (*strip)(struct span *id, const char *what); /* leaves the id alone where it has none */
    const char *what;
};

static const struct matching {
    const char *provider; /* NULL: all others */
    struct step steps[STEPS_MAX];
    bool regions; /* an id may begin with the region that serves it */
} matchings[] = {
    {"openai", {{strip_tuned, "ft:"}, {strip_date, ""}}, false},
    {"gemini", {{strip_wrapper, "models/"}, {strip_date, ""}}, false},
    {"vertex",
     {{strip_wrapper, "projects/*/locations/*/"},
      {strip_wrapper, "publishers/*/models/"},
      {strip_wrapper, "*/"},
      {strip_from, "@"},
      {strip_date, ""}},
     false},
    {"bedrock", {{strip_arn, "arn:"}, {strip_version, "-v1:"}, {strip_date, ""}}, true},
    {"openrouter",
     {{strip_suffix, ":nitro"},
      {strip_suffix, ":floor"},
      {strip_suffix, ":exacto"},
      {strip_suffix, ":online"},
      {strip_date, ""}},
     false},
    {"huggingface",
     {{strip_suffix, ":fastest"}, {strip_suffix, ":cheapest"}, {strip_suffix, ":preferred"}},
     false},
    {"dashscope", {{NULL, NULL}}, false}, /* its snapshots have prices of their own */
    {NULL, {{strip_date, ""}}, false},
};

static const char *const regions[] = {"us.", "eu.", "apac.",   "jp.",     "au.", "ca.",
                                      "sa.", "in.", "us-gov.", "global.", NULL};

static const struct matching *matching_of(const char *provider)
{
    const struct matching *matching = matchings;

    while (matching->provider != NULL && strcmp(matching->provider, provider) != 0)
        matching++;
    return matching;
}

static bool rows_same(const struct meter_price_book *book, const struct price_name *a,
                      const struct price_name *b)
{
    for (uint32_t i = 0; a->first != b->first && i < a->count; i++) {
        const struct price_row *row = &book->rows[a->first + i];
        const struct price_row *other = &book->rows[b->first + i];

        if (a->count != b->count || row->from_day != other->from_day ||
            row->prompt_from != other->prompt_from || row->tier != other->tier ||
            row->regional != other->regional || row->free != other->free ||
            row->has != other->has ||
            strcmp(price_text(book, row->hours), price_text(book, other->hours)) != 0 ||
            memcmp(&book->values[row->first], &book->values[other->first],
                   (size_t)__builtin_popcount(row->has) * sizeof *book->values) != 0)
            return false;
    }
    return true;
}

/* Whether a dated id of the model has a price of its own: what a date costs is then not what the id
 * without it does. */
static bool date_matters(const struct meter_price_book *book, const struct price_provider *provider,
                         const struct price_name *undated)
{
    const struct price_name *end = &book->names[provider->first + provider->count];
    const char *base = price_text(book, undated->name);
    size_t bytes = strlen(base);

    for (const struct price_name *name = undated + 1;
         name < end && strncmp(price_text(book, name->name), base, bytes) == 0; name++)
        if (is_dated(price_text(book, name->name), bytes) && !rows_same(book, undated, name))
            return true;
    return false;
}

/* The entry of the id, as it is or after one of the steps. */
static const struct price_name *id_find(const struct meter_price_book *book,
                                        const struct price_provider *provider,
                                        const struct matching *matching, struct span id)
{
    const struct price_name *found = price_name_find(book, provider, id.at, id.bytes);

    for (size_t i = 0; found == NULL && i < STEPS_MAX && matching->steps[i].strip != NULL; i++) {
        size_t before = id.bytes;

        matching->steps[i].strip(&id, matching->steps[i].what);
        if (id.bytes != before)
            found = price_name_find(book, provider, id.at, id.bytes);
        if (found != NULL && matching->steps[i].strip == strip_date &&
            date_matters(book, provider, found))
            return NULL;
    }
    return found;
}

/* The id without the region in front, after an ARN's own front; bytes 0: it names none. */
static struct span without_region(struct span id)
{
    strip_arn(&id, "arn:");
    for (size_t i = 0; regions[i] != NULL; i++) {
        size_t bytes = strlen(regions[i]);

        if (id.bytes > bytes && memcmp(id.at, regions[i], bytes) == 0)
            return (struct span){id.at + bytes, id.bytes - bytes};
    }
    return (struct span){id.at, 0};
}

/* ---- the id ------------------------------------------------------------------------------- */

/* Lower case, percent signs decoded. false: too long, or with what no id has. */
static bool id_normalise(const char *model, char out[ID_ROOM], struct span *id)
{
    size_t used = 0;

    for (const char *p = model; *p != '\0'; p++, used++) {
        int high = *p == '%' ? scan_hex_digit(p[1]) : -1;
        int low = high >= 0 ? scan_hex_digit(p[2]) : -1;
        char c = *p;

        if (used == ID_ROOM)
            return false;
        if (low >= 0) {
            c = (char)(high << 4 | low);
            p += 2;
        }
        if (c == '\0')
            return false;
        out[used] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    *id = (struct span){out, used};
    return true;
}

const struct price_name *price_match(const struct meter_price_book *book, const char *provider,
                                     const char *model, bool *estimated_out)
{
    const struct price_provider *mine = price_provider_find(book, provider);
    const struct matching *matching = matching_of(provider);
    const struct price_name *found = NULL;
    char room[ID_ROOM];
    struct span id;

    *estimated_out = false;
    if (mine == NULL || !id_normalise(model, room, &id))
        return NULL;
    found = id_find(book, mine, matching, id);
    if (found == NULL && matching->regions && without_region(id).bytes > 0) {
        found = id_find(book, mine, matching, without_region(id));
        *estimated_out = found != NULL;
    }
    return found != NULL || id.bytes == 0
               ? found
               : price_name_find(book, mine, EVERYTHING, sizeof EVERYTHING - 1);
}
