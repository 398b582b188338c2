/* SPDX-License-Identifier: Apache-2.0 */
/* The shadow of an easy handle's options. libcurl says what was set only by accepting it, so the
 * shadow is written after libcurl has said yes. While a slot is overridden libcurl holds our value:
 * the application's setopt then goes to the shadow alone, and reaches libcurl at shim_restore(). */
#include "shim/shim_int.h"

#include <stdlib.h>
#include <string.h>

enum value_kind { TEXT, NUMBER, OFFSET, POINTER };

struct option_row {
    CURLoption option;
    enum shim_slot slot;
    enum value_kind kind;
};

static const struct option_row rows[] = {
#define OPTION(slot, option, kind, start) {option, slot, kind},
#define ALSO(slot, option, kind)          {option, slot, kind},
#include "shim/options.def"
#undef OPTION
#undef ALSO
};
_Static_assert(SHIM_SLOTS <= 64, "shim_handle.overridden has a bit per slot");

/* Option numbers are a type's base plus a small running number, unique over all types. */
#define TYPE_BASE  10000
#define NUMBER_MAX 512

static const struct option_row *row_of(CURLoption option)
{
    static atomic_bool indexed;
    static unsigned char index[NUMBER_MAX]; /* row number + 1 */
    unsigned number = (unsigned)option % TYPE_BASE;

    if (!atomic_load(&indexed)) { /* racing writers write the same */
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
            index[(unsigned)rows[i].option % TYPE_BASE] = (unsigned char)(i + 1);
        atomic_store(&indexed, true);
    }
    if (number >= NUMBER_MAX || index[number] == 0)
        return NULL;
    return rows[index[number] - 1].option == option ? &rows[index[number] - 1] : NULL;
}

/* What a fresh handle has, and which member of the slot puts it back. */
static int64_t slot_start(enum shim_slot slot, CURLoption *option_out)
{
    switch (slot) {
#define OPTION(name, number, kind, start)                                                          \
    case name:                                                                                     \
        *option_out = number;                                                                      \
        return (int64_t)(intptr_t)(start);
#define ALSO(name, number, kind)
#include "shim/options.def"
#undef OPTION
#undef ALSO
    case SHIM_SLOTS:
        break;
    }
    *option_out = 0;
    return 0;
}

CURLcode shim_setopt_raw(const struct shim_curl *curl, CURL *easy, CURLoption option, int64_t value)
{
    switch ((int)option / TYPE_BASE) {
    case CURLOPTTYPE_LONG / TYPE_BASE:
        return curl->easy_setopt(easy, option, (long)value);
    case CURLOPTTYPE_OFF_T / TYPE_BASE:
        return curl->easy_setopt(easy, option, (curl_off_t)value);
    default: /* objects, functions, blobs: pointers all */
        return curl->easy_setopt(easy, option, (void *)(intptr_t)value);
    }
}

int64_t shim_option(const struct shim_handle *handle, enum shim_slot slot)
{
    CURLoption option;

    if (handle->slots[slot].option != 0)
        return handle->slots[slot].number;
    return slot_start(slot, &option);
}

void *shim_option_pointer(const struct shim_handle *handle, enum shim_slot slot)
{
    return (void *)(intptr_t)shim_option(handle, slot);
}

const char *shim_option_text(const struct shim_handle *handle, enum shim_slot slot)
{
    return shim_option_pointer(handle, slot);
}

static void value_release(struct shim_value *value)
{
    const struct option_row *row = value->option != 0 ? row_of(value->option) : NULL;

    if (row != NULL && row->kind == TEXT)
        free((void *)(intptr_t)value->number);
    *value = (struct shim_value){0, 0};
}

static bool value_set(struct shim_value *value, const struct option_row *row, int64_t number)
{
    if (row->kind == TEXT && number != 0) {
        char *copy = strdup((const char *)(intptr_t)number);

        if (copy == NULL)
            return false;
        number = (int64_t)(intptr_t)copy;
    }
    value_release(value);
    *value = (struct shim_value){row->option, number};
    return true;
}

/* ---- the method and the body -------------------------------------------------------------- */

/* What CURLOPT_COPYPOSTFIELDS was given: a handle's twin has the same, in libcurl as well. */
struct shim_copied {
    atomic_uint holders;
    char bytes[];
};

static void copied_release(struct shim_handle *handle)
{
    if (handle->copied != NULL && atomic_fetch_sub(&handle->copied->holders, 1) == 1)
        free(handle->copied);
    handle->copied = NULL;
}

static void twin_form_release(struct shim_handle *handle)
{
    shim_form_free(handle->twin_form);
    handle->twin_form = NULL;
}

/* CURLOPT_POSTFIELDS of ours makes a POST of it: what the application has chosen, again. The form
 * of a twin is libcurl's own, and cannot be set: then it is what libcurl has made of it. */
static void method_restore(struct shim_handle *handle)
{
    const struct shim_curl *curl = handle->curl;
    CURLcode code = CURLE_OK;

    if (handle->method == SHIM_GET)
        code = curl->easy_setopt(handle->easy, CURLOPT_POST, 0L);
    else if (handle->method == SHIM_HEAD)
        code = curl->easy_setopt(handle->easy, CURLOPT_NOBODY, 1L);
    else if (handle->method == SHIM_PUT)
        code = curl->easy_setopt(handle->easy, CURLOPT_UPLOAD, 1L);
    else if (handle->method == SHIM_MIME && handle->twin_form == NULL)
        code = curl->easy_setopt(handle->easy, CURLOPT_MIMEPOST, handle->mime);
    else if (handle->method == SHIM_FORM)
        code = curl->easy_setopt(handle->easy, CURLOPT_HTTPPOST, handle->form);
    else
        handle->method = SHIM_POST;
    if (code != CURLE_OK)
        handle->method = SHIM_POST;
}

/* Which of the options that choose the method was set, by the rules of lib/setopt.c. */
static void shim_method_note(struct shim_handle *handle, CURLoption option, int64_t value)
{
    switch (option) {
    case CURLOPT_HTTPGET:
        if (value != 0) {
            handle->method = SHIM_GET;
            handle->no_body = false;
        }
        break;
    case CURLOPT_POST:
        handle->method = value != 0 ? SHIM_POST : SHIM_GET;
        handle->no_body = value != 0 ? false : handle->no_body;
        break;
    case CURLOPT_UPLOAD:
    case CURLOPT_PUT:
        handle->method = value != 0 ? SHIM_PUT : SHIM_GET;
        handle->no_body = value != 0 ? false : handle->no_body;
        break;
    case CURLOPT_NOBODY:
        handle->no_body = value != 0;
        if (handle->no_body)
            handle->method = SHIM_HEAD;
        else if (handle->method == SHIM_HEAD)
            handle->method = SHIM_GET;
        break;
    case CURLOPT_POSTFIELDS:
    case CURLOPT_COPYPOSTFIELDS:
        handle->method = SHIM_POST;
        break;
    case CURLOPT_MIMEPOST:
        handle->mime = (void *)(intptr_t)value;
        twin_form_release(handle);
        handle->method = SHIM_MIME;
        handle->no_body = false;
        break;
    case CURLOPT_HTTPPOST:
        handle->form = (void *)(intptr_t)value;
        handle->method = SHIM_FORM;
        handle->no_body = false;
        break;
    default:
        break;
    }
}

/* CURLOPT_COPYPOSTFIELDS: libcurl would keep a copy that we cannot read again, so we keep it and
 * give libcurl a pointer. Its size is the one set until now, else the text's length. */
static CURLcode body_copy(struct shim_handle *handle, const void *body)
{
    int64_t size = shim_option(handle, SLOT_BODY_BYTES);
    size_t count = size >= 0 ? (size_t)size : (body != NULL ? strlen(body) + 1 : 0);
    struct shim_copied *copied = NULL;
    CURLcode code;

    if (body == NULL)
        return shim_setopt(handle, CURLOPT_POSTFIELDS, 0);
    copied = malloc(sizeof *copied + count + 1);
    if (copied == NULL)
        return CURLE_OUT_OF_MEMORY;
    atomic_init(&copied->holders, 1);
    memcpy(copied->bytes, body, count);
    copied->bytes[count] = '\0'; /* its size may be taken back */
    code = shim_setopt(handle, CURLOPT_POSTFIELDS, (int64_t)(intptr_t)copied->bytes);
    if (code == CURLE_OK)
        handle->copied = copied;
    else
        free(copied);
    return code;
}

/* libcurl forgets its copy when the size grows, from none (-1) as well; so do we. */
static void body_resized(struct shim_handle *handle, int64_t size_before, int64_t size)
{
    enum shim_method method = handle->method;

    if (handle->copied == NULL || size <= size_before)
        return;
    (void)shim_setopt(handle, CURLOPT_POSTFIELDS, 0);
    handle->method = method;
    method_restore(handle);
}

/* ---- setting, restoring, copying ---------------------------------------------------------- */

static CURLcode option_set(struct shim_handle *handle, const struct option_row *row, int64_t value)
{
    bool overridden = (handle->overridden & (UINT64_C(1) << row->slot)) != 0;
    CURLcode code = CURLE_OK;

    if (!overridden)
        code = shim_setopt_raw(handle->curl, handle->easy, row->option, value);
    if (code == CURLE_OK && !value_set(&handle->slots[row->slot], row, value))
        code = CURLE_OUT_OF_MEMORY;
    return code;
}

/* What a call was asked about: libcurl reads it later, and has called callbacks until then. */
static void note_change(const struct shim_handle *handle, CURLoption option,
                        const struct option_row *row, enum shim_method method_before)
{
    static const uint64_t asked =
        UINT64_C(1) << SLOT_URL | UINT64_C(1) << SLOT_CURLU | UINT64_C(1) << SLOT_PORT |
        UINT64_C(1) << SLOT_TARGET | UINT64_C(1) << SLOT_METHOD | UINT64_C(1) << SLOT_BODY |
        UINT64_C(1) << SLOT_BODY_BYTES | UINT64_C(1) << SLOT_READ | UINT64_C(1) << SLOT_READ_DATA |
        UINT64_C(1) << SLOT_INFILE_BYTES | UINT64_C(1) << SLOT_CONNECT_ONLY;

    if (handle->call != NULL &&
        (handle->method != method_before || option == CURLOPT_MIMEPOST ||
         option == CURLOPT_HTTPPOST || (row != NULL && (asked & UINT64_C(1) << row->slot) != 0)))
        handle->call->stale = true;
}

CURLcode shim_setopt(struct shim_handle *handle, CURLoption option, int64_t value)
{
    enum shim_method method = handle->method;
    int64_t size = shim_option(handle, SLOT_BODY_BYTES);
    const struct option_row *row = row_of(option);
    CURLcode code;

    if (option == CURLOPT_COPYPOSTFIELDS)
        return body_copy(handle, (const void *)(intptr_t)value);
    if (row == NULL) {
        code = shim_setopt_raw(handle->curl, handle->easy, option, value);
        if (code == CURLE_OK)
            shim_method_note(handle, option, value);
        note_change(handle, option, row, method);
        return code;
    }
    code = option_set(handle, row, value);
    if (code != CURLE_OK)
        return code;
    shim_method_note(handle, option, value);
    note_change(handle, option, row, method);
    if (row->slot == SLOT_BODY)
        copied_release(handle);
    if (row->slot == SLOT_BODY_BYTES)
        body_resized(handle, size, value);
    return CURLE_OK;
}

int64_t shim_bits(void (*function)(void))
{
    int64_t bits = 0;

    memcpy(&bits, &function, sizeof function);
    return bits;
}

CURLcode shim_override(struct shim_handle *handle, enum shim_slot slot, CURLoption option,
                       int64_t value)
{
    CURLcode code = shim_setopt_raw(handle->curl, handle->easy, option, value);

    if (code == CURLE_OK)
        handle->overridden |= UINT64_C(1) << slot;
    return code;
}

static void slot_restore(struct shim_handle *handle, enum shim_slot slot)
{
    CURLoption option;
    int64_t value = slot_start(slot, &option);

    if (handle->slots[slot].option != 0) {
        option = handle->slots[slot].option;
        value = handle->slots[slot].number;
    }
    /* An overridden member of the slot may differ from the one that is set again: a socket path
     * given as abstract, say. Both write the same field of libcurl's. */
    (void)shim_setopt_raw(handle->curl, handle->easy, option, value);
}

void shim_restore(struct shim_handle *handle)
{
    for (unsigned slot = 0; handle->overridden != 0 && slot < SHIM_SLOTS; slot++) {
        if ((handle->overridden & (UINT64_C(1) << slot)) == 0)
            continue;
        slot_restore(handle, (enum shim_slot)slot);
        handle->overridden &= ~(UINT64_C(1) << slot);
        if (slot == SLOT_BODY)
            method_restore(handle);
    }
}

void shim_options_reset(struct shim_handle *handle)
{
    for (unsigned slot = 0; slot < SHIM_SLOTS; slot++)
        value_release(&handle->slots[slot]);
    copied_release(handle);
    twin_form_release(handle);
    handle->overridden = 0;
    handle->method = SHIM_GET;
    handle->no_body = false;
    handle->mime = NULL;
    handle->form = NULL;
}

/* For curl_easy_duphandle: libcurl's twin points at the original's body copy, which is ours. */
bool shim_options_copy(struct shim_handle *to, const struct shim_handle *from)
{
    for (unsigned slot = 0; slot < SHIM_SLOTS; slot++) {
        const struct shim_value *value = &from->slots[slot];
        const struct option_row *row = value->option != 0 ? row_of(value->option) : NULL;

        if (row != NULL && !value_set(&to->slots[slot], row, value->number))
            return false;
    }
    if (from->copied != NULL) {
        (void)atomic_fetch_add(&from->copied->holders, 1);
        to->copied = from->copied;
    }
    to->method = from->method;
    to->no_body = from->no_body;
    to->twin_form = shim_form_copy(from); /* the original's may go at any time */
    to->form = from->form;
    to->blind = from->blind;
    to->overridden = from->overridden; /* the twin has got our values: the application's instead */
    shim_restore(to);
    return true;
}
