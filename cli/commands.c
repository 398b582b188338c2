/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, with the text of each one's --help; docs/flyball.1 has the same options,
 * which a test compares. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

int cli_fail(int code, const char *format, ...)
{
    va_list arguments;

    (void)fflush(stdout);
    (void)fputs("flyball: ", stderr);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fputc('\n', stderr);
    return code;
}

int cli_usage(const char *name, const char *format, ...)
{
    va_list arguments;

    (void)fprintf(stderr, "flyball %s: ", name);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "; see `flyball %s --help`\n", name);
    return CLI_USAGE;
}

int cli_no_verb(const char *name, const char *given, const char *verbs)
{
    return given != NULL ? cli_usage(name, "'%s' is none of: %s", given, verbs)
                         : cli_usage(name, "expected is one of: %s", verbs);
}

int cli_help(const char *name)
{
    const struct cli_command *command = cli_commands;

    while (strcmp(command->name, name) != 0)
        command++;
    (void)fputs(command->help, stdout);
    return CLI_OK;
}

#define SELECT_HELP                                                                                \
    "  --run ID        the run whose id begins so (default: the newest run)\n"                     \
    "  --session S     all runs of a session\n"                                                    \
    "  --all           all runs\n"                                                                 \
    "  --since T       not older than T: 2026-11-22, 2026-11-22T10:00:00Z, or 90m\n"               \
    "  --json          one JSON object a line\n"

#define TARGET_HELP                                                                                \
    "  --run ID        the run whose id begins so\n"                                               \
    "  --session S     all runs of a session\n"                                                    \
    "  --all           all runs\n"
#define WHO_HELP                                                                                   \
    "  --actor A       who decides (default: the login name)\n"                                    \
    "  --reason R      why, for the record\n"                                                      \
    "  --json          one JSON object a line\n"

const struct cli_command cli_commands[] = {
    {"run", "run a program under limits", cli_run,
     "usage: flyball run [LIMITS] [OPTIONS] -- CMD [ARG...]\n"
     "\n"
     "Runs CMD with its LLM calls held, metered and settled; the call that would pass\n"
     "a limit is refused. Without any limit: 50 steps, 180,000 tokens, $0.50, 30\n"
     "minutes, 180 tool calls, 10 MiB sent, 50 MiB written.\n"
     "\n"
     "limits (0: unlimited):\n"
     "  --max-cost USD          money, such as 5.00\n"
     "  --max-tokens N          tokens, in and out\n"
     "  --max-steps N           governed calls\n"
     "  --max-time DUR          wall clock, such as 45s, 30m, 1h30m; ends CMD\n"
     "  --max-egress SIZE       bytes sent, such as 10M\n"
     "  --max-writes SIZE       bytes written to disk; ends CMD\n"
     "  --max DIM=N             a dimension by name: cost_usd, llm_tokens, steps,\n"
     "                          wall_clock_ms, tool_calls, network_egress_bytes,\n"
     "                          storage_write_bytes, error_burst,\n"
     "                          long_running_command_seconds\n"
     "  --exhaustion DIM=POLICY hard_stop, approval_required or soft_warn\n"
     "  --limits PROFILE        conservative, balanced or extended\n"
     "\n"
     "options:\n"
     "  --session S             the session that this run belongs to (default: its\n"
     "                          own)\n"
     "  --task T                the task\n"
     "  --agent A               the agent\n"
     "  --label K=V             a label, for limits and for finding the run; up to\n"
     "                          eight\n"
     "  --policy NAME           the policy of that name in the configuration\n"
     "                          (default: `default`)\n"
     "  --config FILE           the configuration (default: $FLYBALL_CONFIG, else\n"
     "                          ~/.config/flyball/flyball.yaml)\n"
     "  --require LEVEL         metered: do not start CMD below that level\n"
     "  --on-exhausted WHAT     deny (default), terminate, or pause\n"
     "  --meter-only            refuse nothing, only count\n"
     "  --summary FILE          the run's status as JSON, when it has ended\n"
     "  --resume RUN            go on with a run that has ended: its id, its budget\n"
     "  --help                  this text\n"
     "\n"
     "exit code: CMD's own; 124 ended by the governor; 125 CMD could not be governed\n"
     "and was not started; 126, 127 as env(1); 128+n by signal n; 2 usage.\n"},
    {"status", "what a run has spent, holds and may spend", cli_read,
     "usage: flyball status [OPTIONS]\n"
     "\n" SELECT_HELP "  --follow        again when something has changed\n"},
    {"runs", "all runs, a line each", cli_read,
     "usage: flyball runs [OPTIONS]\n"
     "\n"
     "  --run ID        the run whose id begins so\n"
     "  --session S     the runs of a session\n"
     "  --all           all runs (the default)\n"
     "  --since T       not older than T: 2026-11-22, 2026-11-22T10:00:00Z, or 90m\n"
     "  --follow        go on as the ledger grows\n"
     "  --json          one JSON object a line\n"},
    {"calls", "the calls of a run: model, tokens, cost", cli_read,
     "usage: flyball calls [OPTIONS]\n"
     "\n" SELECT_HELP "  --follow        go on as the ledger grows\n"},
    {"events", "what happened, in the order of the ledger's chain", cli_read,
     "usage: flyball events [OPTIONS]\n"
     "\n" SELECT_HELP "  --follow        go on as the ledger grows\n"},
    {"receipts", "admission and settlement receipts, JSON lines", cli_read,
     "usage: flyball receipts [OPTIONS]\n"
     "\n"
     "  --kind KIND     admission or settlement (default: both)\n" SELECT_HELP
     "  --follow        go on as the ledger grows\n"},
    {"receipt", "validate receipts of any origin", cli_receipt,
     "usage: flyball receipt validate FILE...\n"
     "\n"
     "Names every violation in receipts (JSON lines, or a document; - is standard\n"
     "input): of their schema, of the rules beyond it, of their hash, and between\n"
     "receipts of one file. Exit code 0: none; 1: some, a line each on standard\n"
     "output; 2: a file cannot be read.\n"},
    {"top", "all of it on one screen, and keys to decide", cli_top,
     "usage: flyball top\n"
     "\n"
     "Shows what runs have spent, hold and may spend, the calls that are in flight,\n"
     "the questions that are open and what happens, as it happens. Keys: j k or\n"
     "arrows choose, Tab changes the pane, a approves the question (by an amount that\n"
     "it asks for), d denies it, x stops the run, p pauses it or lets it go on, e\n"
     "extends it, ? helps, q leaves; runs go on. Readable without colour (NO_COLOR).\n"
     "For a shell outside any run.\n"},
    {"approvals", "the runs that wait for a person's word", cli_order,
     "usage: flyball approvals [--json]\n"
     "\n"
     "Lists the questions that are open: a limit with the policy approval_required is\n"
     "used up, or the task of a run was routed so that a person has to say yes; the\n"
     "call that asks is held until somebody answers, or until its time is up.\n"
     "\n"
     "  --json          one JSON object a line\n"},
    {"approve", "let a run that asks go on", cli_order,
     "usage: flyball approve ID [--extend DIM=N]... [OPTIONS]\n"
     "\n"
     "Raises the limits that a question is about, by what it suggests (half the\n"
     "limit, at least what the call needs) or by the given amounts, and lets the\n"
     "calls go that wait. ID is the beginning of its id. For a shell outside any run.\n"
     "\n"
     "  --extend DIM=N  by how much, such as cost_usd=1.00\n" WHO_HELP},
    {"deny", "end a run that asks", cli_order,
     "usage: flyball deny ID [OPTIONS]\n"
     "\n"
     "The calls that wait are refused, as are later ones; the run is cancelled. For a\n"
     "shell outside any run.\n"
     "\n" WHO_HELP},
    {"extend", "raise the limits of a run, unasked", cli_order,
     "usage: flyball extend RUN DIM=N... [OPTIONS]\n"
     "\n"
     "Adds to limits that the run has. A run that had failed goes on, a question that\n"
     "is open has its answer. RUN is the beginning of its id. For a shell outside any\n"
     "run.\n"
     "\n" WHO_HELP},
    {"pause", "stop the processes of a run for a while", cli_order,
     "usage: flyball pause RUN [OPTIONS]\n"
     "\n"
     "Stops the process group of a run; its clock does not run, calls that are under\n"
     "way end, new ones wait. For a shell outside any run.\n"
     "\n" WHO_HELP},
    {"resume", "let a run that was paused go on", cli_order,
     "usage: flyball resume RUN [OPTIONS]\n"
     "\n"
     "Of a run that was paused by hand; questions are answered by approve and deny.\n"
     "For a shell outside any run.\n"
     "\n" WHO_HELP},
    {"stop", "emergency stop: no more calls", cli_order,
     "usage: flyball stop (--run ID|--session S|--all) --reason R [OPTIONS]\n"
     "\n"
     "Streams that are under way end at once, with an error of the API's own; later\n"
     "calls are refused, but for those that cost nothing. With --session and --all\n"
     "runs that are yet to begin are stopped as well, until `flyball reset`. For a\n"
     "shell outside any run.\n"
     "\n" TARGET_HELP WHO_HELP},
    {"reset", "lift failed, cancelled and stopped states", cli_order,
     "usage: flyball reset (--run ID|--session S|--all|--policy) [OPTIONS]\n"
     "\n"
     "Runs may go on: what they have spent stays spent. For a shell\n"
     "outside any run.\n"
     "\n" TARGET_HELP "  --policy        back to the limits as they are configured: revokes all\n"
     "                  overrides\n" WHO_HELP},
    {"override", "raise limits for a time: add, list, revoke", cli_override,
     "usage: flyball override add (--run ID|--session S|--all) --delta DIM=N...\n"
     "               --expires T --reason R [OPTIONS]\n"
     "       flyball override list [--json]\n"
     "       flyball override revoke ID [OPTIONS]\n"
     "\n"
     "An override ends by itself. With it a limit is at most twice what it was given.\n"
     "One of a session raises the limits of the session and of its runs; one of all,\n"
     "every limit. For a shell outside any run.\n"
     "\n"
     "  --delta DIM=N   by how much, such as cost_usd=1.00\n"
     "  --expires T     2h, or 2026-11-22T10:00:00Z\n" TARGET_HELP WHO_HELP},
    {"verify", "prove the ledger: chain, sums, caps", cli_verify,
     "usage: flyball verify [--head HEX] [--json]\n"
     "\n"
     "Recomputes the hash chain, every counter and every admission's arithmetic.\n"
     "Works with or without a running sidecar. Exit code 0: all holds; 1: something\n"
     "does not, and what.\n"
     "\n"
     "  --head HEX      a head that was written down earlier must be in the chain:\n"
     "                  finds a tail that was cut off, which nothing inside the\n"
     "                  ledger can tell\n"
     "  --json          one JSON object\n"},
    {"export", "everything of a kind, for other programs", cli_export,
     "usage: flyball export --what KIND [--format FORMAT] [--since T]\n"
     "\n"
     "Writes all calls, records of the chain, decisions, events or receipts to\n"
     "standard output, as it reads them. An interrupt ends it behind a whole line.\n"
     "\n"
     "  --what KIND     calls, ledger, decisions, events or receipts\n"
     "  --format FORMAT jsonl (default), csv (not receipts), or focus (calls: FOCUS\n"
     "                  1.2, CSV)\n"
     "  --since T       not older than T: 2026-11-22, 2026-11-22T10:00:00Z, or 90m\n"},
    {"correct", "charge a call that has ended something else", cli_correct,
     "usage: flyball correct CALL --cost USD --reason R [OPTIONS]\n"
     "\n"
     "Records that a call cost something else than it was charged, as an invoice may\n"
     "say. Nothing is changed in place: the correction is a record of its own, and\n"
     "what is given back is a credit beside the charge. CALL is the beginning of its\n"
     "id. For a shell outside any run.\n"
     "\n"
     "  --cost USD      what it cost\n"
     "  --reason R      why, for the record\n"
     "  --actor A       who says so (default: the login name)\n"
     "  --json          one JSON object\n"},
    {"reprice", "what calls cost by another price book", cli_reprice,
     "usage: flyball reprice --since T [OPTIONS]\n"
     "\n"
     "Computes the calls of a period again, with today's price book or another one,\n"
     "and shows what would be charged differently. Calls whose cost the provider\n"
     "reported stay as they are, as do those that were corrected by hand or charged\n"
     "their hold.\n"
     "\n"
     "  --since T       calls not older than T: 2026-11-22, 2026-11-22T10:00:00Z, or\n"
     "                  90m\n"
     "  --prices FILE   a price file over the shipped book (default: the\n"
     "                  configuration's)\n"
     "  --apply         record the differences as corrections; for a shell outside\n"
     "                  any run\n"
     "  --reason R      why, for the record\n"
     "  --actor A       who says so (default: the login name)\n"
     "  --json          one JSON object a line, every call that was charged\n"},
    {"backup", "copy the ledger while it is used", cli_backup,
     "usage: flyball backup DIR [--json]\n"
     "\n"
     "Copies the ledger, as it is at one moment, into DIR, and proves the copy. A\n"
     "backup that is in DIR is replaced, whole. For a shell outside any run.\n"
     "\n"
     "  --json          one JSON object\n"},
    {"restore", "put a backup in the ledger's place", cli_restore,
     "usage: flyball restore DIR [--json]\n"
     "\n"
     "Proves the ledger in DIR, and puts a copy of it in the place of the ledger,\n"
     "which is kept beside it. What was spent after the backup is not known any more.\n"
     "No run may live; for a shell outside any run.\n"
     "\n"
     "  --json          one JSON object\n"},
    {"compact", "give back the room that nothing is in", cli_compact,
     "usage: flyball compact [--json]\n"
     "\n"
     "Puts a copy without unused pages in the place of the ledger, after proving it.\n"
     "No run may live; for a shell outside any run.\n"
     "\n"
     "  --json          one JSON object\n"},
    {"clock", "accept the wall clock as it is", cli_clock,
     "usage: flyball clock accept [--actor NAME] [--reason TEXT]\n"
     "\n"
     "When the wall clock was set ahead by more than five minutes and the kernel does\n"
     "not call it synchronised, limits of days, weeks, months and rolling windows\n"
     "refuse (clock_jump). This says that the clock is right: they go on from the\n"
     "time that it shows now, be it earlier or later. Refused from inside a run.\n"
     "\n"
     "  --actor NAME    who says so (default: the login name)\n"
     "  --reason TEXT   why\n"},
    {"snapshot", "how a run, its session and the day stand", cli_snapshot,
     "usage: flyball snapshot [--run ID|--session S]\n"
     "\n"
     "One JSON object: limits, what the day, the session and each provider have come\n"
     "to, the directive that the next call would get, and the last events.\n"
     "\n"
     "  --run ID        the run whose id begins so (default: the newest run)\n"
     "  --session S     the newest run of a session\n"},
    {"profile", "the quality profile that directives go by", cli_profile,
     "usage: flyball profile get [--json]\n"
     "       flyball profile set performance|balanced|economy|auto [--actor A]\n"
     "               [--reason R]\n"
     "\n"
     "A profile that is set holds for every run until it is set to auto; auto: it\n"
     "follows from how much of the limits is spent. economy: a call takes at most\n"
     "half of what is free, and the cheapest tier of models that the rules allow. set\n"
     "is for a shell outside any run.\n"
     "\n"
     "  --actor A       who says so (default: the login name)\n"
     "  --reason R      why, for the record\n"
     "  --json          one JSON object\n"},
    {"cooldown", "providers that are left alone for a while", cli_cooldown,
     "usage: flyball cooldown list [--json]\n"
     "       flyball cooldown set PROVIDER [DUR] [--actor A] [--reason R]\n"
     "       flyball cooldown clear PROVIDER [--actor A] [--reason R]\n"
     "\n"
     "A provider that answers 429, 503 or 529 is left alone by every run for as long\n"
     "as it says, at most an hour, else for a minute: its calls are refused\n"
     "(provider_cooldown). set does the same by hand, for DUR (default: 60s); one\n"
     "that runs is not shortened. clear ends it. Both are for a shell outside any\n"
     "run.\n"
     "\n"
     "  --actor A       who says so (default: the login name)\n"
     "  --reason R      why, for the record\n"
     "  --json          one JSON object a line\n"},
    {"route", "which tier and model a task gets", cli_route,
     "usage: flyball route --task FILE|- [--config FILE]\n"
     "       flyball route --escalate TASK --to TIER --reason R [--actor A]\n"
     "               [--config FILE]\n"
     "\n"
     "Classifies a task by the rules of the configuration's 'routing:' and prints\n"
     "tier and model; the same task and rules give the same bytes. The choice is in\n"
     "the ledger (MODEL_SELECTED) before it is told. --escalate puts a task that was\n"
     "routed into a higher tier, as a new record. Exit code 1: no tier has a model,\n"
     "or there is no such task below that tier.\n"
     "\n"
     "  --task FILE     a task: {\"task_id\", \"agent\", \"paths\": [], \"signals\":\n"
     "                  {}}\n"
     "  --escalate TASK its task_id\n"
     "  --to TIER       T0 to T4, T0 the highest\n"
     "  --reason R      why, for the record\n"
     "  --actor A       who says so (default: the login name)\n"
     "  --config FILE   the configuration, instead of the usual one\n"},
    {"registry", "check a registry of models", cli_registry,
     "usage: flyball registry check FILE\n"
     "\n"
     "Reads a registry as routing would. Exit code 1: something is wrong with it, and\n"
     "what.\n"},
    {"policy", "check a configuration, show what holds under it", cli_policy,
     "usage: flyball policy check [FILE]\n"
     "       flyball policy show [FILE] [--json]\n"
     "\n"
     "Reads FILE as the configuration, or the one in force. check: whether runs can\n"
     "begin under it, price file and registry included; exit code 1: something is\n"
     "wrong with it, and where. show: what holds of a run under each policy, without\n"
     "flags and variables; 0 and what is not named is unlimited.\n"
     "\n"
     "  --json          one JSON object a line, one for each policy\n"},
    {"meter", "what a recorded exchange cost", cli_meter,
     "usage: flyball meter FILE|-\n"
     "\n"
     "Meters recorded exchanges (request and response, JSON; one, an array, or a line\n"
     "each), and prints what each reported and costs, a JSON object a line.\n"},
    {"estimate", "what a request may cost at most, line by line", cli_estimate_command,
     "usage: flyball estimate [--json] FILE|-\n"
     "\n"
     "Explains the hold of a request: a JSON object with method, url, headers and\n"
     "body, or a recorded exchange.\n"
     "\n"
     "  --json          one JSON object\n"},
    {"prices", "the price book: list, show, import, check, date", cli_prices,
     "usage: flyball prices list [--provider P] [--json]\n"
     "       flyball prices show MODEL [--json]\n"
     "       flyball prices import FILE [--output FILE]\n"
     "       flyball prices check [FILE]\n"
     "       flyball prices date\n"
     "\n"
     "list and show print the book in force: the shipped one, under the price file\n"
     "that the configuration names. list: columns on a terminal, else a price file.\n"
     "show: all rows of all providers that have MODEL; exit code 1: none has. import\n"
     "turns LiteLLM's model_prices_and_context_window.json into a price file\n"
     "($XDG_CONFIG_HOME/flyball/prices.tsv), and tells what it took and what not.\n"
     "check looks at the shipped book, at a price file, or at a file of LiteLLM's;\n"
     "exit code 1: something in it cannot be a price, and what was probably meant.\n"
     "date: the book's.\n"
     "\n"
     "  --provider P    the rows of one provider\n"
     "  --output FILE   where import writes; - for standard output\n"
     "  --json          one JSON object a line\n"},
    {"mcp", "a server of the Model Context Protocol", cli_mcp,
     "usage: flyball mcp\n"
     "\n"
     "For the MCP client of an operator, over standard input and output: the tools\n"
     "budget_snapshot, budget_approve and budget_deny. For a shell outside any run.\n"},
    {"doctor", "whether Flyball can work here", cli_doctor,
     "usage: flyball doctor [--json]\n"
     "\n"
     "Looks at the state directory, the sidecar, the ledger, the preloaded object and\n"
     "libcurl. Exit code 0: all is well; 1: something is not, and what to do.\n"
     "\n"
     "  --json          one JSON object\n"},
    {NULL, NULL, NULL, NULL},
};
