/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball receipt validate`: reads receipts out of files, has each looked at, and looks at them
 * beside each other. */
#include "cli/receipt.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

#define SHOWN_MAX 100 /* of a value */

/* A receipt and where it stands. */
struct known {
    size_t line, order;
    json_t *receipt;
};

struct validation {
    struct receipt_check check;
    struct known *known[RECEIPT_KINDS]; /* of this file */
    size_t count[RECEIPT_KINDS], room[RECEIPT_KINDS];
    size_t seen[RECEIPT_KINDS + 1]; /* of all files; the last: of no kind */
    bool no_memory;
};

/* ---- telling ------------------------------------------------------------------------------ */

/* Names come out of the file: no byte of theirs may steer a terminal. */
static void print_text(const char *text)
{
    for (; *text != '\0'; text++)
        (void)putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
}

static void begin(struct receipt_check *check)
{
    check->violations++;
    (void)printf("%s:%zu: ", check->file, check->line);
    if (check->element > 0)
        (void)printf("[%zu]: ", check->element - 1);
}

/* A number by its shortest digits, in sight of what is no integer; free() it. */
static char *shown_text(const json_t *value)
{
    char *shown = json_is_real(value)
                      ? side_canonical_text(value)
                      : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII),
         *whole;

    if (!json_is_real(value) || shown == NULL || strpbrk(shown, ".e") != NULL)
        return shown;
    if (asprintf(&whole, "%s.0", shown) < 0)
        whole = NULL;
    free(shown);
    return whole;
}

void receipt_violation(struct receipt_check *check, const char *path, const json_t *value,
                       const char *wanted, ...)
{
    char *shown = shown_text(value);
    va_list arguments;

    begin(check);
    print_text(path);
    if (value == NULL)
        (void)printf("%sis missing; wanted ", *path != '\0' ? ": " : "");
    else
        (void)printf("%sis %.*s%s; wanted ", *path != '\0' ? ": " : "", SHOWN_MAX,
                     shown != NULL ? shown : "?",
                     shown != NULL && strlen(shown) > SHOWN_MAX ? "..." : "");
    va_start(arguments, wanted);
    (void)vprintf(wanted, arguments);
    va_end(arguments);
    (void)putchar('\n');
    free(shown);
}

void receipt_complaint(struct receipt_check *check, const char *format, ...)
{
    va_list arguments;
    char text[400];

    begin(check);
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_text(text);
    (void)putchar('\n');
}

/* ---- one receipt -------------------------------------------------------------------------- */

static void keep(struct validation *all, enum receipt_kind kind, json_t *receipt)
{
    struct known *known = all->known[kind];

    if (all->count[kind] == all->room[kind]) {
        all->room[kind] = 2 * all->room[kind] + 64;
        known = realloc(known, all->room[kind] * sizeof *known);
        if (known == NULL) {
            all->no_memory = true;
            all->room[kind] = all->count[kind];
            return;
        }
        all->known[kind] = known;
    }
    known[all->count[kind]] =
        (struct known){all->check.line, all->count[kind], json_incref(receipt)};
    all->count[kind]++;
}

static void validate(struct validation *all, json_t *receipt)
{
    enum receipt_kind kind = receipt_kind_of(receipt);

    all->seen[kind]++;
    if (kind == RECEIPT_KINDS) {
        receipt_violation(&all->check, json_is_object(receipt) ? "recordType" : "",
                          json_is_object(receipt) ? json_object_get(receipt, "recordType")
                                                  : receipt,
                          "AttemptAdmissionReceipt or BudgetSettlementReceipt");
        return;
    }
    receipt_against_schema(&all->check, kind, receipt);
    receipt_against_rules(&all->check, kind, receipt);
    keep(all, kind, receipt);
}

/* ---- a file ------------------------------------------------------------------------------- */

static size_t lines_between(const char *from, const char *to)
{
    size_t lines = 0;

    while (from < to)
        lines += *from++ == '\n';
    return lines;
}

static void validate_document(struct validation *all, json_t *document)
{
    json_t *receipt;
    size_t i;

    if (!json_is_array(document)) {
        validate(all, document);
        return;
    }
    json_array_foreach(document, i, receipt)
    {
        all->check.element = i + 1;
        validate(all, receipt);
    }
    all->check.element = 0;
    if (json_array_size(document) == 0)
        receipt_complaint(&all->check, "there is no receipt in it");
}

/* Behind a document that cannot be read: the next line that could begin one. Inside a document that
 * takes many lines none does. */
static const char *next_document(const char *at, const char *end)
{
    do
        at = memchr(at, '\n', (size_t)(end - at));
    while (at != NULL && ++at < end && strchr(" \t\r\n}],\"", *at) != NULL);
    return at != NULL ? at : end;
}

/* Documents one behind the other: JSON lines, or a single one over many lines; a receipt each, or
 * an array of them. */
static void validate_text(struct validation *all, const char *text, size_t bytes)
{
    const char *at = text, *end = text + bytes, *next;
    size_t count = 0;
    json_error_t error;
    json_t *document;

    all->check.line = 1;
    for (;; at = next, count++) {
        const char *start = at + strspn(at, " \t\r\n");

        all->check.line += lines_between(at, start);
        at = start;
        if (at >= end)
            break;
        document = json_loadb(at, (size_t)(end - at),
                              JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK, &error);
        if (document == NULL) {
            receipt_complaint(&all->check, "is no JSON: %s (line %zu, column %d)", error.text,
                              all->check.line + (size_t)error.line - 1, error.column);
            next = next_document(at, end);
        } else {
            next = at + error.position;
        }
        if (document != NULL)
            validate_document(all, document);
        json_decref(document);
        all->check.line += lines_between(at, next);
    }
    if (count == 0)
        receipt_complaint(&all->check, "there is no receipt in it");
}

/* ---- beside each other -------------------------------------------------------------------- */

static const char *const id_names[RECEIPT_KINDS] = {"receipt_id", "settlement_id"};

static const char *text_of(const struct known *known, const char *name)
{
    const char *text = json_string_value(json_object_get(known->receipt, name));

    return text != NULL ? text : "";
}

static int compare(const void *a, const void *b, void *name)
{
    const struct known *one = a, *other = b;
    int order = strcmp(text_of(one, name), text_of(other, name));

    return order != 0 ? order : (one->order > other->order) - (one->order < other->order);
}

static void sort(struct validation *all, enum receipt_kind kind, const char *name)
{
    if (all->count[kind] > 0)
        qsort_r(all->known[kind], all->count[kind], sizeof(struct known), compare,
                (void *)(uintptr_t)name);
}

static bool have_same(const struct known *one, const struct known *other, const char *name)
{
    return *text_of(one, name) != '\0' && strcmp(text_of(one, name), text_of(other, name)) == 0;
}

/* A member's violation of a receipt that was read before. */
static void told_at(struct validation *all, const struct known *known, const char *path,
                    const char *wanted, const struct known *other)
{
    all->check.line = known->line;
    receipt_violation(&all->check, path, receipt_at(known->receipt, path), "%s line %zu", wanted,
                      other->line);
}

static void ids_are_unique(struct validation *all, enum receipt_kind kind)
{
    const struct known *known = all->known[kind];

    sort(all, kind, id_names[kind]);
    for (size_t i = 1; i < all->count[kind]; i++)
        if (have_same(&known[i - 1], &known[i], id_names[kind]))
            told_at(all, &known[i], id_names[kind], "an id of its own, not that of", &known[i - 1]);
}

/* The settlement and the admission that it refers to. */
static void pair_agrees(struct validation *all, const struct known *settlement,
                        const struct known *admission)
{
    static const char *const names[][2] = {
        {"attempt_id", "attempt_id"},
        {"run_id", "run_id"},
        {"estimate.projected_cost_usd", "budget_estimate.projected_cost_usd"},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *is = receipt_at(settlement->receipt, names[i][0]);
        const json_t *want = receipt_at(admission->receipt, names[i][1]);
        bool numbers = json_is_number(is) && json_is_number(want);

        if (is != NULL && want != NULL &&
            (numbers ? json_number_value(is) != json_number_value(want) : !json_equal(is, want)))
            told_at(all, settlement, names[i][0], "that of the admission in", admission);
    }
    if (json_is_false(json_object_get(admission->receipt, "admitted")) &&
        !receipt_says(settlement->receipt, "settlement_status", "fail-closed"))
        told_at(all, settlement, "admission_receipt_ref",
                "an admission: the attempt was not admitted in", admission);
}

static void pairs_agree(struct validation *all)
{
    static const char reference[] = "admission_receipt_ref";
    const struct known *settlements = all->known[RECEIPT_SETTLEMENT],
                       *admissions = all->known[RECEIPT_ADMISSION];
    size_t at = 0;

    sort(all, RECEIPT_SETTLEMENT, reference);
    for (size_t i = 0; i < all->count[RECEIPT_SETTLEMENT]; i++) {
        const struct known *settlement = &settlements[i];

        if (i > 0 && have_same(settlement - 1, settlement, reference) &&
            !have_same(settlement - 1, settlement, id_names[RECEIPT_SETTLEMENT]))
            told_at(all, settlement, reference, "an admission of its own, not that of",
                    settlement - 1);
        while (at < all->count[RECEIPT_ADMISSION] &&
               strcmp(text_of(&admissions[at], id_names[RECEIPT_ADMISSION]),
                      text_of(settlement, reference)) < 0)
            at++;
        if (at < all->count[RECEIPT_ADMISSION] &&
            strcmp(text_of(&admissions[at], id_names[RECEIPT_ADMISSION]),
                   text_of(settlement, reference)) == 0)
            pair_agrees(all, settlement, &admissions[at]);
    }
}

/* ---- the command -------------------------------------------------------------------------- */

static void forget(struct validation *all)
{
    for (unsigned kind = 0; kind < RECEIPT_KINDS; kind++) {
        for (size_t i = 0; i < all->count[kind]; i++)
            json_decref(all->known[kind][i].receipt);
        all->count[kind] = 0;
    }
}

/* A file is an export of its own: what is in another does not count here. */
static bool validate_file(struct validation *all, const char *file)
{
    size_t bytes;
    char *text = cli_slurp(file, &bytes);

    if (text == NULL)
        return false;
    all->check.file = file;
    validate_text(all, text, bytes);
    ids_are_unique(all, RECEIPT_SETTLEMENT);
    ids_are_unique(all, RECEIPT_ADMISSION);
    pairs_agree(all);
    forget(all);
    free(text);
    return true;
}

static int validate_files(char **files)
{
    struct validation all = {.check.file = NULL};
    int code = CLI_OK;

    for (; *files != NULL; files++)
        if (!validate_file(&all, *files))
            code = CLI_USAGE;
    (void)printf("%zu admissions, %zu settlements", all.seen[RECEIPT_ADMISSION],
                 all.seen[RECEIPT_SETTLEMENT]);
    if (all.seen[RECEIPT_KINDS] > 0)
        (void)printf(", %zu of no kind", all.seen[RECEIPT_KINDS]);
    (void)printf(": %zu violation%s\n", all.check.violations, all.check.violations == 1 ? "" : "s");
    for (unsigned kind = 0; kind < RECEIPT_KINDS; kind++)
        free(all.known[kind]);
    if (all.no_memory)
        return cli_fail(CLI_UNAVAILABLE, "out of memory");
    return code == CLI_OK && all.check.violations > 0 ? CLI_NOT : code;
}

int cli_receipt(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "validate") != 0)
        return cli_no_verb("receipt", argv[1], "validate");
    for (int i = 2; i < argc; i++)
        if (argv[i][0] == '-' && argv[i][1] != '\0')
            return cli_usage("receipt", "'%s' is no option", argv[i]);
    return argc > 2 ? validate_files(argv + 2)
                    : cli_usage("receipt", "validate: FILE is expected, or - for standard input");
}
