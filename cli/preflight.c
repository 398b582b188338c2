/* SPDX-License-Identifier: Apache-2.0 */
/* Before a program is started: can a preload govern it? A missing preload is silent (the loader
 * prints a line and runs the program), so what cannot be governed is not started. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/cli.h"

#define SCRIPTS_MAX 4 /* interpreters that are scripts themselves */

/* ---- finding ------------------------------------------------------------------------------ */

static bool is_file(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* As execvp does: a name with a slash is a path. */
static enum cli_flight find(const char *program, char *out, size_t size)
{
    const char *path = getenv("PATH");
    enum cli_flight worst = CLI_IS_MISSING;

    if (strchr(program, '/') != NULL) {
        (void)snprintf(out, size, "%s", program);
        if (access(out, F_OK) != 0)
            return CLI_IS_MISSING;
        return is_file(out) && access(out, X_OK) == 0 ? CLI_FLIES : CLI_IS_NO_PROGRAM;
    }
    for (path = path != NULL ? path : "/usr/local/bin:/usr/bin:/bin"; *path != '\0';) {
        size_t length = strcspn(path, ":");

        (void)snprintf(out, size, "%.*s%s%s", (int)length, path, length > 0 ? "/" : "", program);
        if (is_file(out) && access(out, X_OK) == 0)
            return CLI_FLIES;
        if (is_file(out))
            worst = CLI_IS_NO_PROGRAM;
        path += length + (path[length] == ':');
    }
    return worst;
}

/* ---- looking ------------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static enum cli_flight grounded(char *why, size_t size,
                                                                      const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(why, size, format, arguments);
    va_end(arguments);
    return CLI_CANNOT_BE_GOVERNED;
}

static bool has_privileges(const char *path)
{
    struct stat info;

    return (stat(path, &info) == 0 && (info.st_mode & (S_ISUID | S_ISGID)) != 0 &&
            geteuid() != 0) ||
           getxattr(path, "security.capability", NULL, 0) > 0;
}

/* The interpreter that the program asks for: glibc's loader knows LD_PRELOAD, and our object is
 * made for it. */
static enum cli_flight look_at_elf(int fd, const char *path, char *why, size_t size)
{
    Elf64_Ehdr head;
    char loader[256];

    if (pread(fd, &head, sizeof head, 0) != (ssize_t)sizeof head ||
        head.e_ident[EI_CLASS] != ELFCLASS64)
        return grounded(why, size,
                        "%s is not a 64-bit program: libflyball.so cannot be loaded "
                        "into it",
                        path);
    for (unsigned i = 0; i < head.e_phnum; i++) {
        Elf64_Phdr part;

        if (pread(fd, &part, sizeof part, (off_t)(head.e_phoff + i * head.e_phentsize)) !=
            (ssize_t)sizeof part)
            break;
        if (part.p_type != PT_INTERP || part.p_filesz >= sizeof loader)
            continue;
        memset(loader, 0, sizeof loader);
        if (pread(fd, loader, part.p_filesz, (off_t)part.p_offset) < 0)
            break;
        if (strstr(loader, "ld-linux") != NULL)
            return CLI_FLIES;
        return grounded(why, size,
                        "%s runs on %s, not on glibc: libflyball.so cannot be loaded "
                        "into it",
                        path, loader);
    }
    return grounded(why, size, "%s is statically linked: nothing can be loaded into it", path);
}

/* "#!/path/to/interpreter argument" */
static bool script_of(const char *line, char *out, size_t size)
{
    const char *at = line + 2 + strspn(line + 2, " \t");
    size_t length = strcspn(at, " \t\n");

    if (length == 0 || length >= size)
        return false;
    memcpy(out, at, length);
    out[length] = '\0';
    return true;
}

static enum cli_flight look(const char *path, int depth, char *why, size_t size)
{
    char line[512] = "", interpreter[512];
    enum cli_flight flight;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t count = fd >= 0 ? pread(fd, line, sizeof line - 1, 0) : -1;

    if (fd < 0) /* executable and not readable: what it is cannot be seen */
        return grounded(why, size, "%s: %s", path, strerror(errno));
    if (has_privileges(path)) {
        flight = grounded(why, size,
                          "%s is setuid or has file capabilities: the loader ignores "
                          "LD_PRELOAD for it",
                          path);
    } else if (count >= 4 && memcmp(line, ELFMAG, SELFMAG) == 0) {
        flight = look_at_elf(fd, path, why, size);
    } else if (count > 2 && line[0] == '#' && line[1] == '!' && depth < SCRIPTS_MAX &&
               script_of(line, interpreter, sizeof interpreter)) {
        flight = look(interpreter, depth + 1, why, size);
    } else {
        flight = depth == 0 ? CLI_FLIES /* execvp gives it to sh */
                            : grounded(why, size, "%s: not a program", path);
    }
    (void)close(fd);
    return flight;
}

enum cli_flight cli_preflight(const char *program, char *path_out, size_t path_size, char *why,
                              size_t why_size)
{
    enum cli_flight flight = find(program, path_out, path_size);

    return flight == CLI_FLIES ? look(path_out, 0, why, why_size) : flight;
}

/* ---- the preload -------------------------------------------------------------------------- */

bool cli_preload(char *out, size_t size, char *why, size_t why_size)
{
    static const char *const places[] = {"%s/libflyball.so", "%s/../lib/flyball/libflyball.so"};
    struct client_place place;
    char path[700], *real = NULL;

    (void)cli_place(&place);
    for (size_t i = 0; i < sizeof places / sizeof places[0] && real == NULL; i++) {
        (void)snprintf(path, sizeof path, places[i], place.directory);
        real = realpath(path, NULL);
    }
    if (real == NULL) {
        (void)snprintf(why, why_size, "libflyball.so is neither in %s nor in %s/../lib/flyball",
                       place.directory, place.directory);
        return false;
    }
    (void)snprintf(out, size, "%s", real);
    free(real);
    if (strpbrk(out, " :") == NULL)
        return true;
    (void)snprintf(why, why_size,
                   "%s: the loader cannot preload a path with a blank or a colon; install Flyball "
                   "elsewhere",
                   out);
    return false;
}
