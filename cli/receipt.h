/* SPDX-License-Identifier: Apache-2.0 */
/* Validating receipts: the two record types of docs/RECEIPTS.md, whoever made them.
 *
 * The model. A receipt is looked at three times: against its public schema (receipt_schema.c), by
 * the rules that a schema cannot say (receipt_rules.c), and beside the other receipts that were
 * given (receipt.c). Each violation is told where it is found, so that all of them are. A rule that
 * needs a member which is missing, or of another type, holds: that was told already. */
#ifndef FLYBALL_CLI_RECEIPT_H
#define FLYBALL_CLI_RECEIPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum receipt_kind { RECEIPT_ADMISSION, RECEIPT_SETTLEMENT, RECEIPT_KINDS };

/* What is being looked at, and how many violations were told. */
struct receipt_check {
    const char *file;
    size_t line;
    size_t element; /* of an array, from 1; 0: it is in none */
    size_t violations;
};

/* Tells one: "FILE:LINE: PATH: is VALUE; wanted WANTED", with [ELEMENT] in front in an array. value
 * NULL: it is missing. path "": the receipt itself. */
void receipt_violation(struct receipt_check *check, const char *path, const json_t *value,
                       const char *wanted, ...) __attribute__((format(printf, 4, 5)));
/* The same for what no value shows: "FILE:LINE: TEXT". */
void receipt_complaint(struct receipt_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The kind by its recordType, else by its schemaVersion; RECEIPT_KINDS: neither says. */
enum receipt_kind receipt_kind_of(const json_t *receipt);
void receipt_against_schema(struct receipt_check *check, enum receipt_kind kind,
                            const json_t *receipt);
void receipt_against_rules(struct receipt_check *check, enum receipt_kind kind,
                           const json_t *receipt);

/* The value at "member" or "member.member"; NULL: there is none. */
const json_t *receipt_at(const json_t *receipt, const char *path);
/* Whether it is a string, and this one. */
bool receipt_says(const json_t *receipt, const char *path, const char *text);

#endif
