/* sieve/unicode.c - asks the module with ICU; see unicode.h */
#include "sieve/unicode.h"

#include "sieve/modules.h"

void
sieve_unicode_casemap(SieveText text, GString *folded, GArray *origins)
{
    const SieveUnicodeModule *module = sieve_module_unicode();

    if (module != NULL) {
        module->casemap(text, folded, origins);
        return;
    }
    /* The run fails in the end. */
    g_string_append_len(folded, text.bytes, (gssize)text.len);
    for (guint32 i = 0; origins != NULL && i < text.len; i++)
        g_array_append_val(origins, i);
}
