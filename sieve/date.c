/* sieve/date.c - reads and writes dates; see date.h
 *
 * Days are counted in the Gregorian calendar without any table: a year begins on 1 March, so that
 * the leap day is its last. Nothing depends on the locale, and only the local zone on TZ.
 */
#include "sieve/date.h"

#include <time.h>

enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR, EPOCH_MJD = 40587 };

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

typedef struct {
    int year, month, day, hour, minute, second; /* month and day from 1 */
    int weekday;                                /* 0: Sunday */
    gint64 days;                                /* since the epoch */
} Calendar;

/* ---- days ------------------------------------------------------------------------ */

static gint64
days_from_date(int year, int month, int day)
{
    gint64 y = month <= 2 ? year - 1 : year; /* years begin in March */
    gint64 era = y / 400;
    gint64 year_of_era = y - era * 400;
    gint64 day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void
date_from_days(gint64 days, Calendar *out)
{
    gint64 z = days + 719468;
    gint64 era = (z >= 0 ? z : z - 146096) / 146097;
    gint64 day_of_era = z - era * 146097;
    gint64 year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    gint64 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    gint64 month = (5 * day_of_year + 2) / 153; /* from March */

    out->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
    out->month = (int)(month < 10 ? month + 3 : month - 9);
    out->year = (int)(year_of_era + era * 400 + (out->month <= 2));
    out->weekday = (int)(((days + 4) % 7 + 7) % 7);
    out->days = days;
}

static int
days_in_month(int year, int month)
{
    return (int)(month == 12 ? 31
                             : days_from_date(year, month + 1, 1) - days_from_date(year, month, 1));
}

/* ---- reading ------------------------------------------------------------------------ */

typedef struct {
    const char *at, *end;
} Reader;

/* Blanks and comments, which may be within each other. */
static void
skip_blanks(Reader *reader)
{
    size_t depth = 0;

    for (; reader->at < reader->end; reader->at++) {
        char c = *reader->at;

        if (c == '\\' && depth > 0 && reader->at + 1 < reader->end)
            reader->at++;
        else if (c == '(')
            depth++;
        else if (c == ')' && depth > 0)
            depth--;
        else if (depth == 0 && !g_ascii_isspace(c))
            return;
    }
}

static bool
skip_char(Reader *reader, char c)
{
    skip_blanks(reader);
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* A number of at most so many digits; their count, 0 for none or too many. */
static int
read_number(Reader *reader, int most, int *number_out)
{
    int digits = 0, number = 0;

    skip_blanks(reader);
    for (; reader->at < reader->end && g_ascii_isdigit(*reader->at); reader->at++) {
        if (++digits > most)
            return 0;
        number = number * 10 + (*reader->at - '0');
    }
    *number_out = number;
    return digits;
}

static SieveText
read_word(Reader *reader)
{
    const char *from;

    skip_blanks(reader);
    from = reader->at;
    while (reader->at < reader->end && g_ascii_isalpha(*reader->at))
        reader->at++;
    return (SieveText){.bytes = from, .len = (size_t)(reader->at - from)};
}

/* By its first three letters: "June" is written as well. -1: none. */
static int
find_name(const char (*names)[4], int count, SieveText word)
{
    for (int i = 0; i < count && word.len >= 3; i++)
        if (g_ascii_strncasecmp(word.bytes, names[i], 3) == 0)
            return i;
    return -1;
}

/* RFC 5322 section 4.3: what two and three digits mean. */
static bool
read_year(Reader *reader, int *year_out)
{
    int digits = read_number(reader, 4, year_out);

    if (digits < 2)
        return false;
    if (digits == 2)
        *year_out += *year_out < 50 ? 2000 : 1900;
    if (digits == 3)
        *year_out += 1900;
    return true;
}

static bool
read_time(Reader *reader, Calendar *out)
{
    out->second = 0;
    if (read_number(reader, 2, &out->hour) == 0 || !skip_char(reader, ':') ||
        read_number(reader, 2, &out->minute) == 0)
        return false;
    if (skip_char(reader, ':') && read_number(reader, 2, &out->second) == 0)
        return false;
    return out->hour < 24 && out->minute < 60 && out->second <= 60;
}

/* RFC 5322 section 4.3: military zones, and those nobody knows, say nothing: as "-0000". */
static int
named_zone(SieveText name)
{
    static const struct {
        const char *name;
        int hours;
    } zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                 {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};

    for (size_t i = 0; i < G_N_ELEMENTS(zones); i++)
        if (name.len == 3 && g_ascii_strncasecmp(name.bytes, zones[i].name, 3) == 0)
            return zones[i].hours * 60;
    return 0;
}

static bool
read_zone(Reader *reader, int *zone_out)
{
    skip_blanks(reader);
    if (reader->at < reader->end && (*reader->at == '+' || *reader->at == '-')) {
        SieveText zone = {.bytes = reader->at, .len = MIN((size_t)(reader->end - reader->at), 5u)};

        return sieve_date_parse_zone(zone, zone_out);
    }
    *zone_out = named_zone(read_word(reader)); /* no zone at all is no reason to know no date */
    return true;
}

static bool
read_date(Reader *reader, Calendar *out)
{
    const char *start = reader->at;
    int month;

    if (find_name(weekdays, 7, read_word(reader)) < 0)
        reader->at = start;
    (void)skip_char(reader, ',');
    if (read_number(reader, 2, &out->day) == 0)
        return false;
    (void)skip_char(reader, '-');
    month = find_name(months, 12, read_word(reader));
    (void)skip_char(reader, '-');
    if (month < 0 || !read_year(reader, &out->year))
        return false;
    out->month = month + 1;
    return out->day >= 1 && out->day <= days_in_month(out->year, out->month);
}

bool
sieve_date_parse(SieveText text, SieveDate *date_out)
{
    Reader reader = {.at = text.bytes, .end = text.bytes + text.len};
    const char *semicolon = text.len == 0 ? NULL : memrchr(text.bytes, ';', text.len);
    Calendar calendar;
    int zone;

    if (semicolon != NULL)
        reader.at = semicolon + 1;
    if (!read_date(&reader, &calendar) || !read_time(&reader, &calendar) ||
        !read_zone(&reader, &zone))
        return false;
    date_out->is_leap_second = calendar.second == 60;
    date_out->zone = zone;
    date_out->utc = days_from_date(calendar.year, calendar.month, calendar.day) * DAY +
                    calendar.hour * HOUR + calendar.minute * MINUTE + MIN(calendar.second, 59) -
                    zone * MINUTE;
    return true;
}

bool
sieve_date_parse_zone(SieveText text, int *zone_out)
{
    if (text.len != 5 || (text.bytes[0] != '+' && text.bytes[0] != '-'))
        return false;
    for (size_t i = 1; i < 5; i++)
        if (!g_ascii_isdigit(text.bytes[i]))
            return false;

    int hours = (text.bytes[1] - '0') * 10 + text.bytes[2] - '0';
    int minutes = (text.bytes[3] - '0') * 10 + text.bytes[4] - '0';

    if (minutes > 59)
        return false;
    *zone_out = (hours * 60 + minutes) * (text.bytes[0] == '-' ? -1 : 1);
    return true;
}

int
sieve_date_local_zone(gint64 utc)
{
    time_t seconds = (time_t)utc;
    struct tm local;

    if (localtime_r(&seconds, &local) == NULL)
        return 0;
    return (int)(local.tm_gmtoff / MINUTE);
}

/* ---- writing ------------------------------------------------------------------------ */

static const struct {
    const char *name;
    SieveDatePart part;
} parts[] = {
    {"year", SIEVE_DATE_YEAR},       {"month", SIEVE_DATE_MONTH},   {"day", SIEVE_DATE_DAY},
    {"date", SIEVE_DATE_DATE},       {"julian", SIEVE_DATE_JULIAN}, {"hour", SIEVE_DATE_HOUR},
    {"minute", SIEVE_DATE_MINUTE},   {"second", SIEVE_DATE_SECOND}, {"time", SIEVE_DATE_TIME},
    {"iso8601", SIEVE_DATE_ISO8601}, {"std11", SIEVE_DATE_STD11},   {"zone", SIEVE_DATE_ZONE},
    {"weekday", SIEVE_DATE_WEEKDAY},
};

bool
sieve_date_part_find(SieveText name, SieveDatePart *part_out)
{
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (strlen(parts[i].name) == name.len &&
            g_ascii_strncasecmp(parts[i].name, name.bytes, name.len) == 0) {
            *part_out = parts[i].part;
            return true;
        }
    }
    return false;
}

static void
to_calendar(const SieveDate *date, Calendar *out)
{
    gint64 seconds = date->utc + date->zone * MINUTE;
    gint64 days = seconds / DAY;
    int rest = (int)(seconds % DAY);

    if (rest < 0) {
        rest += DAY;
        days--;
    }
    date_from_days(days, out);
    out->hour = rest / HOUR;
    out->minute = rest % HOUR / MINUTE;
    out->second = rest % MINUTE + (date->is_leap_second ? 1 : 0);
}

static void
append_part(GString *out, const Calendar *c, int zone, SieveDatePart part)
{
    char sign = zone < 0 ? '-' : '+';
    int hours = ABS(zone) / 60, minutes = ABS(zone) % 60;

    switch (part) {
    case SIEVE_DATE_YEAR:
        g_string_append_printf(out, "%04d", c->year);
        break;
    case SIEVE_DATE_MONTH:
        g_string_append_printf(out, "%02d", c->month);
        break;
    case SIEVE_DATE_DAY:
        g_string_append_printf(out, "%02d", c->day);
        break;
    case SIEVE_DATE_DATE:
        g_string_append_printf(out, "%04d-%02d-%02d", c->year, c->month, c->day);
        break;
    case SIEVE_DATE_JULIAN:
        g_string_append_printf(out, "%" G_GINT64_FORMAT, c->days + EPOCH_MJD);
        break;
    case SIEVE_DATE_HOUR:
        g_string_append_printf(out, "%02d", c->hour);
        break;
    case SIEVE_DATE_MINUTE:
        g_string_append_printf(out, "%02d", c->minute);
        break;
    case SIEVE_DATE_SECOND:
        g_string_append_printf(out, "%02d", c->second);
        break;
    case SIEVE_DATE_TIME:
        g_string_append_printf(out, "%02d:%02d:%02d", c->hour, c->minute, c->second);
        break;
    case SIEVE_DATE_ISO8601:
        g_string_append_printf(out, "%04d-%02d-%02dT%02d:%02d:%02d", c->year, c->month, c->day,
                               c->hour, c->minute, c->second);
        if (zone == 0)
            g_string_append_c(out, 'Z');
        else
            g_string_append_printf(out, "%c%02d:%02d", sign, hours, minutes);
        break;
    case SIEVE_DATE_STD11:
        g_string_append_printf(out, "%s, %02d %s %04d %02d:%02d:%02d %c%02d%02d",
                               weekdays[c->weekday], c->day, months[c->month - 1], c->year, c->hour,
                               c->minute, c->second, sign, hours, minutes);
        break;
    case SIEVE_DATE_ZONE:
        g_string_append_printf(out, "%c%02d%02d", sign, hours, minutes);
        break;
    case SIEVE_DATE_WEEKDAY:
        g_string_append_printf(out, "%d", c->weekday);
        break;
    }
}

SieveText
sieve_date_part(SieveArena *arena, const SieveDate *date, SieveDatePart part)
{
    g_autoptr(GString) out = g_string_new(NULL);
    Calendar calendar;

    to_calendar(date, &calendar);
    append_part(out, &calendar, date->zone, part);
    return sieve_arena_text(arena, out->str, out->len);
}
