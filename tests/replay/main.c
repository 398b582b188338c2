/* SPDX-License-Identifier: Apache-2.0
 *
 * replay: the provider double's command line.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/replay/replay.h"

enum { EXIT_WRONG = 2 };

struct options {
    const char *listen[REPLAY_LISTENERS_MAX];
    bool listen_tls[REPLAY_LISTENERS_MAX];
    size_t listen_count;
    const char *cert;
    const char *key;
    const char *corpus;
    const char *log;
    const char *body; /* --body: print it and end */
    int64_t pace_ms;
    int64_t chunk_bytes;
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, 'l'},
    {"tls-listen", required_argument, NULL, 't'},
    {"cert", required_argument, NULL, 'c'},
    {"key", required_argument, NULL, 'k'},
    {"corpus", required_argument, NULL, 'd'},
    {"any-path", no_argument, NULL, 'a'},
    {"pace", required_argument, NULL, 'p'},
    {"chunk", required_argument, NULL, 'n'},
    {"fault", required_argument, NULL, 'f'},
    {"log", required_argument, NULL, 'o'},
    {"save", required_argument, NULL, 's'},
    {"exit-with-stdin", no_argument, NULL, 'e'},
    {"body", required_argument, NULL, 'b'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static const char usage[] =
    "usage: replay [OPTION]... [EXCHANGE-ID-OR-FILE]...\n"
    "Answers HTTP requests with recorded exchanges: the one that the request names in\n"
    "X-Replay: ID or ?replay=ID, else those given, in turns, by method and path.\n"
    "\n"
    "  --listen ADDR:PORT      HTTP/1.1; port 0 is any (default 127.0.0.1:0)\n"
    "  --tls-listen ADDR:PORT  HTTP/2 and HTTP/1.1 over TLS; needs --cert and --key\n"
    "  --cert FILE, --key FILE\n"
    "  --corpus DIR            where ids are looked up (default tests/corpus)\n"
    "  --any-path              serve the given exchanges whatever is asked for\n"
    "  --pace MS               wait between chunks\n"
    "  --chunk BYTES           chunks of this size instead of the recorded ones\n"
    "  --fault SPEC            go wrong; also per request: X-Replay-Fault: SPEC, ?fault=SPEC\n"
    "  --log FILE              the event lines, as on stdout\n"
    "  --save DIR              keep requests as DIR/N.head and DIR/N.body\n"
    "  --exit-with-stdin       end when stdin does\n"
    "  --body ID               write the recorded body to stdout and end\n"
    "\n"
    "SPEC is a list of faults, `name` or `name=VALUE`, joined by commas:\n";

static int wrong(const char *what)
{
    fprintf(stderr, "replay: %s\n", what);
    return EXIT_WRONG;
}

static bool number_read(const char *name, const char *text, int64_t min, int64_t *out)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < min || value > 1000000000) {
        fprintf(stderr, "replay: --%s %s: not a number in range\n", name, text);
        return false;
    }
    *out = value;
    return true;
}

static bool listen_add(struct options *options, const char *address, bool tls)
{
    if (options->listen_count == REPLAY_LISTENERS_MAX)
        return false;
    options->listen_tls[options->listen_count] = tls;
    options->listen[options->listen_count++] = address;
    return true;
}

static bool option_take(int option, struct options *options, struct server *server)
{
    switch (option) {
    case 'l':
    case 't':
        return listen_add(options, optarg, option == 't');
    case 'c':
        options->cert = optarg;
        return true;
    case 'k':
        options->key = optarg;
        return true;
    case 'd':
        options->corpus = optarg;
        return true;
    case 'a':
        server->any_path = true;
        return true;
    case 'p':
        return number_read("pace", optarg, 0, &options->pace_ms);
    case 'n':
        return number_read("chunk", optarg, 1, &options->chunk_bytes);
    case 'f':
        server->fault_spec = optarg;
        return true;
    case 'o':
        options->log = optarg;
        return true;
    case 's':
        server->save_dir = optarg;
        return true;
    case 'e':
        server->exit_with_stdin = true;
        return true;
    case 'b':
        options->body = optarg;
        return true;
    default:
        return false;
    }
}

/* -1: go on, else the exit status. */
static int options_read(int argc, char **argv, struct options *options, struct server *server)
{
    int option;

    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            fault_help(stdout);
            return 0;
        }
        if (!option_take(option, options, server)) {
            fputs("replay: see --help\n", stderr);
            return EXIT_WRONG;
        }
    }
    if (!options->listen_count)
        listen_add(options, "127.0.0.1:0", false);
    return -1;
}

/* ---- set-up: each part says what is wrong, false ends the program --------------------------- */

static bool given_load(struct server *server, char **names, struct why *why)
{
    for (size_t i = 0; names[i]; i++) {
        const char *dot = strrchr(names[i], '.');
        bool is_file = strchr(names[i], '/') || (dot && !strcmp(dot, ".json"));
        struct exchange *exchange = is_file ? corpus_file(server->corpus, names[i], why)
                                            : corpus_find(server->corpus, names[i], why);

        if (!exchange)
            return false;
        server->given[server->given_count++] = exchange;
    }
    return true;
}

static bool fault_check(struct server *server, struct why *why)
{
    struct fault fault;

    server->fault_times = -1;
    if (!server->fault_spec)
        return true;
    if (!fault_parse(server->fault_spec, &fault, why))
        return false;
    server->fault_times = fault.times;
    fault_release(&fault);
    return true;
}

static bool files_open(struct server *server, const struct options *options, struct why *why)
{
    struct stat stat_of;

    if (server->save_dir && (stat(server->save_dir, &stat_of) || !S_ISDIR(stat_of.st_mode) ||
                             access(server->save_dir, W_OK))) {
        why_set(why, "--save %s: not a directory to write to", server->save_dir);
        return false;
    }
    if (!options->log)
        return true;
    server->log = fopen(options->log, "we");
    if (!server->log)
        why_set(why, "--log %s: %s", options->log, strerror(errno));
    return server->log;
}

static bool listeners_open(struct server *server, const struct options *options, struct why *why)
{
    for (size_t i = 0; i < options->listen_count; i++) {
        if (options->listen_tls[i] && (!options->cert || !options->key)) {
            why_set(why, "--tls-listen needs --cert and --key");
            return false;
        }
        if (options->listen_tls[i] && !server->tls &&
            !server_tls_init(server, options->cert, options->key, why))
            return false;
        if (!server_listen(server, options->listen[i], options->listen_tls[i], why))
            return false;
    }
    return true;
}

static bool server_init(struct server *server, const struct options *options, int name_count,
                        char **names, struct why *why)
{
    why_set(why, "out of memory");
    server->pace_ms = options->pace_ms;
    server->chunk_bytes = options->chunk_bytes;
    server->corpus = corpus_new(options->corpus);
    server->given = calloc((size_t)name_count + 1, sizeof *server->given);
    server->base = event_base_new();
    return server->base && server->corpus && server->given && given_load(server, names, why) &&
           fault_check(server, why) && files_open(server, options, why);
}

/* ---- the run ------------------------------------------------------------------------------- */

static void on_signal(evutil_socket_t signal, short what, void *arg)
{
    (void)signal, (void)what;
    event_base_loopbreak(arg);
}

/* Hundreds of connections: as many descriptors as allowed. */
static void descriptors_raise(void)
{
    struct rlimit limit;

    if (!getrlimit(RLIMIT_NOFILE, &limit)) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int serve(struct server *server, const struct options *options)
{
    struct event *term, *interrupt;
    struct why why;

    if (!listeners_open(server, options, &why))
        return wrong(why.text);
    term = evsignal_new(server->base, SIGTERM, on_signal, server->base);
    interrupt = evsignal_new(server->base, SIGINT, on_signal, server->base);
    if (term && interrupt) {
        event_add(term, NULL);
        event_add(interrupt, NULL);
        server_say(server, "ready");
        server_stdin_start(server);
        event_base_dispatch(server->base);
    }
    if (term)
        event_free(term);
    if (interrupt)
        event_free(interrupt);
    return term && interrupt ? 0 : wrong("out of memory");
}

static int body_print(struct server *server, const char *id)
{
    struct why why;
    struct exchange *exchange = strchr(id, '/') ? corpus_file(server->corpus, id, &why)
                                                : corpus_find(server->corpus, id, &why);

    if (!exchange)
        return wrong(why.text);
    fwrite(exchange->body, 1, exchange->body_bytes, stdout);
    return fflush(stdout) ? wrong("cannot write to stdout") : 0;
}

int main(int argc, char **argv)
{
    struct options options = {.corpus = "tests/corpus"};
    struct server server = {0};
    struct why why;
    int result;

    TAILQ_INIT(&server.calls);
    TAILQ_INIT(&server.conns);
    signal(SIGPIPE, SIG_IGN);
    descriptors_raise();
    result = options_read(argc, argv, &options, &server);
    if (result >= 0)
        return result;
    if (!server_init(&server, &options, argc - optind, argv + optind, &why))
        result = wrong(why.text);
    else if (options.body)
        result = body_print(&server, options.body);
    else
        result = serve(&server, &options);
    server_release(&server);
    return result;
}
