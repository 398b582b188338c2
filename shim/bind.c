/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the real libcurl of whoever calls. There may be several in one process (OpenSSL's and
 * GnuTLS's flavour, a bundled one), loaded in ways that hide them from RTLD_NEXT, or reached by
 * pointers from dlsym; so each is an entry of a table, found by the caller's own dependencies or by
 * the function's address. Must not call into a libcurl: that is for the callers of this file. */
#include "shim/shim_int.h"

#include <dlfcn.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

void *(*shim_real_dlopen)(const char *file, int mode);
void *(*shim_real_dlsym)(void *handle, const char *name);

static struct shim_curl curls[SHIM_CURLS_MAX];
static atomic_uint curl_count;
static pthread_mutex_t locks[SHIM_LOCKS] = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
                                            PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER};
static struct client_place place;
static const void *own_base;
static char own_path[4096];

void shim_lock(enum shim_lock lock)
{
    pthread_mutex_lock(&locks[lock]);
}

void shim_unlock(enum shim_lock lock)
{
    pthread_mutex_unlock(&locks[lock]);
}

static void fork_prepare(void)
{
    for (unsigned i = 0; i < SHIM_LOCKS; i++)
        pthread_mutex_lock(&locks[i]);
}

static void fork_parent(void)
{
    for (unsigned i = SHIM_LOCKS; i-- > 0;)
        pthread_mutex_unlock(&locks[i]);
}

static void fork_child(void)
{
    for (unsigned i = 0; i < SHIM_LOCKS; i++)
        pthread_mutex_init(&locks[i], NULL);
}

/* The version with which libc exports dlopen and dlsym: since 2.34 both are in libc itself. Looked
 * up with dlvsym, which we do not hook. */
static void *libc_function(const char *name)
{
    static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17"};
    void *found = NULL;

    for (size_t i = 0; i < sizeof versions / sizeof versions[0] && found == NULL; i++)
        found = dlvsym(RTLD_NEXT, name, versions[i]);
    return found;
}

/* May come before any constructor (a sanitizer in the host looks for libc's functions so early, and
 * what we would call might be its own): uses nothing but dlvsym. Racing writers write the same. */
void shim_bind(void)
{
    void *real_dlopen = libc_function("dlopen"), *real_dlsym = libc_function("dlsym");

    memcpy(&shim_real_dlopen, &real_dlopen, sizeof real_dlopen);
    memcpy(&shim_real_dlsym, &real_dlsym, sizeof real_dlsym);
}

/* A relative LD_PRELOAD is meant from where the program was started; it may go elsewhere later. */
static void own_directory(void)
{
    Dl_info info;
    char *real, *slash;

    if (dladdr((const void *)own_directory, &info) == 0 || info.dli_fname == NULL)
        return;
    own_base = info.dli_fbase;
    real = realpath(info.dli_fname, NULL);
    slash = real != NULL ? strrchr(real, '/') : NULL;
    if (slash != NULL && (size_t)(slash - real) < sizeof place.directory)
        memcpy(place.directory, real, (size_t)(slash - real));
    if (real != NULL)
        memcpy(own_path, real, strnlen(real, sizeof own_path - 1));
    free(real);
}

const struct client_place *shim_place(void)
{
    return &place;
}

static void init_once(void)
{
    shim_bind();
    own_directory();
    if (getauxval(AT_SECURE) == 0)
        (void)client_home(place.home, sizeof place.home);
    shim_env_read();
    shim_exec_init(own_path);
    (void)pthread_atfork(fork_prepare, fork_parent, fork_child);
}

void shim_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, init_once);
}

__attribute__((constructor)) static void shim_constructor(void)
{
    shim_init();
}

const struct shim_curl *shim_curl_number(unsigned number)
{
    return number < atomic_load(&curl_count) ? &curls[number] : NULL;
}

const struct shim_curl *shim_curl_at(const void *address)
{
    unsigned count = atomic_load(&curl_count);

    for (unsigned i = 0; i < count; i++)
        if ((uintptr_t)address >= curls[i].text_start && (uintptr_t)address < curls[i].text_end)
            return &curls[i];
    return NULL;
}

/* ---- learning a libcurl ------------------------------------------------------------------- */

struct range_search {
    uintptr_t address, start, end;
};

static int find_range(struct dl_phdr_info *info, size_t size, void *data)
{
    struct range_search *search = data;
    uintptr_t start = UINTPTR_MAX, end = 0;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + header->p_vaddr;

        if (header->p_type != PT_LOAD)
            continue;
        start = from < start ? from : start;
        end = from + header->p_memsz > end ? from + header->p_memsz : end;
    }
    if (search->address < start || search->address >= end)
        return 0;
    search->start = start;
    search->end = end;
    return 1;
}

/* Fills in the functions of the object open as library; false when it is not a libcurl. */
static bool fill(struct shim_curl *curl, void *library)
{
    void *found;

#define CALL(field, name)                                                                          \
    found = shim_real_dlsym(library, #name);                                                       \
    memcpy(&curl->field, &found, sizeof found);
#define MUST(field, name)                                                                          \
    CALL(field, name)                                                                              \
    if (found == NULL)                                                                             \
        return false;
#include "shim/curl_calls.def"
#undef CALL
#undef MUST
    return true;
}

/* Without our lock: the loader has one of its own, and holds it while it runs constructors, which
 * may ask us. The object stays open for good: its functions will be in our table. */
static bool learn(const void *function, struct shim_curl *out)
{
    struct range_search range = {(uintptr_t)function, 0, 0};
    struct link_map *map = NULL;
    void *library;
    Dl_info info;

    if (dladdr1(function, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || map == NULL ||
        info.dli_fbase == own_base || dl_iterate_phdr(find_range, &range) == 0)
        return false;
    library = shim_real_dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL)
        return false;
    if (!fill(out, library)) {
        (void)dlclose(library);
        return false;
    }
    out->text_start = range.start;
    out->text_end = range.end;
    out->path = map->l_name;
    out->version = out->version_info(CURLVERSION_NOW)->version_num;
    return true;
}

/* Another thread may have been faster. */
static const struct shim_curl *publish(const void *function, const struct shim_curl *learnt)
{
    const struct shim_curl *known;
    unsigned count;

    shim_lock(SHIM_LOCK_CURLS);
    known = shim_curl_at(function);
    count = atomic_load(&curl_count);
    if (known == NULL && count < SHIM_CURLS_MAX) {
        curls[count] = *learnt;
        curls[count].number = count;
        known = &curls[count];
        atomic_store(&curl_count, count + 1);
    }
    shim_unlock(SHIM_LOCK_CURLS);
    return known;
}

const struct shim_curl *shim_curl_of_function(const void *function)
{
    const struct shim_curl *curl = shim_curl_at(function);
    struct shim_curl learnt = {0};

    if (curl != NULL)
        return curl;
    return learn(function, &learnt) ? publish(function, &learnt) : NULL;
}

/* ---- from a caller to its libcurl --------------------------------------------------------- */

static bool is_ours(const void *function)
{
    Dl_info info;

    return dladdr(function, &info) != 0 && info.dli_fbase == own_base;
}

/* The curl_easy_init in the dependencies of the object that the caller's code is in. The main
 * program has no name to open; RTLD_NEXT answers for it. */
static void *in_callers_scope(const void *caller)
{
    struct link_map *map = NULL;
    void *object, *found;
    Dl_info info;

    if (dladdr1(caller, &info, (void **)&map, RTLD_DL_LINKMAP) == 0 || map == NULL ||
        map->l_name[0] == '\0')
        return NULL;
    object = shim_real_dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD);
    if (object == NULL)
        return NULL;
    found = shim_real_dlsym(object, "curl_easy_init");
    (void)dlclose(object);
    return found;
}

static int find_libcurl(struct dl_phdr_info *info, size_t size, void *data)
{
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : info->dlpi_name;

    (void)size;
    if (strncmp(name, "libcurl", strlen("libcurl")) != 0)
        return 0;
    *(const char **)data = info->dlpi_name;
    return 1;
}

static void *in_any_libcurl(void)
{
    const char *path = NULL;
    void *object, *found;

    if (dl_iterate_phdr(find_libcurl, &path) == 0)
        return NULL;
    object = shim_real_dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (object == NULL)
        return NULL;
    found = shim_real_dlsym(object, "curl_easy_init");
    (void)dlclose(object);
    return found;
}

const struct shim_curl *shim_curl_of_caller(const void *caller)
{
    void *found = in_callers_scope(caller);

    if (found == NULL || is_ours(found))
        found = shim_real_dlsym(RTLD_NEXT, "curl_easy_init");
    if (found == NULL || is_ours(found))
        found = in_any_libcurl();
    if (found == NULL || is_ours(found))
        return NULL;
    return shim_curl_of_function(found);
}

/* ---- dlsym -------------------------------------------------------------------------------- */

static shim_function hook_of(const struct shim_curl *curl, const char *name)
{
    static const struct {
        const char *name;
        shim_function hook;
    } rows[] = {
#define HOOK(function) {#function, (shim_function)function},
#include "shim/hooks.def"
#undef HOOK
    };

    if (strcmp(name, "curl_easy_init") == 0)
        return shim_easy_init_door(curl);
    if (strcmp(name, "curl_multi_init") == 0)
        return shim_multi_init_door(curl);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].hook;
    return NULL;
}

static bool is_curls(const char *name)
{
    return name != NULL && name[0] == 'c' && name[1] == 'u' && name[2] == 'r' && name[3] == 'l' &&
           name[4] == '_';
}

/* Only names of libcurl's, asked of a library by handle: RTLD_NEXT and RTLD_DEFAULT mean what they
 * mean to the caller. */
void *shim_dlsym_pick(void *handle, const char *name)
{
    const struct shim_curl *curl;
    void *real, *found = NULL;
    shim_function hook;

    if (shim_real_dlsym == NULL)
        shim_bind();
    if (!is_curls(name) || handle == RTLD_NEXT || handle == RTLD_DEFAULT)
        return NULL;
    shim_init();
    real = shim_real_dlsym(handle, name);
    if (real == NULL || is_ours(real) || (curl = shim_curl_of_function(real)) == NULL)
        return NULL;
    hook = hook_of(curl, name);
    memcpy(&found, &hook, sizeof found);
    return found;
}
