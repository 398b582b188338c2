/* SPDX-License-Identifier: Apache-2.0 */
/* usage: fork_child wait|exec|call ID [FAULT]
 * Asks what exchange ID asked (FAULT: and how the double shall go wrong). With the first bytes of
 * the answer it forks a child, which has all its descriptors: it waits for ever, becomes another
 * program that does, or makes a call of its own. Prints `child PID`, and `parent CODE CURL-CODE` or
 * `child CODE CURL-CODE` when a transfer ends. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct client {
    const char *mode;
    const char *id;
    pid_t child;
};

static char *text_of(const char *id, const char *name, char *buffer, size_t size)
{
    char path[4096];
    FILE *file;
    size_t got;

    snprintf(path, sizeof path, "%s/x/%s/%s", getenv("W"), id, name);
    file = fopen(path, "re");
    if (file == NULL)
        exit(9);
    got = fread(buffer, 1, size - 1, file);
    (void)fclose(file);
    buffer[got] = '\0';
    return buffer;
}

static void call(const char *who, const char *id, const char *fault, curl_write_callback on_data,
                 void *data)
{
    static char url[4096], body[65536], header[256], connect_to[64], ca[4096];
    struct curl_slist *headers = NULL, *hosts = NULL;
    CURL *handle = curl_easy_init();
    CURLcode result;
    long code = 0;

    snprintf(header, sizeof header, "X-Replay: %s", id);
    snprintf(connect_to, sizeof connect_to, "::127.0.0.1:%s", getenv("HTTPS"));
    snprintf(ca, sizeof ca, "%s/ca.pem", getenv("CERTS"));
    headers = curl_slist_append(headers, "Content-Type: application/json");
    headers = curl_slist_append(headers, header);
    if (fault != NULL) {
        snprintf(header, sizeof header, "X-Replay-Fault: %s", fault);
        headers = curl_slist_append(headers, header);
    }
    hosts = curl_slist_append(hosts, connect_to);
    text_of(id, "url", url, sizeof url);
    url[strcspn(url, "\n")] = '\0';
    curl_easy_setopt(handle, CURLOPT_URL, url);
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, text_of(id, "body", body, sizeof body));
    curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(handle, CURLOPT_CONNECT_TO, hosts);
    curl_easy_setopt(handle, CURLOPT_CAINFO, ca);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, data);
    result = curl_easy_perform(handle);
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &code);
    printf("%s %ld %d\n", who, code, (int)result);
    fflush(stdout);
    curl_easy_cleanup(handle);
    curl_slist_free_all(headers);
    curl_slist_free_all(hosts);
}

static size_t ignore(char *bytes, size_t size, size_t count, void *data)
{
    (void)bytes;
    (void)data;
    return size * count;
}

static void be_the_child(const struct client *client)
{
    if (strcmp(client->mode, "exec") == 0)
        execlp("tail", "tail", "-f", "/dev/null", (char *)NULL);
    if (strcmp(client->mode, "call") == 0) {
        call("child", client->id, NULL, ignore, NULL);
        _exit(0);
    }
    for (;;)
        pause();
}

static size_t fork_at_first_bytes(char *bytes, size_t size, size_t count, void *data)
{
    struct client *client = data;

    (void)bytes;
    if (client->child == 0) {
        client->child = fork();
        if (client->child == 0)
            be_the_child(client);
        printf("child %ld\n", (long)client->child);
        fflush(stdout);
    }
    return size * count;
}

int main(int argc, char **argv)
{
    struct client client = {0};

    if (argc != 3 && argc != 4)
        return 2;
    client.mode = argv[1];
    client.id = argv[2];
    curl_global_init(CURL_GLOBAL_ALL);
    call("parent", client.id, argc > 3 ? argv[3] : NULL, fork_at_first_bytes, &client);
    if (strcmp(client.mode, "call") == 0)
        (void)waitpid(client.child, NULL, 0);
    return 0;
}
