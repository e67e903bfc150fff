/* sieve/complaints.h - what the compiler has to say, collected */
#ifndef LODGE_SIEVE_COMPLAINTS_H
#define LODGE_SIEVE_COMPLAINTS_H

#include "lodge.h"
#include "sieve/sieve.h"

/* Adds one. Text of the script that is quoted in it may be anything: what is no UTF-8 or would
 * garble a terminal is replaced. At most SIEVE_MAX_COMPLAINTS of each kind are kept, and the
 * last says so. */
void sieve_complaints_add(GPtrArray *complaints, bool is_error, const char *script, unsigned line,
                          unsigned column, const char *format, ...) G_GNUC_PRINTF(6, 7);
void sieve_complaints_add_va(GPtrArray *complaints, bool is_error, const char *script,
                             unsigned line, unsigned column, const char *format, va_list args);

/* Whether the last complaint was an error in that line. */
bool sieve_complaints_has_line(const GPtrArray *complaints, unsigned line);

/* In the order of the source. */
void sieve_complaints_sort(GPtrArray *complaints);

/* The name of candidates that was probably meant; NULL: none is near. Feed each candidate to
 * sieve_nearest_try(). */
typedef struct {
    const char *wanted;
    size_t len;
    const char *name; /* the nearest so far */
    unsigned distance;
} SieveNearest;

SieveNearest sieve_nearest_begin(SieveText wanted);
void sieve_nearest_try(SieveNearest *nearest, const char *candidate);

#endif
