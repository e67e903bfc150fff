/* sieve/complaints.c - what the compiler has to say, collected; see complaints.h */
#include "sieve/complaints.h"

#include "sieve/limits.h"

static void
complaint_free(void *data)
{
    SieveComplaint *complaint = data;

    g_free(complaint->script);
    g_free(complaint->text);
    g_free(complaint);
}

GPtrArray *
sieve_complaints_new(void)
{
    return g_ptr_array_new_with_free_func(complaint_free);
}

unsigned
sieve_complaints_errors(const GPtrArray *complaints)
{
    unsigned count = 0;

    for (guint i = 0; i < complaints->len; i++)
        if (((const SieveComplaint *)complaints->pdata[i])->is_error)
            count++;
    return count;
}

/* Valid UTF-8 on one line. */
static char *
printable(const char *text)
{
    char *valid = g_utf8_make_valid(text, -1);

    for (char *p = valid; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return valid;
}

static unsigned
count_kind(const GPtrArray *complaints, bool is_error)
{
    unsigned errors = sieve_complaints_errors(complaints);

    return is_error ? errors : complaints->len - errors;
}

void
sieve_complaints_add_va(GPtrArray *complaints, bool is_error, const char *script, unsigned line,
                        unsigned column, const char *format, va_list args)
{
    unsigned count = count_kind(complaints, is_error);

    if (count >= SIEVE_MAX_COMPLAINTS)
        return;

    SieveComplaint *complaint = g_new0(SieveComplaint, 1);
    g_autofree char *text = g_strdup_vprintf(format, args);

    complaint->is_error = is_error;
    complaint->script = g_strdup(script);
    complaint->line = line;
    complaint->column = column;
    complaint->text =
        count == SIEVE_MAX_COMPLAINTS - 1
            ? g_strdup_printf("too many %s: no more are listed", is_error ? "errors" : "warnings")
            : printable(text);
    g_ptr_array_add(complaints, complaint);
}

void
sieve_complaints_add(GPtrArray *complaints, bool is_error, const char *script, unsigned line,
                     unsigned column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    sieve_complaints_add_va(complaints, is_error, script, line, column, format, args);
    va_end(args);
}

bool
sieve_complaints_has_line(const GPtrArray *complaints, unsigned line)
{
    const SieveComplaint *last =
        complaints->len > 0 ? complaints->pdata[complaints->len - 1] : NULL;

    return last != NULL && last->is_error && last->line == line;
}

static int
compare_places(const void *a, const void *b)
{
    const SieveComplaint *x = *(const SieveComplaint *const *)a;
    const SieveComplaint *y = *(const SieveComplaint *const *)b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

void
sieve_complaints_sort(GPtrArray *complaints)
{
    g_ptr_array_sort(complaints, compare_places);
}

/* ---- the nearest name ---------------------------------------------------- */

enum { LONGEST_NAME = 40 };

SieveNearest
sieve_nearest_begin(SieveText wanted)
{
    /* A short word is near to too many others: it may differ in one letter only. */
    unsigned allowed = wanted.len <= 4 ? 1 : wanted.len <= 8 ? 2 : 3;

    return (SieveNearest){.wanted = wanted.bytes, .len = wanted.len, .distance = allowed + 1};
}

/* Levenshtein's distance, where two letters that changed places count once. */
static unsigned
edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][LONGEST_NAME + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            bool is_equal = g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 1]);
            unsigned best = MIN(last[j], now[j - 1]) + 1;

            best = MIN(best, last[j - 1] + !is_equal);
            if (i > 1 && j > 1 && g_ascii_tolower(a[i - 1]) == g_ascii_tolower(b[j - 2]) &&
                g_ascii_tolower(a[i - 2]) == g_ascii_tolower(b[j - 1]))
                best = MIN(best, before[j - 2] + 1);
            now[j] = best;
        }

        unsigned *spare = before;

        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

void
sieve_nearest_try(SieveNearest *nearest, const char *candidate)
{
    size_t len = strlen(candidate);

    if (nearest->len > LONGEST_NAME || len > LONGEST_NAME)
        return;

    unsigned distance = edit_distance(nearest->wanted, nearest->len, candidate, len);

    if (distance < nearest->distance) {
        nearest->distance = distance;
        nearest->name = candidate;
    }
}
