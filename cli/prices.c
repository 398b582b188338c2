/* SPDX-License-Identifier: Apache-2.0 */
/* `flyball prices`: looking at the price book. Importing and checking are in prices_file.c. */
#include "cli/cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The book in force, and what has to be freed of it. */
struct books {
    const struct meter_price_book *book;
    struct meter_price_book *own;
    struct side_spec spec;
};

/* ---- the book in force -------------------------------------------------------------------- */

int cli_price_file_read(const char *path, struct meter_price_book **out)
{
    struct meter_error error = {""};
    size_t bytes;
    char *text = cli_slurp(path, &bytes);
    enum meter_err err;

    if (text == NULL)
        return CLI_USAGE;
    err = meter_price_book_parse(text, bytes, meter_price_book_shipped(), out, &error);
    free(text);
    return err == METER_OK ? CLI_OK
                           : cli_fail(CLI_USAGE, "%s: %s", path,
                                      error.text[0] != '\0' ? error.text : meter_strerror(err));
}

/* CLI_OK, or the exit code of a mistake that has been told. */
static int books_open(struct books *books)
{
    struct side_error error = {""};
    int code = CLI_OK;

    *books = (struct books){.book = meter_price_book_shipped()};
    side_spec_init(&books->spec);
    if (!side_config_read(&books->spec, NULL, NULL, (const char *const *)environ, &error))
        return cli_fail(CLI_USAGE, "%s", error.text);
    if (books->spec.price_file[0] != '\0')
        code = cli_price_file_read(books->spec.price_file, &books->own);
    if (books->own != NULL)
        books->book = books->own;
    return code;
}

/* ---- list --------------------------------------------------------------------------------- */

struct listing {
    struct cli_price_printer printer;
    const char *provider; /* NULL: all */
    size_t count;
};

static bool list_line(void *ctx, const struct meter_price_line *line)
{
    struct listing *listing = ctx;

    if (listing->provider == NULL || strcmp(listing->provider, line->provider) == 0) {
        cli_price_print(&listing->printer, line);
        listing->count++;
    }
    return true;
}

/* As it stands in a price file, so that it can be one. */
static int list_file(const struct meter_price_book *book, struct listing *listing)
{
    size_t bytes;
    char *text = meter_price_book_text(book, &bytes), *rest = text;
    const char *heading = strsep(&rest, "\n");

    if (text == NULL)
        return cli_fail(CLI_NOT, "out of memory");
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        size_t provider = strcspn(line, "\t");

        if (listing->provider != NULL && (strlen(listing->provider) != provider ||
                                          memcmp(listing->provider, line, provider) != 0))
            continue;
        if (listing->count++ == 0)
            (void)puts(heading);
        (void)puts(line);
    }
    free(text);
    return CLI_OK;
}

static int prices_list(int argc, char **argv)
{
    static const struct option rows[] = {{"provider", required_argument, NULL, 'p'},
                                         {"json", no_argument, NULL, 'j'},
                                         {NULL, 0, NULL, 0}};
    struct listing listing = {.provider = NULL};
    struct books books;
    bool json = false;
    int id, code;

    while ((id = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        if (id == '?')
            return cli_usage("prices", "'%s' is no option, or needs a value", argv[optind - 1]);
        if (id == 'p')
            listing.provider = optarg;
        json = json || id == 'j';
    }
    if (optind < argc)
        return cli_usage("prices", "'%s': no argument is expected", argv[optind]);
    code = books_open(&books);
    if (code == CLI_OK) {
        listing.printer.json = json;
        if (json || isatty(STDOUT_FILENO))
            meter_price_book_each(books.book, list_line, &listing);
        else
            code = list_file(books.book, &listing);
        if (code == CLI_OK && listing.count == 0)
            code = cli_fail(CLI_NOT, "no provider '%s' is in the book", listing.provider);
    }
    meter_price_book_free(books.own);
    return code;
}

/* ---- show --------------------------------------------------------------------------------- */

struct showing {
    const struct meter_price_book *book;
    const char *model;
    bool json;
    struct cli_price_printer printer;
    char provider[METER_NAME_MAX]; /* the one whose rows come now */
    struct meter_price price;      /* what the model is there; row "": nothing */
    size_t count;
};

/* The row for all other models is a row of MODEL only where that is asked for. */
static bool is_meant(const struct showing *showing)
{
    const char *row = showing->price.row;

    return row[0] != '\0' &&
           (strcmp(strchr(row, '/'), "/*") != 0 || strcmp(showing->model, "*") == 0);
}

/* What MODEL is with the next provider: now, else once its price begins. */
static void provider_begin(struct showing *showing, const char *provider)
{
    (void)snprintf(showing->provider, sizeof showing->provider, "%s", provider);
    showing->price.row[0] = '\0';
    if (meter_price_find_named(showing->book, provider, showing->model, time(NULL),
                               &showing->price) != METER_OK)
        (void)(meter_price_find_named(showing->book, provider, showing->model, INT64_MAX,
                                      &showing->price) == METER_OK);
    if (!is_meant(showing) || showing->json)
        return;
    (void)printf("%s%s%s\n", showing->count > 0 ? "\n" : "", showing->price.row,
                 showing->price.estimated ? ", of another region: 6/5 of these, estimated" : "");
    showing->printer.begun = false;
}

static bool show_line(void *ctx, const struct meter_price_line *line)
{
    struct showing *showing = ctx;

    if (strcmp(showing->provider, line->provider) != 0)
        provider_begin(showing, line->provider);
    if (is_meant(showing) && strcmp(strchr(showing->price.row, '/') + 1, line->model) == 0) {
        cli_price_print(&showing->printer, line);
        showing->count++;
    }
    return true;
}

static int show_all(const struct books *books, const char *model, bool json)
{
    struct showing showing = {.book = books->book, .model = model, .json = json};

    showing.printer.json = json;
    meter_price_book_each(books->book, show_line, &showing);
    if (showing.count == 0)
        return cli_fail(CLI_NOT, "no provider of the book has '%s'", model);
    if (!json)
        (void)printf("\nprices of %s%s%s\n", meter_price_book_date(books->book),
                     books->own != NULL ? ", under " : "", books->spec.price_file);
    return CLI_OK;
}

static int prices_show(int argc, char **argv)
{
    bool json = false;
    const char *model = NULL;
    struct books books;
    int code;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (model != NULL || argv[i][0] == '-')
            return cli_usage("prices", "'%s': one MODEL is expected", argv[i]);
        else
            model = argv[i];
    }
    if (model == NULL)
        return cli_usage("prices", "show: a MODEL is expected");
    code = books_open(&books);
    if (code == CLI_OK)
        code = show_all(&books, model, json);
    meter_price_book_free(books.own);
    return code;
}

/* ---- the verbs ---------------------------------------------------------------------------- */

static int prices_date(int argc, char **argv)
{
    if (argc > 1)
        return cli_usage("prices", "'%s': no argument is expected", argv[1]);
    (void)puts(meter_price_book_date(meter_price_book_shipped()));
    return CLI_OK;
}

int cli_prices(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {
        {"list", prices_list},       {"show", prices_show}, {"import", cli_prices_import},
        {"check", cli_prices_check}, {"date", prices_date},
    };

    opterr = 0;
    optind = 0;
    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(verbs[i].name, argv[1]) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    return cli_no_verb("prices", argv[1], "list, show, import, check, date");
}
