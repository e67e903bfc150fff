/* lda/srs.c - sender rewriting; see srs.h
 *
 *   SRS0=hash=stamp=domain=local@us           we were the first to forward
 *   SRS1=hash=first==hash=stamp=domain=local@us   somebody was before us: bounces go to him
 *
 * hash: 4 characters of base64 of HMAC-SHA1 over what it protects, in lower case.
 * stamp: the day, modulo 1024, as two characters of base32. Mail systems change the case of
 * local parts, so comparisons do without it. The separator behind SRS0 and SRS1 may
 * be "=", "+" or "-"; the opaque rest of an SRS1 begins with that of the first host.
 */
#include "lda/srs.h"

#include <sys/stat.h>

G_DEFINE_QUARK(lodge - srs - error, srs_error)

enum { HASH_LENGTH = 4, DAY = 24 * 60 * 60, STAMP_DAYS = 1024, MAX_SECRET_FILE = 64 * 1024 };

static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static void *
fail(GError **error, SrsError code, const char *text)
{
    g_set_error_literal(error, SRS_ERROR, (int)code, text);
    return NULL;
}

/* ---- secrets ------------------------------------------------------------- */

char **
srs_secrets_load(const char *path, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(GError) cause = NULL;
    g_autoptr(GPtrArray) secrets = g_ptr_array_new();
    size_t len = 0;
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_SECRET_FILE ||
        !g_file_get_contents(path, &text, &len, &cause)) {
        g_set_error(error, SRS_ERROR, SRS_ERROR_SECRET, "cannot read the srs secrets '%s'%s%s",
                    path, cause == NULL ? "" : ": ", cause == NULL ? "" : cause->message);
        return NULL;
    }
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (size_t i = 0; lines[i] != NULL; i++) {
        if (*g_strstrip(lines[i]) != '\0')
            g_ptr_array_add(secrets, g_strdup(lines[i]));
    }
    explicit_bzero(text, len);
    if (secrets->len == 0) {
        g_set_error(error, SRS_ERROR, SRS_ERROR_SECRET, "there is no srs secret in '%s'", path);
        return NULL;
    }
    g_ptr_array_add(secrets, NULL);
    return (char **)g_ptr_array_free(g_steal_pointer(&secrets), FALSE);
}

void
srs_secrets_free(char **secrets)
{
    for (size_t i = 0; secrets != NULL && secrets[i] != NULL; i++)
        explicit_bzero(secrets[i], strlen(secrets[i]));
    g_strfreev(secrets);
}

/* ---- hash and stamp ------------------------------------------------------ */

/* Of the NULL-terminated strings. */
static char *
make_hash(const char *secret, const char *const *parts)
{
    g_autoptr(GHmac) hmac = g_hmac_new(G_CHECKSUM_SHA1, (const guchar *)secret, strlen(secret));
    guint8 digest[20];
    gsize len = sizeof digest;

    for (size_t i = 0; parts[i] != NULL; i++) {
        g_autofree char *lower = g_ascii_strdown(parts[i], -1);
        g_hmac_update(hmac, (const guchar *)lower, (gssize)strlen(lower));
    }
    g_hmac_get_digest(hmac, digest, &len);
    char *hash = g_base64_encode(digest, len);
    hash[HASH_LENGTH] = '\0';
    return hash;
}

/* The time taken does not tell how much of a guess was right. */
static bool
is_same(const char *a, const char *b)
{
    int difference = 0;

    for (size_t i = 0; i < HASH_LENGTH; i++)
        difference |= g_ascii_tolower(a[i]) ^ g_ascii_tolower(b[i]);
    return difference == 0;
}

static bool
is_signed(const char *hash, const char *const *secrets, const char *const *parts)
{
    bool found = false;

    if (strlen(hash) != HASH_LENGTH)
        return false;
    for (size_t i = 0; secrets[i] != NULL; i++) {
        g_autofree char *right = make_hash(secrets[i], parts);
        found |= is_same(hash, right);
    }
    return found;
}

static unsigned
today(gint64 now)
{
    return (unsigned)((now / DAY) % STAMP_DAYS);
}

static bool
is_valid_stamp(const char *stamp, gint64 now)
{
    const char *high, *low;

    if (strlen(stamp) != 2)
        return false;
    high = strchr(base32, g_ascii_toupper(stamp[0]));
    low = strchr(base32, g_ascii_toupper(stamp[1]));
    if (high == NULL || low == NULL)
        return false;
    unsigned day = (unsigned)(high - base32) * 32 + (unsigned)(low - base32);
    return (today(now) + STAMP_DAYS - day) % STAMP_DAYS <= SRS_VALID_DAYS;
}

/* ---- forward ------------------------------------------------------------- */

static bool
has_tag(const char *local, const char *tag)
{
    return g_ascii_strncasecmp(local, tag, 4) == 0 && local[4] != '\0' &&
           strchr("=+-", local[4]) != NULL && local[5] != '\0';
}

static char *
forward_srs0(const char *local, const char *sender_domain, const char *domain, const char *secret,
             gint64 now)
{
    unsigned day = today(now);
    const char stamp[] = {base32[day / 32], base32[day % 32], '\0'};
    g_autofree char *hash =
        make_hash(secret, (const char *const[]){stamp, sender_domain, local, NULL});

    return g_strdup_printf("SRS0=%s=%s=%s=%s@%s", hash, stamp, sender_domain, local, domain);
}

/* rest is all that follows SRS0 of the first host, its separator included. */
static char *
forward_srs1(const char *first, const char *rest, const char *domain, const char *secret)
{
    g_autofree char *hash = make_hash(secret, (const char *const[]){first, rest, NULL});

    return g_strdup_printf("SRS1=%s=%s=%s@%s", hash, first, rest, domain);
}

char *
srs_forward(const char *sender, const char *domain, const char *const *secrets, gint64 now)
{
    const char *at = strrchr(sender, '@');

    /* A quoted local part would need quotes around all of the new one; no list or MTA has any. */
    if (at == NULL || at == sender || strchr(sender, '"') != NULL || *domain == '\0' ||
        g_ascii_strcasecmp(at + 1, domain) == 0)
        return g_strdup(sender);
    g_autofree char *local = g_strndup(sender, (size_t)(at - sender));
    if (has_tag(local, "SRS0"))
        return forward_srs1(at + 1, local + 4, domain, secrets[0]);
    if (has_tag(local, "SRS1")) {
        /* hash=first=rest: the first host stays, only the hash is ours. */
        g_auto(GStrv) parts = g_strsplit(local + 5, "=", 3);

        if (g_strv_length(parts) == 3 && *parts[1] != '\0' && *parts[2] != '\0')
            return forward_srs1(parts[1], parts[2], domain, secrets[0]);
    }
    return forward_srs0(local, at + 1, domain, secrets[0], now);
}

/* ---- reverse ------------------------------------------------------------- */

static char *
reverse_srs0(const char *rest, const char *const *secrets, gint64 now, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(rest, "=", 4);

    if (g_strv_length(parts) != 4 || *parts[2] == '\0' || *parts[3] == '\0')
        return fail(error, SRS_ERROR_FORM, "the rewritten address has not all of its parts");
    if (!is_signed(parts[0], secrets, (const char *const[]){parts[1], parts[2], parts[3], NULL}))
        return fail(error, SRS_ERROR_HASH, "the rewritten address was not made with our secret");
    if (!is_valid_stamp(parts[1], now))
        return fail(error, SRS_ERROR_EXPIRED, "the rewritten address has expired");
    return g_strdup_printf("%s@%s", parts[3], parts[2]);
}

static char *
reverse_srs1(const char *rest, const char *const *secrets, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(rest, "=", 3);

    if (g_strv_length(parts) != 3 || *parts[1] == '\0' || *parts[2] == '\0' ||
        strchr("=+-", parts[2][0]) == NULL)
        return fail(error, SRS_ERROR_FORM, "the rewritten address has not all of its parts");
    if (!is_signed(parts[0], secrets, (const char *const[]){parts[1], parts[2], NULL}))
        return fail(error, SRS_ERROR_HASH, "the rewritten address was not made with our secret");
    return g_strdup_printf("SRS0%s@%s", parts[2], parts[1]);
}

char *
srs_reverse(const char *address, const char *const *secrets, gint64 now, GError **error)
{
    const char *at = strrchr(address, '@');
    g_autofree char *local =
        g_strndup(address, at == NULL ? strlen(address) : (size_t)(at - address));

    if (has_tag(local, "SRS0"))
        return reverse_srs0(local + 5, secrets, now, error);
    if (has_tag(local, "SRS1"))
        return reverse_srs1(local + 5, secrets, error);
    return fail(error, SRS_ERROR_FORM, "this is no rewritten address");
}
