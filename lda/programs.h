/* lda/programs.h - runs the programs that scripts may call
 *
 * Only those of one directory, which the administrator fills; without a shell, with an
 * environment made from nothing, in a process group of their own that ends with them.
 */
#ifndef LODGE_LDA_PROGRAMS_H
#define LODGE_LDA_PROGRAMS_H

#include "lodge.h"

#define PROGRAM_ERROR (program_error_quark())
GQuark program_error_quark(void);
typedef enum {
    PROGRAM_ERROR_UNKNOWN, /* the directory has no such program, or not one that may be run */
    PROGRAM_ERROR_LATER,   /* it said so: program_is_temporary() */
} ProgramError;

/* Borrowed. */
typedef struct {
    const char *directory;
    guint64 timeout_ms;             /* from start to end; of CPU too, in whole seconds */
    guint64 max_output;             /* octets */
    const char *const *environment; /* "NAME=value", NULL-terminated; NULL: none but PATH */
} ProgramOptions;

/* How a program ended. */
enum {
    /* 0 to 255: its exit status; 128 and a signal, as shells say it */
    PROGRAM_TIMED_OUT = 1000,
    PROGRAM_WROTE_TOO_MUCH,
};

/* Runs the program with input (may be NULL) on its standard input. What it does not read is no
 * failure. output_out may be NULL: then what it writes is thrown away; else it is set if
 * status is 0, and NULL otherwise. Fails with PROGRAM_ERROR or G_FILE_ERROR when the program
 * could not be run at all: the latter may be tried again. */
bool program_run(const ProgramOptions *options, const char *name, const char *const *arguments,
                 const uint8_t *input, size_t input_len, int *status_out, GBytes **output_out,
                 GError **error);

/* "exited with status 3", "took longer than 10 seconds": for logs. */
char *program_describe(const ProgramOptions *options, int status);

/* EX_TEMPFAIL: the program asks to be tried again. */
bool program_is_temporary(int status);

#endif
