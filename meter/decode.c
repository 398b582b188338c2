/* SPDX-License-Identifier: Apache-2.0 */
/* Content encodings, undone as the bytes come: gzip (members one after another), deflate (zlib or
 * raw), br, zstd, stacked in any order. Headers lie: clients leave them on bytes that they have
 * decoded already, so each layer first looks whether its bytes can be what the header says. */
#include "meter/meter_int.h"

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define OUT_BYTES   16384u
#define HEAD_BYTES  8u
#define ZSTD_WINDOW 23           /* 8 MiB: the most that RFC 9659 allows on the web */
#define BOMB_BYTES  (256u << 20) /* beyond this much output ... */
#define BOMB_RATIO  200u         /* ... and this many times the input, it is no answer */

struct layer;

enum layer_result { LAYER_MORE, LAYER_END, LAYER_BAD, LAYER_NOMEM };

struct span {
    const uint8_t *at;
    size_t left;
};

/* One encoding. plain: 1: these first bytes cannot be this encoding's, 0: they may be, -1: too few
 * to tell. begin: false without memory. step: decodes what it can of *in into out. again: after the
 * end, whether another member may begin with this byte; NULL: what follows is padding. */
struct codec {
    const char *name;
    int (*plain)(const uint8_t *head, size_t count);
    bool (*begin)(struct layer *layer);
    enum layer_result (*step)(struct layer *layer, struct span *in, uint8_t *out, size_t *made);
    bool (*again)(struct layer *layer, uint8_t first);
    void (*end)(struct layer *layer);
};

struct layer {
    const struct codec *codec;
    enum { UNDECIDED, RUNNING, PASSING, ENDED, PADDING, FAILED } state;
    uint8_t head[HEAD_BYTES]; /* the first bytes, until it is clear what they are */
    uint8_t head_bytes;
    bool raw; /* deflate without zlib's header */
    union {
        z_stream *zlib;
        BrotliDecoderState *brotli;
        ZSTD_DStream *zstd;
    };
};

struct decode {
    decode_sink *sink;
    void *ctx;
    uint64_t bytes_in, bytes_out;
    bool too_many;
    bool nomem;
    unsigned count;
    struct layer layers[METER_DECODERS_MAX];
};

/* ---- what the bytes look like ------------------------------------------------------------- */

/* Beginnings of bodies that are not compressed. No brotli stream begins with '{'. */
static const char *const plain_heads[] = {"{", "[{", "[ ", "[\n", "data:", "event:", "id:", ": "};

/* Brotli has no mark of its own: 1 plain, 0 not, -1 not enough bytes yet. */
static int plain_text(const uint8_t *head, size_t count)
{
    int result = 0;

    for (size_t i = 0; i < COUNT_OF(plain_heads); i++) {
        size_t want = strlen(plain_heads[i]);

        if (memcmp(head, plain_heads[i], count < want ? count : want) != 0)
            continue;
        if (count >= want)
            return 1;
        result = -1;
    }
    return result;
}

static int plain_unless(const uint8_t *head, size_t count, const uint8_t *magic, size_t want)
{
    if (memcmp(head, magic, count < want ? count : want) != 0)
        return 1;
    return count < want ? -1 : 0;
}

static int plain_gzip(const uint8_t *head, size_t count)
{
    return plain_unless(head, count, (const uint8_t *)"\x1f\x8b", 2);
}

/* Frames, or skippable frames (0x184d2a50 to 5f). */
static int plain_zstd(const uint8_t *head, size_t count)
{
    uint8_t first = (head[0] & 0xf0) == 0x50 ? 0x50 : head[0];
    uint8_t masked[4] = {first, head[1], head[2], head[3]};

    if (first == 0x50)
        return plain_unless(masked, count, (const uint8_t *)"\x50\x2a\x4d\x18", 4);
    return plain_unless(head, count, (const uint8_t *)"\x28\xb5\x2f\xfd", 4);
}

/* ---- zlib --------------------------------------------------------------------------------- */

static bool inflate_begin(struct layer *layer, int window)
{
    layer->zlib = calloc(1, sizeof *layer->zlib);
    if (layer->zlib == NULL)
        return false;
    return inflateInit2(layer->zlib, window) == Z_OK;
}

static bool gzip_begin(struct layer *layer)
{
    return inflate_begin(layer, 16 + MAX_WBITS);
}

/* "deflate" should mean zlib's format; some servers send the bare one. */
static bool deflate_begin(struct layer *layer)
{
    unsigned header = (unsigned)layer->head[0] << 8 | layer->head[1];

    layer->raw = (layer->head[0] & 0x0f) != 8 || header % 31 != 0;
    return inflate_begin(layer, layer->raw ? -MAX_WBITS : MAX_WBITS);
}

static int plain_deflate(const uint8_t *head, size_t count)
{
    int text = plain_text(head, count);

    return text != 0 ? text : count < 2 ? -1 : 0;
}

static enum layer_result zlib_step(struct layer *layer, struct span *in, uint8_t *out, size_t *made)
{
    z_stream *z = layer->zlib;
    uInt given = in->left > (1u << 30) ? 1u << 30 : (uInt)in->left;
    int rc;

    z->next_in = (Bytef *)(uintptr_t)in->at;
    z->avail_in = given;
    z->next_out = out;
    z->avail_out = OUT_BYTES;
    rc = inflate(z, Z_SYNC_FLUSH);
    in->at += given - z->avail_in;
    in->left -= given - z->avail_in;
    *made = OUT_BYTES - z->avail_out;
    if (rc == Z_STREAM_END)
        return LAYER_END;
    if (rc == Z_MEM_ERROR)
        return LAYER_NOMEM;
    return rc == Z_OK || rc == Z_BUF_ERROR ? LAYER_MORE : LAYER_BAD;
}

static bool gzip_again(struct layer *layer, uint8_t first)
{
    return first == 0x1f && inflateReset(layer->zlib) == Z_OK;
}

static void zlib_end(struct layer *layer)
{
    if (layer->zlib != NULL)
        (void)inflateEnd(layer->zlib);
    free(layer->zlib);
}

/* ---- brotli, zstd ------------------------------------------------------------------------- */

static bool brotli_begin(struct layer *layer)
{
    layer->brotli = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    return layer->brotli != NULL;
}

static enum layer_result brotli_step(struct layer *layer, struct span *in, uint8_t *out,
                                     size_t *made)
{
    size_t room = OUT_BYTES;
    BrotliDecoderResult rc;

    rc = BrotliDecoderDecompressStream(layer->brotli, &in->left, &in->at, &room, &out, NULL);
    *made = OUT_BYTES - room;
    if (rc == BROTLI_DECODER_RESULT_SUCCESS)
        return LAYER_END;
    if (rc != BROTLI_DECODER_RESULT_ERROR)
        return LAYER_MORE;
    /* Codes of failed allocations are the lowest, from -21 down to -30 (brotli/decode.h). */
    return BrotliDecoderGetErrorCode(layer->brotli) <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                   BrotliDecoderGetErrorCode(layer->brotli) >=
                       BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
               ? LAYER_NOMEM
               : LAYER_BAD;
}

static void brotli_end(struct layer *layer)
{
    BrotliDecoderDestroyInstance(layer->brotli);
}

static bool zstd_begin(struct layer *layer)
{
    layer->zstd = ZSTD_createDStream();
    return layer->zstd != NULL &&
           !ZSTD_isError(ZSTD_DCtx_setParameter(layer->zstd, ZSTD_d_windowLogMax, ZSTD_WINDOW));
}

static enum layer_result zstd_step(struct layer *layer, struct span *in, uint8_t *out, size_t *made)
{
    ZSTD_inBuffer input = {in->at, in->left, 0};
    ZSTD_outBuffer output = {out, OUT_BYTES, 0};
    size_t rc = ZSTD_decompressStream(layer->zstd, &output, &input);

    in->at += input.pos;
    in->left -= input.pos;
    *made = output.pos;
    if (ZSTD_isError(rc))
        return ZSTD_getErrorCode(rc) == ZSTD_error_memory_allocation ? LAYER_NOMEM : LAYER_BAD;
    return rc == 0 ? LAYER_END : LAYER_MORE;
}

static bool zstd_again(struct layer *layer, uint8_t first)
{
    (void)layer;
    return first == 0x28 || (first & 0xf0) == 0x50;
}

static void zstd_end(struct layer *layer)
{
    (void)ZSTD_freeDStream(layer->zstd);
}

/* ---- the table ---------------------------------------------------------------------------- */

enum { GZIP, X_GZIP, DEFLATE, BR, ZSTD, AUTO, FOREIGN };

static int plain_auto(const uint8_t *head, size_t count)
{
    int gzip = plain_gzip(head, count), zstd = plain_zstd(head, count);

    return gzip == 0 || zstd == 0 ? 0 : gzip == 1 ? zstd : gzip;
}

static bool auto_begin(struct layer *layer);

static bool foreign_begin(struct layer *layer)
{
    (void)layer;
    return true;
}

static enum layer_result foreign_step(struct layer *layer, struct span *in, uint8_t *out,
                                      size_t *made)
{
    (void)layer, (void)in, (void)out, (void)made;
    return LAYER_BAD;
}

static const struct codec codecs[] = {
    [GZIP] = {"gzip", plain_gzip, gzip_begin, zlib_step, gzip_again, zlib_end},
    [X_GZIP] = {"x-gzip", plain_gzip, gzip_begin, zlib_step, gzip_again, zlib_end},
    [DEFLATE] = {"deflate", plain_deflate, deflate_begin, zlib_step, NULL, zlib_end},
    [BR] = {"br", plain_text, brotli_begin, brotli_step, NULL, brotli_end},
    [ZSTD] = {"zstd", plain_zstd, zstd_begin, zstd_step, zstd_again, zstd_end},
    /* No header: bytes that say by themselves that they are gzip or zstd are taken at their word.
     */
    [AUTO] = {"", plain_auto, auto_begin, NULL, NULL, NULL},
    /* "utf-8", "aws-chunked": harmless where the bytes are plain all the same. */
    [FOREIGN] = {"", plain_text, foreign_begin, foreign_step, NULL, NULL},
};

static bool auto_begin(struct layer *layer)
{
    layer->codec = &codecs[plain_gzip(layer->head, layer->head_bytes) == 0 ? GZIP : ZSTD];
    return layer->codec->begin(layer);
}

static const struct codec *codec_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < AUTO; i++)
        if (strlen(codecs[i].name) == bytes && strncasecmp(codecs[i].name, name, bytes) == 0)
            return &codecs[i];
    return &codecs[FOREIGN];
}

static void layer_add(struct decode *decode, const char *name, size_t bytes)
{
    if (bytes == 0 || (bytes == 8 && strncasecmp(name, "identity", 8) == 0))
        return;
    if (decode->count == METER_DECODERS_MAX)
        decode->too_many = true;
    else
        decode->layers[decode->count++].codec = codec_find(name, bytes);
}

struct decode *decode_new(const char *encodings, decode_sink *sink, void *ctx)
{
    struct decode *decode = calloc(1, sizeof *decode);
    const char *p = encodings != NULL ? encodings : "";

    if (decode == NULL)
        return NULL;
    decode->sink = sink;
    decode->ctx = ctx;
    while (*p != '\0') {
        size_t bytes = strcspn(p, ", \t");

        layer_add(decode, p, bytes);
        p += bytes;
        p += strspn(p, ", \t");
    }
    if (decode->count == 0)
        decode->layers[decode->count++].codec = &codecs[AUTO];
    return decode;
}

/* ---- feeding ------------------------------------------------------------------------------ */

static void layer_feed(struct decode *decode, unsigned index, const uint8_t *bytes, size_t count);

/* Bytes that came out of a layer go to the one before it; the header lists the first applied first.
 */
static void pass(struct decode *decode, unsigned index, const uint8_t *bytes, size_t count)
{
    if (index == 0)
        decode->sink(decode->ctx, (const char *)bytes, count);
    else
        layer_feed(decode, index - 1, bytes, count);
}

static bool is_bomb(const struct decode *decode)
{
    return decode->bytes_out > BOMB_BYTES && decode->bytes_out / BOMB_RATIO > decode->bytes_in;
}

static enum layer_result layer_step(struct decode *decode, unsigned index, struct span *in,
                                    size_t *made)
{
    struct layer *layer = &decode->layers[index];
    uint8_t out[OUT_BYTES];
    enum layer_result result = layer->codec->step(layer, in, out, made);

    decode->bytes_out += *made;
    if (*made > 0)
        pass(decode, index, out, *made);
    return is_bomb(decode) ? LAYER_BAD : result;
}

static void layer_run(struct decode *decode, unsigned index, struct span *in)
{
    struct layer *layer = &decode->layers[index];
    enum layer_result result;
    size_t made;

    do {
        made = 0;
        result = layer_step(decode, index, in, &made);
    } while (result == LAYER_MORE && (in->left > 0 || made == OUT_BYTES));
    if (result == LAYER_END)
        layer->state = ENDED;
    if (result == LAYER_BAD || result == LAYER_NOMEM)
        layer->state = FAILED;
    decode->nomem |= result == LAYER_NOMEM;
}

/* The first bytes of a layer: decides what they are, then goes on with them. */
static void layer_decide(struct decode *decode, unsigned index, struct span *in)
{
    struct layer *layer = &decode->layers[index];
    int plain = -1;

    while (plain < 0 && in->left > 0) {
        layer->head[layer->head_bytes++] = *in->at++;
        in->left--;
        plain = layer->codec->plain(layer->head, layer->head_bytes);
    }
    if (plain < 0)
        return;
    layer->state = plain ? PASSING : RUNNING;
    if (!plain && !layer->codec->begin(layer)) {
        decode->nomem = true;
        layer->state = FAILED;
        return;
    }
    layer_feed(decode, index, layer->head, layer->head_bytes);
}

/* Whether a layer reads on with this byte: after its end, where another member begins with it. What
 * is padding once stays padding. */
static bool goes_on(struct layer *layer, uint8_t first)
{
    bool more = layer->codec->again != NULL;

    if (layer->state == ENDED)
        layer->state = more && layer->codec->again(layer, first) ? RUNNING : PADDING;
    return layer->state == RUNNING;
}

static void layer_feed(struct decode *decode, unsigned index, const uint8_t *bytes, size_t count)
{
    struct layer *layer = &decode->layers[index];
    struct span in = {bytes, count};

    if (layer->state == UNDECIDED)
        layer_decide(decode, index, &in);
    if (layer->state == PASSING && in.left > 0)
        pass(decode, index, in.at, in.left);
    while (in.left > 0 && goes_on(layer, *in.at))
        layer_run(decode, index, &in);
}

enum meter_err decode_feed(struct decode *decode, const char *bytes, size_t count)
{
    decode->bytes_in += count;
    if (count > 0 && !decode->too_many)
        layer_feed(decode, decode->count - 1, (const uint8_t *)bytes, count);
    return decode->nomem ? METER_NOMEM : METER_OK;
}

bool decode_failed(const struct decode *decode)
{
    bool failed = decode->too_many;

    for (unsigned i = 0; i < decode->count; i++)
        failed |= decode->layers[i].state == FAILED;
    return failed;
}

bool decode_ended(const struct decode *decode)
{
    bool ended = !decode->too_many;

    for (unsigned i = 0; i < decode->count; i++)
        ended &= decode->layers[i].state == ENDED || decode->layers[i].state == PADDING ||
                 decode->layers[i].state == PASSING;
    return ended || decode->bytes_in == 0;
}

bool decode_plain(const struct decode *decode)
{
    bool plain = !decode->too_many;

    for (unsigned i = 0; i < decode->count; i++)
        plain &= decode->layers[i].state == PASSING;
    return plain;
}

void decode_assume_plain(struct decode *decode)
{
    for (unsigned i = 0; i < decode->count; i++)
        decode->layers[i].state = PASSING;
}

void decode_free(struct decode *decode)
{
    if (decode == NULL)
        return;
    for (unsigned i = 0; i < decode->count; i++)
        if (decode->layers[i].codec->end != NULL)
            decode->layers[i].codec->end(&decode->layers[i]);
    free(decode);
}
