/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction that comes to nothing takes all its operations along: each is applied again, and
 * does then what it would have done the first time. */
#include "sidecar/orders.h"
#include "tests/unit/writer.h"

struct writer {
    struct ledger ledger;
    struct side_book *book;
    struct side_run *run; /* of one step, then a person is asked */
};

static void told_free(struct side_book *book)
{
    while (book->told != NULL) {
        struct side_op *op = book->told;

        book->told = op->next;
        side_op_free(op);
    }
}

/* False: it waits. */
static bool apply(struct writer *writer, struct side_op *op)
{
    bool durable = false, through = side_apply(writer->book, op, 0, &durable);

    told_free(writer->book);
    return through;
}

static void undo(struct writer *writer)
{
    store_abort(writer->ledger.store);
    side_book_rollback(writer->book);
}

static void apply_again(struct writer *writer, struct side_op *op)
{
    begin(&writer->ledger);
    assert_true(apply(writer, op));
    assert_int_equal(op->result, STORE_OK);
    commit(&writer->ledger);
    side_op_free(op);
}

static void twice(struct writer *writer, struct side_op *op)
{
    begin(&writer->ledger);
    (void)apply(writer, op);
    undo(writer);
    apply_again(writer, op);
}

static struct side_op *op_of(struct writer *writer, enum side_op_kind kind, uint64_t call)
{
    struct side_op *op = side_op_new(kind, writer->run, NULL, NULL);

    assert_non_null(op);
    op->ts_ns = NOON;
    if (call != 0)
        id_make(op->call_id, 'c', call);
    return op;
}

static struct side_op *admission(struct writer *writer, uint64_t call)
{
    struct side_op *op = op_of(writer, SIDE_OP_ADMIT, call);

    memcpy(op->request_hash, op->call_id, sizeof op->call_id);
    op->call.line = (struct meter_hold_line){
        .input_tokens = 1, .choices = 1, .full_cap = 1, .smallest_cap = 1, .priced = true};
    return op;
}

static struct side_op *settlement(struct writer *writer, uint64_t call)
{
    struct side_op *op = op_of(writer, SIDE_OP_SETTLE, call);

    op->event.consumption.end = STORE_SETTLED;
    op->event.consumption.tokens_total = 1;
    op->event.consumption.object[0] = 1;
    return op;
}

static struct side_op *correction(struct writer *writer, int64_t to_pusd)
{
    struct side_op *op = op_of(writer, SIDE_OP_CORRECT, 1);

    op->event.head.type = STORE_CORRECTED;
    op->event.corrected.from_pusd = -1;
    op->event.corrected.to_pusd = to_pusd;
    return op;
}

static void writer_begin(struct writer *writer, int64_t steps)
{
    struct side_spec *spec = calloc(1, sizeof *spec);
    struct side_error error = {{0}};

    assert_non_null(spec);
    wall_s = 1775300000;
    side_spec_init(spec);
    spec->limits[GOV_STEPS] = (struct gov_limit){steps, GOV_APPROVAL_REQUIRED};
    ledger_new(&writer->ledger);
    writer->book = side_book_new(writer->ledger.store);
    writer->run = side_run_new(spec, &error);
    free(spec);
    assert_non_null(writer->book);
    assert_non_null(writer->run);
    twice(writer, op_of(writer, SIDE_OP_RUN_OPEN, 0));
    for (uint64_t call = 1; call <= (uint64_t)steps; call++) {
        twice(writer, admission(writer, call));
        twice(writer, op_of(writer, SIDE_OP_SENT, call));
    }
}

static void writer_end(struct writer *writer)
{
    expect_proven(&writer->ledger, "at the end");
    side_run_drop(writer->run);
    side_book_free(writer->book);
    ledger_free(&writer->ledger);
}

static struct store_run row_of(struct writer *writer)
{
    struct store_view *view = view_of(&writer->ledger);
    struct store_run row;

    assert_int_equal(store_view_run(view, writer->run->id, &row), STORE_OK);
    store_view_close(view);
    return row;
}

/* The last record of a type, until the next one is asked for. */
static const struct store_event *last_of(struct writer *writer, enum store_type type)
{
    static struct store_event event[2];
    struct store_view *view = view_of(&writer->ledger);

    memset(event, 0, sizeof event);
    for (uint64_t seq = 1; store_view_event(view, seq, &event[1]) == STORE_OK;
         seq = event[1].head.seq + 1)
        if (event[1].head.type == type)
            event[0] = event[1];
    store_view_close(view);
    assert_int_equal(event[0].head.type, type);
    return event;
}

/* Call 2 waits for a person's word. */
static struct side_op *ask(struct writer *writer)
{
    struct side_op *op = admission(writer, 2);

    begin(&writer->ledger);
    assert_false(apply(writer, op));
    commit(&writer->ledger);
    assert_true(row_of(writer).asked_seq != 0);
    return op;
}

static void a_denial_has_its_reasons_once(void **state)
{
    static const uint16_t reasons[] = {GOV_REASON_DENIED, GOV_REASON_STEPS};
    struct writer writer;
    struct store_run row;
    struct side_op *op;

    (void)state;
    writer_begin(&writer, 1);
    (void)ask(&writer);
    op = op_of(&writer, SIDE_OP_ANSWER, 0);
    op->event.head.type = STORE_ANSWERED;
    op->event.answered.of_seq = row_of(&writer).asked_seq;
    op->event.answered.answer = STORE_DENIED;
    twice(&writer, op);
    row = row_of(&writer);
    assert_int_equal(row.reason_count, COUNT(reasons));
    assert_memory_equal(row.reasons, reasons, sizeof reasons);
    writer_end(&writer);
}

static void who_is_gone_leaves_no_question(void **state)
{
    struct writer writer;
    struct side_op *op, *waited;

    (void)state;
    writer_begin(&writer, 1);
    waited = ask(&writer);
    op = side_op_new(SIDE_OP_CANCEL, NULL, NULL, NULL);
    memcpy(op->call_id, waited->call_id, sizeof op->call_id);
    begin(&writer.ledger);
    assert_true(apply(&writer, op));
    assert_ptr_equal(op->other, waited);
    undo(&writer);
    apply_again(&writer, waited);
    apply_again(&writer, op);
    assert_int_equal(row_of(&writer).asked_seq, 0);
    assert_int_equal(row_of(&writer).state, GOV_RUNNING);
    writer_end(&writer);
}

/* Who was to be charged for the object instead has come to nothing. */
static void what_was_counted_with_another_call_is_charged(void **state)
{
    struct writer writer;
    struct side_op *first, *second;

    (void)state;
    writer_begin(&writer, 2);
    first = settlement(&writer, 1);
    second = settlement(&writer, 2);
    begin(&writer.ledger);
    assert_true(apply(&writer, first));
    assert_true(apply(&writer, second));
    undo(&writer);
    apply_again(&writer, second);
    assert_int_equal(last_of(&writer, STORE_CONSUMPTION)->consumption.tokens_total, 1);
    apply_again(&writer, first);
    assert_int_equal(last_of(&writer, STORE_CONSUMPTION)->consumption.tokens_total, 0);
    writer_end(&writer);
}

static void a_correction_goes_from_what_is_there(void **state)
{
    struct writer writer;
    struct side_op *lost, *op;

    (void)state;
    writer_begin(&writer, 1);
    twice(&writer, settlement(&writer, 1));
    lost = correction(&writer, 70);
    op = correction(&writer, 50);
    begin(&writer.ledger);
    assert_true(apply(&writer, lost));
    assert_true(apply(&writer, op));
    undo(&writer);
    apply_again(&writer, op);
    assert_int_equal(last_of(&writer, STORE_CORRECTED)->corrected.from_pusd, 0);
    side_op_free(lost);
    writer_end(&writer);
}

/* Whatever else is used up. */
static void the_limit_that_a_launcher_found_is_logged(void **state)
{
    struct writer writer;
    struct side_op *op;

    (void)state;
    writer_begin(&writer, 1);
    writer.run->spec.limits[GOV_WRITES] = (struct gov_limit){1, GOV_SOFT_WARN};
    twice(&writer, settlement(&writer, 1));
    op = op_of(&writer, SIDE_OP_EXHAUSTED, 0);
    op->event.threshold.dim = GOV_WRITES;
    twice(&writer, op);
    assert_int_equal(last_of(&writer, STORE_EXHAUSTED)->threshold.dim, GOV_WRITES);
    writer_end(&writer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_denial_has_its_reasons_once),
        cmocka_unit_test(who_is_gone_leaves_no_question),
        cmocka_unit_test(what_was_counted_with_another_call_is_charged),
        cmocka_unit_test(a_correction_goes_from_what_is_there),
        cmocka_unit_test(the_limit_that_a_launcher_found_is_logged),
    };

    return cmocka_run_group_tests_name("operations that are applied again", tests, NULL, NULL);
}
