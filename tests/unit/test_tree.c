/* SPDX-License-Identifier: Apache-2.0 */
/* What the processes below this one have written, against what they wrote: children that live, that
 * ended, that nobody waits for but us, and how old they are. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/tree.h"

#define MIB (1 << 20)

static char dir[] = "tree-XXXXXX"; /* here: where the build is, there is a disk */

static int begin(void **state)
{
    (void)state;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    return tree_can_measure() && mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int end(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 64; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        (void)unlink(name);
    }
    return chdir("..") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void write_file(int number, size_t bytes)
{
    static char block[65536];
    char name[16];
    int fd;

    (void)snprintf(name, sizeof name, "%d", number);
    fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t done = 0; done < bytes; done += sizeof block)
        if (write(fd, block, sizeof block) != sizeof block)
            _exit(1);
    (void)close(fd);
}

/* A child that does this, says so, and lives until it is killed. */
static pid_t child_start(void (*does)(int number), int number)
{
    int ready[2];
    char word;
    pid_t pid;

    assert_int_equal(pipe(ready), 0);
    pid = fork();
    if (pid == 0) {
        does(number);
        (void)!write(ready[1], "r", 1);
        for (;;)
            (void)pause();
    }
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &word, 1), 1);
    (void)close(ready[0]);
    return pid;
}

static void wait_for_killed(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void child_end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    wait_for_killed(pid);
}

static void writes_a_mib(int number)
{
    write_file(number, MIB);
}

/* Short lives: each is over before anybody could look at it. */
static void has_ten_children(int number)
{
    for (int i = 0; i < 10; i++) {
        pid_t pid = fork();

        if (pid == 0) {
            write_file(number + i, MIB);
            _exit(0);
        }
        (void)waitpid(pid, NULL, 0);
    }
}

/* Whose parent is gone before they are. */
static void leaves_three_orphans(int number)
{
    for (int i = 0; i < 3; i++)
        if (fork() == 0) {
            write_file(number + i, MIB);
            _exit(0);
        }
    _exit(0);
}

static int64_t written(const struct tree *tree)
{
    int64_t all = tree_written(tree);

    print_message("    %lld bytes\n", (long long)all);
    return all;
}

/* Within 5 %. */
static void expect_written(struct tree *tree, pid_t except, int64_t before, int64_t want)
{
    int64_t more;

    assert_true(tree_read(tree, except));
    more = written(tree) - before;
    if (more < want - want / 20 || more > want + want / 20)
        fail_msg("%lld bytes, wanted %lld", (long long)more, (long long)want);
}

static void what_lives_and_what_ended_is_counted(void **state)
{
    struct tree tree = {0};
    pid_t one, ten, orphans;
    int64_t before;

    (void)state;
    assert_true(tree_read(&tree, 0));
    assert_int_equal(tree.count, 1);
    before = tree_written(&tree);
    write_file(63, 4 * MIB); /* our own writing is not theirs */
    expect_written(&tree, 0, before, 0);
    one = child_start(writes_a_mib, 0);
    expect_written(&tree, 0, before, MIB);
    ten = child_start(has_ten_children, 10);
    expect_written(&tree, 0, before, 11 * MIB);
    assert_int_equal(tree.count, 3);
    child_end(one);
    expect_written(&tree, 0, before, 11 * MIB);
    orphans = fork();
    if (orphans == 0)
        leaves_three_orphans(30);
    while (waitpid(-1, NULL, WNOHANG) >= 0 && tree_read(&tree, 0) && tree.count > 2)
        ;
    expect_written(&tree, 0, before, 14 * MIB);
    child_end(ten);
    expect_written(&tree, 0, before, 14 * MIB);
    assert_int_equal(tree.count, 1);
    tree_release(&tree);
}

static void what_is_another_s_is_left_out(void **state)
{
    struct tree tree = {0};
    pid_t ours, other;
    int64_t before;

    (void)state;
    assert_true(tree_read(&tree, 0));
    before = tree_written(&tree);
    ours = child_start(writes_a_mib, 40); /* not over a file that was not on the disk yet */
    other = child_start(has_ten_children, 41);
    expect_written(&tree, other, before, MIB);
    assert_int_equal(tree.count, 2);
    assert_int_equal(tree.pids[0], getpid());
    assert_int_equal(tree.pids[1], ours);
    assert_true(tree_written_by(other) >= 10 * MIB);
    assert_int_equal(tree_written_by(0), 0);
    child_end(ours);
    child_end(other);
    tree_release(&tree);
}

static void does_nothing(int number)
{
    (void)number;
}

static void the_oldest_is_found(void **state)
{
    pid_t first = child_start(does_nothing, 0), second;
    struct tree tree = {0};
    int64_t age = 0;

    (void)state;
    while (age < 2) {
        assert_true(tree_read(&tree, 0));
        age = tree_oldest_s(&tree, 0);
    }
    second = child_start(does_nothing, 0);
    assert_true(tree_read(&tree, 0));
    assert_true(tree_oldest_s(&tree, 0) >= 2);
    assert_true(tree_oldest_s(&tree, first) < tree_oldest_s(&tree, second));
    child_end(second);
    assert_true(tree_read(&tree, 0));
    assert_int_equal(tree_oldest_s(&tree, first), 0);
    child_end(first);
    tree_release(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lives_and_what_ended_is_counted),
        cmocka_unit_test(what_is_another_s_is_left_out),
        cmocka_unit_test(the_oldest_is_found),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
