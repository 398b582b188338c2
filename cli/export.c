/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball export`: everything of a kind, line by line as the sidecar reads it. A table says which
 * columns there are, and where in the JSON each is found. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define PROGRESS_EVERY 1000u

struct column {
    const char *name;
    const char *path; /* members, with a '.' between; "": the whole line */
    const char *text; /* always this */
    /* Made of the line; free() it. NULL: nothing. */
    char *(*make)(const json_t *line);
};

/* ---- what is made of a call -------------------------------------------------------------------
 */

static const json_t *member(const json_t *line, const char *path)
{
    char name[64];

    while (line != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");

        (void)snprintf(name, sizeof name, "%.*s", (int)length, path);
        line = json_object_get(line, name);
        path += length + (path[length] == '.');
    }
    return line;
}

static const char *text_at(const json_t *line, const char *path)
{
    const char *text = json_string_value(member(line, path));

    return text != NULL ? text : "";
}

/* The first of the month of a call's time, or of the next one. */
static char *month_of(const json_t *line, int later)
{
    int year = 0, month = 0;
    char *text;

    if (sscanf(text_at(line, "ts"), "%4d-%2d", &year, &month) != 2)
        return NULL;
    year += (month - 1 + later) / 12;
    month = (month - 1 + later) % 12 + 1;
    return asprintf(&text, "%04d-%02d-01T00:00:00Z", year, month) > 0 ? text : NULL;
}

static char *month_begin(const json_t *line)
{
    return month_of(line, 0);
}

static char *month_end(const json_t *line)
{
    return month_of(line, 1);
}

/* The second after the call's last one: a period has an end that does not belong to it. */
static char *call_end(const json_t *line)
{
    struct tm parts = {0};
    time_t end;
    char *text;

    if (strptime(text_at(line, "ts"), "%Y-%m-%dT%H:%M:%S", &parts) == NULL)
        return NULL;
    end = timegm(&parts) + 1 + json_integer_value(member(line, "duration_ms")) / 1000 + 1;
    (void)gmtime_r(&end, &parts);
    return asprintf(&text, "%04d-%02d-%02dT%02d:%02d:%02dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                    parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec) > 0
               ? text
               : NULL;
}

static char *tokens_all(const json_t *line)
{
    const json_t *tokens = member(line, "tokens"), *value;
    const char *name;
    long long sum = 0;
    char *text;

    json_object_foreach((json_t *)(uintptr_t)tokens, name, value) sum += json_integer_value(value);
    return asprintf(&text, "%lld", sum) > 0 ? text : NULL;
}

static char *model_of(const json_t *line)
{
    const char *served = text_at(line, "model");

    return strdup(*served != '\0' ? served : text_at(line, "requested_model"));
}

static char *description(const json_t *line)
{
    char *model = model_of(line), *text;
    int length = asprintf(&text, "%s call of %s", text_at(line, "api"), model != NULL ? model : "");

    free(model);
    return length > 0 ? text : NULL;
}

static char *tags(const json_t *line)
{
    static const char *const names[] = {"run_id",     "session_id", "task", "agent",
                                        "provenance", "settlement", "door"};
    json_t *map = json_object();
    char key[40], *text;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)snprintf(key, sizeof key, "flyball/%s", names[i]);
        if (json_is_string(member(line, names[i])))
            (void)json_object_set_new(map, key, json_string(text_at(line, names[i])));
    }
    text = json_dumps(map, JSON_COMPACT);
    json_decref(map);
    return text;
}

/* ---- columns ----------------------------------------------------------------------------------
 */

static const struct column calls[] = {
    {.name = "ts", .path = "ts"},
    {.name = "call_id", .path = "call_id"},
    {.name = "run_id", .path = "run_id"},
    {.name = "session_id", .path = "session_id"},
    {.name = "task", .path = "task"},
    {.name = "agent", .path = "agent"},
    {.name = "provider", .path = "provider"},
    {.name = "api", .path = "api"},
    {.name = "model", .path = "model"},
    {.name = "requested_model", .path = "requested_model"},
    {.name = "status", .path = "status"},
    {.name = "streaming", .path = "streaming"},
    {.name = "input", .path = "tokens.input"},
    {.name = "cache_read", .path = "tokens.cache_read"},
    {.name = "cache_write_5m", .path = "tokens.cache_write_5m"},
    {.name = "cache_write_1h", .path = "tokens.cache_write_1h"},
    {.name = "audio_in", .path = "tokens.audio_in"},
    {.name = "image_in", .path = "tokens.image_in"},
    {.name = "output", .path = "tokens.output"},
    {.name = "audio_out", .path = "tokens.audio_out"},
    {.name = "image_out", .path = "tokens.image_out"},
    {.name = "cost_usd", .path = "cost_usd"},
    {.name = "held_usd", .path = "held_usd"},
    {.name = "egress_bytes", .path = "egress_bytes"},
    {.name = "duration_ms", .path = "duration_ms"},
    {.name = "provenance", .path = "provenance"},
    {.name = "settlement", .path = "settlement"},
    {.name = "price_row", .path = "price_row"},
    {.name = "pid", .path = "pid"},
    {.name = "door", .path = "door"},
    {.name = NULL},
};

static const struct column records[] = {
    {.name = "seq", .path = "seq"},
    {.name = "ts", .path = "ts"},
    {.name = "event", .path = "event"},
    {.name = "prev", .path = "prev"},
    {.name = "hash", .path = "hash"},
    {.name = "record", .path = "record"},
    {.name = NULL},
};

/* What an event is about differs by its kind: it stands in the last column, as JSON. */
static const struct column events[] = {
    {.name = "seq", .path = "seq"},       {.name = "ts", .path = "ts"},
    {.name = "run_id", .path = "run_id"}, {.name = "session_id", .path = "session_id"},
    {.name = "event", .path = "event"},   {.name = "call_id", .path = "call_id"},
    {.name = "data", .path = ""},         {.name = NULL},
};

/* FOCUS 1.2, all 57 columns in the order of the specification, and three of our own. A call is a
 * charge; what a provider's invoice alone can say is empty. */
static const struct column focus[] = {
    {.name = "AvailabilityZone"},
    {.name = "BilledCost", .path = "cost_usd"},
    {.name = "BillingAccountId", .path = "provider"},
    {.name = "BillingAccountName"},
    {.name = "BillingAccountType"},
    {.name = "BillingCurrency", .text = "USD"},
    {.name = "BillingPeriodEnd", .make = month_end},
    {.name = "BillingPeriodStart", .make = month_begin},
    {.name = "CapacityReservationId"},
    {.name = "CapacityReservationStatus"},
    {.name = "ChargeCategory", .text = "Usage"},
    {.name = "ChargeClass"},
    {.name = "ChargeDescription", .make = description},
    {.name = "ChargeFrequency", .text = "Usage-Based"},
    {.name = "ChargePeriodEnd", .make = call_end},
    {.name = "ChargePeriodStart", .path = "ts"},
    {.name = "CommitmentDiscountCategory"},
    {.name = "CommitmentDiscountId"},
    {.name = "CommitmentDiscountName"},
    {.name = "CommitmentDiscountQuantity"},
    {.name = "CommitmentDiscountStatus"},
    {.name = "CommitmentDiscountType"},
    {.name = "CommitmentDiscountUnit"},
    {.name = "ConsumedQuantity", .make = tokens_all},
    {.name = "ConsumedUnit", .text = "Tokens"},
    {.name = "ContractedCost", .path = "cost_usd"},
    {.name = "ContractedUnitPrice"},
    {.name = "EffectiveCost", .path = "cost_usd"},
    {.name = "InvoiceId"},
    {.name = "InvoiceIssuerName", .path = "provider"},
    {.name = "ListCost", .path = "cost_usd"},
    {.name = "ListUnitPrice"},
    {.name = "PricingCategory", .text = "Standard"},
    {.name = "PricingCurrency", .text = "USD"},
    {.name = "PricingCurrencyContractedUnitPrice"},
    {.name = "PricingCurrencyEffectiveCost", .path = "cost_usd"},
    {.name = "PricingCurrencyListUnitPrice"},
    {.name = "PricingQuantity", .make = tokens_all},
    {.name = "PricingUnit", .text = "Tokens"},
    {.name = "ProviderName", .path = "provider"},
    {.name = "PublisherName", .path = "provider"},
    {.name = "RegionId"},
    {.name = "RegionName"},
    {.name = "ResourceId", .path = "call_id"},
    {.name = "ResourceName", .make = model_of},
    {.name = "ResourceType", .text = "LLM call"},
    {.name = "ServiceCategory", .text = "AI and Machine Learning"},
    {.name = "ServiceName", .path = "api"},
    {.name = "ServiceSubcategory", .text = "Generative AI"},
    {.name = "SkuId", .path = "price_row"},
    {.name = "SkuMeter", .text = "Tokens"},
    {.name = "SkuPriceDetails"},
    {.name = "SkuPriceId"},
    {.name = "SubAccountId", .path = "session_id"},
    {.name = "SubAccountName"},
    {.name = "SubAccountType", .text = "Session"},
    {.name = "Tags", .make = tags},
    {.name = "x_HeldCost", .path = "held_usd"},
    {.name = "x_RequestedModel", .path = "requested_model"},
    {.name = "x_RunId", .path = "run_id"},
    {.name = NULL},
};

/* ---- printing ---------------------------------------------------------------------------------
 */

static void print_cell(const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        (void)fputs(text, stdout);
        return;
    }
    (void)putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"')
            (void)putchar('"');
        (void)putchar(*text);
    }
    (void)putchar('"');
}

static void print_value(const json_t *value)
{
    char *text;

    if (json_is_string(value)) {
        print_cell(json_string_value(value));
    } else if (value != NULL && !json_is_null(value)) {
        text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        print_cell(text != NULL ? text : "");
        free(text);
    }
}

static void print_row(const struct column *columns, const json_t *line)
{
    for (const struct column *column = columns; column->name != NULL; column++) {
        char *made = column->make != NULL && line != NULL ? column->make(line) : NULL;

        if (column > columns)
            (void)putchar(',');
        if (line == NULL)
            print_cell(column->name);
        else if (column->text != NULL || made != NULL)
            print_cell(made != NULL ? made : column->text);
        else if (column->path != NULL)
            print_value(member(line, column->path));
        free(made);
    }
    (void)fputs("\r\n", stdout);
}

/* ---- the command ------------------------------------------------------------------------------
 */

static const struct kind {
    const char *name, *verb;
    const struct column *columns; /* NULL: none; its lines have to stay as they are */
    const struct column *focus;
} kinds[] = {
    {"calls", "calls", calls, focus},         {"ledger", "records", records, NULL},
    {"decisions", "decisions", events, NULL}, {"events", "events", events, NULL},
    {"receipts", "receipts", NULL, NULL},
};

struct exporting {
    const struct column *columns; /* NULL: lines as they are */
    bool is_focus;
    unsigned long long lines, unpriced;
};

static volatile sig_atomic_t writing, interrupted;

/* Never in the middle of a line. */
static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
    if (!writing)
        _exit(128 + SIGINT);
}

/* A charge is of what was sent and has ended; FOCUS has none without a cost. */
static bool is_charge(struct exporting *exporting, const json_t *line)
{
    const char *settlement = text_at(line, "settlement");

    if (*settlement == '\0' || strcmp(settlement, "refused") == 0 ||
        strcmp(settlement, "released") == 0)
        return false;
    if (json_is_string(member(line, "cost_usd")))
        return true;
    exporting->unpriced++;
    return false;
}

static void take_line(void *data, const char *line, size_t length)
{
    struct exporting *exporting = data;
    json_t *json = exporting->columns != NULL ? json_loadb(line, length, 0, NULL) : NULL;

    writing = 1;
    if (exporting->columns == NULL)
        (void)printf("%.*s\n", (int)length, line);
    else if (!exporting->is_focus || is_charge(exporting, json))
        print_row(exporting->columns, json);
    json_decref(json);
    if (fflush(stdout) != 0) /* nobody reads on */
        exit(cli_fail(CLI_NOT, "standard output: %s", strerror(errno)));
    exporting->lines++;
    if (exporting->lines % PROGRESS_EVERY == 0 && isatty(STDERR_FILENO))
        (void)fprintf(stderr, "\r%llu lines", exporting->lines);
    if (interrupted)
        exit(128 + SIGINT);
    writing = 0;
}

static const struct kind *kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (name != NULL && strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* CLI_OK, or the exit code of a mistake that has been told. */
static int format_read(const char *format, const struct kind *kind, struct exporting *out)
{
    if (format == NULL || strcmp(format, "jsonl") == 0)
        return CLI_OK;
    out->is_focus = strcmp(format, "focus") == 0;
    if (!out->is_focus && strcmp(format, "csv") != 0)
        return cli_usage("export", "--format: '%s' is none of jsonl, csv, focus", format);
    out->columns = out->is_focus ? kind->focus : kind->columns;
    return out->columns != NULL
               ? CLI_OK
               : cli_usage("export", "--format: %s cannot be %s", kind->name, format);
}

#define KINDS "calls, ledger, decisions, events, receipts"

static int options_read(int argc, char **argv, json_t *request, struct exporting *exporting)
{
    static const struct option rows[] = {
        {"what", required_argument, NULL, 'w'},
        {"format", required_argument, NULL, 'f'},
        {"since", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0},
    };
    const char *what = NULL, *format = NULL;
    const struct kind *kind;
    int64_t since_ns;
    int id;

    opterr = 0;
    optind = 0;
    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (id == 'w')
            what = optarg;
        else if (id == 'f')
            format = optarg;
        else if (id == 't' && cli_time_parse(optarg, &since_ns))
            (void)json_object_set_new(request, "since_ns", json_integer(since_ns));
        else if (id == 't')
            return cli_usage("export", "--since: '%s' is no time, such as " CLI_TIMES, optarg);
        else
            return cli_usage("export", "'%s' is no option, or needs a value", argv[optind - 1]);
    }
    kind = kind_of(what);
    if (optind < argc)
        return cli_usage("export", "'%s': no argument is expected", argv[optind]);
    if (kind == NULL)
        return what != NULL ? cli_usage("export", "--what: '%s' is none of " KINDS, what)
                            : cli_usage("export", "--what is needed, with one of " KINDS);
    (void)json_object_set_new(request, "verb", json_string(kind->verb));
    return format_read(format, kind, exporting);
}

int cli_export(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};
    json_t *request = json_pack("{s:b}", "all", 1);
    struct exporting exporting = {0};
    int code = options_read(argc, argv, request, &exporting);

    if (code == CLI_OK && !cli_ledger_is_there())
        code = cli_fail(CLI_UNAVAILABLE,
                        "there is no ledger yet; start one with `flyball run -- CMD`");
    if (code != CLI_OK) {
        json_decref(request);
        return code;
    }
    (void)sigaction(SIGINT, &action, NULL);
    if (exporting.columns != NULL)
        print_row(exporting.columns, NULL);
    (void)fflush(stdout);
    code = cli_ask(request, take_line, &exporting);
    if (isatty(STDERR_FILENO))
        (void)fputs("\r\033[K", stderr);
    if (exporting.unpriced > 0)
        (void)fprintf(stderr, "flyball: %llu calls have no cost, and are left out\n",
                      exporting.unpriced);
    return code;
}
