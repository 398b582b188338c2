/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball mcp`: a server of the Model Context Protocol on standard input and output, for the
 * client of an operator. A message a line (JSON-RPC 2.0); its tools are questions to the sidecar.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define LINE_BYTES (1u << 20)

enum rpc_error {
    RPC_NOT_JSON = -32700,
    RPC_NO_REQUEST = -32600,
    RPC_NO_METHOD = -32601,
    RPC_BAD_PARAMS = -32602,
};

/* The first is what a client gets that asks for none of them. */
static const struct version {
    const char *name;
    bool batches;
} versions[] = {{"2025-06-18", false}, {"2025-03-26", true}, {"2024-11-05", true}};

/* ---- tools -------------------------------------------------------------------------------- */

/* clang-format off */
#define CHECKPOINT {"checkpoint_id", "id", SIDE_FIELD_TEXT, SIDE_FIELD_NEEDED, 37, NULL, \
                    "Id of the question, as in approvals of budget_snapshot"}
#define REASON {"reason", "reason", SIDE_FIELD_TEXT, 0, STORE_REASON_TEXT, NULL, \
                "Why, for the record"}
#define END {NULL, NULL, SIDE_FIELD_TEXT, 0, 0, NULL, NULL}
static const struct side_field no_fields[] = {END};
static const struct side_field approve_fields[] = {
    CHECKPOINT,
    {"extensions", "extend", SIDE_FIELD_AMOUNTS, 0, 0, NULL,
     "What to add to which limit; without it: what the question suggests"},
    REASON, END};
static const struct side_field deny_fields[] = {CHECKPOINT, REASON, END};

static const struct tool {
    const char *name, *verb, *title, *description;
    const struct side_field *fields;
    bool reads;
} tools[] = {
    {"budget_snapshot", "snapshot", "Budget snapshot",
     "How the newest run, its session and the day stand: limits, what was spent, the directive in "
     "force, the last events, and under approvals the questions that wait for a decision.",
     no_fields, true},
    {"budget_approve", "approve", "Approve an extension",
     "Approves a question that holds calls open: the limit is raised and the calls go on.",
     approve_fields, false},
    {"budget_deny", "deny", "Deny an extension",
     "Denies a question that holds calls open: the calls are refused and the run is cancelled.",
     deny_fields, false},
};
/* clang-format on */

static json_t *amounts_schema(void)
{
    json_t *dims = json_object();

    for (unsigned dim = 0; dim < GOV_DIMS; dim++)
        (void)json_object_set_new(dims, gov_dim_name((enum gov_dim)dim),
                                  json_pack("{s:[s,s],s:s}", "type", "string", "integer",
                                            "description",
                                            side_amount_expected((enum gov_dim)dim)));
    return json_pack("{s:s,s:o,s:b}", "type", "object", "properties", dims, "additionalProperties",
                     0);
}

static json_t *schema(const struct side_field *field)
{
    json_t *properties = json_object(), *needed = json_array(), *one;

    for (; field->name != NULL; field++) {
        one = field->kind == SIDE_FIELD_AMOUNTS
                  ? amounts_schema()
                  : json_pack("{s:s,s:i,s:i}", "type", "string", "minLength", 1, "maxLength",
                              (int)field->size - 1);
        (void)json_object_set_new(one, "description", json_string(field->what));
        (void)json_object_set_new(properties, field->name, one);
        if ((field->flags & SIDE_FIELD_NEEDED) != 0)
            (void)json_array_append_new(needed, json_string(field->name));
    }
    return json_pack("{s:s,s:o,s:o,s:b}", "type", "object", "properties", properties, "required",
                     needed, "additionalProperties", 0);
}

static json_t *tools_list(void)
{
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof tools / sizeof tools[0]; i++)
        (void)json_array_append_new(
            list, json_pack("{s:s,s:s,s:s,s:o,s:{s:b,s:b}}", "name", tools[i].name, "title",
                            tools[i].title, "description", tools[i].description, "inputSchema",
                            schema(tools[i].fields), "annotations", "readOnlyHint",
                            (int)tools[i].reads, "openWorldHint", 0));
    return json_pack("{s:o}", "tools", list);
}

static void take_line(void *data, const char *line, size_t length)
{
    (void)json_array_append_new(data, json_loadb(line, length, 0, NULL));
}

/* What the tool has to say; the question is taken. *why: it did not work. */
static json_t *tool_run(const struct tool *tool, json_t *question, char *why, size_t size)
{
    json_t *lines = json_array(), *waiting = json_array(), *out;
    char actor[STORE_ACTOR_TEXT];
    int code;

    (void)snprintf(actor, sizeof actor, "%.25s (mcp)", cli_login());
    (void)json_object_set_new(question, "verb", json_string(tool->verb));
    (void)json_object_set_new(question, "actor", json_string(actor));
    code = cli_question(question, take_line, lines, why, size);
    if (code == CLI_OK && tool->reads)
        code = cli_question(json_pack("{s:s}", "verb", "approvals"), take_line, waiting, why, size);
    out = code == CLI_OK ? json_incref(json_array_get(lines, 0)) : NULL;
    if (out != NULL && tool->reads)
        (void)json_object_set(out, "approvals", waiting);
    json_decref(lines);
    json_decref(waiting);
    return out;
}

/* ---- methods ------------------------------------------------------------------------------ */

struct session {
    bool batches;
};

/* The result; NULL: *error and text say why there is none. */
static json_t *initialize(struct session *session, const json_t *params, int *error, char text[600])
{
    const char *asked = json_string_value(json_object_get(params, "protocolVersion"));
    unsigned i = 0;

    if (asked == NULL) {
        *error = RPC_BAD_PARAMS;
        (void)snprintf(text, 600, "protocolVersion: a string is expected");
        return NULL;
    }
    while (i < sizeof versions / sizeof versions[0] && strcmp(versions[i].name, asked) != 0)
        i++;
    i %= sizeof versions / sizeof versions[0];
    session->batches = versions[i].batches;
    return json_pack("{s:s,s:{s:{}},s:{s:s,s:s,s:s}}", "protocolVersion", versions[i].name,
                     "capabilities", "tools", "serverInfo", "name", "flyball", "title", "Flyball",
                     "version", FLYBALL_VERSION);
}

static json_t *ping(struct session *session, const json_t *params, int *error, char text[600])
{
    (void)session, (void)params, (void)error, (void)text;
    return json_object();
}

static json_t *list(struct session *session, const json_t *params, int *error, char text[600])
{
    (void)session, (void)params, (void)error, (void)text;
    return tools_list();
}

static json_t *call(struct session *session, const json_t *params, int *error, char text[600])
{
    const char *name = json_string_value(json_object_get(params, "name"));
    const json_t *arguments = json_object_get(params, "arguments");
    json_t *empty = json_object(), *question = json_object(), *said;
    struct side_wrong wrong = {.text = "out of memory"};
    const struct tool *tool = NULL;
    char why[1024] = "", *dump;
    bool good;

    (void)session;
    for (size_t i = 0; name != NULL && i < sizeof tools / sizeof tools[0]; i++)
        if (strcmp(tools[i].name, name) == 0)
            tool = &tools[i];
    good = tool != NULL &&
           side_fields_read(tool->fields, arguments != NULL ? arguments : empty, question, &wrong);
    json_decref(empty);
    if (!good) {
        *error = RPC_BAD_PARAMS;
        (void)snprintf(text, 600, tool != NULL ? "%s" : "there is no tool '%.80s'",
                       tool != NULL   ? wrong.text
                       : name != NULL ? name
                                      : "");
        json_decref(question);
        return NULL;
    }
    said = tool_run(tool, question, why, sizeof why);
    if (said == NULL)
        return json_pack("{s:[{s:s,s:o}],s:b}", "content", "type", "text", "text",
                         side_prose_json(why), "isError", 1);
    dump = json_dumps(said, JSON_COMPACT);
    said = json_pack("{s:[{s:s,s:s}],s:o,s:b}", "content", "type", "text", "text",
                     dump != NULL ? dump : "", "structuredContent", said, "isError", 0);
    free(dump);
    return said;
}

static const struct method {
    const char *name;
    json_t *(*answer)(struct session *session, const json_t *params, int *error, char text[600]);
} methods[] = {
    {"initialize", initialize}, {"ping", ping}, {"tools/list", list}, {"tools/call", call}};

/* ---- messages ----------------------------------------------------------------------------- */

/* id: borrowed; NULL: null. */
static json_t *error_json(const json_t *id, int code, const char *text)
{
    return json_pack("{s:s,s:O?,s:{s:i,s:o}}", "jsonrpc", "2.0", "id", (json_t *)(uintptr_t)id,
                     "error", "code", code, "message", side_prose_json(text));
}

/* NULL: nothing is to be answered: a notification, or an answer to what we never ask. */
static json_t *message_answer(struct session *session, const json_t *message)
{
    const char *name = json_string_value(json_object_get(message, "method"));
    const char *version = json_string_value(json_object_get(message, "jsonrpc"));
    const json_t *id = json_object_get(message, "id");
    bool has_id = json_is_string(id) || json_is_integer(id);
    const struct method *method = NULL;
    char text[600] = "";
    json_t *result;
    int error = 0;

    if (version != NULL && name == NULL && has_id &&
        (json_object_get(message, "result") != NULL || json_object_get(message, "error") != NULL))
        return NULL;
    if (version == NULL || strcmp(version, "2.0") != 0 || name == NULL || (id != NULL && !has_id))
        return error_json(has_id ? id : NULL, RPC_NO_REQUEST,
                          "a request has jsonrpc \"2.0\", a method, and a string or number as id");
    if (id == NULL)
        return NULL;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, name) == 0)
            method = &methods[i];
    if (method == NULL) {
        (void)snprintf(text, sizeof text, "there is no method '%.80s'", name);
        return error_json(id, RPC_NO_METHOD, text);
    }
    result = method->answer(session, json_object_get(message, "params"), &error, text);
    return result != NULL ? json_pack("{s:s,s:O,s:o}", "jsonrpc", "2.0", "id",
                                      (json_t *)(uintptr_t)id, "result", result)
                          : error_json(id, error, text);
}

static json_t *line_answer(struct session *session, const char *line)
{
    json_t *message = json_loads(line, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL), *all, *one;
    size_t i;

    if (message == NULL)
        return error_json(NULL, RPC_NOT_JSON, "that is not a line of JSON, or has a member twice");
    if (session->batches && json_array_size(message) > 0) {
        json_t *each;

        all = json_array();
        json_array_foreach(message, i, each)
        {
            one = message_answer(session, each);
            if (one != NULL)
                (void)json_array_append_new(all, one);
        }
        one = json_array_size(all) > 0 ? json_incref(all) : NULL;
        json_decref(all);
    } else {
        one = message_answer(session, message);
    }
    json_decref(message);
    return one;
}

/* The next line, without its end. False: there is none. A longer one is no JSON. */
static bool line_read(char *line)
{
    size_t length;
    int c = 0;

    if (fgets(line, LINE_BYTES, stdin) == NULL)
        return false;
    length = strlen(line);
    if (length + 1 == LINE_BYTES && line[length - 1] != '\n') {
        while (c != '\n' && c != EOF)
            c = getc(stdin);
        line[0] = '\0';
    }
    return true;
}

int cli_mcp(int argc, char **argv)
{
    struct session session = {false};
    char *line;
    bool written = true;

    if (argc > 1)
        return cli_usage("mcp", "'%s': no argument is expected", argv[1]);
    if (cli_inside_run())
        return cli_refuse_inside("mcp");
    line = malloc(LINE_BYTES);
    while (line != NULL && written && line_read(line)) {
        json_t *answer = line[strspn(line, " \t\r\n")] != '\0' || strlen(line) == 0
                             ? line_answer(&session, line)
                             : NULL;

        if (answer != NULL)
            written = json_dumpf(answer, stdout, JSON_COMPACT) == 0 && putchar('\n') != EOF &&
                      fflush(stdout) == 0;
        json_decref(answer);
    }
    free(line);
    return line != NULL ? CLI_OK : cli_fail(CLI_UNAVAILABLE, "out of memory");
}
