/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read requests share: a table of paths per API, and what a value at one of
 * them means. Nobody outside this folder includes this. */
#ifndef FLYBALL_METER_REQUEST_H
#define FLYBALL_METER_REQUEST_H

#include "meter/meter_int.h"

/* What is read of a request, one row each in request_field.c. */
/* clang-format off */
enum request_field {
    REQUEST_TEXT, /* whatever no path names */
    REQUEST_ROOT,
    REQUEST_CONFIG, /* the object that the output cap stands in, where that is not the root */
    REQUEST_MODEL, REQUEST_STREAM, REQUEST_CAP,
    REQUEST_CAP_OLD, /* another key for the same */
    REQUEST_THINKING, /* whether it thinks first */
    REQUEST_FIXED,   /* something that forbids to add a cap */
    REQUEST_CHOICES, REQUEST_BUDGET, REQUEST_TIER, REQUEST_SPEED, REQUEST_MESSAGE,
    REQUEST_JSON, /* re-serialised by the vendor: schemas, arguments */
    REQUEST_TOOL, REQUEST_TOOL_TYPE,
    REQUEST_TOOL_USES, /* how often a server tool may run */
    REQUEST_FUNCTIONS, /* one function of a tool that is a list of them */
    REQUEST_SERVER_TOOL, REQUEST_SEARCH_TOOL, REQUEST_SEARCH_OPTIONS,
    REQUEST_TOOLS, /* the list of them */
    REQUEST_PLACE, /* where a tool runs */
    REQUEST_PLUGIN, /* the name of one of OpenRouter's */
    REQUEST_ALL_USES,  /* how often all tools together */
    REQUEST_REFERENCE, /* content that the body does not carry */
    REQUEST_PART_TYPE, /* what kind of content */
    REQUEST_CACHE, REQUEST_CACHE_TTL,
    REQUEST_ITEM, /* an element of a list that may refer to a stored one */
    REQUEST_ITEM_TYPE, REQUEST_ITEM_BODY, REQUEST_ITEM_SEALED,
    REQUEST_IMAGE_URL, REQUEST_FILE_DATA, REQUEST_AUDIO_DATA, REQUEST_IMAGE_DATA,
    REQUEST_SOURCE, /* an object of media: type, media type, data, url */
    REQUEST_SOURCE_TYPE, REQUEST_SOURCE_MIME, REQUEST_SOURCE_DATA,
    REQUEST_CONTENT, /* text for the model, or what holds such text */
    REQUEST_MODELS,  /* several models, of which one will be served */
    REQUEST_OPTIONS, /* stream_options */
    REQUEST_ASKED,   /* ... include_usage */
    REQUEST_CAP_OR_NONE, /* a cap; below zero: none */
    REQUEST_PROMPT,  /* one of several prompts in one request */
    REQUEST_NUMBERS, /* text as numbers of tokens */
    REQUEST_DOCUMENT, /* one of those to be ranked */
    REQUEST_QUERY,   /* ... by this */
    REQUEST_PAGES,   /* which pages to read */
    REQUEST_NOTES,   /* to be written to each page: it is dearer */
    REQUEST_INPUT_CAP, /* the most that the input may be */
    REQUEST_UNSTEADY, /* the same messages may be more or fewer tokens another time */
    REQUEST_GEO,     /* where to serve it */
    REQUEST_AGENT,   /* the model is one that goes on by itself */
    REQUEST_SPOKEN,  /* text that is billed by its characters */
    REQUEST_MODALITY, /* what to answer in */
    REQUEST_BACKGROUND, /* it is made whether the caller stays or not */
    REQUEST_FIELDS
};
/* clang-format on */

#define REQUEST_PAGES_MOST 1000u /* of one document */

/* Kinds of media, by how many tokens they can be. */
enum media { MEDIA_IMAGE, MEDIA_PDF, MEDIA_AUDIO, MEDIA_TEXT, MEDIA_OTHER };

struct request_read;

/* What gateways take in the bodies of others: several models, a stored set of parameters, plugins.
 */
/* clang-format off */
#define REQUEST_ROUTED                                                                             \
    {"models", SCAN_END, REQUEST_MODELS},                                                          \
    {"preset", SCAN_END, REQUEST_MODELS},                                                          \
    {"plugins", SCAN_END, REQUEST_REFERENCE},                                                      \
    {"plugins[].id", SCAN_END, REQUEST_PLUGIN}
/* clang-format on */

struct request_reader {
    struct scan_tree_once *tree;
    const struct scan_path *paths;
    size_t path_count;
    void (*finish)(struct request_read *read); /* after the body: what the API bills besides */
    const char *model;                         /* where the request names none */
    bool few;                                  /* strings elsewhere are not looked at */
    bool no_output;                            /* nothing is written: the cap is 0 */
    bool streams_by_default;
    bool fixed;                /* a cap must not be set */
    bool form;                 /* the body may be a form ... */
    enum media files;          /* ... of such files */
    bool asks;                 /* it has stream_options */
    uint64_t search_calls;     /* of a search tool that names no bound; 0: as many as usual */
    bool cache_write;          /* any request may write to the cache */
    bool quoted_cap;           /* "100" is a number too */
    const char *cap_prefix;    /* what to insert the cap with, right after the opening brace */
    const char *old_prefix;    /* ... for providers that know the old key alone */
    const char *pass_prefix;   /* ... in the place of a cap that these pass over */
    const char *config_prefix; /* ... where the object of the cap is missing: after the root's */
    const char *null_prefix;   /* ... where that object is null: in its place */
};

struct media_count {
    uint64_t tokens; /* upper bound */
    uint64_t typical;
};

/* One reading of a body. */
struct request_read {
    struct meter_request *out;
    const struct request_reader *reader;
    const char *body;
    struct scan scan;
    struct text text;  /* for the model */
    struct text other; /* settings, names, ids */
    unsigned content_depth;
    enum text_family family;
    enum meter_err err;
    const char *err_text; /* what is wrong, static */
    uint64_t err_at;
    uint64_t messages, tools, fixed_tokens;
    uint64_t json_bytes, json_strings, json_strings_at;
    unsigned json_depth;
    uint64_t media_strings; /* bytes of strings that are media, not text */
    struct media_count media[MEDIA_OTHER + 1];
    struct request_cap {
        unsigned seen;
        bool null;
        uint64_t at, size;
        int64_t value; /* -1: none */
    } cap[2];
    uint64_t root_at, config_at, config_size;
    unsigned configs;
    struct {
        bool may, asked, twice, seen, object, flag; /* flag: include_usage is there */
        uint64_t at, size, flag_at, flag_size;
    } ask;
    bool model_fixed; /* the path's model counts, not the body's */
    bool model_seen;
    uint64_t prompts, number_bytes, bad_bytes, documents, query_bytes, pages, input_cap, images;
    uint64_t predicted_bytes;
    bool thinking_said, thinking;
    bool elsewhere; /* what the body does not carry may be sound */
    bool agent, model_open, noted, choices_said, tier_said, tools_said, stream_said;
    uint64_t characters;           /* spoken */
    uint64_t files, file_bytes;    /* of a form */
    struct meter_outline *outline; /* NULL: not wanted */
    uint64_t message_at, message_bound;
    bool config_null, fixed;
    bool item_named, item_sealed, item_needs_seal, item_body, item_foreign;
    bool tool_server;
    enum meter_count tool_search; /* METER_COUNTS: it is none */
    uint64_t tool_uses, all_uses, search_uses[METER_FILE_SEARCHES + 1];
    enum media source;
    bool source_plain; /* its data are text */
    struct scan_value source_data;
};

extern const struct request_reader request_chat, request_responses, request_messages,
    request_generate, request_completions, request_embeddings, request_images, request_speech,
    request_transcription, request_moderation, request_runs, request_rerank, request_ocr,
    request_complete, request_embed_content, request_predict, request_interactions,
    request_converse, request_invoke, request_knowledge, request_ollama, request_cohere,
    request_watsonx, request_dashscope, request_tgi, request_unbounded;

/* request_field.c: what a field means. */
void request_field_begin(struct request_read *read, uint8_t id, uint64_t at);
void request_field_end(struct request_read *read, uint8_t id, const struct scan_value *value);
/* Something is there: not null, not false, not an empty list. An empty object switches things on.
 */
bool request_given(const struct scan_value *value);
/* A whole number that is not negative, or null (-1); false: neither. */
bool request_count_read(const struct request_read *read, const struct scan_value *value,
                        int64_t *out);
/* Around an object that is written anew as JSON. */
void request_json_begin(struct request_read *read, uint64_t at);
void request_json_end(struct request_read *read, const struct scan_value *value);
/* Content is not in the body, or bounds no length of sound. */
void request_elsewhere(struct request_read *read);
/* request_tool.c: the fields of tools. */
void request_tool_begin(struct request_read *read, uint64_t at);
void request_tool_end(struct request_read *read, const struct scan_value *value);
void request_tool_type_end(struct request_read *read, const struct scan_value *value);
void request_tool_uses_end(struct request_read *read, const struct scan_value *value);
void request_functions_end(struct request_read *read, const struct scan_value *value);
void request_server_tool_end(struct request_read *read, const struct scan_value *value);
void request_search_tool_end(struct request_read *read, const struct scan_value *value);
void request_search_options_end(struct request_read *read, const struct scan_value *value);
void request_all_uses_end(struct request_read *read, const struct scan_value *value);
void request_tools_end(struct request_read *read, const struct scan_value *value);
void request_place_end(struct request_read *read, const struct scan_value *value);
void request_plugin_end(struct request_read *read, const struct scan_value *value);
/* So many more searches may be made; what they find is not in the body. */
void request_searches(struct request_read *read, enum meter_count which, uint64_t uses);
/* request_model.c: what the model alone says of the cost, after the whole body. */
void request_model_end(struct request_read *read);
/* request_media.c: media in the body, taken out of the text and counted by formula. */
void request_image_url(struct request_read *read, const struct scan_value *value);
void request_file_data(struct request_read *read, const struct scan_value *value);
void request_audio_data(struct request_read *read, const struct scan_value *value);
void request_image_data(struct request_read *read, const struct scan_value *value);
void request_source_begin(struct request_read *read);
void request_source_type(struct request_read *read, const struct scan_value *value);
void request_source_mime(struct request_read *read, const struct scan_value *value);
void request_source_data(struct request_read *read, const struct scan_value *value);
void request_source_end(struct request_read *read);
void request_form_files(struct request_read *read);
/* request_vendors.c: units of search that ranking these documents may be. */
void request_rerank_units(struct request_read *read);
/* request_outline.c: where messages begin and end; a value that says nothing to the model, and a
 * member of that name in front of which stands nothing else that matters. */
void request_message_begin(struct request_read *read, uint64_t at);
void request_message_end(struct request_read *read, const struct scan_value *value);
void request_mark(struct request_read *read, const struct scan_value *value);
void request_mark_member(struct request_read *read, const char *name,
                         const struct scan_value *value);
void request_outline_end(struct request_read *read);
void request_outline_drop(struct request_read *read); /* there is none */
/* request.c: a line of the explained bound, and its tokens to the whole; static text. */
void request_line_add(struct meter_request *out, const char *what, const char *why,
                      uint64_t tokens);
/* The bound of what has been read so far, without the template. */
uint64_t request_bound(const struct request_read *read);
/* request_form.c: a multipart/form-data body, field by field. */
bool request_is_form(const char *content_type, const char *body, size_t bytes);
enum meter_err request_form(struct request_read *read, const char *content_type, size_t bytes,
                            struct meter_error *error);
/* sound.c: a file that has a byte at least for each token that a second of it can be; false: it has
 * not, or nobody can tell. In base64, or as it is. */
bool sound_is_dense(const char *base64, size_t count);
bool sound_bytes_are_dense(const char *bytes, size_t count);
/* image.c: width and height of an image from the header in its base64 text; false: not told. */
bool image_size(const char *base64, size_t count, uint64_t *width_out, uint64_t *height_out);

#endif
