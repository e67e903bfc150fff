/* sieve/modules.h - what is loaded only when a script uses it
 *
 * GMime brings GObject, GIO and more, ICU its tables: milliseconds and megabytes for each
 * process, for what most deliveries do without. So the files that call them are shared
 * modules, opened at their first use and never closed. Linked into a program, as into tests,
 * they are used from there.
 *
 * One that cannot be loaded is a fault of the installation, or of the moment: no descriptors, no
 * memory, an upgrade half done. Whoever asked gets NULL and goes on with what there is; but the
 * run fails in the end with SIEVE_ERROR_TEMPORARY, which names the file. The next run tries
 * again.
 */
#ifndef LODGE_SIEVE_MODULES_H
#define LODGE_SIEVE_MODULES_H

#include "lodge.h"
#include "sieve/mime.h"

/* lodge-mime.so: mime_decode.c. The functions are those of mime.h. */
typedef struct {
    const char *version; /* of the build: a module of another one is refused */
    bool (*parameter)(SieveArena *arena, const char *parameters, SieveText name,
                      SieveText *value_out);
    bool (*decode)(SieveArena *arena, SieveText raw, SieveText encoding, bool is_text,
                   SieveText charset, SieveText *content_out, bool *is_sound_out, GError **error);
    GString *(*text_entity)(SieveText text);
} SieveMimeModule;
extern const SieveMimeModule sieve_mime_module;

/* lodge-unicode.so: unicode_casemap.c. */
typedef struct {
    const char *version;
    void (*casemap)(SieveText text, GString *folded, GArray *origins);
} SieveUnicodeModule;
extern const SieveUnicodeModule sieve_unicode_module;

/* NULL: it cannot be loaded. */
const SieveMimeModule *sieve_module_mime(void);
const SieveUnicodeModule *sieve_module_unicode(void);

/* Forgets what could not be loaded: it is tried again. At the start of each run. */
void sieve_modules_begin(void);

/* False when a module could not be loaded since then, in this thread. */
bool sieve_modules_check(GError **error);

#endif
