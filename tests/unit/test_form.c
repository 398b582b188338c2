/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are forms: what is read of them, that nothing in one can be hidden, and that the
 * bound is at least what the files and the text can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/requests.h"
#include "tests/unit/words.h"

#define SPEAK    "/v1/audio/transcriptions"
#define EDIT     "/v1/images/edits"
#define TYPE     "multipart/form-data; boundary=B"
#define SAID     "Content-Disposition: form-data; "
#define LAID     "--B\r\n" SAID
#define END      "--B--\r\n"
#define MODEL    PART("model", "whisper-1")
#define PICTURES PART("model", "gpt-image-1") PART("n", "3")
#define PART(name, value)                                                                          \
    LAID "name=\"" name "\"\r\n"                                                                   \
         "\r\n" value "\r\n"
#define SOUND(bytes)                                                                               \
    LAID "name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n"                        \
         "\r\n" bytes "\r\n"
/* A frame that names its rate. */
#define MP3 "\xff\xfb\x90\x44"
#define TOLD(more, told, value)                                                                    \
    LAID more "\r\nContent-Length: " told "\r\n"                                                   \
              "\r\n" value "\r\n"

static enum meter_err form_read(const char *path, const char *type, const char *body, size_t bytes,
                                struct meter_request *out, struct meter_error *error)
{
    struct meter_target target = {
        .method = "POST", .host = "api.openai.com", .path = path, .content_type = type};
    struct guarded copy = guarded_copy(body, bytes);
    enum meter_err err;

    error->text[0] = '\0';
    err = meter_request_read(&target, copy.bytes, bytes, out, error);
    guarded_free(&copy);
    return err;
}

static uint64_t line_of(const struct meter_request *request, const char *what)
{
    for (unsigned i = 0; i < request->line_count; i++)
        if (strcmp(request->lines[i].what, what) == 0)
            return (uint64_t)request->lines[i].tokens;
    return 0;
}

static void summary_write(const struct meter_request *r, char *out, size_t room)
{
    (void)snprintf(out, room,
                   " m=%s n=%llu stream=%d images=%llu seconds=%llu text=%llu pictures=%llu "
                   "sound=%llu bad=%llu set=%d asks=%d open=%d ",
                   r->model, (unsigned long long)r->choices, r->stream,
                   (unsigned long long)r->counts[METER_IMAGES],
                   (unsigned long long)r->counts[METER_SECONDS],
                   (unsigned long long)line_of(r, "text"), (unsigned long long)line_of(r, "images"),
                   (unsigned long long)line_of(r, "audio and video"),
                   (unsigned long long)line_of(r, "bytes that are not UTF-8"), r->rewritable,
                   r->ask_text != NULL, r->seconds_open);
}

/* ---- what is read ------------------------------------------------------------------------- */

static const struct {
    const char *why, *path, *type, *body, *want;
} forms[] = {
    {"sound", SPEAK, TYPE, MODEL SOUND(MP3) PART("prompt", "of birds") END,
     "m=whisper-1 n=1 stream=0 seconds=1 images=0 text=17 sound=10004 pictures=0 set=0 asks=0 "
     "open=0"},
    {"... in a format that packs silence to nothing", SPEAK, TYPE, MODEL SOUND("fLaC") END,
     "open=1"},
    {"... at an address", SPEAK, TYPE, MODEL PART("url", "https://x/y.mp3") END, "open=1"},
    {"... beside a file", SPEAK, TYPE, MODEL SOUND(MP3) PART("file_url", "https://x/y.mp3") END,
     "open=1"},
    {"... of an id", "/v1/audio/translations", TYPE, MODEL SOUND(MP3) PART("file_id", "f") END,
     "open=1"},
    {"... in JSON", SPEAK, NULL, "{\"model\":\"whisper-1\",\"file_url\":\"https://x/y.mp3\"}",
     "m=whisper-1 open=1"},
    {"... translated", "/v1/audio/translations", TYPE, MODEL SOUND(MP3) END,
     "m=whisper-1 seconds=1 sound=10004"},
    {"... that comes as a stream", SPEAK, TYPE, MODEL PART("stream", "true") END,
     "stream=1 asks=0"},
    {"... that does not", SPEAK, TYPE, MODEL PART("stream", "false") END, "stream=0"},
    {"... that may", SPEAK, TYPE, MODEL PART("stream", "1") END, "stream=0"},
    {"... said twice", SPEAK, TYPE, MODEL PART("stream", "true") PART("stream", "true") END,
     "stream=0"},
    {"pictures", EDIT, TYPE,
     PICTURES LAID "name=\"image[]\"; filename=\"1.png\"\r\n\r\nPNG\r\n" LAID
                   "name=\"image[]\"; filename=\"2.png\"\r\n\r\nPNG\r\n" PART("prompt", "a cat")
                       END,
     "m=gpt-image-1 n=3 images=3 seconds=0 text=17 pictures=20000 sound=0"},
    {"... varied", "/v1/images/variations", TYPE, PART("n", "2") END,
     "m=dall-e-2 n=2 images=2 text=1"},
    {"... without a number", EDIT, TYPE, PART("model", "gpt-image-1") END, "n=1 images=1"},
    {"... at another host", "/openai/deployments/gpt-image-1/images/edits", TYPE,
     PART("n", "2") END, "m=gpt-image-1 n=2"},
    {"a number twice: the larger", EDIT, TYPE, PART("n", "7") PART("n", "2") END, "n=7 images=7"},
    {"a number as a float", EDIT, TYPE, PART("n", "1e2") END, "n=100"},
    {"a model twice, the same", SPEAK, TYPE, MODEL MODEL END, "m=whisper-1"},
    {"fields that decide nothing", SPEAK, TYPE,
     MODEL PART("language", "en") PART("temperature", "0") PART("models", "x") END,
     "m=whisper-1 text=13"},
    {"a field of another case", EDIT, TYPE, PART("N", "7") PART("Model", "x") END,
     "m=dall-e-2 n=1"},
    {"an empty form", EDIT, TYPE, END, "m=dall-e-2 n=1"},
    {"empty parts", SPEAK, TYPE, MODEL PART("prompt", "") END, "m=whisper-1 text=9"},
    {"a part that ends at its headers", SPEAK, TYPE, MODEL LAID "name=\"prompt\"\r\n\r\n" END,
     "m=whisper-1 text=9"},
    {"no line end at the end", SPEAK, TYPE, MODEL "--B--", "m=whisper-1"},
    {"blank lines at the end", SPEAK, TYPE, MODEL END "\r\n \r\n", "m=whisper-1"},
    {"a line end at the beginning", SPEAK, TYPE, "\r\n" MODEL END, "m=whisper-1"},
    {"bytes that are not UTF-8", EDIT, TYPE, PART("prompt", "\xff\xfe") END, "text=2 bad=4"},
    {"a boundary in quotes", SPEAK, "multipart/form-data; boundary=\"B\"", MODEL END,
     "m=whisper-1"},
    {"... with a blank and a comma", SPEAK, "multipart/form-data; boundary=\"B, c\"; charset=utf-8",
     "--B, c\r\n" SAID "name=\"model\"\r\n\r\nwhisper-1\r\n--B, c--\r\n", "m=whisper-1"},
    {"... before another parameter", SPEAK, "Multipart/Form-Data; BOUNDARY=B; charset=utf-8",
     MODEL END, "m=whisper-1"},
    {"... of seventy letters", SPEAK,
     "multipart/form-data; "
     "boundary=0123456789012345678901234567890123456789012345678901234567890123456789",
     "--0123456789012345678901234567890123456789012345678901234567890123456789\r\n" SAID
     "name=\"model\"\r\n\r\nm\r\n"
     "--0123456789012345678901234567890123456789012345678901234567890123456789--",
     "m=m"},
    {"... behind a parameter that ends like it", SPEAK,
     "multipart/form-data; xboundary=C; boundary=B", MODEL END, "m=whisper-1"},
    {"... behind one that has it in quotes", SPEAK,
     "multipart/form-data; x=\"; boundary=C\" ; boundary = \"B\";", MODEL END, "m=whisper-1"},
    {"no content type: the body's own boundary", SPEAK, NULL, MODEL END, "m=whisper-1"},
    {"no boundary in the content type", SPEAK, "multipart/form-data", MODEL END, "m=whisper-1"},
    {"another content type", SPEAK, "application/json", MODEL END, "m=whisper-1"},
    {"a boundary that begins with dashes", SPEAK, NULL,
     "----b\r\n" SAID "name=\"model\"\r\n\r\nm\r\n----b--\r\n", "m=m"},
    {"JSON instead", "/v1/images/generations", NULL, "{\"model\":\"gpt-image-1\",\"n\":2}",
     "m=gpt-image-1 images=2"},
    /* headers */
    {"headers of many kinds", SPEAK, TYPE,
     "--B\r\nContent-Type: \r\nX-Other:1\r\nCONTENT-DISPOSITION: Form-Data; name=\"model\"\r\n"
     "Content-Transfer-Encoding: binary\r\n\r\nm\r\n" END,
     "m=m"},
    {"a name without quotes", EDIT, TYPE, LAID "name=n\r\n\r\n7\r\n" END, "n=7"},
    {"... before another parameter", EDIT, TYPE, LAID "name=n; x=y\r\n\r\n7\r\n" END, "n=7"},
    {"a name behind no blank", EDIT, TYPE,
     "--B\r\nContent-Disposition:form-data;name=\"n\"\r\n\r\n7\r\n" END, "n=7"},
    {"a name's name of another case", EDIT, TYPE, LAID "NAME=\"n\"\r\n\r\n7\r\n" END, "n=7"},
    {"blanks around", EDIT, TYPE, LAID " name =\t\"n\" ; \r\n\r\n7\r\n" END, "n=7"},
    {"a name on a line of its own", EDIT, TYPE, LAID "\r\n\tname=\"n\"\r\n\r\n7\r\n" END, "n=7"},
    {"a name behind a parameter with quotes", EDIT, TYPE,
     LAID "x=\"; name=\\\"y\\\"\"; name=\"n\"\r\n\r\n7\r\n" END, "n=7"},
    {"a parameter that ends like a file's", EDIT, TYPE,
     LAID "name=\"n\"; xfilename=\"y\"; filenames=z\r\n\r\n7\r\n" END, "n=7 pictures=0"},
    {"a parameter that says filename", EDIT, TYPE,
     LAID "name=\"n\"; x=\"filename\"\r\n\r\n7\r\n" END, "n=7 pictures=0"},
    {"a name that backslashes end", EDIT, TYPE,
     LAID "filename=\"a\\\\\"; name=\"n\"\r\n\r\n7\r\n" END, "n=7 pictures=10000"},
    {"a backslash that is part of the name", EDIT, TYPE, LAID "name=\"\\n\"\r\n\r\n7\r\n" END,
     "n=1 text=1"},
    {"a parameter that begins like a name", EDIT, TYPE, LAID "na=\"n\"\r\n\r\n7\r\n" END,
     "n=1 text=1"},
    {"a header that begins like a disposition", EDIT, TYPE,
     "--B\r\nContent-Disp: form-data; name=\"n\"\r\n\r\n7\r\n" END, "n=1 text=1"},
    {"a field that is a file", EDIT, TYPE, LAID "name=\"n\"; filename=\"\"\r\n\r\n7\r\n" END,
     "n=7 pictures=10000"},
    {"another disposition", EDIT, TYPE,
     "--B\r\nContent-Disposition: attachment; name=\"n\"\r\n\r\n7\r\n" END, "n=7"},
    {"a part without a name", EDIT, TYPE, LAID "x=y\r\n\r\n7\r\n" END, "n=1 text=1"},
    {"a part without a disposition", EDIT, TYPE, "--B\r\nA: b\r\n\r\n7\r\n" END, "n=1 text=1"},
    {"a part without headers", EDIT, TYPE, "--B\r\n\r\n7\r\n" END, "n=1 text=1"},
    {"a name longer than any field's", EDIT, TYPE,
     LAID "name=\"nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\"\r\n\r\n"
          "7\r\n" END,
     "n=1 text=1"},
    {"a file's name with quotes", SPEAK, TYPE,
     MODEL LAID "name=\"file\"; filename=\"a\\\"; name=\\\"n\\\\.wav\"\r\n\r\n" MP3 "\r\n" END,
     "m=whisper-1 n=1 sound=10004"},
    {"... before the field's", SPEAK, TYPE,
     MODEL LAID "filename=\"a\\\"b; c\"; name=\"file\"\r\n\r\n" MP3 "\r\n" END, "sound=10004"},
    {"... on a line of its own", SPEAK, TYPE,
     MODEL LAID "name=\"file\";\r\n filename=\"a.wav\"\r\n\r\n" MP3 "\r\n" END,
     "sound=10004 seconds=1"},
    {"... in another alphabet", SPEAK, TYPE,
     MODEL LAID "name=\"file\"; filename*=utf-8''%e2%82%ac.wav\r\n\r\n" MP3 "\r\n" END,
     "sound=10004"},
    {"headers within a part's body", SPEAK, TYPE,
     MODEL PART("prompt", "a\r\n" SAID "name=\"n\"\r\n\r\n9") END, "n=1 text=57"},
    /* sizes that are told */
    {"a file that is told, not sent", SPEAK, TYPE,
     MODEL TOLD("name=\"file\"; filename=\"\"", "70000", "") END, "sound=80000 seconds=141"},
    {"... told less than it is", SPEAK, TYPE,
     MODEL TOLD("name=\"file\"; filename=\"\"", "1", MP3) END, "sound=10004"},
    {"... without a blank", SPEAK, TYPE,
     MODEL LAID "name=\"file\"; filename=\"\"\r\nContent-Length:70000\r\n\r\n\r\n" END,
     "sound=80000 seconds=141"},
    {"... twice: the larger", SPEAK, TYPE,
     MODEL LAID "name=\"file\"; filename=\"\"\r\nContent-Length: 70000\r\ncontent-length: 5\r\n"
                "\r\n\r\n" END,
     "sound=80000"},
    {"text that is told, not sent", EDIT, TYPE, TOLD("name=\"prompt\"", "5000", "") END,
     "text=5000"},
    {"... and as long as told", EDIT, TYPE, TOLD("name=\"n\"", "1", "4") END, "n=4 text=1"},
    {"a size that is none", EDIT, TYPE, TOLD("name=\"n\"", "lots", "4") END, "n=4 text=1"},
    {"a size beyond all bounds", SPEAK, TYPE,
     MODEL TOLD("name=\"file\"; filename=\"\"", "9223372036854775807", "") END,
     "seconds=18446744073709552"},
};

static void reads_what_decides_the_cost(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        struct meter_request request;
        struct meter_error error;
        char summary[512];
        enum meter_err err = form_read(forms[i].path, forms[i].type, forms[i].body,
                                       strlen(forms[i].body), &request, &error);

        if (err != METER_OK)
            fail_msg("%s: %s: %s", forms[i].why, meter_strerror(err), error.text);
        summary_write(&request, summary, sizeof summary);
        if (!words_in(summary, forms[i].want))
            fail_msg("%s: want \"%s\", got \"%s\"", forms[i].why, forms[i].want, summary);
    }
}

/* ---- what is refused ---------------------------------------------------------------------- */

static const struct {
    const char *why, *path, *type, *body;
    enum meter_err want;
    const char *says;
} refused[] = {
    {"two models", SPEAK, TYPE, MODEL PART("model", "gpt-4o-transcribe") END, METER_BAD_FIELD,
     "two models are named, at byte 117"},
    {"an empty model", SPEAK, TYPE, PART("model", "") END, METER_BAD_FIELD, "model"},
    {"a model that is told, not sent", SPEAK, TYPE, TOLD("name=\"model\"", "5", "") END,
     METER_BAD_FIELD, "model"},
    {"a model in a file", SPEAK, TYPE, TOLD("name=\"model\"; filename=\"\"", "5", "") END,
     METER_BAD_FIELD, "model"},
    {"a number that is none", EDIT, TYPE, PART("n", "many") END, METER_BAD_FIELD, "number"},
    {"a number with a blank", EDIT, TYPE, PART("n", " 2") END, METER_BAD_FIELD, "number"},
    {"an empty number", EDIT, TYPE, PART("n", "") END, METER_BAD_FIELD, "number"},
    {"a negative number", EDIT, TYPE, PART("n", "-2") END, METER_BAD_FIELD, "number"},
    {"a number of 2^64", EDIT, TYPE, PART("n", "18446744073709551616") END, METER_BAD_FIELD,
     "number"},
    {"a body that is no form", SPEAK, TYPE, "{\"model\":\"whisper-1\"}", METER_NOT_JSON,
     "boundary"},
    {"nothing", SPEAK, TYPE, "", METER_NOT_JSON, "boundary"},
    {"... and no content type", SPEAK, NULL, "", METER_NOT_JSON, "JSON"},
    {"two dashes alone", SPEAK, NULL, "--", METER_NOT_JSON, "boundary"},
    {"an empty boundary in the body", SPEAK, NULL, "--\r\n", METER_NOT_JSON, "boundary"},
    {"an empty boundary", SPEAK, "multipart/form-data; boundary=", MODEL END, METER_NOT_JSON,
     "boundary"},
    {"a quoted boundary without its end", SPEAK, "multipart/form-data; boundary=\"B", MODEL END,
     METER_NOT_JSON, "boundary"},
    {"a boundary that is too long", SPEAK, NULL,
     "--01234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n",
     METER_NOT_JSON, "boundary"},
    {"... by a letter", SPEAK,
     "multipart/form-data; "
     "boundary=0123456789012345678901234567890123456789012345678901234567890123456789abc",
     "--0123456789012345678901234567890123456789012345678901234567890123456789abc--",
     METER_NOT_JSON, "boundary"},
    {"two boundaries", SPEAK, "multipart/form-data; boundary=B; boundary=C", MODEL END,
     METER_NOT_JSON, "boundary"},
    {"... that are the same", SPEAK, "multipart/form-data; boundary=B; Boundary=\"B\"", MODEL END,
     METER_NOT_JSON, "boundary"},
    {"... of two lines", SPEAK, TYPE ", " TYPE, MODEL END, METER_NOT_JSON, "boundary"},
    {"... the first of which has none", SPEAK, "multipart/form-data, " TYPE, MODEL END,
     METER_NOT_JSON, "boundary"},
    {"a boundary in the value of another", SPEAK, "multipart/form-data; x=\"a; boundary=B",
     MODEL END, METER_NOT_JSON, "boundary"},
    {"a parameter that ends like it", SPEAK, "multipart/form-data; xboundary=B; boundary=C",
     MODEL END, METER_NOT_JSON, "boundary"},
    {"a boundary in pieces", SPEAK, "multipart/form-data; boundary*0=B", MODEL END, METER_NOT_JSON,
     "boundary"},
    {"... in another alphabet", SPEAK, "multipart/form-data; boundary*=utf-8''B; boundary=B",
     MODEL END, METER_NOT_JSON, "boundary"},
    {"... without a value", SPEAK, "multipart/form-data; boundary", MODEL END, METER_NOT_JSON,
     "boundary"},
    {"... with what only quotes may have", SPEAK, "multipart/form-data; boundary=a=b",
     "--a=b\r\n\r\nx\r\n--a=b--", METER_NOT_JSON, "boundary"},
    {"... with what no boundary may have", SPEAK, "multipart/form-data; boundary=\"\\B\"",
     "--\\B\r\n\r\nx\r\n--\\B--", METER_NOT_JSON, "boundary"},
    {"something behind it", SPEAK, "multipart/form-data; boundary=\"B\" x", MODEL END,
     METER_NOT_JSON, "boundary"},
    {"a boundary that is not the body's", SPEAK, "multipart/form-data; boundary=C", MODEL END,
     METER_NOT_JSON, "boundary"},
    {"a form where there is none", CHAT, TYPE, MODEL END, METER_NOT_JSON, "JSON"},
    /* what a laxer reader might read otherwise */
    {"no end", SPEAK, TYPE, MODEL, METER_NOT_JSON, "at byte"},
    {"half an end", SPEAK, TYPE, MODEL "--B-", METER_NOT_JSON, "at byte"},
    {"a part that does not end", SPEAK, TYPE, MODEL LAID "name=\"n\"\r\n\r\n7", METER_NOT_JSON,
     "at byte"},
    {"headers that do not end", SPEAK, TYPE, MODEL LAID "name=\"n\"\r\n", METER_NOT_JSON,
     "at byte"},
    {"something behind the end", SPEAK, TYPE, MODEL END PART("n", "7") END, METER_NOT_JSON,
     "at byte"},
    {"something before the beginning", SPEAK, TYPE, "x\r\n" MODEL END, METER_NOT_JSON, "boundary"},
    {"something behind a boundary", SPEAK, TYPE,
     MODEL "--B \r\n" SAID "name=\"n\"\r\n\r\n7\r\n" END, METER_NOT_JSON, "at byte"},
    {"line feeds alone", SPEAK, TYPE, "--B\n" SAID "name=\"model\"\n\nm\n--B--\n", METER_NOT_JSON,
     "at byte"},
    {"a line feed alone before a boundary", EDIT, TYPE,
     PART("prompt", "a\n--B\r\n" SAID "name=\"n\"\r\n\r\n7") END, METER_NOT_JSON, "at byte"},
    {"a boundary in the middle of a line", EDIT, TYPE, PART("prompt", "a --B") END, METER_NOT_JSON,
     "at byte"},
    {"a line feed alone in the headers", EDIT, TYPE,
     "--B\r\nA: b\n" SAID "name=\"n\"\r\n\r\n7\r\n" END, METER_NOT_JSON, "at byte"},
    {"a return alone in the headers", EDIT, TYPE,
     "--B\r\nA: b\r" SAID "name=\"n\"\r\n\r\n7\r\n" END, METER_NOT_JSON, "at byte"},
    {"headers that begin with a blank", EDIT, TYPE, "--B\r\n " SAID "name=\"n\"\r\n\r\n7\r\n" END,
     METER_NOT_JSON, "at byte"},
    {"a header without a colon", EDIT, TYPE, "--B\r\nhello\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"a header with a blank in its name", EDIT, TYPE,
     "--B\r\nContent-Disposition : form-data; name=\"n\"\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"two dispositions", EDIT, TYPE, LAID "name=\"a\"\r\n" SAID "name=\"n\"\r\n\r\n7\r\n" END,
     METER_NOT_JSON, "at byte"},
    {"... of which one has a name", EDIT, TYPE, LAID "x=y\r\n" SAID "name=\"n\"\r\n\r\n7\r\n" END,
     METER_NOT_JSON, "at byte"},
    {"two names", EDIT, TYPE, LAID "name=\"a\"; name=\"n\"\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"a name in another alphabet", EDIT, TYPE, LAID "name*=utf-8''n\r\n\r\n7\r\n" END,
     METER_NOT_JSON, "at byte"},
    {"a name in pieces", EDIT, TYPE, LAID "name*0=\"n\"\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"a name without its end", EDIT, TYPE, LAID "name=\"n\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"... that a backslash takes", EDIT, TYPE, LAID "name=\"n\\\"\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"a name with something behind", EDIT, TYPE, LAID "name=\"n\"x\r\n\r\n7\r\n" END,
     METER_NOT_JSON, "at byte"},
    {"a name with quotes within", EDIT, TYPE, LAID "name=n\"\"\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"a name that is empty", EDIT, TYPE, LAID "name=; x=y\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"a parameter without a value", EDIT, TYPE, LAID "name\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"... before another", EDIT, TYPE, LAID "name;n=n\r\n\r\n7\r\n" END, METER_NOT_JSON, "at byte"},
    {"a value without a parameter", EDIT, TYPE, LAID "=\"n\"\r\n\r\n7\r\n" END, METER_NOT_JSON,
     "at byte"},
    {"no type of disposition", EDIT, TYPE,
     "--B\r\nContent-Disposition: name=\"n\"\r\n\r\n7\r\n" END, METER_NOT_JSON, "at byte"},
    {"a form within the form", SPEAK, TYPE,
     MODEL LAID "name=\"file\"\r\nContent-Type: Multipart/mixed; boundary=C\r\n\r\n--C\r\n\r\nx\r\n"
                "--C--\r\n" END,
     METER_NOT_JSON, "at byte"},
};

static void refuses_what_a_laxer_reader_might_read_otherwise(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct meter_request request;
        struct meter_error error;
        enum meter_err err = form_read(refused[i].path, refused[i].type, refused[i].body,
                                       strlen(refused[i].body), &request, &error);

        if (err != refused[i].want || strstr(error.text, refused[i].says) == NULL)
            fail_msg("%s: want %d, got %d \"%s\"", refused[i].why, refused[i].want, err,
                     error.text);
    }
}

/* Of a content type that may have been cut nobody knows what stood behind it. */
static void refuses_a_content_type_that_may_be_cut(void **state)
{
    char type[METER_TYPE_MAX + 1];
    struct meter_request request;
    struct meter_error error;

    (void)state;
    (void)snprintf(type, sizeof type, "%s; x=%0255d", TYPE, 0);
    assert_int_equal(strlen(type), METER_TYPE_MAX);
    assert_int_equal(form_read(SPEAK, type, MODEL END, strlen(MODEL END), &request, &error),
                     METER_NOT_JSON);
    type[METER_TYPE_MAX - 1] = '\0';
    assert_int_equal(form_read(SPEAK, type, MODEL END, strlen(MODEL END), &request, &error),
                     METER_OK);
}

/* A NUL in a name would end it early. */
static void refuses_a_nul_in_a_header(void **state)
{
    static const char body[] = LAID "name=\"n\0x\"\r\n\r\n7\r\n" END;
    struct meter_request request;
    struct meter_error error;

    (void)state;
    assert_int_equal(form_read(EDIT, TYPE, body, sizeof body - 1, &request, &error),
                     METER_NOT_JSON);
}

/* ---- cut, and damaged --------------------------------------------------------------------- */

#define ALL                                                                                        \
    MODEL PART("n", "3") LAID "name=\"file\"; filename=\"a\\\"b\"\r\nContent-Length: 9\r\n"        \
                              "Content-Type: audio/wav\r\n\r\nRIFF\r\n" PART("prompt", "a\r\n-")   \
                                  END

/* But for the last line end, all of a form is needed. */
static void reads_no_form_that_is_cut(void **state)
{
    static const char body[] = ALL;
    static const char *const types[] = {TYPE, NULL};
    size_t bytes = sizeof body - 1;

    (void)state;
    for (size_t t = 0; t < COUNT_OF(types); t++)
        for (size_t cut = 0; cut <= bytes; cut++) {
            struct meter_request request;
            struct meter_error error;
            enum meter_err err = form_read(SPEAK, types[t], body, cut, &request, &error);

            if (err != (cut + 2 < bytes ? METER_NOT_JSON : METER_OK))
                fail_msg("cut at %zu of %zu: %d", cut, bytes, err);
        }
}

/* Whatever byte is another: nothing behind the body is looked at, and what is read is bounded. */
static void survives_any_other_byte(void **state)
{
    static const char others[] = "\0\r\n\"-;:= \\B\xff";
    char body[] = ALL;
    size_t read = 0;

    (void)state;
    for (size_t at = 0; at < sizeof body - 1; at++)
        for (size_t k = 0; k < sizeof others - 1; k++) {
            struct meter_request request;
            struct meter_error error;
            char was = body[at];
            enum meter_err err;

            body[at] = others[k];
            err = form_read(SPEAK, TYPE, body, sizeof body - 1, &request, &error);
            body[at] = was;
            if (err == METER_OK)
                read += request.input_tokens >= 1024 + 4 && request.choices >= 1;
            else
                assert_true(error.text[0] != '\0');
        }
    assert_true(read > 100);
}

/* ---- bounds ------------------------------------------------------------------------------- */

/* Two minutes of the thinnest sound, between two texts; the file has boundaries of others in it.
 * Where its bytes bound no length, it is of any. */
static void bounds_a_file_by_its_bytes(void **state)
{
    static const char head[] =
        MODEL PART("prompt", "of birds") LAID "name=\"file\"; filename=\"a.opus\"\r\n\r\n",
                      tail[] = "\r\n" PART("language", "en") END;
    size_t file = 60000, bytes = sizeof head - 1 + file + sizeof tail - 1;
    char *body = malloc(bytes);
    struct meter_request request;
    struct meter_error error;

    (void)state;
    assert_non_null(body);
    memcpy(body, head, sizeof head - 1);
    for (size_t i = 0; i < file; i++)
        body[sizeof head - 1 + i] = "\r\n--A\0\xff"[i % 7];
    memcpy(body + sizeof head - 1 + file, tail, sizeof tail - 1);
    assert_int_equal(form_read(SPEAK, TYPE, body, bytes, &request, &error), METER_OK);
    assert_true(request.seconds_open && request.context_window);
    memcpy(body + sizeof head - 1, MP3, 4);
    assert_int_equal(form_read(SPEAK, TYPE, body, bytes, &request, &error), METER_OK);
    free(body);
    assert_string_equal(request.model, "whisper-1");
    assert_int_equal(request.counts[METER_SECONDS], 121);
    assert_int_equal(request.audio_input_tokens, 10000 + file);
    assert_int_equal(request.input_tokens, 1024 + 9 + 8 + 2 + 10000 + file);
    assert_int_equal(line_of(&request, "bytes that are not UTF-8"), 0);
    assert_true(request.estimated_input_tokens > 4 + 121);
    assert_true(request.estimated_input_tokens < 4 + 121 + 20);
}

#define MUCH "9223372036854775807"

static void bounds_more_than_fits(void **state)
{
    static const char sound[] = TOLD("name=\"file\"; filename=\"\"", MUCH, "")
        TOLD("name=\"file\"; filename=\"\"", MUCH, "")
            TOLD("name=\"file\"; filename=\"\"", MUCH, "") END;
    static const char text[] =
        TOLD("name=\"a\"", MUCH, "") TOLD("name=\"b\"", MUCH, "") TOLD("name=\"c\"", MUCH, "") END;
    struct meter_request request;
    struct meter_error error;

    (void)state;
    assert_int_equal(form_read(SPEAK, TYPE, sound, sizeof sound - 1, &request, &error), METER_OK);
    assert_int_equal(request.input_tokens, UINT64_MAX);
    assert_int_equal(request.counts[METER_SECONDS], UINT64_MAX / 500 + 1);
    assert_int_equal(form_read(EDIT, TYPE, text, sizeof text - 1, &request, &error), METER_OK);
    assert_int_equal(request.input_tokens, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_decides_the_cost),
        cmocka_unit_test(refuses_what_a_laxer_reader_might_read_otherwise),
        cmocka_unit_test(refuses_a_content_type_that_may_be_cut),
        cmocka_unit_test(refuses_a_nul_in_a_header),
        cmocka_unit_test(reads_no_form_that_is_cut),
        cmocka_unit_test(survives_any_other_byte),
        cmocka_unit_test(bounds_a_file_by_its_bytes),
        cmocka_unit_test(bounds_more_than_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
