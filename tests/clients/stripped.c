/* SPDX-License-Identifier: Apache-2.0 */
/* usage: stripped HOW PROGRAM [ARG [ARG]]: starts PROGRAM by the call HOW, with PATH and the
 * variables of the test alone, and waits for it. HOW ends with +: in the child of a vfork. Without
 * PROGRAM: what starts that fail say. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *few[8];
static char *many[5000];

static char **strip(char **out)
{
    static const char *const wanted[] = {"PATH=", "W=", "HTTP=", "HTTPS=", "E2E_HTTP=", "CERTS="};
    size_t used = 0;

    for (char **entry = environ; *entry != NULL; entry++)
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
            if (strncmp(*entry, wanted[i], strlen(wanted[i])) == 0)
                out[used++] = *entry;
    return out;
}

static void run(const char *how, char **argv)
{
    char *const *envp = strip(few);
    size_t used = 0;

    if (strcmp(how, "execve") == 0)
        execve(argv[0], argv, envp);
    else if (strcmp(how, "execvpe") == 0)
        execvpe(argv[0], argv, envp);
    else if (strcmp(how, "execle") == 0)
        execle(argv[0], argv[0], argv[1], argv[1] != NULL ? argv[2] : NULL, NULL, envp);
    else if (strcmp(how, "fexecve") == 0)
        fexecve(open(argv[0], O_RDONLY), argv, envp);
    else if (strcmp(how, "execveat") == 0)
        execveat(AT_FDCWD, argv[0], argv, envp, 0);
    else if (strcmp(how, "many") == 0) {
        for (strip(many); many[used] != NULL; used++)
            continue;
        while (used < 4999)
            many[used++] = (char *)"X=1";
        execve(argv[0], argv, many);
    }
    environ = few;
    if (strcmp(how, "execv") == 0)
        execv(argv[0], argv);
    else if (strcmp(how, "execvp") == 0)
        execvp(argv[0], argv);
    else if (strcmp(how, "execl") == 0)
        execl(argv[0], argv[0], argv[1], argv[1] != NULL ? argv[2] : NULL, NULL);
    else if (strcmp(how, "execlp") == 0)
        execlp(argv[0], argv[0], argv[1], argv[1] != NULL ? argv[2] : NULL, NULL);
    _exit(errno);
}

/* Starts that fail, with an environment that lacks ours: what each says. */
static int errors(void)
{
    char *argv[] = {(char *)"x", NULL}, *const *none = NULL;
    const char *nowhere = getenv("NOWHERE"); /* NULL, and the compiler does not know */
    pid_t pid;
    int result;

    strip(few);
#define SAID(call) (errno = 0, result = (call), printf("%s: %d, %d\n", #call, result, errno))
    SAID(execve("/nope", argv, few));
    SAID(execve("/nope", argv, none));
    SAID(execve(nowhere, argv, few));
    SAID(execvpe("", argv, few));
    SAID(execvpe("nope-nope", argv, few));
    SAID(execve("/etc/passwd", argv, few));
    SAID(execle("/etc", "x", NULL, few));
    SAID(fexecve(-1, argv, few));
    SAID(execveat(-1, nowhere, argv, few, AT_EMPTY_PATH));
    SAID(posix_spawn(&pid, "/nope", NULL, NULL, argv, few));
    SAID(posix_spawnp(&pid, "nope-nope", NULL, NULL, argv, few));
    SAID(open("/dev/null", O_RDONLY)); /* no descriptor was left open */
    return 0;
}

int main(int argc, char **argv)
{
    char how[32];
    int status;
    pid_t pid;
    size_t length;

    if (argc == 2)
        return errors();
    if (argc < 3)
        return 2;
    snprintf(how, sizeof how, "%s", argv[1]);
    length = strlen(how);
    if (strcmp(how, "elsewhere") == 0) { /* where the file is not what it is called here */
        posix_spawn_file_actions_t actions;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addchdir_np(&actions, "elsewhere");
        if (posix_spawn(&pid, argv[2], &actions, NULL, argv + 2, strip(few)) != 0)
            return 5;
    } else if (strncmp(how, "posix_spawn", 11) == 0) {
        int error = how[11] == 'p' ? posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, strip(few))
                                   : posix_spawn(&pid, argv[2], NULL, NULL, argv + 2, strip(few));

        if (error != 0)
            return error;
    } else if (how[length - 1] == '+') {
        how[length - 1] = '\0';
        pid = vfork();
        if (pid == 0)
            run(how, argv + 2);
    } else {
        pid = fork();
        if (pid == 0)
            run(how, argv + 2);
    }
    if (waitpid(pid, &status, 0) < 0)
        return 3;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}
