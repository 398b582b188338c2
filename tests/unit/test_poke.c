/* SPDX-License-Identifier: Apache-2.0 */
/* A transfer that waits has a socket of its own for the byte that says that its verdict is out: the
 * loop sends it, so the loop has to tell such a caller, not the writer. */
#include "tests/unit/writer.h"

#include <sys/socket.h>
#include <unistd.h>

#include "sidecar/side_int.h"

struct poking {
    struct side side;
    struct side_conn conn;
    struct side_call call;
    struct side_run run;
    struct side_op op;
    int ours; /* the transfer's end */
};

/* A call that was asked about, and is with the writer. */
static struct poking *poking_new(void)
{
    struct poking *poking = calloc(1, sizeof *poking);

    assert_non_null(poking);
    pthread_mutex_init(&poking->side.mail_lock, NULL);
    poking->conn = (struct side_conn){
        .side = &poking->side, .call = &poking->call, .fd = 7, .poke_fd = -1, .page_fd = -1};
    poking->call.side = &poking->side;
    poking->call.conn = &poking->conn;
    poking->call.run = &poking->run;
    poking->call.phase = SIDE_ASKED;
    poking->call.admitting = &poking->op;
    mail_opened = 0;
    return poking;
}

static void poking_free(struct poking *poking)
{
    (void)close(poking->ours);
    (void)close(poking->conn.poke_fd);
    free(poking);
}

static void hand_over(struct poking *poking)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    poking->ours = ends[0];
    assert_true(side_call_frame(&poking->conn, WIRE_POKE, NULL, &ends[1]));
    assert_int_equal(ends[1], -1);
}

static ssize_t bytes_there(const struct poking *poking)
{
    char bytes[4];

    return recv(poking->ours, bytes, sizeof bytes, MSG_DONTWAIT);
}

static void test_it_comes_while_the_writer_has_the_call(void **state)
{
    struct poking *poking = poking_new();

    (void)state;
    side_answer_prepare(&poking->call, &poking->op.answer);
    assert_true(poking->op.answer.may);
    hand_over(poking);
    assert_false(poking->op.answer.may);
    assert_int_equal(mail_opened, 1); /* it may have been told in between */
    assert_int_equal(bytes_there(poking), -1);
    poking_free(poking);
}

static void test_it_comes_before_the_writer_has_the_call(void **state)
{
    struct poking *poking = poking_new();

    (void)state;
    poking->call.admitting = NULL; /* its body is being read */
    hand_over(poking);
    side_answer_prepare(&poking->call, &poking->op.answer);
    assert_false(poking->op.answer.may);
    poking_free(poking);
}

static void test_it_comes_after_the_verdict(void **state)
{
    struct poking *poking = poking_new();

    (void)state;
    poking->call.phase = SIDE_HELD;
    poking->call.admitting = NULL;
    hand_over(poking);
    assert_int_equal(bytes_there(poking), 1);
    poking_free(poking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_comes_while_the_writer_has_the_call),
        cmocka_unit_test(test_it_comes_before_the_writer_has_the_call),
        cmocka_unit_test(test_it_comes_after_the_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
