/* SPDX-License-Identifier: Apache-2.0 */
/* A program that starts others with an environment of its own making would start them ungoverned:
 * what it left out of ours is put back, where the other program can take it. Hooks of the exec
 * family and of posix_spawn. Everything here may run in the child of a vfork, or of a process with
 * threads: no lock, no heap, nothing is changed but the new environment. */
#include "shim/shim_int.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXEC_POINTERS 256u /* of an environment on the stack; larger ones have their own memory */
#define SCRIPTS_MAX   4    /* interpreters that are scripts themselves */
#define EXEC_PATH     4096u

extern char **environ;

static struct {
#define EXEC(name) __typeof__(name) *name;
#include "shim/exec_calls.def"
#undef EXEC
} real;

/* ---- what belongs to us ------------------------------------------------------------------- */

enum kept { KEPT_PRELOAD, KEPT_HOME, KEPT_RUN, KEPT_TOKEN, KEPT };

static const char *const names[KEPT] = {
    "LD_PRELOAD=", "FLYBALL_HOME=", "FLYBALL_RUN=", "FLYBALL_TOKEN="};
static char kept[KEPT][EXEC_PATH + 32]; /* "NAME=value"; "" nothing is to be put back */
static size_t name_bytes[KEPT];
static bool home_is_given; /* else only who has lost more is told where it is */

void shim_exec_init(const char *own_path)
{
#define EXEC(name)                                                                                 \
    do {                                                                                           \
        void *found = shim_real_dlsym(RTLD_NEXT, #name);                                           \
        memcpy(&real.name, &found, sizeof found);                                                  \
    } while (0);
#include "shim/exec_calls.def"
#undef EXEC
    if (getauxval(AT_SECURE) != 0)
        return;
    for (unsigned i = 0; i < KEPT; i++)
        name_bytes[i] = strlen(names[i]);
    (void)snprintf(kept[KEPT_PRELOAD], sizeof kept[0], "LD_PRELOAD=%s", own_path);
    home_is_given = getenv("FLYBALL_HOME") != NULL;
    if (shim_place()->home[0] != '\0')
        (void)snprintf(kept[KEPT_HOME], sizeof kept[0], "FLYBALL_HOME=%s", shim_place()->home);
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++)
        for (unsigned i = KEPT_RUN; i < KEPT; i++)
            if (strncmp(*entry, names[i], name_bytes[i]) == 0)
                (void)snprintf(kept[i], sizeof kept[0], "%s", *entry);
}

/* Whether a list as LD_PRELOAD has it names us: by the file's name, as links may lead to it. */
static bool names_us(const char *list)
{
    static const char own[] = "/libflyball.so";
    const size_t length = sizeof own - 1;

    for (const char *at = strstr(list, own); at != NULL; at = strstr(at + 1, own))
        if (at[length] == '\0' || at[length] == ':' || at[length] == ' ')
            return true;
    return strncmp(list, own + 1, length - 1) == 0;
}

/* What an environment lacks of it. */
struct lack {
    bool any, of[KEPT];
    size_t entries;
    const char *preload; /* the list that there is, of others; NULL: none */
};

static struct lack lack_of(char *const *envp)
{
    struct lack lack = {.any = false};
    bool there[KEPT] = {false};

    for (; envp != NULL && envp[lack.entries] != NULL; lack.entries++)
        for (unsigned i = 0; i < KEPT; i++)
            if (strncmp(envp[lack.entries], names[i], name_bytes[i]) == 0) {
                there[i] = i != KEPT_PRELOAD || names_us(envp[lack.entries] + name_bytes[i]);
                if (i == KEPT_PRELOAD)
                    lack.preload = envp[lack.entries] + name_bytes[i];
            }
    for (unsigned i = 0; i < KEPT; i++) {
        lack.of[i] = kept[i][0] != '\0' && !there[i];
        lack.any = lack.any || (lack.of[i] && (i != KEPT_HOME || home_is_given));
    }
    return lack;
}

/* ---- who can take it ---------------------------------------------------------------------- */

static bool on_glibc(int fd)
{
    Elf64_Ehdr head;
    char loader[256];

    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        head.e_ident[EI_CLASS] != ELFCLASS64)
        return false;
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr part;
        off_t at = (off_t)(head.e_phoff + i * sizeof part);

        if (pread(fd, &part, sizeof part, at) != (ssize_t)sizeof part)
            return false;
        if (part.p_type != PT_INTERP)
            continue;
        memset(loader, 0, sizeof loader);
        return part.p_filesz < sizeof loader &&
               pread(fd, loader, part.p_filesz, (off_t)part.p_offset) > 0 &&
               strstr(loader, "ld-linux") != NULL;
    }
    return false;
}

/* Static programs have no use for us, and those on another libc could not start with us: they are
 * left alone. What cannot be looked at is in doubt, so it gets ours. fd is closed; -1: not open. */
static bool takes_preload(int fd, int depth)
{
    char line[256] = "", *from;
    ssize_t count;
    bool takes = true;

    if (fd < 0)
        return true;
    count = pread(fd, line, sizeof line - 1, 0);
    if (count >= SELFMAG && memcmp(line, ELFMAG, SELFMAG) == 0) {
        takes = on_glibc(fd);
    } else if (count > 2 && line[0] == '#' && line[1] == '!' && depth < SCRIPTS_MAX) {
        from = line + 2 + strspn(line + 2, " \t");
        from[strcspn(from, " \t\n")] = '\0';
        takes = takes_preload(open(from, O_RDONLY | O_CLOEXEC), depth + 1);
    }
    (void)close(fd);
    return takes;
}

/* As execvp looks for it. */
static int open_in_path(const char *file)
{
    const char *path = getenv("PATH");
    char full[EXEC_PATH];

    if (strchr(file, '/') != NULL)
        return open(file, O_RDONLY | O_CLOEXEC);
    for (path = path != NULL ? path : "/bin:/usr/bin"; *path != '\0';) {
        size_t length = strcspn(path, ":");
        int count =
            snprintf(full, sizeof full, "%.*s%s%s", (int)length, path, length > 0 ? "/" : "", file);

        if (count > 0 && (size_t)count < sizeof full && access(full, X_OK) == 0)
            return open(full, O_RDONLY | O_CLOEXEC);
        path += length + (path[length] == ':');
    }
    return -1;
}

/* ---- putting it back ---------------------------------------------------------------------- */

enum how { HOW_EXECVE, HOW_EXECVPE, HOW_FEXECVE, HOW_EXECVEAT, HOW_SPAWN, HOW_SPAWNP };

/* Any of the calls, with what only some of them have. */
struct start {
    enum how how;
    const char *path;
    char *const *argv;
    int fd, flags;
    pid_t *pid;
    const posix_spawn_file_actions_t *actions;
    const posix_spawnattr_t *attributes;
};

static int start_with(const struct start *start, char *const *envp)
{
    switch (start->how) {
    case HOW_EXECVE:
        return real.execve(start->path, start->argv, envp);
    case HOW_EXECVPE:
        return real.execvpe(start->path, start->argv, envp);
    case HOW_FEXECVE:
        return real.fexecve(start->fd, start->argv, envp);
    case HOW_EXECVEAT:
        return real.execveat(start->fd, start->path, start->argv, envp, start->flags);
    case HOW_SPAWN:
        return real.posix_spawn(start->pid, start->path, start->actions, start->attributes,
                                start->argv, envp);
    default:
        return real.posix_spawnp(start->pid, start->path, start->actions, start->attributes,
                                 start->argv, envp);
    }
}

static int open_of(const struct start *start)
{
    switch (start->how) {
    case HOW_FEXECVE:
        return fcntl(start->fd, F_DUPFD_CLOEXEC, 3);
    case HOW_EXECVEAT:
        return start->path == NULL || start->path[0] == '\0'
                   ? fcntl(start->fd, F_DUPFD_CLOEXEC, 3)
                   : openat(start->fd, start->path, O_RDONLY | O_CLOEXEC);
    case HOW_EXECVE:
    case HOW_SPAWN:
        return open(start->path, O_RDONLY | O_CLOEXEC);
    default:
        return open_in_path(start->path);
    }
}

static void put_back(const struct lack *lack, char *const *envp, char **out,
                     char preload[2 * EXEC_PATH])
{
    size_t used = 0;

    for (size_t i = 0; i < lack->entries; i++)
        if (!lack->of[KEPT_PRELOAD] ||
            strncmp(envp[i], names[KEPT_PRELOAD], name_bytes[KEPT_PRELOAD]) != 0)
            out[used++] = envp[i];
    for (unsigned i = 0; i < KEPT; i++)
        if (lack->of[i])
            out[used++] = kept[i];
    if (lack->of[KEPT_PRELOAD] && lack->preload != NULL && *lack->preload != '\0' &&
        strlen(lack->preload) < EXEC_PATH) {
        (void)snprintf(preload, 2 * EXEC_PATH, "%s:%s", kept[KEPT_PRELOAD], lack->preload);
        for (size_t i = 0; i < used; i++)
            if (out[i] == kept[KEPT_PRELOAD])
                out[i] = preload;
    }
    out[used] = NULL;
}

__attribute__((noinline)) static int start_governed(const struct start *start,
                                                    const struct lack *lack, char *const *envp)
{
    char *few[EXEC_POINTERS], **out = few, preload[2 * EXEC_PATH];
    size_t bytes = (lack->entries + KEPT + 1) * sizeof *out;
    int result, saved;

    if (bytes > sizeof few)
        out = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (out == MAP_FAILED) {
        errno = ENOMEM; /* not without us */
        return start->how == HOW_SPAWN || start->how == HOW_SPAWNP ? ENOMEM : -1;
    }
    put_back(lack, envp, out, preload);
    result = start_with(start, out);
    saved = errno;
    if (out != few)
        (void)munmap(out, bytes);
    errno = saved;
    return result;
}

static int start(const struct start *start, char *const *envp)
{
    int saved = errno;
    struct lack lack;
    bool takes;

    shim_init();
    lack = lack_of(envp);
    takes = lack.any && takes_preload(open_of(start), 0);
    errno = saved;
    return takes ? start_governed(start, &lack, envp) : start_with(start, envp);
}

/* ---- the doors ---------------------------------------------------------------------------- */

SHIM_EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    return start(&(struct start){.how = HOW_EXECVE, .path = path, .argv = argv}, envp);
}

SHIM_EXPORT int execv(const char *path, char *const argv[])
{
    return execve(path, argv, environ);
}

SHIM_EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
    return start(&(struct start){.how = HOW_EXECVPE, .path = file, .argv = argv}, envp);
}

SHIM_EXPORT int execvp(const char *file, char *const argv[])
{
    return execvpe(file, argv, environ);
}

SHIM_EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
    return start(&(struct start){.how = HOW_FEXECVE, .fd = fd, .argv = argv}, envp);
}

SHIM_EXPORT int execveat(int fd, const char *path, char *const argv[], char *const envp[],
                         int flags)
{
    return start(
        &(struct start){.how = HOW_EXECVEAT, .path = path, .argv = argv, .fd = fd, .flags = flags},
        envp);
}

SHIM_EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                            const posix_spawnattr_t *attributes, char *const argv[],
                            char *const envp[])
{
    return start(&(struct start){.how = HOW_SPAWN,
                                 .path = path,
                                 .argv = argv,
                                 .pid = pid,
                                 .actions = actions,
                                 .attributes = attributes},
                 envp);
}

SHIM_EXPORT int posix_spawnp(pid_t *pid, const char *file,
                             const posix_spawn_file_actions_t *actions,
                             const posix_spawnattr_t *attributes, char *const argv[],
                             char *const envp[])
{
    return start(&(struct start){.how = HOW_SPAWNP,
                                 .path = file,
                                 .argv = argv,
                                 .pid = pid,
                                 .actions = actions,
                                 .attributes = attributes},
                 envp);
}

/* The arguments of execl and its kin are a list that ends with NULL; behind it execle has the
 * environment. */
#define LIST_MOST 1024u

struct list {
    char *argv[LIST_MOST + 1];
    char *const *envp;
    bool whole;
};

static void list_take(struct list *list, const char *first, va_list arguments, bool has_env)
{
    size_t count = 0;

    list->argv[0] = (char *)(uintptr_t)first;
    while (list->argv[count] != NULL && count < LIST_MOST)
        list->argv[++count] = va_arg(arguments, char *);
    list->whole = list->argv[count] == NULL;
    list->envp = has_env && list->whole ? va_arg(arguments, char *const *) : environ;
}

static int too_long(void)
{
    errno = E2BIG;
    return -1;
}

#define LISTED(has_env, call)                                                                      \
    struct list list;                                                                              \
    va_list arguments;                                                                             \
                                                                                                   \
    va_start(arguments, first);                                                                    \
    list_take(&list, first, arguments, has_env);                                                   \
    va_end(arguments);                                                                             \
    return list.whole ? (call) : too_long()

SHIM_EXPORT int execl(const char *path, const char *first, ...)
{
    LISTED(false, execve(path, list.argv, list.envp));
}

SHIM_EXPORT int execlp(const char *file, const char *first, ...)
{
    LISTED(false, execvpe(file, list.argv, list.envp));
}

SHIM_EXPORT int execle(const char *path, const char *first, ...)
{
    LISTED(true, execve(path, list.argv, list.envp));
}
