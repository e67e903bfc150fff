/* sieve/modules.c - opens shared modules at their first use; see modules.h */
#include "sieve/modules.h"

#include <dlfcn.h>

/* Linked in, or NULL. */
extern const SieveMimeModule sieve_mime_module __attribute__((weak));
extern const SieveUnicodeModule sieve_unicode_module __attribute__((weak));

typedef struct {
    const char *file, *symbol;
    gsize is_loaded;
    const void *module; /* NULL: it could not be */
    char *failure;
} Module;

static Module mime = {.file = "lodge-mime.so", .symbol = "sieve_mime_module"};
static Module unicode = {.file = "lodge-unicode.so", .symbol = "sieve_unicode_module"};

/* From the program's own place: in the build tree, and installed from bin, sbin or libexec/lodge. A
 * RUNPATH would do as well, but then the linker looks there for every library of each program
 * first, 90 system calls a start. */
static void *
open_library(const char *file, GString *failures)
{
    static const char *const places[] = {"../modules", "../lib/lodge", "../../lib/lodge"};

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        g_autofree char *path = g_strdup_printf("$ORIGIN/%s/%s", places[i], file);
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

        if (library != NULL)
            return library;
        g_string_append_printf(failures, "%s%s", i > 0 ? "; " : "", dlerror());
    }
    return NULL;
}

/* Each module begins with its version. */
static void
open_module(Module *module)
{
    g_autoptr(GString) failures = g_string_new(NULL);
    void *library = open_library(module->file, failures);
    const char *const *version = library == NULL ? NULL : dlsym(library, module->symbol);

    if (library == NULL)
        module->failure = g_strdup(failures->str);
    else if (version == NULL)
        module->failure = g_strdup(dlerror());
    else if (strcmp(*version, LODGE_VERSION) != 0)
        module->failure = g_strdup_printf("%s is of version %s, this program of " LODGE_VERSION,
                                          module->file, *version);
    else
        module->module = version;
}

static const void *
load(Module *module, const void *linked_in)
{
    if (linked_in != NULL)
        return linked_in;
    if (g_once_init_enter(&module->is_loaded)) {
        open_module(module);
        g_once_init_leave(&module->is_loaded, 1);
    }
    return module->module;
}

const SieveMimeModule *
sieve_module_mime(void)
{
    return load(&mime, &sieve_mime_module);
}

const SieveUnicodeModule *
sieve_module_unicode(void)
{
    return load(&unicode, &sieve_unicode_module);
}

bool
sieve_modules_check(GError **error)
{
    const char *failure = mime.failure != NULL ? mime.failure : unicode.failure;

    if (failure == NULL)
        return true;
    g_set_error(error, SIEVE_ERROR, SIEVE_ERROR_TEMPORARY, "cannot load a module: %s", failure);
    return false;
}
