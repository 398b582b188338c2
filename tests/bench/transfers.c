/* SPDX-License-Identifier: Apache-2.0 */
/* Many transfers in one program: `transfers URL N [BODY-FILE]`. Prints the median and the 99th
 * percentile of a transfer in nanoseconds; run bare and preloaded, the difference is what the shim
 * adds. With a think time ($THINK_US) between them, as agents have. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static size_t drop(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes, (void)data;
    return size * count;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static char *slurp(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    if (file == NULL || fread(text, 1, (1 << 20) - 1, file) == 0)
        exit(2);
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    long count = argc > 2 ? atol(argv[2]) : 0, failed = 0;
    const char *think = getenv("THINK_US");
    struct timespec pause = {0, think != NULL ? atol(think) * 1000 : 0};
    int64_t *samples = calloc((size_t)count + 1, sizeof *samples);
    CURL *easy = curl_easy_init();

    if (count <= 0) {
        fputs("usage: transfers URL N [BODY-FILE]\n", stderr);
        return 2;
    }
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    if (argc > 3)
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, slurp(argv[3]));
    for (long i = 0; i < count; i++) {
        int64_t began;
        long status = 0;

        if (pause.tv_nsec > 0)
            nanosleep(&pause, NULL);
        began = now_ns();
        failed += curl_easy_perform(easy) != CURLE_OK;
        samples[i] = now_ns() - began;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        failed += status >= 400;
    }
    qsort(samples, (size_t)count, sizeof *samples, by_size);
    printf("{\"p50_ns\":%lld,\"p99_ns\":%lld,\"failed\":%ld}\n", (long long)samples[count / 2],
           (long long)samples[count * 99 / 100], failed);
    curl_easy_cleanup(easy);
    return 0;
}
