/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball prices import` and `flyball prices check`: files of prices in and out. */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MARK       "# Imported by `flyball prices import`"
#define LOW_FACTOR 20u /* a rate that is so far from the book's is another unit's */

/* ---- writing files ------------------------------------------------------------ */

/* $XDG_CONFIG_HOME/flyball/prices.tsv; the folder is made. */
static bool default_path(char *out, size_t size)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int used;

    if (base != NULL && *base == '/')
        used = snprintf(out, size, "%s/flyball", base);
    else if (home != NULL && *home == '/')
        used = snprintf(out, size, "%s/.config/flyball", home);
    else
        return false;
    if (used < 0 || (size_t)used + sizeof "/prices.tsv" > size)
        return false;
    for (char *slash = out + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(out, 0700);
        *slash = '/';
    }
    (void)mkdir(out, 0700);
    (void)snprintf(out + used, size - (size_t)used, "/prices.tsv");
    return true;
}

/* What a person wrote is not written over. */
static bool may_replace(const char *path)
{
    char line[sizeof MARK] = "";
    FILE *file = fopen(path, "re");
    bool may = file == NULL && errno == ENOENT;

    if (file != NULL) {
        may = fgets(line, sizeof line, file) != NULL && strcmp(line, MARK) == 0;
        (void)fclose(file);
    }
    return may;
}

static bool all_written(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t count = write(fd, text, bytes);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        text += count;
        bytes -= (size_t)count;
    }
    return fsync(fd) == 0;
}

/* The whole file or none of it. */
static int file_replace(const char *path, const char *text, size_t bytes)
{
    char temporary[4096];
    int fd, saved, used = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
    bool ok;

    if (used < 0 || (size_t)used >= sizeof temporary)
        return cli_fail(CLI_USAGE, "%s: %s", path, strerror(ENAMETOOLONG));
    fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return cli_fail(CLI_USAGE, "%s: %s", path, strerror(errno));
    ok = all_written(fd, text, bytes) && fchmod(fd, 0644) == 0;
    ok = close(fd) == 0 && ok && rename(temporary, path) == 0;
    saved = errno;
    if (!ok) {
        (void)unlink(temporary);
        return cli_fail(CLI_USAGE, "%s: %s", path, strerror(saved));
    }
    return CLI_OK;
}

/* ---- import ------------------------------------------------------------------------------- */

struct report {
    FILE *out;
    bool wrong_only;
    size_t taken, skipped, wrong;
};

static void report_note(void *ctx, const struct meter_import_note *note)
{
    struct report *report = ctx;

    report->taken += note->result == METER_IMPORT_TAKEN;
    report->skipped += note->result == METER_IMPORT_SKIPPED;
    report->wrong += note->result == METER_IMPORT_WRONG;
    if (note->result == METER_IMPORT_TAKEN && !report->wrong_only)
        (void)fprintf(report->out, "taken    %s -> %s/%s\n", note->key, note->provider,
                      note->model);
    else if (note->result == METER_IMPORT_WRONG)
        (void)fprintf(report->out, "wrong    %s: %s\n", note->key, note->why);
    else if (!report->wrong_only)
        (void)fprintf(report->out, "skipped  %s: %s\n", note->key, note->why);
}

/* The rows with the line that says where they are from; NULL: out of memory. */
static char *file_text(const char *from, const char *rows, size_t bytes, size_t *bytes_out)
{
    char day[16], *text = NULL;
    time_t now = time(NULL);
    struct tm parts;
    FILE *out = open_memstream(&text, bytes_out);

    if (out == NULL)
        return NULL;
    (void)gmtime_r(&now, &parts);
    (void)strftime(day, sizeof day, "%Y-%m-%d", &parts);
    (void)fprintf(out, MARK " on %s from %.200s\n", day, from);
    (void)fwrite(rows, 1, bytes, out);
    return fclose(out) == 0 ? text : NULL;
}

/* What is written must be readable. */
static bool reads_back(const char *text, size_t bytes)
{
    struct meter_price_book *book = NULL;
    struct meter_error error = {""};

    if (meter_price_book_parse(text, bytes, NULL, &book, &error) != METER_OK) {
        (void)cli_fail(CLI_NOT, "the imported rows cannot be used: %s", error.text);
        return false;
    }
    meter_price_book_free(book);
    return true;
}

static int write_out(const char *path, const char *text, size_t bytes, const struct report *report)
{
    int code = CLI_OK;

    if (!reads_back(text, bytes))
        return CLI_NOT;
    if (strcmp(path, "-") == 0)
        (void)fwrite(text, 1, bytes, stdout);
    else if (!may_replace(path))
        code = cli_fail(CLI_USAGE, "%s: is there and was not imported; name another with --output",
                        path);
    else
        code = file_replace(path, text, bytes);
    if (code == CLI_OK)
        (void)fprintf(report->out, "%zu taken, %zu skipped, %zu wrong; %s\n", report->taken,
                      report->skipped, report->wrong, path);
    return code;
}

static int import_file(const char *from, const char *to)
{
    struct report report = {.out = strcmp(to, "-") == 0 ? stderr : stdout};
    struct meter_error error = {""};
    char *json, *rows = NULL, *text = NULL;
    size_t bytes, row_bytes = 0, text_bytes = 0;
    enum meter_err err;
    int code = CLI_USAGE;

    json = cli_slurp(from, &bytes);
    if (json == NULL)
        return CLI_USAGE;
    err = meter_price_import(json, bytes, meter_price_book_shipped(), report_note, &report, &rows,
                             &row_bytes, &error);
    free(json);
    if (err == METER_OK)
        text = file_text(from, rows, row_bytes, &text_bytes);
    if (err != METER_OK)
        (void)cli_fail(code, "%s: %s", from,
                       error.text[0] != '\0' ? error.text : meter_strerror(err));
    else if (report.taken == 0)
        (void)cli_fail(code, "%s: no price in it can be used", from);
    else if (text != NULL)
        code = write_out(to, text, text_bytes, &report);
    free(rows);
    free(text);
    return code;
}

int cli_prices_import(int argc, char **argv)
{
    static const struct option rows[] = {{"output", required_argument, NULL, 'o'},
                                         {NULL, 0, NULL, 0}};
    char path[4096] = "";
    const char *output = NULL;
    int id;

    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (id != 'o')
            return cli_usage("prices", "'%s' is no option, or needs a value", argv[optind - 1]);
        output = optarg;
    }
    if (optind + 1 != argc)
        return cli_usage("prices", "import: one FILE is expected");
    if (cli_inside_run())
        return cli_refuse_inside("prices import");
    if (output == NULL && !default_path(path, sizeof path))
        return cli_fail(CLI_USAGE, "there is no home directory; name a file with --output");
    return import_file(argv[optind], output != NULL ? output : path);
}

/* ---- check -------------------------------------------------------------------------------- */

struct checking {
    const char *path;
    size_t rows, findings;
};

/* What makes a rate of this size one like the book's: the tokens that it is for; 0: nothing that is
 * likely. */
static uint64_t unit_guess(uint64_t rate, uint64_t known)
{
    static const uint64_t factors[] = {1000, 1000000};

    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        uint64_t low = known / LOW_FACTOR / factors[i], high = known / factors[i] * LOW_FACTOR;

        if (rate > low && rate < high)
            return factors[i];
    }
    return 0;
}

static void guess_print(uint64_t rate, uint64_t known)
{
    uint64_t per_less = unit_guess(rate, known), per_more = unit_guess(known, rate);
    char text[METER_USD_TEXT];

    if (per_less > 0)
        (void)printf("; if it is per %s write %s", per_less == 1000 ? "1,000 tokens" : "token",
                     meter_rate_text(rate * per_less, METER_TOKEN_DECIMALS, text));
    else if (per_more > 0)
        (void)printf("; if it is per %s tokens write %s",
                     per_more == 1000 ? "1,000,000,000" : "1,000,000,000,000",
                     meter_rate_text(rate / per_more, METER_TOKEN_DECIMALS, text));
}

/* One rate against the book's: what is 20 times off is another unit, most often. */
static void rate_check(struct checking *checking, const struct meter_price_line *line,
                       enum meter_bucket bucket, uint64_t known)
{
    uint64_t rate = line->rates.token[bucket];
    bool low = rate != METER_NO_RATE && known != METER_NO_RATE && rate <= known / LOW_FACTOR;
    bool high = rate != METER_NO_RATE && known != METER_NO_RATE && rate / LOW_FACTOR >= known;
    char said[METER_USD_TEXT], book[METER_USD_TEXT];

    if (!low && !high)
        return;
    (void)printf("%s: %s/%s, column %s: %s is 20 times or more %s the book's %s", checking->path,
                 line->provider, line->model, meter_bucket_name(bucket),
                 meter_rate_text(rate, METER_TOKEN_DECIMALS, said), low ? "under" : "over",
                 meter_rate_text(known, METER_TOKEN_DECIMALS, book));
    guess_print(rate, known);
    (void)printf("\n");
    checking->findings++;
}

static bool line_check(void *ctx, const struct meter_price_line *line)
{
    const struct meter_price_book *shipped = meter_price_book_shipped();
    const struct meter_price_key key = {.prompt_tokens = 0};
    struct checking *checking = ctx;
    struct meter_price price;
    struct meter_rates known;
    const char *name;

    checking->rows++;
    if (line->tier != METER_TIER_STANDARD || line->prompt_from > 0 || line->free ||
        meter_price_find_named(shipped, line->provider, line->model, INT64_MAX, &price) != METER_OK)
        return true;
    meter_price_rates(&price, &key, &known, &name);
    rate_check(checking, line, METER_INPUT, known.token[METER_INPUT]);
    rate_check(checking, line, METER_OUTPUT, known.token[METER_OUTPUT]);
    return true;
}

static int check_told(const struct checking *checking)
{
    if (checking->findings > 0)
        return CLI_NOT;
    (void)printf("%s: %zu rows, nothing in them that no price can be\n", checking->path,
                 checking->rows);
    return CLI_OK;
}

static int check_rows(const char *path, const char *text, size_t bytes)
{
    struct checking checking = {.path = path};
    struct meter_price_book *book = NULL;
    struct meter_error error = {""};
    enum meter_err err = meter_price_book_parse(text, bytes, NULL, &book, &error);

    if (err != METER_OK)
        return cli_fail(err == METER_BAD_PRICES ? CLI_NOT : CLI_USAGE, "%s: %s", path,
                        error.text[0] != '\0' ? error.text : meter_strerror(err));
    meter_price_book_each(book, line_check, &checking);
    meter_price_book_free(book);
    return check_told(&checking);
}

static int check_litellm(const char *path, const char *json, size_t bytes)
{
    struct report report = {.out = stdout, .wrong_only = true};
    struct meter_error error = {""};
    char *rows = NULL;
    size_t row_bytes;
    enum meter_err err = meter_price_import(json, bytes, meter_price_book_shipped(), report_note,
                                            &report, &rows, &row_bytes, &error);

    free(rows);
    if (err != METER_OK)
        return cli_fail(err == METER_BAD_PRICES ? CLI_NOT : CLI_USAGE, "%s: %s", path,
                        error.text[0] != '\0' ? error.text : meter_strerror(err));
    (void)printf("%s: %zu of %zu models can be used, %zu are wrong\n", path, report.taken,
                 report.taken + report.skipped + report.wrong, report.wrong);
    return report.wrong > 0 ? CLI_NOT : CLI_OK;
}

/* The shipped book goes the way of any other. */
static int check_shipped(void)
{
    size_t bytes;
    char *text = meter_price_book_text(meter_price_book_shipped(), &bytes);
    int code = text != NULL ? check_rows("the shipped book", text, bytes)
                            : cli_fail(CLI_USAGE, "out of memory");

    free(text);
    return code;
}

int cli_prices_check(int argc, char **argv)
{
    size_t bytes;
    char *text;
    int code;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-' && argv[1][1] != '\0'))
        return cli_usage("prices", "check: one FILE is expected, or none");
    if (argc == 1)
        return check_shipped();
    text = cli_slurp(argv[1], &bytes);
    if (text == NULL)
        return CLI_USAGE;
    code = text[strspn(text, " \t\r\n")] == '{' ? check_litellm(argv[1], text, bytes)
                                                : check_rows(argv[1], text, bytes);
    free(text);
    return code;
}
