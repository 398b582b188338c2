/* SPDX-License-Identifier: Apache-2.0 */
/* Reading requests: recognising them, the fields that decide cost, what an agent cannot hide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/requests.h"
#include "tests/unit/words.h"

/* ---- fields ------------------------------------------------------------------------------- */

static const char *const tiers[METER_TIERS] = {"standard", "priority", "flex", "batch", "fast"};

static void summary_write(const struct meter_request *r, char *out, size_t room)
{
    (void)snprintf(
        out, room,
        " m=%s stream=%d may=%d window=%d w5=%d w1=%d tier=%s cap=%lld budget=%lld n=%llu "
        "search=%llu set=%d open=%d hold=%d images=%llu pages=%llu ",
        r->model, r->stream, r->stream_open,
        r->context_window || r->input_tokens >= METER_ANY_WINDOW, r->cache_write_5m,
        r->cache_write_1h, tiers[r->tier], (long long)r->output_cap, (long long)r->thinking_budget,
        (unsigned long long)r->choices,
        (unsigned long long)(r->counts[METER_WEB_SEARCHES] + r->counts[METER_FILE_SEARCHES]),
        r->rewritable, r->unbounded, r->hold_if_broken, (unsigned long long)r->counts[METER_IMAGES],
        (unsigned long long)r->counts[METER_PAGES]);
}

static const struct {
    const char *why, *path, *body, *want;
} fields[] = {
    {"nothing", CHAT, "{}", "m= stream=0 window=0 w5=1 cap=-1 budget=-1 n=1 search=0 set=0"},
    {"the usual chat", CHAT,
     "{\"model\":\"gpt-4o\",\"messages\":[],\"stream\":true,\"max_tokens\":100,\"n\":3}",
     "m=gpt-4o stream=1 cap=100 n=3 tier=standard set=1"},
    {"the newer cap, of nobody knows whom", CHAT, "{\"max_completion_tokens\":7}", "cap=-1 set=1"},
    {"both caps", CHAT, "{\"max_tokens\":5,\"max_completion_tokens\":7}", "cap=7 set=0"},
    {"both caps, one null", CHAT, "{\"max_tokens\":5,\"max_completion_tokens\":null}",
     "cap=5 set=1"},
    {"a null cap", CHAT, "{\"max_tokens\":null}", "cap=-1 set=1"},
    {"a cap twice", CHAT, "{\"max_tokens\":9,\"max_tokens\":5}", "cap=9 set=0"},
    {"a cap twice, null last", CHAT, "{\"max_tokens\":9,\"max_tokens\":null}", "cap=-1 set=0"},
    {"a hidden cap", CHAT, "{\"max\\u005ftokens\":9,\"max_tokens\":5}", "cap=9 set=0"},
    {"a hidden model", CHAT, "{\"mod\\u0065l\":\"gpt\\u002d4o\"}", "m=gpt-4o"},
    {"a cap as a float", CHAT, "{\"max_tokens\":6.0}", "cap=6"},
    {"a cap elsewhere", CHAT, "{\"x\":{\"max_tokens\":6},\"messages\":[{\"max_tokens\":6}]}",
     "cap=-1 set=1"},
    {"a prediction", CHAT, "{\"model\":\"m\",\"prediction\":{\"content\":\"x\"}}", "set=0"},
    {"the same model twice", CHAT, "{\"model\":\"m\",\"model\":\"m\"}", "m=m"},
    {"stream twice", CHAT, "{\"stream\":true,\"stream\":false}", "stream=0"},
    {"... the other way", CHAT, "{\"stream\":false,\"stream\":true}", "stream=0 may=1"},
    {"... and the same", MESS, "{\"stream\":true,\"stream\":true}", "stream=0"},
    {"... by another spelling", CHAT, "{\"str\\u0065am\":false,\"stream\":true}", "stream=0"},
    {"stream 0", CHAT, "{\"stream\":0}", "stream=0 may=1"},
    {"stream 1", RESP, "{\"stream\":1}", "stream=0"},
    {"stream as text", CHAT, "{\"stream\":\"true\"}", "stream=0 may=1"},
    {"stream null", CHAT, "{\"stream\":null}", "stream=0 may=0"},
    {"a stream by its path, whatever the body says",
     "/v1/projects/p/models/claude-3:streamRawPredict", "{\"stream\":false}", "stream=1"},
    {"a stream unless told", "/api/chat", "{}", "stream=1"},
    {"... told so", "/api/chat", "{\"stream\":true}", "stream=1"},
    {"... told not to be", "/api/chat", "{\"stream\":false}", "stream=0 may=0"},
    {"... told something else", "/api/chat", "{\"stream\":\"true\"}", "stream=0"},
    {"... told twice", "/api/chat", "{\"stream\":true,\"stream\":true}", "stream=0"},
    {"a response in the background", RESP, "{\"background\":true}", "hold=1"},
    {"... or so it may be", RESP, "{\"background\":false,\"background\":1}", "hold=1"},
    {"... or not", RESP, "{\"background\":false}", "hold=0"},
    {"a run, which goes on without the caller", "/v1/threads/t/runs", "{}", "hold=1"},
    {"an interaction, which does", "/v1beta/interactions", "{}", "hold=1"},
    {"a chat, which does not", CHAT, "{}", "hold=0"},
    {"sound besides", CHAT, "{\"modalities\":[\"text\",\"audio\"]}", "hold=1"},
    {"text alone", CHAT, "{\"modalities\":[\"text\"]}", "hold=0"},
    {"a picture of Gemini", GEMI,
     "{\"generationConfig\":{\"responseModalities\":[\"TEXT\",\"IMAGE\"]}}", "hold=1"},
    {"... as a lone value, in the other spelling", GEMI,
     "{\"generation_config\":{\"response_modalities\":\"AUDIO\"}}", "hold=1"},
    {"... as a number", GEMI, "{\"generationConfig\":{\"responseModalities\":[2]}}", "hold=1"},
    {"... text alone", GEMI, "{\"generationConfig\":{\"responseModalities\":[\"TEXT\"]}}",
     "hold=0"},
    {"a model that draws unasked", "/v1beta/models/gemini-3-pro-image:streamGenerateContent", "{}",
     "hold=1"},
    {"a tool's rounds of input", RESP, "{\"tools\":[{\"type\":\"mcp\"}]}", "hold=1"},
    {"n twice", CHAT, "{\"n\":4,\"n\":1}", "n=4"},
    {"n null", CHAT, "{\"n\":null}", "n=1"},
    {"tier auto", CHAT, "{\"service_tier\":\"auto\"}", "tier=priority"},
    {"tier priority", RESP, "{\"service_tier\":\"priority\"}", "tier=priority"},
    {"tier fast, another name of priority", CHAT, "{\"service_tier\":\"fast\"}", "tier=priority"},
    {"tier flex", RESP, "{\"service_tier\":\"flex\"}", "tier=standard"},
    {"tier null", RESP, "{\"service_tier\":null}", "tier=standard"},
    {"a tier nobody knows", RESP, "{\"service_tier\":\"ultrafast\"}", "tier=fast"},
    {"tier twice", RESP, "{\"service_tier\":\"priority\",\"service_tier\":\"flex\"}",
     "tier=priority"},
    {"a function", CHAT, "{\"tools\":[{\"type\":\"function\",\"function\":{}}]}", "window=0"},
    {"a tool that runs there", RESP, "{\"tools\":[{\"type\":\"code_interpreter\"}]}",
     "window=1 search=0 open=1"},
    {"a tool as an object", RESP, "{\"tools\":{\"type\":\"code_interpreter\"}}", "window=1 open=1"},
    {"a tool that makes pictures", RESP, "{\"tools\":[{\"type\":\"image_generation\"}]}", "open=1"},
    {"a shell there", RESP,
     "{\"tools\":[{\"type\":\"shell\",\"environment\":{\"type\":\"container_auto\"}}]}", "open=1"},
    {"a shell of the client's", RESP,
     "{\"tools\":[{\"type\":\"shell\",\"environment\":{\"type\":\"local\"}}]}", "window=1 open=0"},
    {"a plugin that searches", CHAT, "{\"plugins\":[{\"id\":\"web\"}]}",
     "window=1 search=16 open=0"},
    {"a plugin that reads pages", MESS, "{\"plugins\":[{\"id\":\"file-parser\"}]}", "open=1"},
    {"a plugin that is free", RESP, "{\"plugins\":[{\"id\":\"moderation\"}]}", "window=1 open=0"},
    {"stored parameters", CHAT, "{\"model\":\"m\",\"preset\":\"p\"}", "m= window=1"},
    {"several models", RESP, "{\"model\":\"m\",\"models\":[\"a\"]}", "m= window=1"},
    {"... of completions", "/v1/completions", "{\"model\":\"m\",\"models\":[\"a\"]}", "m="},
    {"... to fall back on", MESS, "{\"model\":\"m\",\"fallbacks\":[{\"model\":\"a\"}]}", "m="},
    {"a search model", CHAT, "{\"model\":\"gpt-4o-Search-Preview\",\"n\":2}", "window=1 search=2"},
    {"a search model that goes on", CHAT, "{\"model\":\"gpt-5-search-api\"}", "window=1 search=16"},
    {"a model that goes on by itself", CHAT, "{\"model\":\"sonar-deep-research\"}", "open=1"},
    {"a hidden tool", RESP, "{\"tools\":[{\"\\u0074ype\":\"\\u006dcp\"}]}", "window=1"},
    {"a search", RESP, "{\"tools\":[{\"type\":\"web_search_preview\"}]}", "window=1 search=16"},
    {"searches with a bound", RESP,
     "{\"tools\":[{\"type\":\"web_search\"},{\"type\":\"file_search\"}],\"max_tool_calls\":3}",
     "window=1 search=3"},
    {"chat's search", CHAT, "{\"web_search_options\":{},\"n\":2}", "window=1 search=2"},
    {"no search", CHAT, "{\"web_search_options\":null}", "window=0 search=0"},
    {"an earlier response", RESP, "{\"previous_response_id\":\"r\"}", "window=1"},
    {"no earlier response", RESP, "{\"previous_response_id\":null}", "window=0"},
    {"a conversation", RESP, "{\"conversation\":{\"id\":\"c\"}}", "window=1"},
    {"a stored prompt", RESP, "{\"prompt\":{\"id\":\"p\"}}", "window=1"},
    {"a remote image", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"https://x/y.png\"}}]}]}", "window=1"},
    {"a remote image, as a string", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":\"https://x/y.png\"}]}]}", "window=1"},
    {"an image in the body", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":{\"url\":\"data:image/png;base64," PNG_1X1
     "\"}}]}]}",
     "window=0"},
    {"a file that is an address", CHAT,
     "{\"messages\":[{\"content\":[{\"document_url\":\"https://x/y.pdf\"}]}]}", "window=1"},
    {"... as an object", CHAT,
     "{\"messages\":[{\"content\":[{\"video_url\":{\"url\":\"data:video/mp4;base64,AAAA\"}}]}]}",
     "window=1"},
    {"a part of an unknown kind", CHAT, "{\"messages\":[{\"content\":[{\"type\":\"hologram\"}]}]}",
     "window=1"},
    {"... of those that are known", RESP,
     "{\"input\":[{\"content\":[{\"type\":\"input_text\"},{\"text\":\"x\"},{\"type\":null}]}]}",
     "window=0"},
    {"sound at an address", CHAT,
     "{\"messages\":[{\"content\":[{\"input_audio\":\"https://x/y.mp3\"}]}]}", "window=1"},
    {"... in the place of the data", CHAT,
     "{\"messages\":[{\"content\":[{\"input_audio\":{\"data\":\"https://x/y.mp3\"}}]}]}",
     "window=1"},
    {"sound whose bytes bound it", CHAT,
     "{\"messages\":[{\"content\":[{\"input_audio\":{\"data\":\"" MP3_BASE64 "\"}}]}]}",
     "window=0"},
    {"... or do not", CHAT,
     "{\"messages\":[{\"content\":[{\"input_audio\":{\"data\":\"ZkxhQwAAACI=\"}}]}]}", "window=1"},
    {"film, of any length", GEMI,
     "{\"contents\":[{\"parts\":[{\"inlineData\":{\"mimeType\":\"video/"
     "mp4\",\"data\":\"AAAA\"}}]}]}",
     "window=1"},
    {"pages, as many as a packed list says", MESS,
     "{\"messages\":[{\"content\":[{\"source\":{\"media_type\":\"application/pdf\",\"data\":\"" PDF
     "\"}}]}]}",
     "window=1"},
    {"a picture of no size", CHAT,
     "{\"messages\":[{\"content\":[{\"image_url\":\"data:image/avif;base64,AAAA\"}]}]}",
     "window=1"},
    {"cached content of Google's, below OpenAI's", CHAT,
     "{\"extra_body\":{\"google\":{\"cached_content\":\"c\"}}}", "window=1"},
    {"a setting of Google's, below OpenAI's", CHAT,
     "{\"extra_body\":{\"google\":{\"thinking_config\":{}}}}", "window=0"},
    {"a picture by its id", "/v1/images/edits", "{\"images\":[{\"file_id\":\"f\"}]}", "window=1"},
    {"a cache write for twelve hours", RESP, "{\"prompt_cache_options\":{\"ttl\":\"12h\"}}",
     "w1=1"},
    {"film in a bucket", "/model/m/invoke",
     "{\"messages\":[{\"content\":[{\"video\":{\"source\":{\"s3Location\":{\"uri\":\"s\"}}}}]}]}",
     "window=1"},
    {"sound in a bucket", "/model/m/converse",
     "{\"messages\":[{\"content\":[{\"audio\":{\"source\":{\"s3Location\":{\"uri\":\"s\"}}}}]}]}",
     "window=1"},
    {"a cap that stands aside", "/model/m/converse",
     "{\"inferenceConfig\":{\"maxTokens\":5},\"additionalModelRequestFields\":{\"max_gen_len\":9}}",
     "cap=9"},
    {"a file by its id", CHAT, "{\"messages\":[{\"content\":[{\"file\":{\"file_id\":\"f\"}}]}]}",
     "window=1"},
    {"a packed file", RESP,
     "{\"input\":[{\"role\":\"user\",\"content\":[{\"file_data\":\"UEsDBBQABgAI\"}]}]}",
     "window=1"},
    {"an image that a tool gave", RESP,
     "{\"input\":[{\"type\":\"function_call_output\",\"output\":[{\"image_url\":\"http://x\"}]}]}",
     "window=1"},
    {"text alone", RESP, "{\"input\":\"hello\",\"max_output_tokens\":5}", "window=0 cap=5 set=1"},
    {"messages", RESP, "{\"input\":[{\"role\":\"user\",\"content\":\"x\"}]}", "window=0"},
    {"a reference to an item", RESP, "{\"input\":[{\"type\":\"item_reference\",\"id\":\"i\"}]}",
     "window=1"},
    {"a reference without a type", RESP, "{\"input\":[{\"id\":\"i\"}]}", "window=1"},
    {"reasoning kept elsewhere", RESP, "{\"input\":[{\"type\":\"reasoning\",\"id\":\"i\"}]}",
     "window=1"},
    {"reasoning in the body", RESP,
     "{\"input\":[{\"type\":\"reasoning\",\"encrypted_content\":\"abc\"}]}", "window=0"},
    {"the usual messages", MESS,
     "{\"model\":\"claude\",\"max_tokens\":5,\"thinking\":{\"budget_tokens\":2000}}",
     "m=claude cap=5 budget=2000 w5=0 w1=0 tier=standard set=1"},
    {"a cache write", MESS,
     "{\"system\":[{\"text\":\"x\",\"cache_control\":{\"type\":\"ephemeral\"}}]}", "w5=1 w1=0"},
    {"a cache write for an hour", MESS,
     "{\"messages\":[{\"content\":[{\"cache_control\":{\"ttl\":\"1h\"}}]}]}", "w5=1 w1=1"},
    {"a cache write of five minutes", MESS, "{\"cache_control\":{\"ttl\":\"5m\"}}", "w5=1 w1=0"},
    {"a cache write of tools", MESS, "{\"tools\":[{\"name\":\"t\",\"cache_control\":{}}]}",
     "w5=1 window=0"},
    {"the fast mode", MESS, "{\"speed\":\"fast\"}", "tier=fast"},
    {"the usual speed", MESS, "{\"speed\":\"standard\",\"service_tier\":\"auto\"}",
     "tier=standard"},
    {"a search with a bound of its own", MESS,
     "{\"tools\":[{\"type\":\"web_search_20250305\",\"max_uses\":4}]}", "window=1 search=4"},
    {"a search without", MESS, "{\"tools\":[{\"type\":\"web_search_20250305\"}]}",
     "window=1 search=10"},
    {"tools that the client runs", MESS,
     "{\"tools\":[{\"type\":\"bash_20250124\"},{\"type\":\"custom\"},{\"name\":\"x\"}]}",
     "window=0"},
    {"a search that a message adds", MESS,
     "{\"messages\":[{\"content\":[{\"type\":\"tool_addition\",\"tool\":{\"definition\":{\"type\":"
     "\"web_search_20260209\",\"max_uses\":3}}}]}]}",
     "window=1 search=3"},
    {"a tool of the client's that a message adds", MESS,
     "{\"messages\":[{\"content\":[{\"tool\":{\"definition\":{\"name\":\"f\"}}}]}]}", "window=0"},
    {"an advisor", MESS, "{\"tools\":[{\"type\":\"advisor_20260301\"}]}", "window=1"},
    {"servers of tools", MESS, "{\"mcp_servers\":[{\"url\":\"x\"}]}", "window=1"},
    {"no servers of tools", MESS, "{\"mcp_servers\":[]}", "window=0"},
    {"a document by its address", MESS,
     "{\"messages\":[{\"content\":[{\"source\":{\"type\":\"url\",\"url\":\"x\"}}]}]}", "window=1"},
    {"an image of a tool's, by address", MESS,
     "{\"messages\":[{\"content\":[{\"content\":[{\"source\":{\"url\":\"x\"}}]}]}]}", "window=1"},
    {"the usual Gemini", GEMI,
     "{\"contents\":[],\"generationConfig\":{\"maxOutputTokens\":9,\"candidateCount\":2,"
     "\"thinkingConfig\":{\"thinkingBudget\":128}}}",
     "m=gemini-2.5-flash cap=9 n=2 budget=128 set=1 w5=0"},
    {"the other spelling", GEMI,
     "{\"generation_config\":{\"max_output_tokens\":9,\"thinking_config\":{\"thinking_budget\":-1}}"
     "}",
     "cap=9 budget=-1 set=1"},
    {"both spellings", GEMI,
     "{\"generation_config\":{\"max_output_tokens\":9},\"generationConfig\":{\"maxOutputTokens\":8}"
     "}",
     "cap=9 set=0"},
    {"a cap in quotes", GEMI, "{\"generationConfig\":{\"maxOutputTokens\":\"9\"}}", "cap=9 set=1"},
    {"a config that is none", GEMI, "{\"generationConfig\":[1]}", "set=0"},
    {"a search by Google", GEMI, "{\"tools\":[{\"googleSearch\":{}}]}", "window=1 search=16"},
    {"maps", GEMI, "{\"tools\":[{\"google_maps\":{}}]}", "window=1 search=16"},
    {"a file that a function gave", GEMI,
     "{\"contents\":[{\"parts\":[{\"function_response\":{\"parts\":[{\"file_data\":{}}]}}]}]}",
     "window=1"},
    {"an agent", "/v1beta/interactions", "{\"agent\":\"a\"}", "open=1"},
    {"a search of interactions", "/v1beta/interactions",
     "{\"tools\":[{\"type\":\"google_search\"}]}", "window=1 search=16"},
    {"an assistant with tools of its own", "/v1/threads/t/runs", "{\"model\":\"m\"}", "open=1"},
    {"... with those that are named", "/v1/threads/t/runs", "{\"model\":\"m\",\"tools\":[]}",
     "open=0 window=1"},
    {"a tool nobody knows", GEMI, "{\"tools\":[{\"newTool\":{}}]}", "window=1 search=0"},
    {"a tool that is off", GEMI, "{\"tools\":[{\"codeExecution\":null}]}", "window=0"},
    {"functions", GEMI, "{\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\"}]}]}", "window=0"},
    {"a lone tool", GEMI, "{\"tools\":{\"url_context\":{}}}", "window=1"},
    {"cached content", GEMI, "{\"cachedContent\":\"c\"}", "window=1"},
    {"a stored file", GEMI, "{\"contents\":[{\"parts\":[{\"fileData\":{\"fileUri\":\"x\"}}]}]}",
     "window=1"},
    {"a stored file in lone objects", GEMI,
     "{\"contents\":{\"parts\":{\"file_data\":{\"file_uri\":\"x\"}}}}", "window=1"},
    {"a stream", "/v1beta/models/m:streamGenerateContent", "{}", "stream=1 m=m"},
    {"an API nobody reads", "/v1/videos", "{\"model\":\"e\",\"stream\":true}",
     "m=e stream=1 window=1 set=0"},
    {"... and not JSON", "/v1/videos", "--x\r\n", "m= window=1"},
};

static void reads_the_fields_that_decide_cost(void **state)
{
    struct meter_request request;
    struct meter_error error = {""};
    char summary[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(fields); i++) {
        enum meter_err err = read_body(fields[i].path, fields[i].body, &request, &error);

        if (err != METER_OK)
            fail_msg("%s: %s: %s", fields[i].why, meter_strerror(err), error.text);
        summary_write(&request, summary, sizeof summary);
        if (!words_in(summary, fields[i].want))
            fail_msg("%s: want \"%s\", got \"%s\"", fields[i].why, fields[i].want, summary);
    }
}

/* What holds at one provider alone. */
static const struct {
    const char *why, *host, *path, *body, *want;
} hosts[] = {
    {"a model with a search", "openrouter.ai", "/api/v1/chat/completions",
     "{\"model\":\"a/b:online\"}", "window=1 search=16"},
    {"... elsewhere", "api.openai.com", CHAT, "{\"model\":\"a/b:online\"}", "window=0 search=0"},
    {"a system of models", "api.groq.com", "/openai/v1/chat/completions",
     "{\"model\":\"groq/compound-mini\"}", "open=1"},
    {"a model that reads files that the text names", "dashscope.aliyuncs.com",
     "/compatible-mode/v1/chat/completions", "{\"model\":\"qwen-long\"}", "window=1"},
    {"texts in a file that stands elsewhere", "dashscope.aliyuncs.com",
     "/api/v1/services/embeddings/text-embedding/text-embedding",
     "{\"input\":{\"url\":\"https://a/b\"}}", "open=1 window=1"},
    {"a search that is switched on", "dashscope.aliyuncs.com",
     "/compatible-mode/v1/chat/completions", "{\"enable_search\":true}", "window=1 search=1"},
    {"pages that may be read at a fee", "openrouter.ai", "/api/v1/chat/completions",
     "{\"messages\":[{\"content\":[{\"file\":{\"file_data\":\"" PDF "\"}}]}]}", "open=1"},
    {"a talk that is kept there", "api.cohere.com", "/v1/chat", "{\"conversation_id\":\"c\"}",
     "window=1"},
    {"a cap of 0 that is none", "us-south.ml.cloud.ibm.com", "/ml/v1/text/generation",
     "{\"model_id\":\"m\",\"parameters\":{\"max_new_tokens\":0}}", "cap=-1 set=1"},
    {"... of its chat", "us-south.ml.cloud.ibm.com", "/ml/v1/text/chat",
     "{\"model_id\":\"m\",\"max_tokens\":0}", "cap=-1"},
    {"... of Gemini", "generativelanguage.googleapis.com", GEMI,
     "{\"generationConfig\":{\"maxOutputTokens\":0}}", "cap=-1"},
    {"... and another after it", "generativelanguage.googleapis.com", GEMI,
     "{\"generationConfig\":{\"maxOutputTokens\":0,\"max_output_tokens\":5}}", "cap=-1 set=0"},
    {"... of whatever stands behind a gateway", "api.portkey.ai", CHAT, "{\"max_tokens\":0}",
     "cap=-1"},
    {"a cap of 0", "api.anthropic.com", MESS, "{\"max_tokens\":0}", "cap=0"},
    {"the newer cap, which is passed over", "api.deepseek.com", CHAT,
     "{\"max_completion_tokens\":5}", "cap=-1 set=1"},
    {"... and one that is not", "api.deepseek.com", CHAT,
     "{\"max_completion_tokens\":5,\"max_tokens\":3}", "cap=5 set=0"},
    {"... beside none", "api.deepseek.com", CHAT,
     "{\"max_completion_tokens\":5,\"max_tokens\":null}", "cap=-1 set=0"},
    {"... and one that is obeyed", "api.openai.com", CHAT, "{\"max_completion_tokens\":7}",
     "cap=7 set=1"},
    {"... as well as the older", "openrouter.ai", "/api/v1/chat/completions",
     "{\"max_completion_tokens\":5}", "cap=5 set=1"},
    {"pictures of a number that is not said", "us-central1-aiplatform.googleapis.com",
     "/v1/projects/p/locations/l/publishers/google/models/i:predict", "{\"instances\":[]}",
     "images=4"},
    {"... that is", "us-central1-aiplatform.googleapis.com",
     "/v1/projects/p/locations/l/publishers/google/models/i:predict",
     "{\"parameters\":{\"sampleCount\":1}}", "images=1"},
    {"pages by their numbers", "api.mistral.ai", "/v1/ocr", "{\"pages\":[0,1]}", "pages=2"},
    {"... by their range", "api.mistral.ai", "/v1/ocr", "{\"pages\":\"0-899\"}", "pages=1000"},
    {"... all", "api.mistral.ai", "/v1/ocr", "{\"pages\":null}", "pages=1000"},
    {"... with notes", "api.mistral.ai", "/v1/ocr", "{\"pages\":[0],\"bbox_annotation_format\":{}}",
     "pages=3"},
};

static void reads_what_holds_at_one_provider(void **state)
{
    struct meter_request request;
    char summary[512];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        assert_int_equal(read_at(hosts[i].host, "POST", hosts[i].path, hosts[i].body,
                                 strlen(hosts[i].body), &request, NULL),
                         METER_OK);
        summary_write(&request, summary, sizeof summary);
        if (!words_in(summary, hosts[i].want))
            fail_msg("%s: want \"%s\", got \"%s\"", hosts[i].why, hosts[i].want, summary);
    }
}

static const struct {
    const char *why, *path, *body;
    enum meter_err want;
} errors[] = {
    {"no body", CHAT, "", METER_NOT_JSON},
    {"no JSON", CHAT, "hello", METER_NOT_JSON},
    {"half a body", CHAT, "{\"model\":\"m\"", METER_NOT_JSON},
    {"two bodies", CHAT, "{}{}", METER_NOT_JSON},
    {"an array", CHAT, "[{\"model\":\"m\"}]", METER_NOT_JSON},
    {"a string", CHAT, "\"x\"", METER_NOT_JSON},
    {"single quotes", GEMI, "{'contents':[]}", METER_NOT_JSON},
    {"a compressed body", CHAT, "\x1f\x8b\x08", METER_NOT_JSON},
    {"a cap of -1", CHAT, "{\"max_tokens\":-1}", METER_BAD_FIELD},
    {"an endless cap", CHAT, "{\"max_tokens\":1e309}", METER_BAD_FIELD},
    {"a cap of 1.5", CHAT, "{\"max_tokens\":1.5}", METER_BAD_FIELD},
    {"a cap of 2^64", CHAT, "{\"max_tokens\":18446744073709551616}", METER_BAD_FIELD},
    {"a cap in quotes", CHAT, "{\"max_tokens\":\"12\"}", METER_BAD_FIELD},
    {"a cap that is true", MESS, "{\"max_tokens\":true}", METER_BAD_FIELD},
    {"a cap that is a list", MESS, "{\"max_tokens\":[1]}", METER_BAD_FIELD},
    {"-1 choices", CHAT, "{\"n\":-1}", METER_BAD_FIELD},
    {"a negative budget", MESS, "{\"thinking\":{\"budget_tokens\":-5}}", METER_BAD_FIELD},
    {"a model that is a number", CHAT, "{\"model\":1}", METER_BAD_FIELD},
    {"a model that is null", CHAT, "{\"model\":null}", METER_BAD_FIELD},
    {"an empty model", CHAT, "{\"model\":\"\"}", METER_BAD_FIELD},
    {"a model with a NUL", CHAT, "{\"model\":\"a\\u0000b\"}", METER_BAD_FIELD},
    {"two models", CHAT, "{\"model\":\"a\",\"model\":\"b\"}", METER_BAD_FIELD},
    {"two models, one hidden", MESS, "{\"model\":\"a\",\"mode\\u006c\":\"b\"}", METER_BAD_FIELD},
    {"a long model", CHAT,
     "{\"model\":"
     "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
     "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""
     "}",
     METER_BAD_FIELD},
};

static void refuses_what_it_cannot_bound(void **state)
{
    struct meter_request request;
    struct meter_error error;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        enum meter_err err;

        error.text[0] = '\0';
        memset(&request, 0x5a, sizeof request);
        err = read_body(errors[i].path, errors[i].body, &request, &error);
        if (err != errors[i].want || strstr(error.text, "at byte") == NULL)
            fail_msg("%s: want %d, got %d (%s)", errors[i].why, errors[i].want, err, error.text);
        assert_int_equal(request.model[0], 0x5a); /* untouched */
    }
}

static void refuses_a_body_above_256_mib(void **state)
{
    struct meter_target target = {.method = "POST", .host = "x", .path = CHAT};
    struct meter_request request;
    struct meter_error error;

    (void)state; /* the size alone decides: the bytes are not looked at */
    assert_int_equal(
        meter_request_read(&target, "{}", (size_t)METER_REQUEST_MAX + 1, &request, &error),
        METER_TOO_LARGE);
}

static void accepts_a_byte_order_mark(void **state)
{
    struct meter_request request;
    char *body;
    size_t bytes;

    (void)state;
    assert_int_equal(read_body(CHAT, "\xef\xbb\xbf{\"max_tokens\":77}", &request, NULL), METER_OK);
    assert_int_equal(recap(&request, "\xef\xbb\xbf{\"max_tokens\":77}", 20, 5, &body, &bytes),
                     METER_OK);
    assert_string_equal(body, "\xef\xbb\xbf{\"max_tokens\":5 }");
    free(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_fields_that_decide_cost),
        cmocka_unit_test(reads_what_holds_at_one_provider),
        cmocka_unit_test(refuses_what_it_cannot_bound),
        cmocka_unit_test(refuses_a_body_above_256_mib),
        cmocka_unit_test(accepts_a_byte_order_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
