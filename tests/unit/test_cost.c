/* SPDX-License-Identifier: Apache-2.0 */
/* What providers and gateways say of the cost: how it is read, whom it is believed, and what is
 * charged then; and the decimal text of amounts at its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "meter/meter_int.h"
#include "tests/unit/chance.h"
#include "tests/unit/guard.h"

#define MICRO  INT64_C(1000000) /* pico-dollars of a millionth of a dollar */
#define PRICED (1200 * MICRO)   /* 1,000 tokens in and 100 out of a model with a price */
#define HELD   (7000000 * MICRO)
#define CHAT   "/v1/chat/completions"
#define RESP   "/v1/responses"
#define MESS   "/v1/messages"
#define GEMI   "/v1beta/models/m:generateContent"
#define BEDR   "/model/m/converse"

static struct meter_price_book *book;

#define ROW(provider) provider "\tm\t1\t2\n"

static int load_book(void **state)
{
    static const char text[] = "provider\tmodel\tinput\toutput\n" ROW("openai") ROW("xai")
        ROW("openrouter") ROW("perplexity") ROW("litellm-proxy") ROW("anthropic") ROW("gemini")
            ROW("bedrock") ROW("unknown");
    struct meter_error error = {""};

    (void)state;
    if (meter_price_book_parse(text, sizeof text - 1, NULL, &book, &error) != METER_OK)
        fail_msg("the tests' own book: %s", error.text);
    return 0;
}

static int drop_book(void **state)
{
    (void)state;
    meter_price_book_free(book);
    return 0;
}

/* ---- answers ------------------------------------------------------------------------------ */

#define TOKENS  "\"prompt_tokens\":1000,\"completion_tokens\":100"
#define ZEROS   "\"prompt_tokens\":0,\"completion_tokens\":0"
#define U(more) TOKENS "," more
#define NONE    METER_COST_NONE
#define GUESS   METER_COST_ESTIMATED
#define TAKEN   METER_COST_CHARGED

struct case_of {
    const char *why, *provider;
    bool priced;
    const char *usage, *header; /* what stands in the usage; a header or NULL */
    enum meter_cost cost;
    int64_t told; /* pico-dollars; -1: none */
    const char *text;
    int64_t charged;
    const char *by;
};

static void request_make(const char *provider, const char *path, bool priced, bool stream,
                         struct meter_request *out)
{
    struct meter_target target = {.method = "POST",
                                  .host = "example.com",
                                  .path = path,
                                  .provider = meter_provider_by_name(provider)};
    const char *body = stream ? "{\"max_tokens\":100,\"stream\":true}" : "{\"max_tokens\":100}";

    assert_non_null(target.provider);
    assert_int_equal(meter_request_read(&target, body, strlen(body), out, NULL), METER_OK);
    (void)snprintf(out->model, sizeof out->model, "%s", priced ? "m" : "nobody-knows");
}

static void usage_read(const struct meter_request *request, const char *header, const char *body,
                       size_t cut, struct meter_usage *out)
{
    const char *lines[] = {"content-type: application/json", header, NULL};
    const struct meter_response response = {.status = 200, .headers = lines};
    struct meter_stream *stream = meter_stream_new(request, &response);
    size_t bytes = strlen(body);
    struct guarded first = guarded_copy(body, cut), rest = guarded_copy(body + cut, bytes - cut);

    assert_non_null(stream);
    assert_int_equal(meter_stream_feed(stream, first.bytes, cut), METER_OK);
    assert_int_equal(meter_stream_feed(stream, rest.bytes, bytes - cut), METER_OK);
    meter_stream_usage(stream, true, out);
    meter_stream_free(stream);
    guarded_free(&first);
    guarded_free(&rest);
}

static void bill_of(const struct meter_request *request, const struct meter_usage *usage,
                    int64_t held_pusd, struct meter_bill *out)
{
    const struct meter_settling settling = {
        .request = request,
        .usage = usage,
        .book = book,
        .when_s = INT64_C(1795000000),
        .end = METER_END_WHOLE,
        .sent_ms = 1000,
        .held_tokens = 5000,
        .held_pusd = held_pusd,
        .held_cap = 100,
    };

    meter_bill_make(&settling, out);
}

static void check_case(const struct case_of *row)
{
    struct meter_request request;
    struct meter_usage usage;
    struct meter_bill bill;
    char body[2048];

    (void)snprintf(body, sizeof body,
                   "{\"choices\":[{\"message\":{\"content\":\"Hello\"}}],\"usage\":{%s}}",
                   row->usage);
    request_make(row->provider, CHAT, row->priced, false, &request);
    usage_read(&request, row->header, body, 0, &usage);
    bill_of(&request, &usage, HELD, &bill);
    if (usage.cost != row->cost || usage.provider_cost_pusd != row->told ||
        bill.provider_cost_pusd != row->told ||
        strcmp(usage.reported.provider_cost_usd, row->text) != 0)
        fail_msg("%s: cost %d of %lld \"%s\"", row->why, (int)usage.cost,
                 (long long)usage.provider_cost_pusd, usage.reported.provider_cost_usd);
    if (bill.charged_pusd != row->charged || strcmp(bill.charged_by, row->by) != 0)
        fail_msg("%s: charged %lld by %s", row->why, (long long)bill.charged_pusd, bill.charged_by);
    if (bill.cost_pusd != (row->priced && usage.usage_seen ? PRICED : bill.cost_pusd) ||
        (!row->priced && bill.cost_pusd != -1))
        fail_msg("%s: computed as %lld", row->why, (long long)bill.cost_pusd);
}

#define XAI(ticks)    U("\"cost_in_usd_ticks\":" ticks)
#define ROUTED(more)  U("\"cost\":0.5," more)
#define UPSTREAM(usd) "\"cost_details\":{\"upstream_inference_cost\":" usd "}"
#define PYDANTIC(usd) U("\"pydantic_ai_gateway\":{\"cost_estimate\":" usd "}")
#define LITELLM       "x-litellm-response-cost: "
#define HALF          (500000 * MICRO)

static const struct case_of cases[] = {
    {"nothing is told", "openai", true, TOKENS, NULL, NONE, -1, "", PRICED, "price"},
    {"... and there is no price", "openai", false, TOKENS, NULL, NONE, -1, "", HELD, "hold"},
    /* whose figure is what */
    {"an estimate beside a price", "openai", true, U("\"cost\":0.5"), NULL, GUESS, HALF, "0.5",
     PRICED, "price"},
    {"... without one", "openai", false, U("\"cost\":0.5"), NULL, GUESS, HALF, "0.5", HALF,
     "gateway"},
    {"... of nothing", "openai", false, U("\"cost\":0"), NULL, NONE, 0, "0", HELD, "hold"},
    {"... of nothing, where no token was used", "openai", false, ZEROS ",\"cost\":0", NULL, NONE, 0,
     "0", HELD, "hold"},
    {"of a host that nobody knows", "unknown", false, U("\"cost\":0.5"), NULL, GUESS, HALF, "0.5",
     HALF, "gateway"},
    {"a charge beside a price", "xai", true, U("\"cost\":0.5"), NULL, TAKEN, HALF, "0.5", HALF,
     "provider"},
    {"... without one", "xai", false, U("\"cost\":0.5"), NULL, TAKEN, HALF, "0.5", HALF,
     "provider"},
    {"... of nothing beside tokens", "xai", true, U("\"cost\":0"), NULL, NONE, 0, "0", PRICED,
     "price"},
    {"... and without a price", "xai", false, U("\"cost\":0.0"), NULL, NONE, 0, "0", HELD, "hold"},
    {"... where no token was used", "xai", true, ZEROS ",\"cost\":0", NULL, TAKEN, 0, "0", 0,
     "provider"},
    {"a charge that may be nothing", "openrouter", true, U("\"cost\":0.5"), NULL, TAKEN, HALF,
     "0.5", HALF, "provider"},
    {"... and is", "openrouter", true, U("\"cost\":0"), NULL, TAKEN, 0, "0", 0, "provider"},
    {"... without a price", "openrouter", false, U("\"cost\":0.0e0"), NULL, TAKEN, 0, "0", 0,
     "provider"},
    {"... and is not told", "openrouter", true, TOKENS, NULL, NONE, -1, "", PRICED, "price"},
    /* xAI's ticks */
    {"ticks", "xai", true, XAI("55258500"), NULL, TAKEN, 5525850000, "0.00552585", 5525850000,
     "provider"},
    {"a tick", "xai", true, XAI("1"), NULL, TAKEN, 100, "0.0000000001", 100, "provider"},
    {"no tick", "xai", true, XAI("0"), NULL, NONE, 0, "0", PRICED, "price"},
    {"half a tick", "xai", true, XAI("0.5"), NULL, NONE, -1, "", PRICED, "price"},
    {"less than no tick", "xai", true, XAI("-5"), NULL, NONE, -1, "", PRICED, "price"},
    {"ticks in quotes", "xai", true, XAI("\"5\""), NULL, NONE, -1, "", PRICED, "price"},
    {"no ticks", "xai", true, XAI("null"), NULL, NONE, -1, "", PRICED, "price"},
    {"as many as fit", "xai", true, XAI("92233720368547758"), NULL, TAKEN,
     INT64_C(9223372036854775800), "9223372.0368547758", INT64_C(9223372036854775800), "provider"},
    {"one more", "xai", true, XAI("92233720368547759"), NULL, NONE, -1, "", PRICED, "price"},
    {"... that would be a few again", "xai", true, XAI("184467440737095517"), NULL, NONE, -1, "",
     PRICED, "price"},
    {"... behind a cost that is one", "xai", true,
     U("\"cost\":0.5,\"cost_in_usd_ticks\":184467440737095517"), NULL, TAKEN, HALF, "0.5", HALF,
     "provider"},
    {"ticks of another", "openai", false, XAI("10000000000"), NULL, GUESS, 1000000 * MICRO, "1",
     1000000 * MICRO, "gateway"},
    /* OpenRouter: a key of the user's own */
    {"the vendor's bill on top", "openrouter", true, ROUTED("\"is_byok\":true," UPSTREAM("0.25")),
     NULL, TAKEN, 750000 * MICRO, "0.5", 750000 * MICRO, "provider"},
    {"... told before", "openrouter", true, U(UPSTREAM("0.25") ",\"is_byok\":true,\"cost\":0.5"),
     NULL, TAKEN, 750000 * MICRO, "0.5", 750000 * MICRO, "provider"},
    {"... and nothing taken", "openrouter", true,
     U("\"cost\":0,\"is_byok\":true," UPSTREAM("2.5e-1")), NULL, TAKEN, 250000 * MICRO, "0",
     250000 * MICRO, "provider"},
    {"the router's own key", "openrouter", true, ROUTED("\"is_byok\":false," UPSTREAM("0.25")),
     NULL, TAKEN, HALF, "0.5", HALF, "provider"},
    {"whose key is not told", "openrouter", true, ROUTED(UPSTREAM("0.25")), NULL, TAKEN, HALF,
     "0.5", HALF, "provider"},
    {"the vendor's bill is not told", "openrouter", true, ROUTED("\"is_byok\":true"), NULL, NONE,
     HALF, "0.5", PRICED, "price"},
    {"... is null", "openrouter", true, ROUTED("\"is_byok\":true," UPSTREAM("null")), NULL, NONE,
     HALF, "0.5", PRICED, "price"},
    {"... is below nothing", "openrouter", true, ROUTED("\"is_byok\":true," UPSTREAM("-0.25")),
     NULL, NONE, HALF, "0.5", PRICED, "price"},
    {"... does not fit beside", "openrouter", true,
     U("\"cost\":9000000,\"is_byok\":true," UPSTREAM("9000000")), NULL, TAKEN, INT64_MAX, "9000000",
     INT64_MAX, "provider"},
    {"... and no cost", "openrouter", true, U("\"is_byok\":true," UPSTREAM("0.25")), NULL, NONE, -1,
     "", PRICED, "price"},
    /* Perplexity: an object */
    {"an object", "perplexity", true,
     U("\"cost\":{\"input_tokens_cost\":0.1,\"output_tokens_cost\":0.2,\"request_cost\":0.2,"
       "\"total_cost\":0.5}"),
     NULL, TAKEN, HALF, "0.5", HALF, "provider"},
    {"... with the total first", "perplexity", true,
     U("\"cost\":{\"total_cost\":0.5,\"request_cost\":0.2}"), NULL, TAKEN, HALF, "0.5", HALF,
     "provider"},
    {"... of nothing beside tokens", "perplexity", true, U("\"cost\":{\"total_cost\":0}"), NULL,
     NONE, 0, "0", PRICED, "price"},
    {"... without a total", "perplexity", true, U("\"cost\":{\"request_cost\":0.2}"), NULL, NONE,
     -1, "", PRICED, "price"},
    {"... deeper", "perplexity", true, U("\"cost\":{\"a\":{\"total_cost\":0.2}}"), NULL, NONE, -1,
     "", PRICED, "price"},
    /* gateways */
    {"a header", "litellm-proxy", false, TOKENS, LITELLM "4.25e-05", GUESS, 42500000, "", 42500000,
     "gateway"},
    {"... beside a price", "litellm-proxy", true, TOKENS, LITELLM "4.25e-05", GUESS, 42500000, "",
     PRICED, "price"},
    {"... in other letters", "unknown", false, TOKENS, "X-LiteLLM-Response-Cost:\t0.5 \r\n", GUESS,
     HALF, "", HALF, "gateway"},
    {"... of nothing beside tokens", "litellm-proxy", false, TOKENS, LITELLM "0.0", NONE, 0, "",
     HELD, "hold"},
    {"... and a price", "litellm-proxy", true, TOKENS, LITELLM "0", NONE, 0, "", PRICED, "price"},
    {"... that is none", "litellm-proxy", false, TOKENS, LITELLM "None", NONE, -1, "", HELD,
     "hold"},
    {"... that is empty", "litellm-proxy", false, TOKENS, LITELLM, NONE, -1, "", HELD, "hold"},
    {"... below nothing", "litellm-proxy", false, TOKENS, LITELLM "-0.5", NONE, -1, "", HELD,
     "hold"},
    {"another header", "litellm-proxy", false, TOKENS, "x-litellm-response-cost-original: 0.5",
     NONE, -1, "", HELD, "hold"},
    {"a header beside the body's own", "openrouter", false, U("\"cost\":0.5"), LITELLM "0.25",
     TAKEN, HALF, "0.5", HALF, "provider"},
    {"... that cannot be read", "openrouter", false, U("\"cost\":\"?\""), LITELLM "0.5", GUESS,
     HALF, "", HALF, "gateway"},
    {"an estimate in the usage", "unknown", false, PYDANTIC("3.11e-05"), NULL, GUESS, 31100000,
     "0.0000311", 31100000, "gateway"},
    {"... beside a price", "unknown", true, PYDANTIC("3.11e-05"), NULL, GUESS, 31100000,
     "0.0000311", PRICED, "price"},
    /* the figure itself */
    {"rounded up, and told as it is", "openrouter", true, U("\"cost\":0.00019199999999999998"),
     NULL, TAKEN, 192000000, "0.00019199999999999998", 192000000, "provider"},
    {"less than a pico-dollar", "openrouter", true, U("\"cost\":1e-30"), NULL, TAKEN, 1,
     "0.000000000000000000000000000001", 1, "provider"},
    {"... than can be told", "openrouter", true, U("\"cost\":1e-400"), NULL, TAKEN, 1,
     "0.000000000001", 1, "provider"},
    {"an exponent", "openrouter", true, U("\"cost\":5E-1"), NULL, TAKEN, HALF, "0.5", HALF,
     "provider"},
    {"... with a sign", "openrouter", true, U("\"cost\":0.05e+1"), NULL, TAKEN, HALF, "0.5", HALF,
     "provider"},
    {"a string", "openrouter", true, U("\"cost\":\"0.50\""), NULL, TAKEN, HALF, "0.5", HALF,
     "provider"},
    {"a string with a sign of money", "openrouter", true, U("\"cost\":\"$0.5\""), NULL, NONE, -1,
     "", PRICED, "price"},
    {"an empty string", "openrouter", true, U("\"cost\":\"\""), NULL, NONE, -1, "", PRICED,
     "price"},
    {"below nothing", "openrouter", true, U("\"cost\":-0.5"), NULL, NONE, -1, "", PRICED, "price"},
    {"null", "openrouter", true, U("\"cost\":null"), NULL, NONE, -1, "", PRICED, "price"},
    {"true", "openrouter", true, U("\"cost\":true"), NULL, NONE, -1, "", PRICED, "price"},
    {"a list", "openrouter", true, U("\"cost\":[0.5]"), NULL, NONE, -1, "", PRICED, "price"},
    {"the most that fits", "openrouter", true, U("\"cost\":9223372.036854775807"), NULL, TAKEN,
     INT64_MAX, "9223372.036854775807", INT64_MAX, "provider"},
    {"more", "openrouter", true, U("\"cost\":9223372.036854775808"), NULL, NONE, -1, "", PRICED,
     "price"},
    {"absurd", "openrouter", true, U("\"cost\":1e400"), NULL, NONE, -1, "", PRICED, "price"},
    {"twice: the later", "openrouter", true, U("\"cost\":0.1,\"cost\":0.5"), NULL, TAKEN, HALF,
     "0.5", HALF, "provider"},
    {"... that can be read", "openrouter", true, U("\"cost\":0.5,\"cost\":-1"), NULL, TAKEN, HALF,
     "0.5", HALF, "provider"},
    {"usage twice: nothing of the earlier", "openrouter", true,
     "\"cost\":0.5,\"is_byok\":true," UPSTREAM("0.25") "},\"usage\":{" TOKENS, NULL, NONE, -1, "",
     PRICED, "price"},
};

static void believes_whom_it_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        check_case(&cases[i]);
}

/* A gateway's estimate stands in the usage of whatever API. */
static void reads_a_gateways_estimate_in_every_api(void **state)
{
#define COST "\"pydantic_ai_gateway\":{\"cost_estimate\":0.5}"
    static const struct {
        const char *provider, *path, *body;
    } apis[] = {
        {"openai", CHAT, "{\"usage\":{" TOKENS "," COST "}}"},
        {"openai", RESP, "{\"usage\":{\"input_tokens\":1000,\"output_tokens\":100," COST "}}"},
        {"anthropic", MESS, "{\"usage\":{\"input_tokens\":1000,\"output_tokens\":100," COST "}}"},
        {"gemini", GEMI,
         "{\"usageMetadata\":{\"promptTokenCount\":1000,\"candidatesTokenCount\":100," COST "}}"},
        {"bedrock", BEDR, "{\"usage\":{\"inputTokens\":1000,\"outputTokens\":100," COST "}}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(apis); i++) {
        struct meter_request request;
        struct meter_usage usage;
        struct meter_bill bill;

        for (int priced = 0; priced < 2; priced++) {
            request_make(apis[i].provider, apis[i].path, priced, false, &request);
            usage_read(&request, NULL, apis[i].body, 0, &usage);
            bill_of(&request, &usage, HELD, &bill);
            if (usage.cost != GUESS || usage.provider_cost_pusd != HALF ||
                bill.charged_pusd != (priced ? PRICED : HALF) ||
                strcmp(bill.charged_by, priced ? "price" : "gateway") != 0)
                fail_msg("%s%s: %d, %lld, charged %lld by %s", apis[i].provider, apis[i].path,
                         (int)usage.cost, (long long)usage.provider_cost_pusd,
                         (long long)bill.charged_pusd, bill.charged_by);
        }
    }
}

/* Of a stream the last event with a cost counts, and an event without one takes nothing away. */
static void takes_the_last_cost_of_a_stream(void **state)
{
#define EVENT(usage) "data: {\"choices\":[],\"usage\":{" usage "}}\n\n"
#define TEXT         "data: {\"choices\":[{\"delta\":{\"content\":\"Hello\"}}]}\n\n"
    static const struct {
        const char *why, *body;
        int64_t told;
    } streams[] = {
        {"the last event", TEXT EVENT(TOKENS ",\"cost\":0.5") "data: [DONE]\n\n", HALF},
        {"two of them", EVENT(TOKENS ",\"cost\":0.1") TEXT EVENT(TOKENS ",\"cost\":0.5"), HALF},
        {"one, and one without", EVENT(TOKENS ",\"cost\":0.5") TEXT EVENT(TOKENS), HALF},
        {"one whose key was the user's, and one",
         EVENT(TOKENS ",\"cost\":0.1,\"is_byok\":true," UPSTREAM("0.25"))
             EVENT(TOKENS ",\"cost\":0.5"),
         HALF},
        {"one that is cut", TEXT EVENT(TOKENS ",\"cost\":0.5") "data: {\"usage\":{\"cost\":0.7",
         HALF},
        {"none", TEXT EVENT(TOKENS), -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(streams); i++)
        for (size_t cut = 0; cut <= strlen(streams[i].body); cut++) {
            struct meter_request request;
            struct meter_usage usage;

            request_make("openrouter", CHAT, true, true, &request);
            usage_read(&request, NULL, streams[i].body, cut, &usage);
            if (usage.provider_cost_pusd != streams[i].told)
                fail_msg("%s, cut at %zu: %lld", streams[i].why, cut,
                         (long long)usage.provider_cost_pusd);
        }
}

/* What broke off is charged what was told of it, up to the hold. */
static void holds_a_told_cost_below_the_hold_where_it_broke_off(void **state)
{
    static const char body[] = TEXT "data: {\"choices\":[],\"usage\":{" TOKENS ",\"cost\":0.5}}\n\n"
                                    "data: {\"error\":{\"message\":\"cut\"}}\n\n";
    struct meter_request request;
    struct meter_usage usage;
    struct meter_bill bill;

    (void)state;
    request_make("openrouter", CHAT, true, true, &request);
    usage_read(&request, NULL, body, 0, &usage);
    assert_false(usage.complete);
    bill_of(&request, &usage, HELD, &bill);
    assert_int_equal(bill.charged_pusd, HALF);
    assert_string_equal(bill.charged_by, "provider");
    assert_int_equal(bill.provenance, METER_MEASURED);
    bill_of(&request, &usage, 3 * MICRO, &bill);
    assert_int_equal(bill.charged_pusd, 3 * MICRO);
    assert_int_equal(bill.provider_cost_pusd, HALF);
}

/* A figure longer than is kept of one that spans feeds reads the same in one piece. */
static void reads_long_figures_the_same_at_every_split(void **state)
{
    static const char *const bodies[] = {
        "{\"usage\":{\"prompt_tokens\":5,\"cost\":0.5%s}}",
        "{\"usage\":{\"prompt_tokens\":5.0%s,\"completion_tokens\":1}}",
        ("{\"usage\":{\"prompt_tokens\":5,\"cost\":0.5,\"is_byok\":true,"
         "\"cost_details\":{\"upstream_inference_cost\":0.25%s}}}"),
        "{\"usage\":{\"prompt_tokens\":5,\"cost\":\"0.5%s\"}}",
        "{\"usage\":{\"prompt_tokens\":5,\"cost_in_usd_ticks\":5.0%s}}",
    };
    static const size_t zeros[] = {0, 250, 252, 253, 254, 255, 300};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        for (size_t z = 0; z < COUNT_OF(zeros); z++) {
            char body[640], nothing[512];
            struct meter_request request;
            struct meter_usage whole, usage;

            memset(nothing, '0', zeros[z]);
            nothing[zeros[z]] = '\0';
            (void)snprintf(body, sizeof body, bodies[i], nothing);
            request_make("openrouter", CHAT, true, false, &request);
            usage_read(&request, NULL, body, 0, &whole);
            for (size_t cut = 1; cut < strlen(body); cut++) {
                usage_read(&request, NULL, body, cut, &usage);
                if (usage.provider_cost_pusd != whole.provider_cost_pusd ||
                    usage.reported.input_tokens != whole.reported.input_tokens ||
                    usage.warnings != whole.warnings)
                    fail_msg("%s, %zu zeros, cut at %zu: %lld, not %lld", bodies[i], zeros[z], cut,
                             (long long)usage.provider_cost_pusd,
                             (long long)whole.provider_cost_pusd);
            }
        }
}

/* ---- decimal text ------------------------------------------------------------------------- */

static void tells_amounts_as_they_are(void **state)
{
    static const struct {
        const char *given, *want; /* NULL: it does not fit */
        int64_t pusd;             /* -1: no amount */
    } rows[] = {
        {"0", "0", 0},
        {"0.000", "0", 0},
        {"0e400", NULL, 0},
        {"10", "10", INT64_C(10000000000000)},
        {"010.50", "10.5", INT64_C(10500000000000)},
        {".5", "0.5", HALF},
        {"5.", "5", INT64_C(5000000000000)},
        {"1.1e-5", "0.000011", 11000000},
        {"12.5e1", "125", INT64_C(125000000000000)},
        {"5E+2", "500", INT64_C(500000000000000)},
        {"0.05e+1", "0.5", HALF},
        {"0.0000000000001", "0.0000000000001", 1},
        {"1e-12", "0.000000000001", 1},
        {"1.000000000001e-12", "0.000000000001000000000001", 2},
        {"1e-30", "0.000000000000000000000000000001", 1},
        {"1e-45", "0.000000000000000000000000000000000000000000001", 1},
        {"1e-46", NULL, 1},
        {"1e-400", NULL, 1},
        {"9223372.036854775807", "9223372.036854775807", INT64_MAX},
        {"9223372.036854775808", "9223372.036854775808", -1},
        {"9223372.0368547758061", "9223372.0368547758061", INT64_MAX},
        {"1e43", "10000000000000000000000000000000000000000000", -1},
        {"1e44", NULL, -1},
        {"1e400", NULL, -1},
        {"1e99999999999999999999", NULL, -1},
        {"1e-99999999999999999999", NULL, 1},
        {"1234567890123456789", "1234567890123456789", -1},
        {"0.123456789012345678901234567890123456789012345678", NULL, INT64_C(123456789013)},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct guarded text = guarded_copy(rows[i].given, strlen(rows[i].given));
        size_t bytes = strlen(rows[i].given);
        char out[METER_USD_MAX];
        int64_t pusd = -1;
        bool told = meter_usd_plain(text.bytes, bytes, out, sizeof out);

        if (told != (rows[i].want != NULL) || (told && strcmp(out, rows[i].want) != 0))
            fail_msg("%s: %s", rows[i].given, told ? out : "does not fit");
        (void)meter_usd_parse(text.bytes, bytes, &pusd);
        if (pusd != rows[i].pusd)
            fail_msg("%s: %lld", rows[i].given, (long long)pusd);
        guarded_free(&text);
    }
}

/* A JSON number of up to so many digits, with a point and an exponent now and then. */
static size_t number_make(struct chance *chance, char *out)
{
    size_t used = 0;

    for (int64_t n = 1 + chance_below(chance, 12); n > 0; n--)
        out[used++] = (char)('0' + chance_below(chance, 10));
    if (chance_one_in(chance, 2)) {
        out[used++] = '.';
        for (int64_t n = 1 + chance_below(chance, 20); n > 0; n--)
            out[used++] = (char)('0' + chance_below(chance, 10) % 4);
    }
    if (chance_one_in(chance, 2))
        used += (size_t)sprintf(out + used, "e%d", (int)chance_below(chance, 60) - 40);
    return used;
}

/* Whatever is told is the same amount, in any room, and stays within it. */
static void tells_the_same_amount_in_any_room(void **state)
{
    struct chance chance = {7};
    unsigned fits = 0;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        char text[64];
        size_t bytes = number_make(&chance, text),
               room = 1 + (size_t)chance_below(&chance, METER_USD_MAX);
        struct guarded out = guarded_copy(text, room);
        int64_t given = -1, told = -1;

        if (meter_usd_plain(text, bytes, out.bytes, room)) {
            bool is = meter_usd_parse(text, bytes, &given);

            fits++;
            assert_null(strpbrk(out.bytes, "eE+-"));
            if (meter_usd_parse(out.bytes, strlen(out.bytes), &told) != is || told != given)
                fail_msg("%.*s: told as %s", (int)bytes, text, out.bytes);
        }
        guarded_free(&out);
    }
    assert_true(fits > 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(believes_whom_it_should),
        cmocka_unit_test(reads_a_gateways_estimate_in_every_api),
        cmocka_unit_test(takes_the_last_cost_of_a_stream),
        cmocka_unit_test(holds_a_told_cost_below_the_hold_where_it_broke_off),
        cmocka_unit_test(reads_long_figures_the_same_at_every_split),
        cmocka_unit_test(tells_amounts_as_they_are),
        cmocka_unit_test(tells_the_same_amount_in_any_room),
    };

    return cmocka_run_group_tests(tests, load_book, drop_book);
}
