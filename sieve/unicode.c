/* sieve/unicode.c - asks the module with ICU; see unicode.h */
#include "sieve/unicode.h"

#include "sieve/modules.h"

typedef struct {
    GString *folded;
    GArray *origins; /* NULL: not wanted */
} Folding;

static void
take(const char *octets, size_t len, size_t origin, void *data)
{
    const Folding *folding = data;
    guint32 offset = (guint32)origin;

    g_string_append_len(folding->folded, octets, (gssize)len);
    for (size_t i = 0; folding->origins != NULL && i < len; i++)
        g_array_append_val(folding->origins, offset);
}

void
sieve_unicode_casemap(SieveText text, GString *folded, GArray *origins)
{
    const SieveUnicodeModule *module = sieve_module_unicode();

    Folding folding = {.folded = folded, .origins = origins};
    size_t folded_before = folded->len;
    guint origins_before = origins == NULL ? 0 : origins->len;

    if (module != NULL && module->casemap(text, take, &folding))
        return;
    /* RFC 5051 section 2 (1)(b): "any partial preparation results are discarded". Without
     * the module the run fails in the end. */
    g_string_truncate(folded, folded_before);
    if (origins != NULL)
        g_array_set_size(origins, origins_before);
    for (size_t i = 0; i < text.len; i++)
        take(text.bytes + i, 1, i, &folding);
}
