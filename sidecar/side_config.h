/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the configuration, inside: a table of keys per mapping, each with what reads its value.
 */
#ifndef FLYBALL_SIDE_CONFIG_H
#define FLYBALL_SIDE_CONFIG_H

#include <yaml.h>

#include "sidecar/sidecar.h"

struct side_reader {
    struct side_spec *spec;
    struct side_error *error;
    const char *file;
    bool system;        /* the file is the system's, not the user's */
    const char *policy; /* the one to apply */
    json_t *policies;   /* its keys are the names of those that are there */
    yaml_document_t *document;
    struct side_window *window; /* the one being read */
    bool window_limited;        /* it has a limit */
    struct side_provider provider;
    json_t *routing;      /* what is read of it so far */
    json_t *rules, *rule; /* of notify; the one being read, there or of agents */
};

typedef bool (*side_key_handler)(struct side_reader *reader, const yaml_node_t *value);

struct side_key {
    const char *name;
    side_key_handler handle; /* NULL: known, not supported by this version */
};

/* An error with file, line and column; returns false. */
bool side_read_fail(struct side_reader *reader, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const yaml_node_t *side_read_node(struct side_reader *reader, int index);
/* The error for a key that is in no table: with the nearest one that is. Returns false. */
bool side_read_unknown(struct side_reader *reader, const yaml_node_t *name_node, const char *name,
                       const struct side_key *keys);
/* A scalar's text; NULL: it is none, and that is an error. */
const char *side_read_text(struct side_reader *reader, const yaml_node_t *node);
/* A mapping by the table of its keys, which ends with a NULL name. */
bool side_read_map(struct side_reader *reader, const yaml_node_t *node,
                   const struct side_key *keys);
bool side_read_list(struct side_reader *reader, const yaml_node_t *node, side_key_handler handle);
/* A mapping with keys of its own kind: each is called with name and value. */
bool side_read_pairs(struct side_reader *reader, const yaml_node_t *map,
                     bool (*each)(struct side_reader *reader, const yaml_node_t *name_node,
                                  const char *name, const yaml_node_t *value, void *data),
                     void *data);
/* config_ledger.c: a file's name; a relative one is meant from where the configuration stands. */
bool side_read_path(struct side_reader *reader, const yaml_node_t *value, char *out, size_t size);
bool side_read_anchor(struct side_reader *reader, const yaml_node_t *value);
bool side_read_retention(struct side_reader *reader, const yaml_node_t *value);
/* config_limits.c: what stands under these keys. */
bool side_read_governance(struct side_reader *reader, const yaml_node_t *value);
bool side_read_session_limits(struct side_reader *reader, const yaml_node_t *value);
bool side_read_ceilings(struct side_reader *reader, const yaml_node_t *value);
bool side_read_windows(struct side_reader *reader, const yaml_node_t *value);
/* config_quality.c */
bool side_read_guardrails(struct side_reader *reader, const yaml_node_t *value);
bool side_read_quality(struct side_reader *reader, const yaml_node_t *value);
bool side_read_agents(struct side_reader *reader, const yaml_node_t *value);  /* config_agents.c */
bool side_read_notify(struct side_reader *reader, const yaml_node_t *value);  /* config_notify.c */
bool side_read_routing(struct side_reader *reader, const yaml_node_t *value); /* config_routing.c */

#endif
