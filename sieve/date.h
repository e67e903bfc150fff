/* sieve/date.h - dates of header fields, and their parts (RFC 5260)
 *
 * RFC 5322 section 3.3 with the obsolete forms of 4.3: comments, two-digit years, named zones.
 */
#ifndef LODGE_SIEVE_DATE_H
#define LODGE_SIEVE_DATE_H

#include "lodge.h"
#include "sieve/arena.h"

typedef struct {
    gint64 utc;          /* seconds since the epoch */
    int zone;            /* minutes east of UTC */
    bool is_leap_second; /* second 60 of the minute that utc is the last second of */
} SieveDate;

typedef enum {
    SIEVE_DATE_YEAR,
    SIEVE_DATE_MONTH,
    SIEVE_DATE_DAY,
    SIEVE_DATE_DATE,
    SIEVE_DATE_JULIAN,
    SIEVE_DATE_HOUR,
    SIEVE_DATE_MINUTE,
    SIEVE_DATE_SECOND,
    SIEVE_DATE_TIME,
    SIEVE_DATE_ISO8601,
    SIEVE_DATE_STD11,
    SIEVE_DATE_ZONE,
    SIEVE_DATE_WEEKDAY,
} SieveDatePart;

/* The date that text is, or that follows its last semicolon (Received). False: none, or one
 * that the calendar does not have. */
bool sieve_date_parse(SieveText text, SieveDate *date_out);

/* "+hhmm" or "-hhmm". */
bool sieve_date_parse_zone(SieveText text, int *zone_out);

/* The zone of TZ at that time, in minutes. */
int sieve_date_local_zone(gint64 utc);

/* Without regard to case; false: there is no such part. */
bool sieve_date_part_find(SieveText name, SieveDatePart *part_out);

/* The part of date as its zone has it. From arena. */
SieveText sieve_date_part(SieveArena *arena, const SieveDate *date, SieveDatePart part);

#endif
