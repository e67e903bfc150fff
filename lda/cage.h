/* lda/cage.h - runs code that may crash, hang or be taken over, where it harms nobody
 *
 *   cage_run() --fork--> open() -- the cage is shut --> work() --pipe--> answer
 *
 * The child has a copy of all we have in memory, and nothing else: no files but the pipe, no
 * rights of root, no system calls but those for memory and for the answer. What it says is
 * as good as what a stranger says.
 */
#ifndef LODGE_LDA_CAGE_H
#define LODGE_LDA_CAGE_H

#include "lodge.h"

/* None may be 0. */
typedef struct {
    guint64 cpu_time;   /* seconds */
    guint64 memory;     /* octets, besides what the process has when the cage is shut */
    guint64 timeout_ms; /* real time */
    size_t max_answer;  /* octets */
} CageLimits;

typedef struct {
    void (*open)(void *data);                     /* what needs files, such as dlopen() */
    void (*work)(void *data, GByteArray *answer); /* in the cage */
    void *data;
} CageTask;

#define CAGE_ERROR cage_error_quark()
GQuark cage_error_quark(void);
typedef enum {
    CAGE_ERROR_DIED,  /* it crashed, or did what is forbidden */
    CAGE_ERROR_LIMIT, /* it passed one of the limits */
} CageError;

/* Runs task; *answer_out, to be freed with g_bytes_unref(), is what it answered. Fails with
 * CAGE_ERROR, whose message goes on after a name: "took more than ..."; and with G_FILE_ERROR when
 * there can be no cage. */
bool cage_run(const CageTask *task, const CageLimits *limits, GBytes **answer_out, GError **error);

#endif
